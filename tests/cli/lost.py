#!/usr/bin/env python3
"""lost.py VERBATIM MODEL [NAME...] - a model file that another program cuts or writes while it is in use. A command says
so in a line, exits with 4, and what it had printed and recorded is right; a server answers with the error, serves others, and has
the model again once the file is whole. MODEL has to be slow enough to be met at work.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import each
import scratch
from served import Server, store, stretch

VERBATIM, MODEL = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
WORK = scratch.folder("lost")
ENV = {**os.environ, "HOME": str(WORK)}
SLOW = stretch(VERBATIM)
OTHER = pathlib.Path(__file__).resolve().parent.parent / "golden/llama-gqa/model.gguf"
SIZE = MODEL.stat().st_size
ROOMS = (0, 1, SIZE // 4096 // 2 * 4096, SIZE - 8192)


def words(model, *more):
    return [VERBATIM, "run", str(model), "--raw", "-n", "400", "-t2", *map(str, more), "Once upon a time"]


def copied(name):
    return pathlib.Path(shutil.copyfile(MODEL, WORK / name))


WHOLE = subprocess.run(words(copied("whole.gguf")), capture_output=True, env=ENV, check=True).stdout


def at_work(*words_of):
    """A run that has printed its first byte."""
    p = subprocess.Popen(words(*words_of), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV, bufsize=0)
    return p, p.stdout.read(1)


def harmed_at_work(harm, reason):
    model, trace = copied("harmed.gguf"), WORK / "harmed.trace"
    trace.unlink(missing_ok=True)
    p, first = at_work(model, "--trace", trace)
    harm(model)
    out, said = p.communicate(timeout=60 * SLOW)
    out = first + out
    assert p.returncode == 4, f"exit {p.returncode}: {said.decode(errors='replace')}"
    assert f"{model}: changed while it was in use: {reason}" in said.decode(), said
    assert WHOLE.startswith(out) and len(out) < len(WHOLE), (out, WHOLE)
    again = [VERBATIM, "trace", "replay", str(trace), "--model", str(WORK / "whole.gguf")]
    replayed = subprocess.run(again, capture_output=True, env=ENV)
    assert replayed.returncode == 0, replayed.stderr


def test_cut_at_work():
    for room in ROOMS * 5:
        harmed_at_work(lambda model: os.truncate(model, room), f"expected {SIZE} bytes, found {room}")


def test_cut_and_deleted_at_work():
    def lose(model):
        os.truncate(model, SIZE // 2)
        os.unlink(model)
    harmed_at_work(lose, f"expected {SIZE} bytes, found {SIZE // 2}")


def test_written_at_work():
    def write(model):
        with open(model, "r+b") as f:
            f.seek(SIZE // 2)
            f.write(bytes(64))
    harmed_at_work(write, "expected no writing, found a later one")


def test_replaced_at_work():
    """As package managers do it: the old file lives as long as it is read."""
    model = copied("replaced.gguf")
    p, first = at_work(model)
    (WORK / "new").write_bytes(b"GGUF")
    os.replace(WORK / "new", model)
    assert first + p.communicate(timeout=60 * SLOW)[0] == WHOLE and p.returncode == 0


def test_before_the_first_token():
    """The model is open, the tokens are not there yet."""
    model, fifo = copied("waits.gguf"), WORK / "tokens"
    os.mkfifo(fifo)
    p = subprocess.Popen([VERBATIM, "logits", str(model), "--tokens-file", str(fifo)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=ENV)
    with open(fifo, "w") as tokens:
        os.truncate(model, 0)
        tokens.write("[1, 2, 3]")
    _, said = p.communicate(timeout=60 * SLOW)
    assert p.returncode == 4 and b"changed while it was in use" in said, (p.returncode, said)


def question(name, n, stream):
    return {"model": name, "prompt": "Once upon a time", "raw": True, "stream": stream,
            "options": {"num_predict": n, "num_ctx": 4096, "temperature": 0}}


def ask(s, name):
    return s.json("POST", "/api/generate", question(name, 8, False))


def harmed_in_a_stream(s, harm):
    """The last line of an answer that was under way."""
    c = s.connect(60 * SLOW)
    c.request("POST", "/api/generate", json.dumps(question("cut", 4000, True)))
    r = c.getresponse()
    assert json.loads(r.readline())["response"] != ""
    harm()
    lines = r.read().decode().splitlines()
    c.close()
    return json.loads(lines[-1])


def test_server():
    models = store(WORK / "store", {"cut": MODEL, "other": OTHER})
    blob = max((models / "blobs").iterdir(), key=lambda b: b.stat().st_size)
    data = blob.read_bytes()
    with Server(VERBATIM, models) as s:
        status, before = ask(s, "cut")
        assert status == 200, before
        last = harmed_in_a_stream(s, lambda: os.truncate(blob, 4096))
        assert "changed while it was in use" in last.get("error", ""), last
        status, answer = ask(s, "cut")
        assert status >= 400 and "expected" in answer["error"], (status, answer)
        assert ask(s, "other")[0] == 200
        blob.write_bytes(data)
        status, after = ask(s, "cut")
        assert status == 200 and after["response"] == before["response"], (status, after)
        os.utime(blob)
        assert ask(s, "cut")[1]["response"] == before["response"], "a file that was only touched is loaded anew"


if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[3:]))
