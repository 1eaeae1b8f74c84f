#!/usr/bin/env python3
"""kill.py VERBATIM MODEL [ROUNDS] - a killed run (kill -9 at random times) loses at most the last record of its trace.

This file reads traces by itself, from the layout in verbatim-trace(5): whole records must chain, tell the same tokens as
an undisturbed run, and cover every byte that had been printed when the kill came. `trace show` must print what is there
and say that the trace was cut.
"""
import hashlib
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

VERBATIM, MODEL = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 100
WORK = pathlib.Path(tempfile.mkdtemp(prefix="verbatim-kill-"))
HEADER, GIVEN, CHOSEN, END, INFORMATION = 1, 2, 3, 4, 5


def read_trace(data):
    """Whole records as (type, payload), and the bytes left over."""
    assert data[:12] == b"vbtrace\n" + struct.pack("<I", 1), data[:12]
    records, at = [], 32
    while at + 12 <= len(data):
        n, kind = struct.unpack_from("<II", data, at)
        assert data[at + 8:at + 12] == hashlib.sha256(data[at:at + 8]).digest()[:4], f"damaged record at {at}"
        if at + 12 + n + 32 > len(data):
            break
        link, before = data[at + 12 + n:at + 44 + n], data[at - 32:at]
        if kind == INFORMATION:  # sealed by itself, no part of the chain
            seal = data[at + 12 + n - 32:at + 12 + n]
            assert link == before and seal == hashlib.sha256(data[at - 32:at + 12 + n - 32]).digest(), "bad seal"
        else:
            assert link == hashlib.sha256(data[at - 32:at + 12 + n]).digest(), f"bad link at {at}"
        records.append((kind, data[at + 12:at + 12 + n]))
        at += 44 + n
    return records, data[at:]


def tokens(records, kinds):
    return [payload for kind, payload in records if kind in kinds]


def text_of(payload):
    length, kept = struct.unpack_from("<II", payload, 8)
    return payload[32 + 8 * kept:32 + 8 * kept + length]


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


def command(trace):
    return [VERBATIM, "run", MODEL, "--raw", "-n", "200", "--trace", str(trace), "Once upon a time there was"]


def kill_once(seconds, reference, number):
    trace = WORK / f"{number}.trace"
    child = subprocess.Popen(command(trace), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    printed = child.communicate()[0]
    if not trace.exists() or trace.stat().st_size < 32:
        assert printed == b"", "text was printed before there was a trace"
        return "before"
    records, rest = read_trace(trace.read_bytes())
    both = tokens(records, (GIVEN, CHOSEN))
    assert both == tokens(reference, (GIVEN, CHOSEN))[:len(both)], "the tokens are not those of an undisturbed run"
    recorded = shown(b"".join(map(text_of, tokens(records, (CHOSEN,)))))
    assert recorded.startswith(printed), f"printed but not recorded: {printed[len(recorded):]!r}"
    whole = bool(records) and records[-1][0] == END and not rest
    done = subprocess.run([VERBATIM, "trace", "show", str(trace)], capture_output=True)
    if not records:
        assert done.returncode in (0, 3), done
        return "before"
    assert done.returncode == 0, done.stderr
    assert whole or done.stderr.startswith(b"verbatim: ") or b"cut" in done.stdout, f"nothing said: {done}"
    if number % 10 == 0:
        replay = subprocess.run([VERBATIM, "trace", "replay", str(trace)], capture_output=True)
        assert replay.returncode == 0, replay
    trace.unlink()
    return "whole" if whole else "cut"


def main():
    reference = WORK / "reference.trace"
    begin = time.monotonic()
    subprocess.run(command(reference), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    records, rest = read_trace(reference.read_bytes())
    assert records[0][0] == HEADER and records[-1][0] == END and not rest, "the undisturbed trace is not whole"
    seed = random.SystemRandom().randrange(2**32)
    times, outcomes, failed = random.Random(seed), {}, 0
    print(f"seed {seed}, an undisturbed run takes {seconds:.2f} s")
    for number in range(ROUNDS):
        try:
            outcome = kill_once(times.uniform(0, seconds), records, number)
        except AssertionError as error:
            failed += 1
            outcome = "failed"
            print(f"FAIL round {number}: {error}"[:1000])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    shutil.rmtree(WORK, ignore_errors=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    if not outcomes.get("cut"):
        failed += 1
        print("FAIL no round cut a trace: nothing was tested")
    print(f"{ROUNDS - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("HOME", str(WORK))
    sys.exit(main())
