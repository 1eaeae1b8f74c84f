#!/bin/sh
# bits.sh - the same bits from every compiler and optimisation level, and no fused multiply-add anywhere.
# Builds tests/bits.c with the oracle in build/bits and compares the digests it prints; then disassembles the objects
# of oracle/ and simd/ in $B (build). A compiler that is not installed is left out.
set -u
B=${B:-build}
dir=build/bits
passed=0
failed=0
mkdir -p $dir

sources="tests/bits.c oracle/arith.c oracle/arith64.c oracle/attend.c oracle/decode.c oracle/decode_grid.c
    oracle/experts.c oracle/like_ggml.c oracle/recurrent.c oracle/rope.c oracle/sample.c oracle/steps.c src/base/hash.c
    src/base/quant.c src/base/err.c"
always="-std=c11 -D_GNU_SOURCE -Iinclude -Isrc -I. -ffp-contract=off -fno-math-errno -w"

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAIL $1"
}

# compiler, flags: one digest
digest() {
    command -v "$1" >/dev/null || return 0
    # shellcheck disable=SC2086
    if ! "$1" $always $2 $sources -o $dir/bits -lcrypto -lxxhash -lm; then
        fail "$1 $2 does not build"
        return 0
    fi
    line=$($dir/bits)
    : "${first:=$line}"
    echo "$line $1 $2"
    if [ -n "$line" ] && [ "$line" = "$first" ]; then pass; else fail "$1 $2: expected $first, found $line"; fi
}

for cc in gcc clang; do
    digest $cc -O0
    digest $cc -O2
    digest $cc -O3
    if [ "$(uname -m)" = x86_64 ]; then digest $cc "-O2 -mfma -mavx2"; fi
done

# No object of the oracle or the kernels may multiply and add in one rounding.
objects=$(find "$B/oracle" "$B/simd" -name '*.o')
[ -n "$objects" ] || fail "no objects in $B; run make first"
for object in $objects; do
    if objdump -d "$object" | grep -qE '\b(vfn?m(add|sub)|fn?m(add|sub)|fml[as])'; then
        fail "$object has fused multiply-adds"
    else
        pass
    fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
