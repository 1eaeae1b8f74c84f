#!/usr/bin/env python3
"""spvlint.py SPVLINT [FILE.spv...] - the lint of shaders refuses each thing that devices do not round alike.

A small module is put together word by word, one that is allowed; then each forbidden thing is put into it, and has to
be named. Real shaders lose a NoContraction, one at a time. What is cut off or overwritten still ends with a verdict.
"""
import pathlib
import random
import struct
import subprocess
import sys

import scratch

LINT = sys.argv[1]
SHADERS = sys.argv[2:]
WORK = scratch.folder("spvlint")
DECORATE, NO_CONTRACTION = 71, 42
VOID, FN, UINT, INT, FLOAT, BOOL, MAIN, LABEL, SET, ONE, WORD, PTR, VAR, SUM, ZERO, HALF = range(1, 17)
FREE = 20  # ids from here on are a test's own


def ins(code, *words):
    return [(len(words) + 1) << 16 | code, *words]


def text(s):
    b = s.encode() + b"\0"
    return list(struct.unpack(f"<{(len(b) + 3) // 4}I", b.ljust((len(b) + 3) // 4 * 4, b"\0")))


def module(body=(), head=(), types=(), notes=(), sum_notes=True):
    """f(x) = x + 1 with words in and out; a test adds operations to each of its parts."""
    parts = [ins(17, 1), *head, ins(11, SET, *text("GLSL.std.450")), ins(14, 0, 1), ins(15, 5, MAIN, *text("main")),
             ins(16, MAIN, 17, 64, 1, 1)]
    parts += [ins(DECORATE, SUM, NO_CONTRACTION)] if sum_notes else []
    parts += [*notes, ins(19, VOID), ins(33, FN, VOID), ins(21, UINT, 32, 0), ins(21, INT, 32, 1), ins(22, FLOAT, 32),
              ins(20, BOOL), ins(32, PTR, 7, FLOAT), ins(43, FLOAT, ONE, 0x3f800000), ins(43, UINT, WORD, 7),
              ins(43, INT, ZERO, 0), *types, ins(54, VOID, MAIN, 0, FN), ins(248, LABEL), ins(59, PTR, VAR, 7),
              ins(61, FLOAT, HALF, VAR), ins(129, FLOAT, SUM, HALF, ONE), *body, ins(62, VAR, SUM), ins(253), ins(56)]
    return struct.pack("<5I", 0x07230203, 0x10500, 0, 64, 0) + struct.pack(f"<{sum(map(len, parts))}I", *sum(parts, []))


def lint(modules):
    """What is said of each; nothing is said of one that is allowed."""
    paths = [WORK / f"{i}.spv" for i in range(len(modules))]
    for path, data in zip(paths, modules): path.write_bytes(data)
    done = subprocess.run([LINT, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    said = [[line for line in lines if line.startswith(f"{path}: ")] for path in paths]
    assert lines[-1] == f"{sum(not s for s in said)} passed, {sum(map(bool, said))} failed", lines[-1]
    return ["\n".join(s) for s in said]


def exact(body, notes=()):
    return {"body": body, "notes": [*notes, ins(DECORATE, FREE, NO_CONTRACTION)]}


def shared(*words):
    """Arrays of so many words in shared memory."""
    types = [ins(32, 20, 4, UINT)]
    for i, n in enumerate(words):
        size, array, pointer, name = range(21 + 4 * i, 25 + 4 * i)
        types += [ins(43, UINT, size, n), ins(28, array, UINT, size), ins(32, pointer, 4, array), ins(59, pointer, name, 4)]
    return {"types": types}


ALLOWED = {
    "as it is": {},
    "difference and product": exact([ins(133, FLOAT, FREE, SUM, ONE), ins(131, FLOAT, 21, FREE, ONE)],
                                    [ins(DECORATE, 21, NO_CONTRACTION)]),
    "casts, from int, choices": {"body": [ins(124, UINT, 20, SUM), ins(124, FLOAT, 21, 20), ins(111, FLOAT, 22, ZERO),
                                          ins(170, BOOL, 23, WORD, 20), ins(169, FLOAT, 24, 23, 21, 22)]},
    "functions of integers": {"body": [ins(12, UINT, 20, SET, 38, WORD, WORD), ins(12, INT, 21, SET, 75, WORD)]},
    "an array of its own": {"types": [ins(28, 20, FLOAT, WORD), ins(32, 21, 7, 20)], "body": [ins(59, 21, 22, 7)]},
    "as much shared memory as all have": shared(4096),
    "integer dot product": {"head": [ins(17, 6019), ins(17, 6018), ins(10, *text("SPV_KHR_integer_dot_product"))],
                            "body": [ins(4450, INT, 20, WORD, WORD, 0)]},
}


def both(code, result=FLOAT):
    return {"body": [ins(code, result, FREE, SUM, ONE)]}


def one(code, result=FLOAT):
    return {"body": [ins(code, result, FREE, SUM)]}


def of_set(number, *operands):
    return {"body": [ins(12, FLOAT, FREE, SET, number, *operands)]}


# What is put in, and a part of what has to be said of it.
FORBIDDEN = {
    "a sum that may be fused": ({"sum_notes": False}, "OpFAdd (id 14) without NoContraction"),
    "a product that may be fused": (both(133), "OpFMul (id 20) without NoContraction"),
    "a difference that may be fused": (both(131), "OpFSub (id 20) without NoContraction"),
    "negation": (one(127), "operation 127"),
    "division": (exact([ins(136, FLOAT, FREE, SUM, ONE)]), "operation 136"),
    "remainder": (both(140), "operation 140"),
    "modulo": (both(141), "operation 141"),
    "vector times scalar": (both(142), "operation 142"),
    "matrix times vector": (both(145), "operation 145"),
    "dot product": (both(148), "operation 148"),
    "to unsigned": (one(109, UINT), "operation 109"),
    "to signed": (one(110, INT), "operation 110"),
    "from unsigned": ({"body": [ins(112, FLOAT, FREE, WORD)]}, "operation 112"),
    "to another float": (one(115), "operation 115"),
    "to half precision and back": (one(116), "operation 116"),
    "is it NaN": (one(156, BOOL), "operation 156"),
    "is it infinite": (one(157, BOOL), "operation 157"),
    **{f"comparison {code}": (both(code, BOOL), f"operation {code}") for code in range(180, 192)},
    "derivative": (one(207), "operation 207"),
    "sum of a group": ({"body": [ins(350, FLOAT, FREE, WORD, 0, SUM)]}, "operation 350"),
    "product of a group": ({"body": [ins(352, FLOAT, FREE, WORD, 0, SUM)]}, "operation 352"),
    "smallest of a group": ({"body": [ins(355, FLOAT, FREE, WORD, 0, SUM)]}, "operation 355"),
    "integer sum of a group": ({"body": [ins(349, FLOAT, FREE, WORD, 0, SUM)]}, "OpGroupNonUniformIAdd gives"),
    "float from a neighbour": ({"body": [ins(345, FLOAT, FREE, WORD, SUM, WORD)]}, "OpGroupNonUniformShuffle gives"),
    "atomic sum": ({"body": [ins(6035, FLOAT, FREE, VAR, WORD, WORD, SUM)]}, "operation 6035"),
    "atomic exchange": ({"body": [ins(229, FLOAT, FREE, VAR, WORD, WORD, SUM)]}, "OpAtomicExchange gives a float"),
    "fused by its own operation": ({"body": [ins(4168, FLOAT, FREE, SUM, ONE, ONE)]}, "operation 4168"),
    "matrices of a group": ({"body": [ins(4459, FLOAT, FREE, SUM, ONE, ONE)]}, "operation 4459"),
    "integer sum of a float": ({"body": [ins(128, UINT, FREE, SUM, WORD)]}, "OpIAdd takes a float (id 14)"),
    "integer comparison of floats": (both(170, BOOL), "OpIEqual takes a float"),
    **{f"function {name}": (of_set(number, *[SUM, ONE, ONE][:n]), f"function {number} of GLSL.std.450")
       for name, number, n in [("round", 1, 1), ("round even", 2, 1), ("trunc", 3, 1), ("abs", 4, 1), ("sign", 6, 1),
                               ("floor", 8, 1), ("fract", 10, 1), ("sin", 13, 1), ("cos", 14, 1), ("tanh", 21, 1),
                               ("pow", 26, 2), ("exp", 27, 1), ("log", 28, 1), ("exp2", 29, 1), ("log2", 30, 1),
                               ("sqrt", 31, 1), ("inverse sqrt", 32, 1), ("min", 37, 2), ("max", 40, 2),
                               ("clamp", 43, 3), ("mix", 46, 3), ("step", 48, 2), ("fma", 50, 3), ("ldexp", 53, 2),
                               ("pack half", 58, 1), ("unpack half", 62, 1), ("length", 66, 1), ("nmin", 79, 2),
                               ("nmax", 80, 2)]},
    "a float given to a function of integers": (of_set(38, SUM, ONE), "OpExtInst gives a float"),
    "halves": ({"types": [ins(22, FREE, 16)]}, "OpTypeFloat of 16 bits"),
    "doubles": ({"types": [ins(22, FREE, 64)]}, "OpTypeFloat of 64 bits"),
    "bfloat": ({"types": [ins(22, FREE, 16, 0)]}, "OpTypeFloat of 16 bits"),
    "vectors": ({"types": [ins(23, FREE, FLOAT, 4)]}, "OpTypeVector of floats"),
    "matrices": ({"types": [ins(24, FREE, FLOAT, 4)]}, "operation 24"),
    **{f"floats in storage class {c}": ({"types": [ins(32, FREE, c, FLOAT)]}, f"storage class {c}")
       for c in (1, 2, 3, 4, 9, 12)},
    "a block of floats": ({"types": [ins(29, 20, FLOAT), ins(30, 21, 20), ins(32, 22, 12, 21)]}, "storage class 12"),
    "a constant to be set": ({"types": [ins(50, FLOAT, FREE, 0x3f800000)]}, "OpSpecConstant gives a float"),
    "an operation on constants": ({"types": [ins(52, FLOAT, FREE, 129, ONE, ONE)]}, "OpSpecConstantOp 129"),
    "less precision": ({"notes": [ins(DECORATE, SUM, 0)]}, "OpDecorate 0 (id 14)"),
    "a rounding mode for one operation": ({"notes": [ins(DECORATE, SUM, 39, 1)]}, "OpDecorate 39"),
    "fast mathematics": ({"notes": [ins(DECORATE, SUM, 40, 16)]}, "OpDecorate 40"),
    "decorations by groups": ({"notes": [ins(73, FREE)]}, "operation 73"),
    "capability of halves": ({"head": [ins(17, 9)]}, "OpCapability 9"),
    "capability of doubles": ({"head": [ins(17, 10)]}, "OpCapability 10"),
    "capability of rounding modes": ({"head": [ins(17, 4467)]}, "OpCapability 4467"),
    "rounding towards zero": ({"notes": [ins(16, MAIN, 4463, 32)]}, "OpExecutionMode 4463"),
    "subnormals flushed": ({"notes": [ins(16, MAIN, 4460, 32)]}, "OpExecutionMode 4460"),
    "another set of functions": ({"head": [ins(11, FREE, *text("OpenCL.std"))]}, "OpExtInstImport of another set"),
    "from a short integer": ({"types": [ins(21, 20, 16, 0), ins(43, 20, 21, 0)], "body": [ins(111, FLOAT, 22, 21)]},
                             "OpConvertSToF (id 22)"),
    "more shared memory than some devices have": (shared(4096, 1), "16388 bytes of shared memory"),
    "shared memory by a constant that is set": ({"types": [
        ins(50, UINT, 20, 64), ins(52, UINT, 21, 132, 20, 20), ins(28, 22, UINT, 21), ins(28, 23, 22, WORD),
        ins(32, 24, 4, 23), ins(59, 24, 25, 4)]}, "114688 bytes of shared memory"),
    "more work items than some devices have": ({"notes": [ins(16, MAIN, 17, 16, 8, 2)]}, "a work group of 16 x 8 x 2"),
    "an id that is defined twice": ({"types": [ins(43, UINT, SUM, 1)]}, "id 14 is defined twice"),
    "an operation that nobody knows": ({"body": [ins(9999, FLOAT, FREE, SUM)]}, "operation 9999"),
    "too few operands": ({"body": [ins(129, FLOAT, FREE, SUM)]}, "OpFAdd at word"),
    "too many operands": ({"body": [ins(128, UINT, FREE, WORD, WORD, WORD)]}, "OpIAdd at word"),
    "an id beyond the bound": ({"body": [ins(128, UINT, FREE, 1000, WORD)]}, "OpIAdd at word"),
}


def instructions(words):
    at = 5
    while at < len(words):
        yield at, words[at] & 0xffff, words[at] >> 16
        at += words[at] >> 16


def bare(data):
    """A real shader with the NoContraction of one operation that rounds taken away, each in its turn."""
    words = list(struct.unpack(f"<{len(data) // 4}I", data))
    rounding = {words[at + 2] for at, code, n in instructions(words) if code in (129, 131, 133)}
    for at, code, n in instructions(words):
        if code == DECORATE and words[at + 2] == NO_CONTRACTION and words[at + 1] in rounding:
            yield struct.pack(f"<{len(words) - n}I", *words[:at], *words[at + n:])


def damaged(whole):
    dice = random.Random(7)
    for cut in range(0, len(whole), 4): yield whole[:cut]
    for turn in range(200):
        broken = bytearray(whole)
        broken[4 * dice.randrange(5, len(whole) // 4) + dice.randrange(4)] = dice.randrange(256)
        yield bytes(broken)


def main():
    passed, failed = 0, 0

    def judge(name, good, said=""):
        nonlocal passed, failed
        passed += bool(good)
        failed += not good
        if not good: print(f"FAIL {name}: {said}")

    for name, said in zip(ALLOWED, lint([module(**parts) for parts in ALLOWED.values()])): judge(name, not said, said)
    for (name, (parts, expected)), said in zip(FORBIDDEN.items(), lint([module(**f[0]) for f in FORBIDDEN.values()])):
        judge(name, expected in said, said)
    for path in SHADERS:
        cases = list(bare(pathlib.Path(path).read_bytes()))
        cases = random.Random(1).sample(cases, min(5, len(cases)))
        if cases: judge(f"{path} stripped", all("without NoContraction" in said for said in lint(cases)))
    lint(list(damaged(module())))  # ends with a verdict
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
