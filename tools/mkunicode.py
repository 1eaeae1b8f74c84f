#!/usr/bin/env python3
"""mkunicode.py - writes src/text/unicode_data.inc: every code point's class as ranges, of one pinned Unicode version.

usage: pip install unicodedata2==15.1.0; tools/mkunicode.py > src/text/unicode_data.inc
"""
import unicodedata2 as u

CLASS = {"L": "LETTER", "N": "NUMBER", "P": "PUNCTUATION", "S": "SYMBOL", "M": "MARK"}
print(f"/* Classes of code points, Unicode {u.unidata_version}; made by tools/mkunicode.py, not by hand. Each entry is the first code\n"
      " * point of a range; the class holds up to the next entry. */")
last, row = None, []
for cp in range(0x110000):
    c = CLASS.get(u.category(chr(cp))[0], "OTHER")
    if c != last:
        row.append(f"{{0x{cp:X}, VB_CP_{c}}},")
        last = c
for i in range(0, len(row), 4):
    print(" ".join(row[i:i + 4]))
