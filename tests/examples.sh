#!/bin/sh
# examples.sh BUILD - every example is under 60 lines, runs on a tiny model and says something.
B=$1
model=tests/golden/llama-gqa/model.gguf
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0
failed=0
for source in examples/*.c; do
    name=$(basename "$source" .c)
    lines=$(wc -l <"$source")
    out=$(cd "$tmp" && "$OLDPWD/$B/examples/$name" "$OLDPWD/$model" "Hello" 2>&1)
    if [ $? -eq 0 ] && [ -n "$out" ] && [ "$lines" -lt 60 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $source ($lines lines): $out"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
