#!/usr/bin/env python3
"""truncate.py VERBATIM [--all] - damaged GGUF files through the command line.

Cuts tests/golden/llama-gqa/model.gguf (with --all at every byte of its header, else at every 64th and the first 256),
cuts its weights, writes lies into its counts, and makes gigabyte files with bad headers. Each one must be refused:
exit code 3, nothing on stdout, one line on stderr that names the file, under 50 ms of processor time and under 32 MiB
of memory. Ends with "N passed, N failed".
"""
import os
import pathlib
import random
import struct
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
GOLDEN = ROOT / "tests/golden/llama-gqa/model.gguf"
MOST_SECONDS, MOST_KIB, TRIES = 0.050, 32 * 1024, 5


def show(path, work):
    """Runs `verbatim show PATH`; gives exit code (negative: signal), stdout, stderr, processor seconds, KiB.

    Until it becomes VERBATIM the new process is a copy of this one, whose memory the system counts too; so this
    program stays small and writes large files as holes.
    """
    out, err = work / "stdout", work / "stderr"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    env = {"PATH": os.environ["PATH"], "HOME": str(work), "LANG": "C.UTF-8"}
    pid = os.posix_spawn(VERBATIM, [VERBATIM, "show", str(path)], env,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                                       (os.POSIX_SPAWN_OPEN, 1, str(out), flags, 0o600),
                                       (os.POSIX_SPAWN_OPEN, 2, str(err), flags, 0o600)])
    _, status, usage = os.wait4(pid, 0)
    return (os.waitstatus_to_exitcode(status), out.read_bytes(), err.read_text(errors="replace"),
            usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def fault(path, work):
    """What is wrong with the refusal of this file; None: nothing. Noise of the machine is given another try."""
    for _ in range(TRIES):
        code, out, err, seconds, kib = show(path, work)
        if code != 3:
            return f"expected exit code 3, found {code}: {err.strip()}"
        if out:
            return f"expected nothing on stdout, found {len(out)} bytes"
        if err.count("\n") != 1 or not err.startswith("verbatim: ") or path.name not in err:
            return f"expected one line that names the file, found {err!r}"
        if kib >= MOST_KIB:
            return f"expected less than {MOST_KIB} KiB, found {kib}"
        if seconds < MOST_SECONDS:
            return None
    return f"expected less than {MOST_SECONDS} s of processor time, found {seconds}"


def header_bytes(data):
    """Where the last tensor's entry ends: the name that stands last in the directory, its shape, type and offset."""
    at, end = 24, 0
    tensors, keys = struct.unpack_from("<QQ", data, 8)
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def skip(at, kind):
        if kind == 8:
            return at + 8 + struct.unpack_from("<Q", data, at)[0]
        if kind != 9:
            return at + sizes[kind]
        item, n = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(n):
            at = skip(at, item)
        return at

    for _ in range(keys):
        at = skip(at, 8)
        at = skip(at + 4, struct.unpack_from("<I", data, at)[0])
    for _ in range(tensors):
        at = skip(at, 8)
        end = at + 4 + 8 * struct.unpack_from("<I", data, at)[0] + 12
        at = end
    return end


def damaged(data, all_bytes):
    """Name and bytes of every damaged file; a third value is the size it is stretched to with zeros."""
    header = header_bytes(data)
    for cut in range(header + 1):
        if all_bytes or cut < 256 or cut % 64 == 0 or cut == header:
            yield f"cut-{cut}", data[:cut], 0
    dice = random.Random(1)
    for _ in range(50):
        cut = dice.randrange(header, len(data) - 4096)
        yield f"cut-{cut}", data[:cut], 0
    for at, what in ((8, "tensors"), (16, "keys")):
        for count in (1 << 16, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1):
            lie = data[:at] + struct.pack("<Q", count) + data[at + 8:]
            yield f"{what}-{count}", lie, 0
            yield f"{what}-{count}-large", lie[:header], 1 << 30
    for version in (0, 1, 4, 0x03000000):
        yield f"version-{version}", data[:4] + struct.pack("<I", version) + data[8:], 0
    yield "magic", b"GGML" + data[4:], 1 << 30
    yield "zeros", b"", 1 << 30
    many = b"GGUF" + struct.pack("<IQQQ", 3, 0, 2, 4) + b"list" + struct.pack("<IIQ", 9, 8, 2_600_000)
    yield "strings-large", many, 1 << 30


def main():
    data = GOLDEN.read_bytes()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="verbatim-truncate-") as folder:
        work = pathlib.Path(folder)
        for name, content, stretched in damaged(data, "--all" in sys.argv):
            path = work / f"{name}.gguf"
            path.write_bytes(content)
            if stretched:
                os.truncate(path, stretched)
            reason = fault(path, work)
            path.unlink()
            passed += reason is None
            failed += reason is not None
            if reason:
                print(f"{name}: {reason}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0


sys.exit(main())
