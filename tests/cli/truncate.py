#!/usr/bin/env python3
"""truncate.py VERBATIM [SEED] - damaged model files: a clear error, quickly, in little memory, never a crash.

A valid GGUF is cut at every byte of its header and at 1,000 places of its data, its bits are flipped, and its counts,
lengths and types are replaced by hostile ones. Each file must be refused with exit code 3 and a last line that names the
file, or, where a flipped bit still leaves a valid file, be read. Limits: 50 ms of processor time and 32 MiB above what the
undamaged file takes.
"""
import os
import pathlib
import random
import struct
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
GOOD = (ROOT / "tests/golden/llama-gqa/model.gguf").read_bytes()
WORK = pathlib.Path(tempfile.mkdtemp(prefix="verbatim-truncate-"))
SECONDS, BYTES = 0.050, 32 << 20
FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def layout(data):
    """Offsets of all 64-bit counts and lengths, of all 32-bit types, and the header's end."""
    counts, types, at = [8, 16], [], 24

    def text():
        nonlocal at
        counts.append(at)
        at += 8 + struct.unpack_from("<Q", data, at)[0]

    def value(kind):
        nonlocal at
        if kind == 8:
            text()
        elif kind == 9:
            types.append(at)
            inner, n = struct.unpack_from("<IQ", data, at)
            counts.append(at + 4)
            at += 12
            for _ in range(n):
                value(inner)
        else:
            at += FIXED[kind]

    tensors, pairs = struct.unpack_from("<QQ", data, 8)
    for _ in range(pairs):
        text()
        types.append(at)
        at += 4
        value(struct.unpack_from("<I", data, at - 4)[0])
    for _ in range(tensors):
        text()
        types.append(at)
        dims = struct.unpack_from("<I", data, at)[0]
        counts += [at + 4 + 8 * d for d in range(dims)]
        at += 4 + 8 * dims
        types.append(at)
        counts.append(at + 4)
        at += 12
    return counts, types, at


def explain(path, log):
    """Exit code, processor seconds, peak bytes, what was said."""
    out = os.open(log, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    pid = os.posix_spawn(VERBATIM, [VERBATIM, "explain", path], {**os.environ, "LANG": "C.UTF-8"},
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                                       (os.POSIX_SPAWN_DUP2, out, 2)])
    _, status, usage = os.wait4(pid, 0)
    said = os.pread(out, 4096, 0).decode("utf-8", "replace")
    os.close(out)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, said


class Tally:
    def __init__(self):
        self.lock, self.passed, self.failed = threading.Lock(), 0, 0

    def note(self, what, wrong):
        with self.lock:
            if not wrong:
                self.passed += 1
                return
            self.failed += 1
            if self.failed <= 20:
                print(f"FAIL {what}: {wrong}")


def judge(path, log, base, may_work):
    code, seconds, peak, said = explain(path, log)
    if code not in ((0, 3) if may_work else (3,)):
        return f"exit code {code}: {said[-300:]}"
    last = said.rstrip("\n").split("\n")[-1]
    if code == 3 and not (last.startswith("verbatim: ") and os.path.basename(path) in last):
        return f"unclear: {said!r}"
    if seconds > base[0] + SECONDS:
        return f"took {seconds * 1000:.0f} ms"
    return f"took {peak >> 20} MiB" if peak > base[1] + BYTES else ""


def damage(random_places):
    """(what, bytes, may it still work)"""
    counts, types, end = layout(GOOD)
    for n in list(range(end)) + sorted(random_places.sample(range(end, len(GOOD)), 1000)):
        yield f"cut at {n}", GOOD[:n], False
    for _ in range(1000):
        place, bit = random_places.randrange(end), random_places.randrange(8)
        yield f"bit {bit} of byte {place}", changed(place, bytes([GOOD[place] ^ 1 << bit])), True
    for place in counts:
        for value in 2**64 - 1, 2**63, 2**32, 2**31 - 1, 0:
            yield f"count at {place} is {value}", changed(place, struct.pack("<Q", value)), True
    for place in types:
        for value in 2**32 - 1, 13, 9, 8, 255:
            yield f"type at {place} is {value}", changed(place, struct.pack("<I", value)), True


def changed(place, data):
    return GOOD[:place] + data + GOOD[place + len(data):]


def main():
    (WORK / "good.gguf").write_bytes(GOOD)
    code, *base, said = explain(str(WORK / "good.gguf"), str(WORK / "log"))
    if code != 0:
        print(f"FAIL the undamaged file: exit code {code}: {said}\n0 passed, 1 failed")
        return 1
    print(f"seed {SEED}; the undamaged file: {base[0] * 1000:.0f} ms, {base[1] >> 20} MiB")
    cases, lock, tally = damage(random.Random(SEED)), threading.Lock(), Tally()

    def work(number):
        path, log = str(WORK / f"damaged-{number}.gguf"), str(WORK / f"log-{number}")
        while True:
            with lock:
                case = next(cases, None)
            if case is None:
                return
            pathlib.Path(path).write_bytes(case[1])
            tally.note(case[0], judge(path, log, base, case[2]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(os.sched_getaffinity(0)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in WORK.iterdir():
        path.unlink()
    WORK.rmdir()
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
