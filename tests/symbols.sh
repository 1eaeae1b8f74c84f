#!/bin/sh
# symbols.sh BUILD - what the objects may and may not know.
#   the cpu player and the kernels name nothing of the oracle; the oracle names no kernel and no canon text
#   the shared library exports vb_ functions and nothing else
#   the library never prints by itself, never exits
B=$1
passed=0
failed=0

# The second argument must be empty.
empty() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $1:"
        echo "$2"
    fi
}

all="$B/src/*/*.o $B/simd/*.o $B/oracle/*.o $B/traces/*.o $B/gpu/*.o"
# shellcheck disable=SC2086
{
    empty "the fast path names the oracle" "$(nm -A $B/src/run/*.o $B/simd/*.o | grep -E 'vb_(oracle|blas)_')"
    empty "the oracle names a kernel" "$(nm -A $B/oracle/*.o | grep -E ' vb_(kernels|cpu_|matvec)| c_exp| c64_')"
    empty "exported symbols that are not vb_" \
        "$(nm -D --defined-only $B/libverbatim.so | awk '$3 !~ /^vb_/ && $3 !~ /^VERBATIM_/')"
    empty "the library prints or exits" \
        "$(nm -A $all | grep -E ' U (abort|exit|_exit|printf|puts|putchar|perror|stdout|stderr)$')"
    empty "writable globals" "$(objdump -t $all |
        awk '/ O \.(bss|data|data\.rel|data\.rel\.local)[ \t]/ { print $NF }' | grep -vx sink)"
}
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -eq 5 ]
