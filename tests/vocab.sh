#!/bin/sh
# vocab.sh BUILD [--speed] - every vocabulary of tests/golden/vocab, and GPT-2's, which tales-1m has: its cases, its pairs where there are some, the way
# back from the folder that it came from; or how fast it encodes.
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
judge() {
    out=$("$@" 2>&1)
    line=$(echo "$out" | grep -a ' passed, [0-9]* failed$' | tail -n 1)
    p=$(echo "$line" | cut -d' ' -f1)
    f=$(echo "$line" | cut -d' ' -f3)
    : "${p:=0}" "${f:=1}"
    [ "$f" = 0 ] || echo "$out"
    passed=$((passed + p))
    failed=$((failed + f))
}
for packed in tests/golden/vocab/*.gguf.gz data/tales-1m.gguf; do
    name=$(basename "$packed" .gguf.gz)
    if [ "$name" = tales-1m.gguf ]; then
        name=gpt-2
        cp "$packed" "$work/$name.gguf" || failed=$((failed + 1))
    else
        gunzip -c "$packed" > "$work/$name.gguf" || failed=$((failed + 1))
    fi
    if [ "${2:-}" = --speed ]; then
        judge "$1/tests/tokenizer_speed" "$work/$name.gguf"
        echo "$out" | grep -a MB/s
        continue
    fi
    judge "$1/tests/tokenizer_golden" "$work/$name.gguf" "tests/golden/tokenizer/$name.json"
    pair=tests/golden/vocab/$name
    judge "$1/tests/vocabulary_back" "$work/$name.gguf"
    [ ! -f "$pair.inp" ] || judge "$1/tests/vocab_pairs" "$work/$name.gguf" "$pair.inp" "$pair.out"
    rm "$work/$name.gguf"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
