#!/bin/sh
# suite.sh TAG=BUILD... - runs every line of tests/suite.txt that has one of the TAGs with the programs of its BUILD, as
# many at a time as there are processors and one more (JOBS), for some of them wait for most of their time; lines named
# "build" come first, one after the other, for each of them is given all processors. Prints one line each, with the seconds by the clock and those of processors, then the failed
# ones once more and the sum of all. The output of a failing command is shown; all output stays in BUILD/logs.
# A command that has not ended after LIMIT seconds (none unless set) has failed.
set -u
export LC_ALL=C

# TAG BUILD NAME COMMAND of every line with the tag of "TAG=BUILD".
rows() {
    for pair in "$@"; do
        awk -v tag="${pair%%=*}" -v build="${pair#*=}" '$1 !~ /^#/ && index("," $1 ",", "," tag ",") {
            name = $2; sub(/^[^ ]+ +[^ ]+ +/, ""); print tag, build, name, $0 }' tests/suite.txt
    done
}

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

# Runs one row; its line goes to the output and to the file $RESULTS.
run_row() {
    tag=$1 B=$2 name=$3
    export B
    log=$B/logs/$tag/$name.log
    mkdir -p "$B/logs/$tag"
    start=$(date +%s)
    timeout --foreground --kill-after=10 "${LIMIT:-0}" sh -c "$4" >"$log" 2>&1 </dev/null
    status=$?
    [ $status -ne 124 ] || echo "no end after $LIMIT s" >>"$log"
    # The second line of `times` is of those that ran: 1m2.50s of their own and 0m0.20s in the kernel.
    times >"$log.times"
    cpu=$(awk 'NR == 2 { split($1 $2, t, "[ms]"); printf "%.0f", t[1] * 60 + t[2] + t[3] * 60 + t[4] }' "$log.times")
    rm -f "$log.times"
    count "$log" $status
    line=$(printf '%-8s %-20s %7d passed, %d failed, %ds, cpu %ds' "$tag" "$name" "$p" "$f" $(($(date +%s) - start)) "$cpu")
    echo "$line" >>"$RESULTS"
    [ "$f" -eq 0 ] || line=$(echo "$line"; tail -n 40 "$log" | sed 's/^/    /')
    echo "$line"
}

if [ "$1" = --row ]; then
    echo "$2" | { read -r tag build name command; run_row "$tag" "$build" "$name" "$command"; }
    exit 0
fi
RESULTS=$(mktemp)
export RESULTS
trap 'rm -f "$RESULTS"' EXIT
rows "$@" | awk '$3 == "build"' | xargs -r -d '\n' -n 1 "$0" --row
rows "$@" | awk '$3 != "build"' | xargs -r -d '\n' -n 1 -P "${JOBS:-$(($(nproc) + 1))}" "$0" --row
asked=$(rows "$@" | wc -l)
grep -v ' passed, 0 failed, ' "$RESULTS" | sed 's/^/FAIL /'
awk -v asked="$asked" '{ p += $3; f += $5 } END {
    if (NR != asked) { printf "FAIL %d of %d lines came to an end\n", NR, asked; f += asked - NR }
    printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' "$RESULTS"
