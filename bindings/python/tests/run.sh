#!/bin/sh
# run.sh BUILD [ARGUMENT...] - the wheel, installed into an environment that has nothing else of ours, under pytest.
set -eu
B=$1
shift
python=$B/bindings/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip install -q --disable-pip-version-check --no-deps --no-index --target "$work" "$B"/wheel/verbatim-*.whl
VERBATIM=$B/verbatim PYTHONPATH=$work "$python" -m pytest -q -p no:cacheprovider bindings/python/tests "$@" >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
tail -n 1 "$work/out" | sed 's/^\([0-9]*\) passed.*/\1 passed, 0 failed/'
