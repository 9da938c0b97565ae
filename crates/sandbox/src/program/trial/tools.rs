//! Ordinary tools under the filter.

use std::process::Command;

use super::trial;

const SCRIPT: &str = r#"
set -eu
export HOME="$PWD/home" PATH="/usr/local/bin:/usr/bin:/bin"
mkdir home && cd home
# A repository: git renames and links, and asks for its lock files.
git init -q repo && cd repo
git config user.email a@b.c && git config user.name n
echo one > a && mkdir dir && echo two > dir/b && git add . && git commit -q -m first
git mv dir moved && git commit -q -m moved && git checkout -q -b other && git gc -q && git fsck 2>&1
git init -q --shared ../shared
cd ..
tar cf t.tar repo && mkdir x && tar xpf t.tar -C x && diff -r repo x/repo
printf 'int main(void){return 0;}' > m.c && printf 'm: m.c\n\tgcc -o m m.c\n' > Makefile && make -s m && ./m
python3 - <<'PYTHON'
import os, socket, subprocess, sqlite3, tempfile, threading, multiprocessing, mmap, time, signal
assert subprocess.run(["true"]).returncode == 0
a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
client = socket.create_connection(server.getsockname()); server.accept()
threading.Thread(target=lambda: None).start()
db = sqlite3.connect("db"); db.execute("create table t(a)"); db.execute("insert into t values (1)"); db.commit()
db.execute("pragma journal_mode=wal"); db.execute("insert into t values (2)"); db.commit()
with tempfile.TemporaryFile() as f: f.write(b"x"); f.flush(); mmap.mmap(f.fileno(), 1)
lock = multiprocessing.Lock(); q = multiprocessing.Queue(); p = multiprocessing.Process(target=q.put, args=(1,))
p.start(); assert q.get() == 1; p.join()
os.mkfifo("fifo"); os.sched_getaffinity(0); os.getpriority(os.PRIO_PROCESS, 0)
socket.if_nameindex()
os.kill(os.getpid(), 0)
PYTHON
node -e 'const fs=require("fs"),os=require("os"),cp=require("child_process");
os.networkInterfaces();fs.writeFileSync("n","x");fs.renameSync("n","o");fs.watch(".").close();
cp.execSync("true");new (require("worker_threads").Worker)("",{eval:true});
require("http").createServer().listen(0,"127.0.0.1",function(){this.close()})'
sqlite3 db2 'create table t(a); insert into t values(1); select * from t;'
vim -es -c 'normal ihello' -c 'wq' edited </dev/null && test -s edited
find . -type f | xargs stat > /dev/null
cp -a repo copy && mv copy renamed && rm -r renamed
"#;

/// Where a tool is missing the test fails and says so: install sh, git, tar, gcc, make, python3, node, sqlite3, vim.
#[test]
fn what_ordinary_tools_do_works() {
    trial(
        |_| {},
        || {
            for tool in ["git", "tar", "gcc", "make", "python3", "node", "sqlite3", "vim"] {
                let found = ["/usr/local/bin", "/usr/bin", "/bin"]
                    .iter()
                    .any(|dir| std::path::Path::new(dir).join(tool).exists());
                assert!(found, "this test needs {tool}: install it");
            }
            let done = Command::new("sh").args(["-c", SCRIPT]).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{said}");
        },
        |refused, _| {
            // libuv asks for io_uring at its start.
            let more: Vec<_> = refused.iter().filter(|line| !line.starts_with("io_uring_setup: ")).collect();
            assert!(more.is_empty(), "{more:#?}");
        },
    );
}
