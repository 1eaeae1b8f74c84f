#!/usr/bin/env python3
"""embedded.py BUILD [NAME...] - the model inside the program: opened without a file, known by its digest, and what else its
name may mean."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import each
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(sys.argv[1]).resolve()
WORK = scratch.folder("embedded")
EMPTY = WORK / "empty"
EMPTY.mkdir()
FILE = ROOT / "data/tales-1m.gguf"
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
IDS = "32,82,373,165"
PROMPT = 'A man was asked "How are you?". He smiled and said, "'


def run(*args, code=0, cwd=EMPTY, **env):
    env = {"PATH": os.environ["PATH"], "HOME": str(WORK / "home"), **env}
    done = subprocess.run([BUILD / "verbatim", *map(str, args)], capture_output=True, text=True, cwd=cwd, env=env)
    assert done.returncode == code, f"{args}: expected exit {code}, found {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def logits(model, **how):
    return run("logits", model, "--tokens", IDS, **how)


def test_bytes_are_the_file():
    assert logits("tales-1m") == logits("embedded:tales-1m") == logits(FILE)
    shown = json.loads(run("show", "tales-1m", "--json"))
    model = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert shown["path"] == "embedded:tales-1m" and shown["fingerprint"].endswith(model[:16]), shown
    assert not (WORK / "home").exists(), "opening it leaves nothing"


def test_list():
    rows = json.loads(run("list", "--json"))
    assert [(r["name"], r["store"], r["bytes"]) for r in rows] == [("tales-1m", "embedded", FILE.stat().st_size)], rows
    assert rows[0]["memory_bytes"] > 4 << 20


def test_files_and_stores_come_first():
    """A file of that name, then a store's model, then the program's own; its long name means that one alone."""
    here, store = WORK / "here", WORK / "store"
    here.mkdir()
    store.mkdir()
    shutil.copy(TINY, here / "tales-1m")
    shutil.copy(TINY, here / "embedded:tales-1m")
    shutil.copy(TINY, store / "tales-1m.gguf")
    mine, other = logits(FILE), logits(TINY, cwd=ROOT)
    assert mine != other
    assert logits("tales-1m", cwd=here) == other and logits("tales-1m", VERBATIM_MODELS=str(store)) == other
    assert logits("embedded:tales-1m", cwd=here, VERBATIM_MODELS=str(store)) == mine


def test_traces_find_it():
    """Recorded from memory, verified and replayed where a file has its name; recorded from a file that is gone."""
    trace, copy, elsewhere = WORK / "a.trace", WORK / "copy.gguf", WORK / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(TINY, elsewhere / "tales-1m")
    first = run("run", "tales-1m", "--raw", "--seed", 3, "--temp", "0.9", "-n", 12, "--trace", trace, PROMPT)
    assert len(first) > 20
    run("trace", "verify", trace, cwd=elsewhere)
    run("trace", "replay", trace, cwd=elsewhere)
    shutil.copy(FILE, copy)
    assert run("run", copy, "--raw", "--seed", 3, "--temp", "0.9", "-n", 12, "--trace", WORK / "b.trace", PROMPT) == first
    copy.unlink()
    run("trace", "verify", WORK / "b.trace")


def test_served_in_the_sandbox():
    with served.Server(BUILD / "verbatim", WORK / "served") as server:
        asked = {"model": "tales-1m", "prompt": PROMPT, "raw": True, "stream": False, "options": {"temperature": 0, "num_predict": 8}}
        said = server.json("POST", "/api/generate", asked)[1]["response"]
        assert said == run("run", "tales-1m", "--raw", "--temp", 0, "-n", 8, PROMPT).rstrip("\n"), said
        assert server.json("GET", "/api/tags") == (200, {"models": []}), "no store holds it"


def test_opens_at_once():
    """Five times the vocabulary, in less time than copying or searching it would take."""
    before, wait = os.times().children_user, served.stretch(BUILD / "verbatim")
    for _ in range(5):
        run("tokenize", "tales-1m", "a")
    took = os.times().children_user - before
    assert took < 0.5 * wait, f"{took:.2f} s"


def main():
    return each.run(globals(), sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
