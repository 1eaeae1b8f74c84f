# layers.awk - no include points back up: reads tools/layers.txt, then every source file.
# A path's room is its folder, below src/ the folder after it. Tests and fuzzers may look everywhere.
FILENAME ~ /layers\.txt$/ {
    if ($0 !~ /^#/ && NF) { known[$1]; ok[$1, $1]; for (i = 2; i <= NF; i++) ok[$1, $i] }
    next
}
FNR == 1 { split(FILENAME, part, "/"); room = part[1] == "src" ? part[2] : part[1] }
/^#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\""); target = quoted[2]
    to = target
    sub(/\/.*/, "", to)
    if (target !~ /\// && target != "verbatim.h") to = room
    if (!(room in known)) { if (room !~ /^(tests|fuzz|bench|include)$/) { print FILENAME ": room " room " is not in tools/layers.txt"; bad = 1 } next }
    if (!((room, to) in ok)) { print FILENAME ":" FNR ": " room " may not look into " to; bad = 1 }
}
END { exit bad }
