#!/usr/bin/env python3
"""contrast.py VERBATIM - recordings of one performance on every instruction set and player, and what `trace diff` says of
those that differ: in the header, in a token, inside the model.
"""
import json
import pathlib
import re
import subprocess
import sys

import each
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
WORK = scratch.folder("contrast")
GOLDEN = ROOT / "tests/golden"
GEMMA = GOLDEN / "gemma3/model.gguf"
COARSE, FINE = (GOLDEN / f"quant/q-llama-{name}/model.gguf" for name in ("Q4_0", "Q8_0"))


def run(*args, code=0):
    done = subprocess.run([VERBATIM, *map(str, args)], capture_output=True)
    assert done.returncode == code, (args, done)
    return done.stdout.decode(errors="replace")


def record(name, model, *options):
    path = WORK / name
    run("run", model, "--raw", "-n", 5, "--trace", path, *options, "Hello, world")
    return path


def has(isa):
    done = subprocess.run([VERBATIM, "logits", GEMMA, "--tokens", "1", "--isa", isa], capture_output=True)
    assert done.returncode in (0, 3), done
    return done.returncode == 0


ISAS = [isa for isa in ("portable", "avx2", "avxvnni", "avx512", "neon") if has(isa)]


def test_golden_traces_are_equal_everywhere():
    assert len(ISAS) > 1, ISAS
    traces = sorted((ROOT / "tests/traces").glob("v*/*.trace"))
    assert len(traces) >= 12
    for number, trace in enumerate(traces):
        model = GEMMA if "gemma3" in trace.name else GOLDEN / "llama-gqa/model.gguf"
        options = ["--isa", ISAS[number % len(ISAS)]] if number % 4 else ["--player", "oracle"]
        assert run("trace", "replay", trace, "--model", model, *options).startswith("equal: "), (trace, options)
    for isa in ISAS:
        run("trace", "replay", traces[-1], "--model", GOLDEN / "llama-gqa/model.gguf", "--isa", isa)


def test_all_that_has_a_name_is_equal_everywhere():
    one = record("one", GEMMA, "--taps", "all", "--isa", "portable")
    for number, options in enumerate([["--player", "oracle"], ["-t", "3"], *(["--isa", isa] for isa in ISAS)]):
        other = record(f"other{number}", GEMMA, "--taps", "all", *options)
        text = run("trace", "diff", one, other, "--taps")
        assert text.startswith("equal: ") and re.search(r"^equal inside: \d{3} values of \d+ positions$", text, re.M), text
    value = json.loads(run("trace", "diff", one, other, "--taps", "--json"))
    assert value["equal"] and value["tokens"]["equal"] and value["fields"] == 0, value
    taps = value["taps"]
    assert taps["first"] is None and taps["differing"] == taps["unmatched"] == 0 and taps["values"] > 100, taps
    assert {row["name"] for row in taps["drift"]} >= {"attn_norm", "l_out", "result_output"}, taps
    assert all(row["max"] == 0 and row["elements"] > 0 for row in taps["drift"])


def test_what_differs_is_told_on_every_level():
    one, other = record("coarse", COARSE, "--taps", "layers"), record("fine", FINE, "--taps", "layers")
    text = run("trace", "diff", one, other, "--taps", code=1)
    assert text.startswith("differs in the header: model\n"), text
    assert re.search(r"^and in \d+ more fields? of the header$", text, re.M), text
    assert re.search(r"^first value that differs: inp_embd, position 0, element \d+$", text, re.M), text
    assert re.search(r"^layer  value  +largest  +rms  elements that differ$", text, re.M), text
    value = json.loads(run("trace", "diff", one, other, "--taps", "--json", code=1))
    first, drift = value["taps"]["first"], value["taps"]["drift"]
    assert re.fullmatch("[0-9a-f]{8}", first["a"]["bits"]) and first["a"]["bits"] != first["b"]["bits"], first
    line = f"{first['a']['bits']} ({first['a']['value']:.9g})"
    assert line in text, (line, text)
    layers = [row["layer"] for row in drift if row["name"] == "l_out"]
    assert layers == list(range(len(layers))) and len(layers) > 1, layers
    assert all(0 < row["rms"] <= row["max"] and 0 < row["differing"] <= row["elements"] for row in drift), drift
    assert run("trace", "diff", one, other, code=1).count("\n") < text.count("\n")


def test_taps_that_are_not_there():
    plain, tapped = record("plain", GEMMA), record("tapped", GEMMA, "--taps", "layers")
    done = subprocess.run([VERBATIM, "trace", "diff", tapped, plain, "--taps"], capture_output=True)
    assert done.returncode == 3 and b"expected a trace with taps" in done.stderr, done
    text = run("trace", "diff", tapped, plain, code=1)
    assert text.startswith("differs in the header: taps\n") and "but for the header" in text, text


def test_like_ggml():
    words = ("attention", "scales", "gelu", "activations", "rope")
    ask = ("logits", FINE, "--tokens", "1,5,9,2", "--player", "oracle")
    plain = run(*ask)
    moved = {word: run(*ask, "--like-ggml", word) != plain for word in words}
    assert moved["attention"] and moved["scales"] and not moved["gelu"] and not moved["activations"], moved
    assert run(*ask, "--like-ggml", "scales,attention") == run(*ask, "--like-ggml", "attention,scales")
    for wrong, says in ((["--like-ggml", "attention,glu"], b"expected attention|scales|gelu|activations|rope"),
                        (["--like-ggml", ""], b"found ''"), (["--like-ggml", "gelu,"], b"found 'gelu,'")):
        done = subprocess.run([VERBATIM, *map(str, ask), *wrong], capture_output=True)
        assert done.returncode == 2 and says in done.stderr, done
    done = subprocess.run([VERBATIM, "logits", FINE, "--tokens", "1", "--like-ggml", "rope"], capture_output=True)
    assert done.returncode == 3 and b"expected player oracle" in done.stderr, done


if __name__ == "__main__":
    sys.exit(each.run(globals()))
