#!/bin/sh
# unit.sh BUILD [NAME | -NAME...] - runs every Criterion program, this one, or all but some, and adds up what their
# synthesis lines say.
passed=0
failed=0
build=$1
shift
wanted() {
    case " $2 " in
    *" -$1 "*) return 1 ;;
    "  " | *" -"* | *" $1 "*) return 0 ;;
    esac
    return 1
}
for program in "$build"/tests/unit/*; do
    wanted "$(basename "$program")" "$*" || continue
    [ -x "$program" ] || continue
    case $program in *.o | *.d) continue ;; esac
    out=$("$program" 2>&1)
    line=$(echo "$out" | grep -a 'Synthesis:' | tail -n 1 | sed 's/\x1b\[[0-9;]*m//g')
    p=$(echo "$line" | sed -n 's/.*Passing: \([0-9]*\).*/\1/p')
    t=$(echo "$line" | sed -n 's/.*Tested: \([0-9]*\).*/\1/p')
    : "${p:=0}" "${t:=1}"
    [ "$p" = "$t" ] || echo "$out"
    echo "$(basename "$program"): $p of $t"
    passed=$((passed + p))
    failed=$((failed + t - p))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
