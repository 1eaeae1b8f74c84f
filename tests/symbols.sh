#!/bin/sh
# symbols.sh BUILD - what the objects may and may not know.
#   the cpu player and the kernels name nothing of the oracle; the oracle names no kernel and no canon text
#   the shared library exports vb_ functions and nothing else
#   the library never prints by itself, never exits
B=$1
passed=0
failed=0

# must be empty: what, then the offending lines on stdin
empty() {
    lines=$(cat)
    if [ -z "$lines" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $1:"
        echo "$lines"
    fi
}

nm -A "$B"/src/run/*.o "$B"/simd/*.o | grep -E 'vb_(oracle|blas)_' | empty "the fast path names the oracle"
nm -A "$B"/oracle/*.o | grep -E ' U vb_(kernels|matvec|cpu_|run_)| c_exp| c64_' | empty "the oracle names a kernel"
nm -D --defined-only "$B/libverbatim.so" | awk '$3 !~ /^vb_/ && $3 !~ /^VERBATIM_/' | empty "exported symbols that are not vb_"
nm -A "$B"/src/*/*.o "$B"/simd/*.o "$B"/oracle/*.o "$B"/traces/*.o |
    grep -E ' U (abort|exit|_exit|printf|puts|putchar|perror|stdout|stderr)$' | empty "the library prints or exits"
objdump -t "$B"/src/*/*.o "$B"/simd/*.o "$B"/oracle/*.o "$B"/traces/*.o |
    awk '/ O \.(bss|data|data\.rel|data\.rel\.local)[ \t]/ { print $NF }' | grep -vx sink | empty "writable globals"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
