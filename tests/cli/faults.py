#!/usr/bin/env python3
"""faults.py VERBATIM SHIM MODEL - every write of a trace fails, is short, is interrupted or is torn by a kill.

SHIM (tests/shims/faults.c) is preloaded and plays the disk. What fails is reported with exit code 4 and leaves whole
records; what is only short or interrupted leaves the trace that an undisturbed run leaves; a record torn by a kill
is told and everything before it is still proved. Nothing is ever cut silently.
"""
import json
import os
import pathlib
import subprocess
import sys

import scratch

VERBATIM, SHIM = (str(pathlib.Path(word).resolve()) for word in sys.argv[1:3])
MODEL = sys.argv[3]
WORK = scratch.folder("faults")
ENV = {**os.environ, "HOME": str(WORK)}
TOKENS = 5
ERRORS = {"enospc": "No space left on device", "eio": "Input/output error", "zero": "Input/output error",
          "half": "No space left on device"}


def call(*args):
    return subprocess.run([VERBATIM, "trace", *map(str, args)], capture_output=True, env=ENV)


def record(trace, fault="none", **more):
    trace.unlink(missing_ok=True)
    return subprocess.run([VERBATIM, "run", MODEL, "--raw", "-n", str(TOKENS), "--sign", str(WORK / "key"), "--taps",
                           "layers", "--trace", str(trace), "Once upon a time"], capture_output=True,
                          env={**ENV, "LD_PRELOAD": SHIM, "FAULT": fault, **more})


def is_same(trace, whole):
    assert call("diff", whole, trace).stdout.startswith(b"equal: ")
    shown = call("show", "--json", trace)
    assert shown.stderr == b"" and json.loads(shown.stdout.splitlines()[-1])["record"] == "signature", shown


def is_cut(trace, torn):
    """Whole records, which replay, and a word about the missing end and about bytes of no record."""
    if not trace.exists():
        return
    shown = call("show", trace)
    if shown.returncode == 3 and torn and b"cut before" in shown.stderr:
        return
    assert shown.returncode == 0 and b"verbatim: warning: " in shown.stderr, shown
    assert (b"no whole record" in shown.stderr) == torn, shown.stderr
    replayed = call("replay", trace, "--model", MODEL)
    assert replayed.returncode == 0 and replayed.stdout.startswith(b"equal: "), replayed


def fails(trace, done, says):
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 4 and str(trace) in said and says in said, done


def one(kind, number, whole):
    trace = WORK / f"{kind}.trace"
    done = record(trace, f"{kind}:{number}")
    if kind in ("short", "eintr"):
        assert done.returncode == 0, done
        is_same(trace, whole)
    elif kind == "torn":
        assert done.returncode == -9, done
        is_cut(trace, True)
    else:
        fails(trace, done, ERRORS[kind])
        is_cut(trace, False)
    if kind == "half":
        done = record(trace, f"half:{number}", FAULT_STUCK="1")
        fails(trace, done, "an unfinished record stays at its end")
        is_cut(trace, True)


def at_the_end(kind, says, whole):
    trace = WORK / f"{kind}.trace"
    fails(trace, record(trace, kind), says)
    is_same(trace, whole)


def signing(kind, whole):
    """A signature that cannot be written leaves the trace as it was."""
    trace = WORK / "unsigned.trace"
    plain = whole.read_bytes()[:-140]
    trace.write_bytes(plain)
    done = subprocess.run([VERBATIM, "trace", "sign", str(trace), "--key", str(WORK / "key")], capture_output=True,
                          env={**ENV, "LD_PRELOAD": SHIM, "FAULT": f"{kind}:1"})
    fails(trace, done, ERRORS[kind])
    assert trace.read_bytes() == plain


def main():
    call("keygen", WORK / "key")
    whole, passed, failed = WORK / "whole.trace", 0, 0
    assert record(whole).returncode == 0
    # The prompt goes with the header, then each token has a write, and the end has one; one more call never comes.
    cases = [(one, kind, number, whole) for kind in (*ERRORS, "short", "eintr", "torn") for number in range(1, TOKENS + 3)]
    cases += [(at_the_end, "fsync", "cannot bring it to the disk", whole), (at_the_end, "close", "cannot close", whole)]
    cases += [(signing, kind, whole) for kind in ERRORS]
    for test, *words in cases:
        try:
            test(*words)
            passed += 1
        except AssertionError as error:
            failed += 1
            print(f"FAIL {test.__name__} {words[0]} {words[1]}: {error}"[:1000])
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
