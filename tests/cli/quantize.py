#!/usr/bin/env python3
"""quantize.py VERBATIM MKMODEL [NAME...] - weights into other formats from the command line: which tensor gets which,
that the model still answers, that no failure leaves half a file. Files are read here by a reader of their own."""
import json
import math
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import time

import each
import scratch
from gguf_file import File, NAMES

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM, MKMODEL = (str(pathlib.Path(p).resolve()) for p in sys.argv[1:3])
WORK = scratch.folder("quantize")
ENV = {**os.environ, "HOME": str(WORK)}
GOLDEN = ROOT / "tests/golden/llama-f16/model.gguf"


def call(*args, **more):
    return subprocess.run([VERBATIM, *map(str, args)], capture_output=True, text=True, env=ENV, timeout=120, **more)


def made(name, shape, *args):
    path = WORK / name
    if not path.exists():
        subprocess.run([MKMODEL, shape, *map(str, args), "-o", path], check=True, capture_output=True)
    return path


def tiny():
    return made("tiny.gguf", "tiny", "--format", "F32", "--layers", 9)


def quantized(source, kind, *args, name="out.gguf"):
    out = WORK / name
    done = call("quantize", source, out, "--type", kind, "--force", "--json", *args)
    assert done.returncode == 0, done.stderr
    assert not pathlib.Path(f"{out}.part").exists()
    return out, json.loads(done.stdout), done.stderr


def refused(code, told, *args, **more):
    before = sorted(os.listdir(WORK))
    done = call("quantize", *args, **more)
    assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
    assert told in done.stderr, done.stderr
    assert done.stdout == "" and sorted(os.listdir(WORK)) == before, os.listdir(WORK)


# --- which format ------------------------------------------------------------------------------------------------

# What llama.cpp's quantize makes of nine layers: the value and down projections of these layers, and what they get.
MORE = {"Q4_K_M": ("Q4_K", "Q6_K", (0, 3, 6, 7, 8), (0, 3, 6, 7, 8)), "Q5_K_M": ("Q5_K", "Q6_K", (0, 3, 6, 7, 8), (0, 3, 6, 7, 8)),
        "Q4_K_S": ("Q4_K", "Q5_K", (0, 1, 2, 3), (0,)), "Q5_K_S": ("Q5_K", None, (), ()), "Q6_K": ("Q6_K", None, (), ())}


def test_mixes():
    for kind, (base, more, values, downs) in MORE.items():
        found = File(quantized(tiny(), kind)[0])
        for layer in range(9):
            for part, chosen in (("attn_v", values), ("ffn_down", downs), ("attn_k", ()), ("ffn_up", ()), ("attn_output", ())):
                wanted = more if layer in chosen else base
                assert found.format(f"blk.{layer}.{part}.weight") == wanted, (kind, layer, part)
        assert found.format("token_embd.weight") == "Q6_K" and found.format("blk.3.attn_norm.weight") == "F32"


def test_more_mixes():
    for kind, said in {"Q3_K_M": ("Q5_K", "Q4_K", "Q3_K", "Q4_K"), "Q3_K_L": ("Q5_K", "Q5_K", "Q3_K", "Q5_K"),
                       "Q2_K": ("Q3_K", "Q3_K", "Q2_K", "Q3_K"), "IQ4_XS": ("IQ4_XS", "IQ4_XS", "IQ4_XS", "IQ4_XS"),
                       "Q4_0": ("Q4_0", "Q4_0", "Q4_0", "Q4_0"), "MXFP4_MOE": ("Q8_0", "Q8_0", "Q8_0", "Q8_0")}.items():
        found = File(quantized(tiny(), kind)[0])
        names = ("blk.0.attn_v.weight", "blk.5.attn_v.weight", "blk.5.ffn_up.weight", "blk.5.attn_output.weight")
        assert tuple(map(found.format, names)) == said, (kind, list(map(found.format, names)))
    assert set(form for form, shape, _ in File(quantized(tiny(), "q4_k", "--pure")[0]).tensors.values()) == {"Q4_K", "F32"}


def test_experts():
    source = made("moe.gguf", "tiny-moe", "--format", "F32", "--layers", 4)
    found = File(quantized(source, "MXFP4_MOE")[0])
    assert found.format("blk.1.ffn_up_exps.weight") == "MXFP4" and found.format("blk.1.attn_q.weight") == "Q8_0"
    found = File(quantized(source, "Q4_K_M")[0])
    assert found.format("blk.1.attn_k.weight") == found.format("blk.1.attn_v.weight") == "Q8_0"
    assert found.format("blk.1.attn_output.weight") == "Q5_K" and found.format("blk.1.ffn_gate_inp.weight") == "F32"


def test_rows_that_do_not_fit():
    source = ROOT / "tests/golden/llama-gqa/model.gguf"
    out, report, said = quantized(source, "Q4_K_M")
    wide = {name for name, (form, shape, _) in File(out).tensors.items() if shape[0] % 256 == 0}
    odd = [t for t in report["tensors"] if t["fallback"]]
    assert odd and all(t["to"] in ("Q5_0", "Q8_0", "F16") and t["name"] not in wide for t in odd), odd
    assert "nearest format that fits" in said, said


def test_keys_are_kept():
    source = File(tiny())
    for kind, number in (("Q4_K_M", 15), ("Q8_0", 7), ("F16", 1)):
        found = File(quantized(tiny(), kind)[0])
        assert found.keys["general.file_type"] == number and found.keys["general.quantization_version"] == 2
        for key, value in source.keys.items():
            assert key in ("general.file_type", "general.quantization_version") or found.keys[key] == value, key
        assert list(found.tensors) == list(source.tensors)


def test_models_in_parts():
    source = File(tiny())
    tensors, count = list(source.tensors.items()), len(source.tensors)
    kinds = {form: number for number, form in NAMES.items()}
    for part, chosen in enumerate((tensors[:count // 3], tensors[count // 3:])):
        keys = text("split.no") + struct.pack("<IH", 2, part) + text("split.count") + struct.pack("<IH", 2, 2)
        keys += text("split.tensors.count") + struct.pack("<Ii", 5, count)
        directory, data = b"", b""
        for name, (form, shape, at) in chosen:
            directory += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kinds[form], len(data))
            data += source.data[at:at + 4 * math.prod(shape)]
            data += bytes(-len(data) % 32)
        old = source.data[24:source.keys_end] if part == 0 else b""
        head = b"GGUF" + struct.pack("<IQQ", 3, len(chosen), 3 + (len(source.keys) if part == 0 else 0)) + old + keys + directory
        (WORK / f"part-{part + 1:05}-of-00002.gguf").write_bytes(head + bytes(-len(head) % 32) + data)
    found = quantized(WORK / "part-00001-of-00002.gguf", "Q5_0", name="joined.gguf")[0]
    assert found.read_bytes() == quantized(tiny(), "Q5_0")[0].read_bytes()


# --- what comes of it --------------------------------------------------------------------------------------------

def digest(path, *args):
    done = call("logits", path, "--tokens", "5,9,30,17,2,2,40", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_models_answer():
    first = call("run", GOLDEN, "--raw", "-n", "8", "Once").stdout
    for kind in ("Q8_0", "Q5_K_M", "Q4_0", "IQ4_NL", "BF16"):
        out, _, _ = quantized(GOLDEN, kind)
        assert digest(out) == digest(out, "--player", "oracle"), kind
        done = call("run", out, "--raw", "-n", "8", "Once")
        assert done.returncode == 0, done.stderr
        assert kind not in ("Q8_0", "BF16") or done.stdout[:4] == first[:4], (kind, done.stdout, first)


def test_losses():
    before = 0
    for kind in ("F16", "BF16", "Q8_0", "Q6_K", "Q5_K_S", "Q4_K_S", "Q3_K_S", "Q2_K"):
        report = quantized(tiny(), kind)[1]
        lost = report["error"]["relative"]
        assert lost > before and abs(1 - report["error"]["cosine"] - lost * lost / 2) < 0.3 * lost * lost, (kind, report["error"])
        assert all(t["error"] is None or t["error"]["rms"] <= t["error"]["max"] for t in report["tensors"])
        before = lost


def test_table():
    out = WORK / "table.gguf"
    done = call("quantize", tiny(), out, "--type", "Q5_1")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["blk.0.attn_q.weight"][:2] == ["F32", "Q5_1"] and rows["output_norm.weight"][2] == "-", rows
    assert "tensors, " in done.stdout.splitlines()[-1] and " -> " in done.stdout.splitlines()[-1]
    out.unlink()


def test_threads_and_twice():
    for kind in ("Q4_K_M", "MXFP4_MOE"):
        one, report, _ = quantized(tiny(), kind, "-t", 1, name="one.gguf")
        many, again, _ = quantized(tiny(), kind, "-t", 5, name="many.gguf")
        assert one.read_bytes() == many.read_bytes()
        assert report["tensors"] == again["tensors"] and report["error"] == again["error"]
        same, report, said = quantized(one, kind, name="again.gguf")
        assert same.read_bytes() == one.read_bytes() and report["requantized"] == 0 and said == "", said


def test_already_quantized():
    eight = quantized(tiny(), "Q8_0", name="eight.gguf")[0]
    _, report, said = quantized(eight, "Q4_K_M")
    assert report["requantized"] > 50 and "were quantised before (Q8_0)" in said, said
    assert math.isclose(report["error"]["relative"], quantized(tiny(), "Q4_K_M")[1]["error"]["relative"], rel_tol=0.02)


# --- importance --------------------------------------------------------------------------------------------------

def importance(source):
    """A number for each column of each matrix, larger where the column's number is a multiple of seven."""
    return {name: [25.0 if i % 7 == 0 else 0.25 for i in range(shape[0])]
            for name, (form, shape, _) in File(source).tensors.items() if name.startswith("blk.") and len(shape) == 2}


def old_form(table, path, calls=4):
    out = struct.pack("<i", len(table))
    for name, values in table.items():
        out += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values))
        out += struct.pack(f"<{len(values)}f", *(v * calls for v in values))
    path.write_bytes(out + struct.pack("<ii", 12, 4) + b"text")
    return path


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def gguf_form(table, path, counts=True):
    keys = text("general.type") + struct.pack("<I", 8) + text("imatrix") + text("imatrix.chunk_count") + struct.pack("<II", 4, 12)
    keys += text("imatrix.datasets") + struct.pack("<IIQ", 9, 8, 1) + text("text")
    directory, data, n = b"", b"", 0
    for name, values in table.items():
        for suffix, row in ((".in_sum2", [v * 8 for v in values]), (".counts", [8.0]))[:2 if counts else 1]:
            directory += text(name + suffix) + struct.pack("<IQQIQ", 2, len(row), 1, 0, len(data))
            data += struct.pack(f"<{len(row)}f", *row)
            data += bytes(-len(data) % 32)
            n += 1
    head = b"GGUF" + struct.pack("<IQQ", 3, n, 3) + keys + directory
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def test_importance():
    table = importance(tiny())
    old, new = old_form(table, WORK / "im.dat"), gguf_form(table, WORK / "im.gguf")
    plain = quantized(tiny(), "Q4_K_M")[0].read_bytes()
    first, report, said = quantized(tiny(), "Q4_K_M", "--imatrix", new, name="first.gguf")
    second = quantized(tiny(), "Q4_K_M", "--imatrix", old, name="second.gguf")[0]
    a, b = File(first), File(second)
    assert a.keys["quantize.imatrix.file"] == "im.gguf" and b.keys["quantize.imatrix.file"] == "im.dat"
    assert a.keys["quantize.imatrix.chunks_count"] == b.keys["quantize.imatrix.chunks_count"] == 12
    assert a.keys["quantize.imatrix.dataset"] == b.keys["quantize.imatrix.dataset"] == "text"
    end = max(len(plain), 1) - 100000
    assert a.data[-end:] == b.data[-end:] != plain[-end:]
    weighted = {t["name"] for t in report["tensors"] if t["by_importance"]}
    assert weighted == set(table) and "says nothing about 1 tensors" in said, said


def test_importance_of_experts():
    source = made("moe.gguf", "tiny-moe", "--format", "F32", "--layers", 4)
    name = "blk.2.ffn_up_exps.weight"
    columns, _, experts = File(source).tensors[name][1]
    row = [25.0 if i % 7 == 0 else 0.25 for i in range(columns)]

    def parts(chosen):  # the bytes of each expert; those that are chosen count columns the other way round
        table = {name: sum((row[::-1] if e in chosen else row for e in range(experts)), [])}
        found = File(quantized(source, "Q3_K_S", "--imatrix", old_form(table, WORK / "experts.dat"))[0])
        form, shape, at = found.tensors[name]
        size = shape[0] * shape[1] // 256 * 110
        assert form == "Q3_K"
        return [found.data[at + e * size:at + (e + 1) * size] for e in range(experts)]

    plain, turned = parts(()), parts((1, experts - 1))
    assert [e for e in range(experts) if plain[e] != turned[e]] == [1, experts - 1]


def test_broken_importance():
    table = importance(tiny())
    out, bad = WORK / "never.gguf", WORK / "bad"

    def check(told):
        refused(3, told, tiny(), out, "--type", "Q4_K_M", "--imatrix", bad)

    whole = old_form(table, bad).read_bytes()
    for size in (0, 3, 4, 40, len(whole) // 2):
        bad.write_bytes(whole[:size])
        check("importance matrix")
    bad.write_bytes(b"words, words, words " * 50)
    check("importance matrix")
    for value, told in ((math.nan, "nan"), (math.inf, "inf"), (-1.0, "-0.25")):
        old_form({**table, "blk.2.ffn_up.weight": [1.0, value] + [1.0] * 254}, bad)
        check("blk.2.ffn_up.weight: value 1: expected a number >= 0")
    old_form({**table, "blk.0.attn_k.weight": [1.0] * 64}, bad)
    check("blk.0.attn_k.weight: expected 256 values")
    gguf_form(table, bad, counts=False)
    check(".counts")
    bad.write_bytes(tiny().read_bytes())
    check("expected an importance matrix")
    bad.unlink()


# --- what is refused ---------------------------------------------------------------------------------------------

def test_numbers_that_are_none():
    source = File(tiny())
    for name, index in (("blk.4.ffn_up.weight", 70000), ("blk.4.attn_norm.weight", 3)):
        for bits, told in ((b"\0\0\xc0\x7f", "nan"), (b"\0\0\x80\xff", "-inf")):
            data = bytearray(source.data)
            at = source.tensors[name][2] + 4 * index
            data[at:at + 4] = bits
            broken = WORK / "broken.gguf"
            broken.write_bytes(data)
            refused(3, f"{name}: element {index}: expected a finite number, found {told}", broken, WORK / "never.gguf",
                    "--type", "Q4_K_M")
            broken.unlink()


def test_names():
    out = WORK / "there.gguf"
    out.write_bytes(b"mine")
    refused(2, "expected one of F32, F16, BF16, Q8_0", tiny(), WORK / "never.gguf", "--type", "IQ1_S")
    refused(2, "--type", tiny(), WORK / "never.gguf")
    refused(2, "there.gguf: exists; --force replaces it", tiny(), out, "--type", "Q8_0")
    assert out.read_bytes() == b"mine"
    link = WORK / "link.gguf"
    link.symlink_to(tiny())
    refused(2, "expected another file than the one to read", tiny(), link, "--type", "Q8_0", "--force")
    refused(4, "never/out.gguf", tiny(), WORK / "never/out.gguf", "--type", "Q8_0")
    refused(3, "there.gguf", out, WORK / "never.gguf", "--type", "Q8_0")
    for path in (out, link):
        path.unlink()


def test_full_disk():
    def small():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    out = WORK / "full.gguf"
    out.write_bytes(b"mine")
    for room in (0, 1000, 300000, 1000000):
        refused(4, "full.gguf", tiny(), out, "--type", "Q8_0", "--force", preexec_fn=small)
        assert out.read_bytes() == b"mine"
    out.unlink()


def test_interrupted():
    source, out = made("deep.gguf", "tiny", "--format", "F16", "--layers", 40), WORK / "late.gguf"
    part = pathlib.Path(f"{out}.part")
    running = subprocess.Popen([VERBATIM, "quantize", source, out, "--type", "IQ4_NL", "-t", "1"], env=ENV,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not part.exists() and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)
    assert running.returncode == 130 and said[0] == b"", (running.returncode, said)
    assert not part.exists() and not out.exists()
    source.unlink()


sys.exit(each.run(globals(), sys.argv[3:]))
