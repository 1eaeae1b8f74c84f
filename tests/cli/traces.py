#!/usr/bin/env python3
"""traces.py VERBATIM - every released version of the trace format, through the command line and a reader of its own.

The traces under tests/traces were recorded by the versions that they are named after, with the golden models. Each one
must replay, be shown, and be exported as tools/trace.py reads it. Of some a bit is flipped, many times: both readers
must refuse. Keys, signatures and taps are made and looked at.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

import each
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
WORK = scratch.folder("traces")
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
FIXTURES = sorted((ROOT / "tests/traces").glob("v*/*.trace"))
SIGNED = ROOT / "tests/traces/v2/layers.trace"
READER = [sys.executable, str(ROOT / "tools/trace.py")]


def run(*args, code=0):
    done = subprocess.run([VERBATIM, *map(str, args)], capture_output=True)
    assert done.returncode == code, (args, done)
    return done


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def model_of(trace):
    return ROOT / "tests/golden" / ("gemma3" if "gemma3" in trace.name else "llama-gqa") / "model.gguf"


def test_old_traces_replay():
    assert len(FIXTURES) >= 12, FIXTURES
    for trace in FIXTURES:
        for options in ([], ["--player", "oracle"], ["--isa", "portable", "-t3"]):
            done = run("trace", "replay", trace, "--model", model_of(trace), *options)
            assert done.stdout.startswith(b"equal: "), (trace, done)
            assert ("cut" in trace.name) == (b"no whole record" in done.stderr), (trace, done)


def test_old_traces_verify():
    for trace in FIXTURES:
        done = run("trace", "verify", trace, "--model", model_of(trace))
        assert done.stdout.startswith(b"verified"), (trace, done)
    run("trace", "verify", SIGNED, "--model", TINY, "--signer", SIGNED.parent / "signer.pub")
    family = run("trace", "tree", SIGNED.parent).stdout.decode(errors="replace")
    assert "at 20: branch.trace" in family.replace(str(SIGNED.parent) + "/", ""), family


def test_versions_tell_the_same():
    for old in FIXTURES:
        new = old.parent.parent / "v2" / old.name
        if old.parent.name == "v1" and "cut" not in old.name:
            assert run("trace", "diff", old, new).stdout.startswith(b"equal: "), old


def test_both_readers_read_the_same():
    for trace in FIXTURES:
        read = subprocess.run([*READER, trace], capture_output=True)
        assert read.returncode == 0, (trace, read)
        exported = run("trace", "export", "--jsonl", trace).stdout
        assert lines(read.stdout) == lines(exported), trace
        assert exported == run("trace", "show", "--json", trace).stdout, trace
        assert len(run("trace", "show", trace).stdout) > 1000, trace
    assert len((ROOT / "tools/trace.py").read_text().splitlines()) < 110


def test_flipped_bits_are_refused_by_both():
    seed = random.SystemRandom().randrange(2**32)
    places, damaged = random.Random(seed), WORK / "damaged.trace"
    for trace in FIXTURES:
        data = trace.read_bytes()
        for number in range(8):
            bit = places.randrange(8 * len(data))
            if "cut" in trace.name and bit >= 8 * (len(data) - 80):  # may lie in what is dropped
                continue
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            damaged.write_bytes(changed)
            done = run("trace", "show", damaged, code=3)
            assert damaged.name.encode() in done.stderr, (seed, trace, bit, done)
            read = subprocess.run([*READER, damaged], capture_output=True) if number == 0 else None
            assert read is None or read.returncode == 3, (seed, trace, bit, read)


def test_keys_and_signatures():
    key, trace = WORK / "key", WORK / "signed.trace"
    made = json.loads(run("trace", "keygen", key, "--json").stdout)
    assert key.stat().st_mode & 0o777 == 0o600 and (WORK / "key.pub").exists(), made
    run("trace", "keygen", key, code=4)
    assert key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    run("run", TINY, "--raw", "-n3", "--trace", trace, "ab")
    plain = trace.read_bytes()
    run("trace", "sign", trace, "--key", key)
    assert trace.read_bytes()[:len(plain)] == plain and len(trace.read_bytes()) == len(plain) + 12 + 96 + 32
    last = lines(run("trace", "export", "--jsonl", trace).stdout)[-1]
    assert last["record"] == "signature" and last["key"] == made["key"], last
    direct = WORK / "direct.trace"
    run("run", TINY, "--raw", "-n3", "--trace", direct, "--sign", key, "ab")
    assert lines(run("trace", "show", "--json", direct).stdout)[-1]["key"] == made["key"]
    for wrong, says in ((trace, b"no signature"), (ROOT / "tests/traces/v1/greedy.trace", b"format 2"),
                        (ROOT / "tests/traces/v2/cut.trace", b"cannot be signed")):
        before = wrong.read_bytes()
        assert says in run("trace", "sign", wrong, "--key", key, code=3).stderr, wrong
        assert wrong.read_bytes() == before
    run("trace", "sign", direct, code=2)
    run("trace", "sign", direct, "--key", WORK / "key.pub", code=3)
    assert b"Ed25519" in run("run", TINY, "--raw", "--trace", WORK / "none.trace", "--sign", TINY, "a", code=3).stderr
    assert not (WORK / "none.trace").exists()
    run("run", TINY, "--raw", "--sign", key, "a", code=2)


def test_a_moved_signature_is_refused():
    one, other = SIGNED.read_bytes(), (ROOT / "tests/traces/v2/greedy.trace").read_bytes()
    forged = WORK / "forged.trace"
    forged.write_bytes(other + one[-140:])
    run("trace", "show", forged, code=3)
    forged.write_bytes(one[:-1])  # cut in the signature: the performance is whole, what is missing is said
    assert b"behind the end record" in run("trace", "show", forged).stderr


def taps_of(*options):
    trace = WORK / ("taps" + "".join(options).replace("/", "") + ".trace")
    run("run", TINY, "--raw", "-n5", "--trace", trace, *options, "Hello you")
    assert run("trace", "replay", trace).stdout.startswith(b"equal: ")
    return [r for r in lines(run("trace", "export", "--jsonl", trace).stdout)[1:] if "key" not in r]


def test_taps_are_the_same_for_everybody():
    whole = taps_of("--taps", "all")
    assert whole == taps_of("--taps", "all", "--player", "oracle") == taps_of("--taps", "all", "-t3", "--isa", "portable")
    layers = [r for r in taps_of("--taps", "layers") if r["record"] == "tap"]
    values = [r for r in whole if r["record"] == "tap"]
    assert all(r in values for r in layers) and len(layers) < len(values)
    last = max(r["position"] for r in whole if r["record"] == "chosen")
    assert {r["position"] for r in values} == set(range(last)), "each token but the last one has its values"
    assert {r["layer"] for r in layers if r["name"] == "l_out"} == {0, 1, 2}
    assert len({len([r for r in layers if r["position"] == at]) for at in range(last)}) == 2  # those chosen from have more
    run("run", TINY, "--raw", "--taps", "all", "a", code=2)


if __name__ == "__main__":
    os.environ["HOME"] = str(WORK)
    sys.exit(each.run(globals()))
