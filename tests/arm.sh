#!/bin/sh
# arm.sh BUILD kernels|commands|matrix [MODEL_DIR...] - the build for AArch64 (make arm-build) under qemu, beside
# the programs of BUILD, which run on this machine. Nothing expected is written down: both sides compute, and what they
# print must be equal. On an AArch64 machine there is nothing to emulate, and `make check` has tried NEON itself.
set -u
B=$1
what=$2
shift 2
arm=build/arm
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$(uname -m)" = aarch64 ]; then
    echo "this machine is AArch64: see kernelcheck and matrix"
    exit 0
fi
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || {
    echo "qemu-aarch64: not found; tools/deps.sh test"
    exit 1
}

# The first word is a program of the build.
emulated() {
    program=$1
    shift
    "$qemu" -L $arm/root "$arm/$program" "$@"
}

# An AArch64 processor without dotprod.
emulated_old() {
    program=$1
    shift
    "$qemu" -cpu cortex-a72 -L $arm/root "$arm/$program" "$@"
}

equal() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s: expected "%s", found "%s"\n' "$1" "$2" "$3"
    fi
}

# Adds the counts of a program's last line.
add_counts() {
    ok=$(sed -n '$s/^\([0-9]*\) passed, .*/\1/p' "$1")
    bad=$(sed -n '$s/.* passed, \([0-9]*\) failed$/\1/p' "$1")
    passed=$((passed + ${ok:-0}))
    failed=$((failed + ${bad:-1}))
}

# Every kernel of both tables, side by side, slow portable ones in places; the arithmetic's own digest; and no multiply and add in one rounding.
kernels() {
    emulated tests/kernelcheck --isa neon >"$work/neon" &
    emulated tests/kernelcheck --isa portable --every 4 >"$work/portable" &
    wait
    for isa in portable neon; do
        cat "$work/$isa"
        add_counts "$work/$isa"
        equal "kernels checked" "$isa" "$(awk '/ 0 differ$/ {print $1}' "$work/$isa")"
    done
    equal "digest of the oracle's functions" "$("$B/tests/bits")" "$(emulated tests/bits)"
    aarch64-linux-gnu-objdump -d $arm/simd/*.o $arm/oracle/*.o $arm/src/convert/*.o $arm/src/quantize/*.o >"$work/code"
    equal "products of bytes in the code" yes "$(grep -qw sdot "$work/code" && echo yes)"
    equal "fused multiply-adds in the code" 0 "$(grep -cE '\b(fn?m(add|sub)|fml[as])\b' "$work/code")"
}

# One digest a model and mode, here and there; each program compares its own conditions with its own oracle.
digests() {
    sed -n 's/^\(.* \(int8\|f32 \): [0-9a-f]*\) .*/\1/p' "$1"
}

matrix() {
    for case in "$@"; do
        "$B/tests/matrix" "$case/model.gguf" "$case/tokens.json" --tokens 12 --quick >"$work/here"
        emulated tests/matrix "$case/model.gguf" "$case/tokens.json" --tokens 12 | tee "$work/there"
        add_counts "$work/there"
        equal "$case: digests" "$(digests "$work/here")" "$(digests "$work/there")"
    done
}

# The same words, and a trace of either side is that of the other.
commands() {
    model=$1/model.gguf
    ask="run $model --raw -n 24 --temp 1.2 --seed 7"
    # shellcheck disable=SC2086
    {
        here=$("$B/verbatim" $ask --trace "$work/here.trace" "Once upon a time")
        there=$(emulated verbatim $ask --isa neon --trace "$work/there.trace" "Once upon a time")
        equal "the same words" "$here" "$there"
        equal "portable code" "$here" "$(emulated verbatim $ask --isa portable "Once upon a time")"
        equal "a processor without dotprod" "$here" "$(emulated_old verbatim $ask "Once upon a time")"
        equal "refused by the processor" "verbatim: instruction set neon: this processor lacks it" \
            "$(emulated_old verbatim $ask --isa neon "Once" 2>&1)"
        equal "refused by name" "verbatim: instruction set neon: VERBATIM_CPU excludes it" \
            "$(VERBATIM_CPU=portable emulated verbatim $ask --isa neon "Once" 2>&1)"
        equal "unknown here" "verbatim: VERBATIM_CPU: expected an instruction set, found \"avx2\"" \
            "$(VERBATIM_CPU=avx2 emulated verbatim $ask "Once" 2>&1)"
    }
    emulated verbatim trace replay "$work/here.trace" --model "$model" >"$work/replay" 2>&1
    equal "this machine's trace replayed there" 0 $?
    "$B/verbatim" trace replay "$work/there.trace" --model "$model" >"$work/replay" 2>&1
    equal "that machine's trace replayed here" 0 $?
    for type in Q8_0 Q5_1 Q4_K_M Q3_K_S Q2_K Q6_K IQ4_XS IQ4_NL MXFP4_MOE; do
        "$B/verbatim" quantize tests/golden/quant/q-llama-Q4_K/model.gguf "$work/here.gguf" --type $type --force >"$work/report" 2>&1
        emulated verbatim quantize tests/golden/quant/q-llama-Q4_K/model.gguf "$work/there.gguf" --type $type --force >"$work/report" 2>&1
        equal "$type written there" "$(sha256sum <"$work/here.gguf")" "$(sha256sum <"$work/there.gguf")"
    done
    for old in tests/traces/v*/"$(basename "$1")"*.trace; do
        emulated verbatim trace replay "$old" --isa neon --model "$model" >"$work/replay" 2>&1
        equal "$old replayed there" 0 $?
    done
    scene="simulate - --seed 7 --cast tests/golden/dialogue/cast.json"
    head -n 20 tests/golden/dialogue/script.jsonl >"$work/script"
    # shellcheck disable=SC2086
    equal "what characters say" "$("$B/verbatim" $scene <"$work/script" 2>/dev/null)" \
        "$(emulated verbatim $scene --isa neon <"$work/script" 2>/dev/null)"
    "$B/verbatim" trace diff "$work/here.trace" "$work/there.trace" >"$work/replay" 2>&1
    equal "traces compared" 0 $?
}

case $what in
kernels | commands | matrix) $what "$@" ;;
*) echo "arm.sh: expected kernels, commands or matrix, found $what" >&2; exit 2 ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
