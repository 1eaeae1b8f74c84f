#!/bin/sh
# run.sh BUILD - the packed package, installed into a folder of its own, under Node's test runner.
set -eu
B=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp bindings/node/tests/*.test.js "$work"
mkdir -p "$work/bindings/node/tests"
ln -s "$(pwd)/include" "$(pwd)/tests" "$work"
ln -s "$(pwd)/README.md" "$work/README.md"
mv "$work"/*.test.js "$work/bindings/node/tests"
(cd "$work" && echo '{"name": "tried", "private": true}' >package.json &&
    npm install --silent --no-audit --no-fund --ignore-scripts "$B"/node/verbatim-*.tgz) >&2
VERBATIM=$B/verbatim node --test "$work"/bindings/node/tests/verbatim.test.js >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
passed=$(sed -n 's/^[^a-z]*pass \([0-9]*\)$/\1/p' "$work/out")
failed=$(sed -n 's/^[^a-z]*fail \([0-9]*\)$/\1/p' "$work/out")
echo "$passed passed, $failed failed"
