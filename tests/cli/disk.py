#!/usr/bin/env python3
"""disk.py VERBATIM MODEL - a disk that becomes full while a trace is written: exit code 4, one line that names the
file, and a trace of whole records. The largest allowed file size plays the disk; with SIGXFSZ ignored, writes are short
and then fail, at every size that is tried.
"""
import os
import pathlib
import resource
import signal
import subprocess
import sys

import scratch

VERBATIM, MODEL = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
WORK = scratch.folder("disk")
ENV = {**os.environ, "HOME": str(WORK)}


def run(trace, room=None):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    return subprocess.run([VERBATIM, "run", MODEL, "--raw", "-n", "24", "--trace", str(trace), "Once upon a time"],
                          capture_output=True, preexec_fn=limit, env=ENV)


def call(*args):
    return subprocess.run([VERBATIM, "trace", *map(str, args)], capture_output=True, env=ENV)


def full(room, whole, answer):
    trace = WORK / f"{room}.trace"
    done = run(trace, room)
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 4, f"exit {done.returncode}: {said}"
    assert str(trace) in said and "File too large" in said, said
    assert answer.startswith(done.stdout), done.stdout
    if not trace.exists():
        assert done.stdout == b"", "an answer without a trace"
        return "no trace"
    assert trace.stat().st_size <= room
    shown = call("show", trace)
    assert shown.returncode == 0 and b"no whole record" not in shown.stderr, shown.stderr
    assert b"ended without an end record" in shown.stderr, shown.stderr
    assert call("replay", trace, "--model", MODEL).returncode == 0
    diff = call("diff", whole, trace)
    assert diff.returncode == 1 and b"length" in diff.stdout, diff
    return "shorter trace"


def main():
    whole, outcomes, failed = WORK / "whole.trace", {}, 0
    done = run(whole)
    assert done.returncode == 0, done.stderr
    size = whole.stat().st_size
    for room in [*range(0, size - 1, max(size // 40, 1)), size - 1]:
        try:
            outcome = full(room, whole, done.stdout)
        except AssertionError as error:
            failed += 1
            outcome = "failed"
            print(f"FAIL room for {room} of {size} bytes: {error}"[:1000])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    if len(outcomes) < 2:
        failed += 1
        print("FAIL only one of the two outcomes was seen")
    print(f"{sum(outcomes.values()) - outcomes.get('failed', 0)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
