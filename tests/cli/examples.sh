#!/bin/sh
# examples.sh FOLDER MODEL [VERBATIM] - the example programs must do on a tiny model what their head comments promise.
set -u
folder=$1 model=$2 verbatim=${3:-./verbatim} passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name, a pattern of the expected output, the command
expect() {
    name=$1 pattern=$2
    shift 2
    if "$@" >"$work/out" 2>"$work/err" && grep -q "$pattern" "$work/out" && [ ! -s "$work/err" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name: expected '$pattern', found:"
        head -5 "$work/out" "$work/err"
    fi
}

expect generate '' "$folder/generate" "$model" "Hello"
expect logits '%  "' "$folder/logits" "$model" "Hello"
expect fork 'bytes of logits: equal' "$folder/fork" "$model"
expect replay 'records, equal' "$folder/replay" "$model" "$work/a.trace"
expect branch 'b.trace: 29 tokens, 12 shared' "$folder/branch" "$work/a.trace" 12 "$work/b.trace"
expect classify '^\* .* %  good' "$folder/classify" "$model" "Hello" bad good
expect "replay by another instruction set" 'equal' "$verbatim" trace replay "$work/a.trace" --isa portable
expect village 'the day of seed 2: [0-9a-f]*$' "$folder/village" 2
expect frames 'tokens in .* frames' "$folder/frames" 60 2
for source in examples/*.c; do
    most=60
    case $source in */village.c) most=170 ;; */frames.c) most=100 ;; esac
    expect "$source has under $most lines" '^1$' awk "END { print (NR < $most) }" "$source"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
