# shape.awk - prints functions over 70 lines, macros over 70 lines and files over 1,000 lines; fails if there are any.
# A function starts at a `{` in column 0 and ends at a `}` in column 0; initialised tables (their head line ends in
# `= {`) never have a `{` alone in column 0, so they do not count.
function report(what, lines, limit) { if (lines > limit) { printf "%s:%d: %s has %d lines, at most %d\n", FILENAME, from, what, lines, limit; bad = 1 } }
FNR == 1 { from = 0; inside = 0; in_macro = 0 }
/^\{/ && !inside { inside = 1; from = FNR; name = before }
/^\}/ && inside { report("function " name, FNR - from + 1, 70); inside = 0 }
/^#[ \t]*define/ && !in_macro { in_macro = 1; macro_from = FNR; macro_name = $2 }
in_macro && !/\\$/ { from = macro_from; if (FNR - macro_from + 1 > 10) report("macro " macro_name, FNR - macro_from + 1, 70); in_macro = 0 }
{ if ($0 !~ /^[ \t{}]/ && length($0)) before = $0 }
{ last[FILENAME] = FNR }
END {
    for (f in last) if (last[f] > 1000) { printf "%s: file has %d lines, at most 1000\n", f, last[f]; bad = 1 }
    exit bad
}
