#!/bin/sh
# no_vulkan.sh BUILD - the command of a build without Vulkan: no header of it is read, no device is there, which is said,
# and all else is as it was. The last line is "N passed, N failed".
build=$1
model=tests/golden/quant/q-llama-Q4_0
passed=0
failed=0

# check WHAT STATUS EXPECTED-STATUS TEXT EXPECTED-IN-TEXT
check() {
    if [ "$2" = "$3" ] && echo "$4" | grep -q -e "$5"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $1: expected $3 and '$5', found $2: $4"
    fi
}

# logits ARGUMENTS...: what the command answers, errors included
logits() {
    "$build/tests/verbatim-no-vulkan" logits $model/model.gguf --tokens-file $model/tokens.json --json "$@" 2>&1
}

headers=$(${CC:-cc} -D_GNU_SOURCE -Iinclude -Isrc -I. -M gpu/none.c 2>&1)
case $headers in *vulkan/*) has=1 ;; *) has=0 ;; esac
check "the headers of none.c" $has 0 "$headers" gpu.h
digest=$("$build/verbatim" logits $model/model.gguf --tokens-file $model/tokens.json --json | grep digest)
answer=$(logits)
check "no device asked for" $? 0 "$answer" "$digest"
answer=$(logits --player vulkan)
check "--player vulkan" $? 3 "$answer" "no Vulkan"
answer=$(logits --gpu-layers 1)
check "--gpu-layers 1" $? 0 "$answer" "$digest"
check "--gpu-layers 1 says" 0 0 "$answer" "no Vulkan"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
