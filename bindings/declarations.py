#!/usr/bin/env python3
"""declarations.py - what the public headers declare, as plain C, for the bindings; `--json` as a table.

The preprocessor reads the headers and we keep the lines that are theirs, so nothing is copied by hand and nothing can
drift. The table, for languages without a C parser, is what pycparser (which cffi brings) reads in them:

    {"enums": {"vb_end": {"VB_END_NONE": 0, ...}}, "structs": {"vb_sampling": [["temperature", "float"], ...]},
     "opaque": ["vb_model", ...], "callbacks": {...}, "functions": {"vb_eval": {"returns": "int", "takes": [...]}}}
"""
import json
import os
import pathlib
import re
import subprocess
import sys

INCLUDE = pathlib.Path(__file__).resolve().parent.parent / "include"


def plain() -> str:
    """The declarations of all public headers, without comments and macros."""
    headers = sorted(INCLUDE.glob("*.h"))
    source = "".join(f'#include "{h.name}"\n' for h in headers)
    command = [*os.environ.get("CC", "cc").split(), "-E", "-std=c11", "-DVB_API=", f"-I{INCLUDE}", "-x", "c", "-"]
    text = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
    ours, kept = False, []
    for line in text.splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            ours = pathlib.Path(marker[1]).parent == INCLUDE
        elif ours and line.strip():
            kept.append(line)
    return "\n".join(kept) + "\n"


# --- the table ---------------------------------------------------------------------------------------------------

BASIC = """typedef unsigned long size_t; typedef signed char int8_t; typedef unsigned char uint8_t; typedef short int16_t;
typedef unsigned short uint16_t; typedef int int32_t; typedef unsigned int uint32_t; typedef long int64_t; typedef unsigned long uint64_t;
typedef void FILE;
"""


class Table:
    def __init__(self, ast, c):
        self.ast, self.c, self.value = ast, c, {}
        self.table = {"enums": {}, "structs": {}, "opaque": [], "callbacks": {}, "functions": {}, "aliases": {}}

    def number(self, node):
        if isinstance(node, self.c.Constant):
            return int(node.value.rstrip("uUlL"), 0)
        if isinstance(node, self.c.ID):
            return self.value[node.name]
        if isinstance(node, self.c.UnaryOp):
            return -self.number(node.expr) if node.op == "-" else self.number(node.expr)
        left, right = self.number(node.left), self.number(node.right)
        return {"+": left + right, "-": left - right, "*": left * right, "<<": left << right, "|": left | right}[node.op]

    def enum(self, name, node):
        rows, next_value = {}, 0
        for item in node.values.enumerators if node.values else ():
            next_value = self.number(item.value) if item.value else next_value
            rows[item.name] = self.value[item.name] = next_value
            next_value += 1
        self.table["enums"].setdefault(name, {}).update(rows)

    def type_of(self, node):
        """A type as text: "int", "const char *", "float[4]", or "callback" for a pointer to a function."""
        c = self.c
        if isinstance(node, c.PtrDecl):
            return "callback" if isinstance(node.type, c.FuncDecl) else self.type_of(node.type) + " *"
        if isinstance(node, c.ArrayDecl):
            return f"{self.type_of(node.type)}[{self.number(node.dim)}]" if node.dim else self.type_of(node.type) + " *"
        if isinstance(node, c.TypeDecl):
            return self.type_of(node.type)
        if isinstance(node, c.IdentifierType):
            return " ".join(node.names)
        return node.name or ""

    def function(self, node):
        takes = [self.type_of(p.type) for p in node.args.params] if node.args else []
        return {"returns": self.type_of(node.type), "takes": [t for t in takes if t != "void"]}

    def declaration(self, node):
        c, table = self.c, self.table
        name, kind = node.name, node.type
        if isinstance(kind, c.FuncDecl):
            table["functions"][name] = self.function(kind)
        elif isinstance(kind, c.Enum):
            self.enum("", kind)
        elif isinstance(node, c.Typedef) and isinstance(kind, c.PtrDecl) and isinstance(kind.type, c.FuncDecl):
            table["callbacks"][name] = self.function(kind.type)
        elif isinstance(node, c.Typedef) and isinstance(kind.type, c.Enum):
            self.enum(name, kind.type)
        elif isinstance(node, c.Typedef) and isinstance(kind.type, c.Struct):
            self.struct(name, kind.type)
        elif isinstance(node, c.Typedef):
            table["aliases"][name] = self.type_of(kind)

    def struct(self, name, node):
        if node.decls is None:
            self.table["opaque"].append(name)
            return
        rows = []
        for member in node.decls:
            kind = self.type_of(member.type)
            rows.append([member.name, kind])
            if kind == "callback":
                self.table["callbacks"][f"{name}.{member.name}"] = self.function(member.type.type)
        self.table["structs"][name] = rows


def table() -> dict:
    from pycparser import c_ast, c_parser
    ast = c_parser.CParser().parse(BASIC + plain())
    made = Table(ast, c_ast)
    basic = {m[1] for m in re.finditer(r"(\w+);", BASIC)}
    for node in ast.ext:
        if node.name not in basic:
            made.declaration(node)
    return made.table


if __name__ == "__main__":
    if "--json" in sys.argv:
        json.dump(table(), sys.stdout, indent=1)
        print()
    else:
        print(plain(), end="")
