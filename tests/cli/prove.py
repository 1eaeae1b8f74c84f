#!/usr/bin/env python3
"""prove.py BUILD [--all|--killer] - `verbatim doctor --prove`, fingerprints, and quorums of machines and of traces.

A command that was broken on purpose (BUILD/tests/verbatim-broken forgets a value when a session is forked) must be found
by the proof and named by the quorum. Without mpirun that test is left out. --all: asks all conditions, and nothing else; --killer: without mpirun and mkmodel.
"""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time

import each
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(sys.argv[1]).resolve()
KILLER = "--killer" in sys.argv
ALL = "--all" in sys.argv
WORK = scratch.folder("prove")
TMP = WORK / "tmp"
TMP.mkdir()
ENV = {**os.environ, "HOME": str(WORK), "TMPDIR": str(TMP), "PATH": f"{BUILD}:{os.environ['PATH']}"}
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
EVERY = "40"


def run(*args, program="verbatim", code=0):
    done = subprocess.run([BUILD / program, *map(str, args)], capture_output=True, text=True, env=ENV, cwd=ROOT)
    assert done.returncode == code, f"{args}: expected exit {code}, found {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout or done.stderr


def record(name, *options):
    path = WORK / name
    if not path.exists():
        run("run", TINY, "--raw", "--trace", path, *options, "The sky")
    return path


def relinked(source, name, which):
    """The trace with one bit of its `which`-th chosen token's digest changed and every link made to fit; and the record."""
    old, new, i = source.read_bytes(), bytearray(), 0
    new += old[:32]
    place, link, chosen, at = 32, bytes(old[:32]), 0, None
    while place < len(old):
        n, kind = struct.unpack_from("<II", old, place)
        body = bytearray(old[place:place + 12 + n])
        if kind == 5:
            body[-32:] = hashlib.sha256(link + body[:-32]).digest()
        else:
            if kind == 3 and chosen == which:
                body[12 + 20] ^= 1
                at = i
            chosen += kind == 3
            link = hashlib.sha256(link + body).digest()
            i += 1
        new += body + link
        place += 12 + n + 32
    path = WORK / name
    path.write_bytes(new)
    return path, at


def test_model_is_what_mkmodel_makes():
    made = WORK / "made.gguf"
    run("proof", "--format", "MIXED", "-o", made, program="tools/mkmodel")
    committed = (ROOT / "prove/model.gguf").read_bytes()
    assert made.read_bytes() == committed
    assert len(committed) <= 1 << 20
    formats = {t["format"] for t in json.loads(run("show", made, "--tensors", "--json"))["tensors"]}
    assert len(formats) >= 20, formats


def test_proof():
    value = json.loads(run("doctor", "--prove", "--every", EVERY, "--json"))
    proof = value["proof"]
    model = (ROOT / "prove/model.gguf").read_bytes()
    published = (ROOT / "prove/digests.def").read_text()
    assert proof["proved"] and proof["different"] == 0 and proof["text"] == "", proof
    assert proof["model_sha256"] == hashlib.sha256(model).hexdigest()
    assert len(proof["answers"]) == 4 and all(a["conditions"] > 5 for a in proof["answers"])
    assert [a["model"] for a in proof["answers"]] == ["mixed"] * 3 + ["tales-1m"]
    for answer in proof["answers"]:
        assert answer["published"] == answer["found"] and f'"{answer["found"]}"' in published
    shown = json.loads(run("show", ROOT / "prove/model.gguf", "--json"))["fingerprint"]
    assert shown == f"vb1-{proof['plan_sha256'][:16]}-{proof['model_sha256'][:16]}"
    assert proof["fingerprint"].startswith(shown + "-")
    assert not list(TMP.iterdir()), "left behind"


def test_every_condition():
    start = time.monotonic()
    value = json.loads(run("doctor", "--prove", "--json"))
    isas = [k["isa"] for k in value["kernels"] if k["verdict"] == "ok"]
    asked = [a["conditions"] for a in value["proof"]["answers"]]
    # the oracle; for each instruction set 5 thread counts and 2 by chance, 6 chunks of 4 histories and 3 speculations
    assert value["proof"]["proved"] and asked == [1 + len(isas) * 7 * (6 * 4 + 3)] * 4, asked
    print(f"{sum(asked)} conditions in {time.monotonic() - start:.0f} s")


def test_broken_machine_is_found():
    proof = json.loads(run("doctor", "--prove", "--every", EVERY, "--json", program="tests/verbatim-broken", code=1))["proof"]
    assert not proof["proved"] and proof["different"] > 0 and "forked" in proof["text"], proof
    assert "row " in proof["text"] and any(a["published"] != a["found"] for a in proof["answers"])


def test_no_room_for_the_model():
    ENV["TMPDIR"] = str(WORK / "nowhere")
    try:
        assert "nowhere" in run("doctor", "--prove", code=4)
    finally:
        ENV["TMPDIR"] = str(TMP)


def test_interrupt_leaves_nothing():
    working = subprocess.Popen([BUILD / "verbatim", "doctor", "--prove"], env=ENV, stdout=subprocess.DEVNULL)
    while not list(TMP.iterdir()):
        time.sleep(0.05)
    working.send_signal(signal.SIGINT)
    assert working.wait(120) == 130
    assert not list(TMP.iterdir()), "left behind"


def test_mpi_quorum_names_the_first_machine():
    if not shutil.which("mpirun") or not (BUILD / "verbatim-mpi").exists():
        assert "verbatim-mpi" in run("doctor", "--prove", "--every", "1000000", "--quorum", code=3)
        return
    ask = ["doctor", "--prove", "--every", EVERY, "--quorum", "--json"]
    start = ["mpirun", "--oversubscribe", "--allow-run-as-root"]
    done = subprocess.run([*start, "-n", "1", BUILD / "verbatim", *ask, ":", "-n", "1", BUILD / "tests/verbatim-broken", *ask,
                           ":", "-n", "1", BUILD / "verbatim", *ask], capture_output=True, text=True, env=ENV)
    assert done.returncode == 1, done
    value = json.loads(done.stdout[:done.stdout.rindex("}") + 1])
    assert value["first"] == 1 and value["agree"] == 2, value
    assert [r["agrees"] for r in value["ranks"]] == [True, False, True]
    assert "forked" in value["ranks"][1]["text"] and value["ranks"][1]["host"]
    prints = [r["fingerprint"] for r in value["ranks"]]
    assert prints[0] == prints[2] == value["fingerprint"] != prints[1] and prints[0][:-16] == prints[1][:-16], prints
    done = subprocess.run([*start, "-n", "3", BUILD / "verbatim-mpi", "vb1-a-b-c", ""], capture_output=True, text=True, env=ENV)
    assert done.returncode == 0 and "quorum: 3 of 3 agree" in done.stdout, done


def test_traces_agree_on_any_machine():
    a = record("a.trace", "-n", 6)
    b = record("b.trace", "-n", 6, "--isa", "portable", "--threads", 3)
    c = record("c.trace", "-n", 6, "--speculate", "ngram")
    assert run("trace", "quorum", a, b, c).startswith("equal: 3 traces")
    assert run("doctor", "--quorum", a, b, c) == run("trace", "quorum", a, b, c)
    assert json.loads(run("trace", "quorum", a, b, c, "--json"))["equal"]


def test_quorum_names_record_and_file():
    a, b = record("a.trace", "-n", 6), record("b.trace", "-n", 6, "--isa", "portable", "--threads", 3)
    count = json.loads(run("trace", "quorum", a, "--json"))
    assert count["equal"] and count["agree"] == 1
    (early, at), (late, later) = relinked(a, "early.trace", 1), relinked(a, "late.trace", 3)
    assert later == at + 2
    for order in ([a, early, b], [early, a, b], [a, b, early], [late, a, early, b, a]):
        value = json.loads(run("trace", "quorum", *order, "--json", code=1))
        assert value["record"] == at and value["majority"] and value["agree"] == len(order) - 1, value
        assert [f["path"] for f in value["files"] if not f["agrees"]] == [str(early)], value
    value = json.loads(run("trace", "quorum", late, a, b, "--json", code=1))
    assert value["record"] == later and [f["agrees"] for f in value["files"]] == [False, True, True]
    text = run("trace", "quorum", a, b, early, code=1)
    assert f"record {at} (position {at - 1})" in text and "2 of 3" in text and "early.trace" in text, text


def test_quorum_without_majority():
    a = record("a.trace", "-n", 6)
    early, _ = relinked(a, "early.trace", 1)
    value = json.loads(run("trace", "quorum", early, a, "--json", code=1))
    assert not value["majority"] and value["agree"] == 1
    assert "no majority" in run("trace", "quorum", early, a, code=1)


def test_quorum_of_other_performances_and_damage():
    a, b = record("a.trace", "-n", 6), record("longer.trace", "-n", 9)
    value = json.loads(run("trace", "quorum", a, b, a, "--json", code=1))
    assert [f["agrees"] for f in value["files"]] == [True, False, True], value
    hot = record("hot.trace", "-n", 6, "--temp", 0.5)
    assert json.loads(run("trace", "quorum", a, hot, a, "--json", code=1))["record"] == 0
    damaged = WORK / "damaged.trace"
    damaged.write_bytes(a.read_bytes()[:200] + b"x" + a.read_bytes()[201:])
    assert "damaged.trace" in run("trace", "quorum", a, damaged, code=3)
    assert "gone.trace" in run("trace", "quorum", a, WORK / "gone.trace", code=3)


def test_usage():
    run("trace", "quorum", code=2)
    run("doctor", "--quorum", code=2)
    run("doctor", "a.trace", code=2)
    run("doctor", "--prove", "a.trace", code=2)


def fits(name):
    return not (KILLER and ("mpi" in name or "mkmodel" in name)) and ALL == ("every_condition" in name)


def main():
    return each.run(globals(), fits=fits)


if __name__ == "__main__":
    sys.exit(main())
