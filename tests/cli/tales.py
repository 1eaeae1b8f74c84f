#!/usr/bin/env python3
"""tales.py BUILD [--all] - the model inside the program beside transformers, who computed with its F32 weights.

tests/golden/tales-1m/cases.json: prompts, the tokens that are the likeliest ones behind each, one after the other, and how far
the second one lies behind; logits.f32: every 25th logit behind each prompt. What is allowed is what Q8_0 takes from the
weights: measured 0.48 at most and 0.06 (rms) in f32, 0.67 and 0.11 in int8, over all prompts (0.17 over some). A likeliest token may
be another one only where both were nearly as likely. --all: all prompts in both ways, rather than a few.
"""
import array
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import each

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests/golden/tales-1m"
VERBATIM = pathlib.Path(sys.argv[1]).resolve() / "verbatim"
CASES = json.loads((GOLDEN / "cases.json").read_text())
ALLOWED = {"f32": (0.6, 0.1, 0.12), "int8": (0.85, 0.2, 0.35)}  # largest, rms, margin


def floats(path):
    values = array.array("f")
    values.frombytes(pathlib.Path(path).read_bytes())
    return values


def logits(tokens, arith):
    with tempfile.TemporaryDirectory(prefix="verbatim-tales-") as folder:
        out = os.path.join(folder, "logits")
        subprocess.run([VERBATIM, "logits", "embedded:tales-1m", "--arith", arith, "--tokens", ",".join(map(str, tokens)), "-o", out],
                       check=True, capture_output=True)
        return floats(out)


def check(arith, which):
    most, rms, margin = ALLOWED[arith]
    n, stride, expected, worst, squares, count = CASES["vocab"], CASES["stride"], floats(GOLDEN / "logits.f32"), 0.0, 0.0, 0
    each_case = len(range(0, n, stride))
    assert len(expected) == each_case * len(CASES["cases"])
    for i in which:
        case = CASES["cases"][i]
        found = logits(case["tokens"] + case["greedy"][:-1], arith)
        last = (len(case["tokens"]) - 1) * n
        for a, b in zip(expected[i * each_case:(i + 1) * each_case], found[last:last + n:stride]):
            worst, squares, count = max(worst, abs(a - b)), squares + (a - b) ** 2, count + 1
        for k, token in enumerate(case["greedy"]):
            row = found[last + k * n:last + (k + 1) * n]
            assert row.index(max(row)) == token or case["margins"][k] < margin, f"prompt {i}, token {k}: expected {token}"
    assert worst < most and (squares / count) ** 0.5 < rms, f"{arith}: at most {worst:.3f}, rms {(squares / count) ** 0.5:.3f}"


def test_int8():
    check("int8", range(10) if "--all" in sys.argv else [0, 4, 9])


def test_f32():
    check("f32", range(10) if "--all" in sys.argv else [2])


if __name__ == "__main__":
    sys.exit(each.run(globals()))
