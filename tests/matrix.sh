#!/bin/sh
# matrix.sh BUILD [--quick] [--every N] [--gpu DEVICE] [--must] [--splits N] CASE_DIR... - the matrix over golden cases; long token rows are cut, they ask
# nothing new.
B=$1
shift
options=
while :; do
    case $1 in
    --quick | --must) options="$options $1"; shift ;;
    --every | --gpu | --splits) options="$options $1 $2"; shift 2 ;;
    *) break ;;
    esac
done
passed=0
failed=0
for case in "$@"; do
    [ -f "$case/model.gguf" ] || continue
    out=$("$B/tests/matrix" "$case/model.gguf" "$case/tokens.json" --tokens 150 $options)
    echo "$out"
    case $out in *"no device"*) exit 0 ;; esac
    line=$(echo "$out" | tail -n 1)
    p=$(echo "$line" | sed -n 's/^\([0-9]*\) passed, .*/\1/p')
    f=$(echo "$line" | sed -n 's/.* passed, \([0-9]*\) failed$/\1/p')
    passed=$((passed + ${p:-0}))
    failed=$((failed + ${f:-1}))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
