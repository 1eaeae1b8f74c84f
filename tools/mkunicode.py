#!/usr/bin/env python3
"""mkunicode.py - writes the tables of src/text/unicode.c, all of one pinned Unicode version.

usage: pip install unicodedata2==15.1.0
       for table in data base lower case hidden; do tools/mkunicode.py $table > src/text/unicode_$table.inc; done
"""
import sys

import unicodedata2 as u

CLASS = {"L": "LETTER", "N": "NUMBER", "P": "PUNCTUATION", "S": "SYMBOL", "M": "MARK"}
HIDDEN = ("Cc", "Cf", "Co", "Cs")


def rows(items):
    for i in range(0, len(items), 4):
        print(" ".join(items[i:i + 4]))


def data():
    print(f"/* Classes of code points, Unicode {u.unidata_version}; made by tools/mkunicode.py, not by hand. Each entry is the first code\n"
          " * point of a range; the class holds up to the next entry. */")
    last, items = None, []
    for cp in range(0x110000):
        c = CLASS.get(u.category(chr(cp))[0], "OTHER")
        if c != last:
            items.append(f"{{0x{cp:X}, VB_CP_{c}}},")
            last = c
    rows(items)


def pairs(what, found):
    print(f"/* {what}, Unicode {u.unidata_version};\n * made by tools/mkunicode.py, not by hand. */")
    rows([f"{{0x{a:X}, 0x{b:X}}}," for a, b in found])


def mapped(what, to):
    pairs(what, [(cp, to(chr(cp))) for cp in range(0x110000) if to(chr(cp)) != cp])


def base():
    def first(c):
        return ord(c if 0xAC00 <= ord(c) <= 0xD7A3 else u.normalize("NFD", c)[0])
    mapped("Code points and the first one of their canonical decomposition, Hangul syllables left out", first)


def lower():
    mapped("Code points and the first one of their lower case", lambda c: ord(c.lower()[0]))


def case():
    kind = {"Lu": 1, "Lt": 1, "Ll": 2}
    ends, last = [], 0
    for cp in range(0x110000):
        k = kind.get(u.category(chr(cp)), 0)
        if k != last:
            ends.append((cp, k))
        last = k
    pairs("First code points of ranges: 1 capital and title-case letters, 2 small letters, 0 others", ends)


def hidden():
    ranges = []
    for cp in range(0x110000):
        if u.category(chr(cp)) in HIDDEN:
            if not ranges or ranges[-1][1] != cp - 1:
                ranges.append([cp, cp])
            ranges[-1][1] = cp
    pairs("First and last code point of the ranges of control, format, private and surrogate characters", ranges)


{"data": data, "base": base, "lower": lower, "case": case, "hidden": hidden}[sys.argv[1]]()
