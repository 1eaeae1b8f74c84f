#!/bin/sh
# suite.sh TAG=BUILD... [-- TAG=BUILD...] - runs every line of tests/suite.txt that has the TAG with the programs of
# BUILD, for each argument in turn, those behind -- at the same time as the others; prints one line each and the sum of
# all at the end. The output of a failing command is shown; all output stays in BUILD/logs.
set -u
passed=0
failed=0

# The counts a command printed: the last "N passed, N failed" line, else its exit status.
count() {
    line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$1" | tail -n 1)
    if [ -n "$line" ]; then
        p=${line%% *}
        f=$(echo "$line" | sed 's/.* passed, \([0-9]*\) failed.*/\1/')
        [ "$2" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    elif [ "$2" -eq 0 ]; then
        p=1 f=0
    else
        p=0 f=1
    fi
}

run_tag() {
    mkdir -p "$logs"
    while read -r tags name command; do
        case $tags in '' | '#'*) continue ;; esac
        case ",$tags," in *",$tag,"*) ;; *) continue ;; esac
        start=$(date +%s)
        sh -c "$command" >"$logs/$name.log" 2>&1 </dev/null
        count "$logs/$name.log" $?
        passed=$((passed + p))
        failed=$((failed + f))
        printf '%-5s %-20s %7d passed, %d failed, %ds\n' "$tag" "$name" "$p" "$f" $(($(date +%s) - start))
        [ "$f" -eq 0 ] || tail -n 40 "$logs/$name.log" | sed 's/^/    /'
    done <tests/suite.txt
}

run_tags() {
    for pair in "$@"; do
        tag=${pair%%=*}
        B=${pair#*=}
        export B
        logs=$B/logs/$tag
        run_tag
    done
}

beside=$(mktemp)
first=
while [ $# -gt 0 ]; do
    [ "$1" != -- ] || { shift; break; }
    first="$first $1"
    shift
done
# What runs beside leaves its sums in a file; if it ended without, that is a failure.
(run_tags "$@"; echo "$passed $failed" >"$beside") &
run_tags $first
wait
read -r p f <"$beside" || p=0 f=1
rm -f "$beside"
passed=$((passed + p))
failed=$((failed + f))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
