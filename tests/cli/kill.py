#!/usr/bin/env python3
"""kill.py VERBATIM MODEL [ROUNDS] - a run killed while it writes (kill -9 at random times) loses at most the last record
of its trace.

tools/trace.py, a reader of its own, proves what is left: whole records must chain, tell the same as an undisturbed run,
and cover every byte that had been printed when the kill came. `trace show` must print what is there and say that the
trace was cut, and `trace verify` must prove it. Every second run records computed values too, so that some writes are long.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import scratch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools"))
import trace as reader  # noqa: E402  (tools/trace.py)

VERBATIM, MODEL = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
WORK = scratch.folder("kill")
KINDS = (["--taps", "none"], ["--taps", "all"])


def text_of(record):
    text = record["text"]
    return bytes.fromhex(text["bytes"]) if isinstance(text, dict) else text.encode()


def shown(data):
    """What the program prints for these bytes: U+FFFD for each byte that is no text, an unfinished character waits."""
    out, at = b"", 0
    while at < len(data):
        for n in range(1, 5):
            try:
                data[at:at + n].decode()
                break
            except UnicodeDecodeError as error:
                if at + n >= len(data) and "unexpected end" in error.reason:
                    return out
        else:
            n = 0
        out += data[at:at + n] if n else b"\xef\xbf\xbd"
        at += n or 1
    return out


def command(trace, kind):
    return [VERBATIM, "run", MODEL, "--raw", "-n", "200", "-t1", *kind, "--trace", str(trace), "Once upon a time there was"]


def writing(trace, kind):
    """A run that has begun to write."""
    child = subprocess.Popen(command(trace, kind), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while not trace.exists() and child.poll() is None:
        time.sleep(0.0002)
    return child


def killed_at(seconds, trace, kind):
    child = writing(trace, kind)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    return child.communicate()[0]


def kill_once(seconds, reference, number):
    trace, kind = WORK / f"{number}.trace", KINDS[number % 2]
    printed = killed_at(seconds, trace, kind)
    if not trace.exists() or trace.stat().st_size < 32:
        assert printed == b"", "text was printed before there was a trace"
        return "before"
    try:
        records = list(reader.records(trace.read_bytes()))
    except ValueError as error:
        raise AssertionError(f"damaged, not cut: {error}") from error
    done = subprocess.run([VERBATIM, "trace", "show", "--json", str(trace)], capture_output=True)
    if len(records) < 2:
        assert done.returncode in (0, 3), done
        return "before"
    last, body = records[-1], records[1:-1]
    assert body == reference[1:][:len(body)], "the records are not those of an undisturbed run"
    recorded = shown(b"".join(text_of(r) for r in body if r["record"] == "chosen"))
    assert recorded.startswith(printed), f"printed but not recorded: {printed[len(recorded):]!r}"
    assert done.returncode == 0 and list(map(json.loads, done.stdout.splitlines())) == records, done.stderr
    assert last["record"] == "end" or (b"without an end record" in done.stderr), f"nothing said: {done.stderr}"
    if number % 8 < 2:
        proof = subprocess.run([VERBATIM, "trace", "verify", str(trace)], capture_output=True)
        assert proof.returncode == (0 if any(r["record"] == "chosen" for r in body) else 3), proof
    trace.unlink()
    return "whole" if last["record"] == "end" else "cut inside a record" if last["dropped_bytes"] else "cut"


def undisturbed(kind):
    trace = WORK / "reference.trace"
    child, begin = writing(trace, kind), time.monotonic()
    child.communicate()
    seconds = time.monotonic() - begin
    assert child.returncode == 0
    records = list(reader.records(trace.read_bytes()))
    assert records[0]["record"] == "header" and records[-1]["record"] == "end", "the undisturbed trace is not whole"
    trace.unlink()
    return seconds, records


def main():
    seed = random.SystemRandom().randrange(2**32)
    times, outcomes, failed, references = random.Random(seed), {}, 0, list(map(undisturbed, KINDS))
    print(f"seed {seed}, undisturbed runs write for " + " and ".join(f"{seconds:.3f} s" for seconds, _ in references))
    for number in range(ROUNDS):
        seconds, records = references[number % 2]
        try:
            outcome = kill_once(times.uniform(0, 1.1 * seconds), records, number)
        except AssertionError as error:
            failed += 1
            outcome = "failed"
            print(f"FAIL round {number}: {error}"[:1000])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    if not outcomes.get("cut"):
        failed += 1
        print("FAIL no round cut a trace: nothing was tested")
    print(f"{ROUNDS - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("HOME", str(WORK))
    sys.exit(main())
