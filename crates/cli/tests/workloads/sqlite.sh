#!/bin/sh
# A database is changed, rolled back, vacuumed and backed up; its journal is a file or a log of writes.
set -eu
case $1 in
start)
    sqlite3 data.db "pragma journal_mode=$2; create table t(id integer primary key, words text);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
        insert into t(words) select 'row ' || i from n;" >/dev/null
    ;;
run)
    sqlite3 data.db "update t set words = words || '!' where id % 3 = 0; delete from t where id % 7 = 0; create index i on t(words);"
    sqlite3 data.db "begin; delete from t; rollback; begin immediate; insert into t(words) values ('kept'); commit;"
    for n in 1 2 3 4; do sqlite3 data.db ".timeout 20000" "insert into t(words) values ('beside');" & done; wait
    sqlite3 data.db "pragma wal_checkpoint(truncate); vacuum; pragma integrity_check; select count(*) from t;" >said.txt
    sqlite3 data.db ".backup copy.db" ".dump" >dump.sql
    ;;
esac
