#!/bin/sh
# What a lock file names is installed, from a tarball in the tree; then again, over what is there.
set -eu
case $1 in
start)
    mkdir -p dep/lib app && cd dep
    printf '{"name":"dep","version":"1.0.0","main":"lib/i.js","bin":{"dep":"lib/cli.js"}}' >package.json
    echo 'module.exports = 1' >lib/i.js && printf '#!/usr/bin/env node\nconsole.log(1)\n' >lib/cli.js
    cd .. && mkdir package && cp -r dep/. package && tar -czf app/dep-1.0.0.tgz package && rm -r package
    cd app && printf '{"name":"app","version":"1.0.0","dependencies":{"dep":"file:dep-1.0.0.tgz"},"scripts":{"postinstall":"echo built > built.txt"}}' >package.json
    npm install --offline --no-audit --no-fund --silent --no-update-notifier
    rm -rf node_modules built.txt
    ;;
run)
    cd app
    npm ci --offline --no-audit --no-fund --silent --no-update-notifier
    npm ci --offline --no-audit --no-fund --silent --no-update-notifier
    node -e 'require("dep")' && ./node_modules/.bin/dep >out.txt
    ;;
esac
