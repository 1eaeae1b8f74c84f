#!/bin/sh
# fuzz.sh BUILD RUNS [NAME] - runs every fuzz target on its corpus: at least RUNS executions, no finding, and at least
# the edges that fuzz/edges.txt states; a third number there is by what slow targets divide RUNS. New inputs go to BUILD/corpus/NAME, never into the source tree.
B=$1
runs=$2
only=${3:-}
passed=0
failed=0
for target in "$B"/fuzz/*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    case $name in *.o | *.d) continue ;; esac
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    mkdir -p "$B/corpus/$name"
    log=$B/corpus/$name.log
    share=$(sed -n "s/^$name  *[0-9]*  *//p" fuzz/edges.txt)
    asked=$((runs / ${share:-1}))
    "$target" -runs="$asked" -seed=1 -max_len=16384 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$B/corpus/$name-" "$B/corpus/$name" "fuzz/corpus/$name" >"$log" 2>&1
    status=$?
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    done_runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    least=$(sed -n "s/^$name  *\([0-9]*\).*/\1/p" fuzz/edges.txt)
    echo "$name: ${done_runs:-0} executions, ${edges:-0} edges (at least ${least:-none stated})"
    if [ $status -eq 0 ] && [ "${done_runs:-0}" -ge "$asked" ] && [ "${edges:-0}" -ge "${least:-1}" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 30 "$log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
