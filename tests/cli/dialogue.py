#!/usr/bin/env python3
"""dialogue.py VERBATIM EXAMPLES - characters through the commands: say, simulate, bake; and the village.

Needs nothing but the program: the model is inside it. Every test_* function is a test; arguments behind EXAMPLES select
by name. What takes long has a name that begins with test_long_; only `long` as such an argument runs it.
"""
import fcntl
import json
import os
import pathlib
import pty
import random
import resource
import signal
import struct
import subprocess
import sys
import termios
import time

import each
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
EXAMPLES = pathlib.Path(sys.argv[2]).resolve()
GOLDEN = ROOT / "tests/golden/dialogue"
WORK = scratch.folder("dialogue")
ENV = {"PATH": os.environ["PATH"], "HOME": str(WORK), "TERM": "xterm", "LANG": "C.UTF-8",
       "OLLAMA_MODELS": str(WORK / "nowhere")}
ENV.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "TSAN_", "LSAN_"))})
SEED = ("--seed", "7")
QUESTION = "Where is the treasure?"


def run(*args, stdin=b"", env=None, limit=None, program=VERBATIM):
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run([program, *map(str, args)], input=stdin, capture_output=True, env={**ENV, **(env or {})},
                          timeout=120, preexec_fn=limit)
    assert done.returncode >= 0, f"{args}: ended by signal {-done.returncode}: {done.stderr}"
    assert b"\x1b" not in done.stdout + done.stderr, f"{args}: escape bytes off a terminal"
    return done


def good(*args, **options):
    done = run(*args, **options)
    assert done.returncode == 0, f"{args}: exit {done.returncode}: {done.stderr.decode()}"
    return done.stdout.decode()


def bad(code, *args, says=(), **options):
    done = run(*args, **options)
    text = done.stderr.decode()
    assert done.returncode == code, f"{args}: expected exit {code}, found {done.returncode}: {text}"
    for word in [says] if isinstance(says, str) else says:
        assert word in text, f"{args}: expected {word!r} in {text!r}"
    return done


def same(a, b):
    assert a == b, f"expected {a!r}, found {b!r}"


def said(*args, **options):
    return json.loads(good("say", *args, "--json", **options))


def played(*args, **options):
    """The lines and the sum of `simulate`."""
    rows = [json.loads(row) for row in good("simulate", *args, **options).splitlines()]
    return rows[:-1], rows[-1]


def script(name, rows):
    path = WORK / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def short():
    """Some lines of four people, two of them by name; one of these hears something."""
    rows = []
    for tick in range(3):
        rows += [{"entity": who, "tick": tick, "text": QUESTION} for who in ("Anna", 1, "Otto")]
        rows += [{"entity": "Anna", "tick": tick, "remember": f"It rained on day {tick}."},
                 {"entity": 2 ** 64 - 1 if tick == 2 else 5, "tick": tick, "draw": tick, "text": "Do you like soup?"}]
    rows[-1]["entity"] = str(rows[-1]["entity"])
    return rows


SHORT = script("short.jsonl", short())
CAST = GOLDEN / "cast.json"  # people who remember
MEMORY = ("--cast", CAST, *SEED)


# --- say -------------------------------------------------------------------------------------------------------

def test_say():
    line = good("say", *SEED, "--entity", "Anna", "--tick", "12", QUESTION)
    value = said(*SEED, "--entity", "Anna", "--tick", "12", QUESTION)
    same(value["line"] + "\n", line)
    assert value["line"][-1] in ".?!" or value["end"] == "fallback", value
    same(good("say", *SEED, "--entity", "Anna", "--tick", "12", stdin=QUESTION + "\n", *["-"]), line)
    for how in ("--threads", "2"), ("--isa", "portable"):
        same(good("say", *SEED, "--entity", "Anna", "--tick", "12", *how, QUESTION), line)


def test_say_begins_as_the_origin_did():
    prompt = f'A man was asked "{QUESTION}". He smiled and said, "'
    same(said(QUESTION)["prompt_tokens"], len(json.loads(good("tokenize", "tales-1m", prompt))))


def test_say_is_a_function_of_its_key():
    base = dict(seed=2, entity=3, tick=4, draw=5)
    lines = {}
    for name in (None, *base):
        key = {k: v + (k == name) for k, v in base.items()}
        value = said(*[x for k, v in key.items() for x in ("--" + k, str(v))], QUESTION)
        lines[value["line"]] = name
        assert value["key"] == f"{int(value['stream']):016x}{int(value['seed']):016x}", value
    same(len(lines), 5)


def test_say_names_and_numbers():
    whole = 2 ** 64 - 1
    same(said("--entity", whole, "--tick", whole, QUESTION)["entity"], str(whole))
    same(said("--entity", "007", QUESTION)["line"], said("--entity", "7", QUESTION)["line"])
    bad(2, "say", "--entity", whole + 1, says="--entity")
    bad(2, "say", "--entity", "", says="--entity")
    bad(2, "say", "--tick", "-1", says="--tick")
    bad(2, "say", "--fact", "weather", says="NAME=VALUE")
    bad(2, "say", "one", "two", "three")
    bad(3, "say", "nowhere.json", QUESTION, says="nowhere.json")
    (WORK / "wrong.json").write_text('{"personas": 3}')
    bad(3, "say", WORK / "wrong.json", QUESTION, says=["wrong.json", "personas"])
    bad(3, "say", "--persona", "nobody", QUESTION, says="nobody")


# --- simulate --------------------------------------------------------------------------------------------------

def test_simulate_says_what_say_says():
    lines, total = played(SHORT, *MEMORY)
    rows = [row for row in short() if "remember" not in row]
    same(len(lines), total["lines"])
    same(total["remembered"], 3)
    for row, line in zip(rows, lines):
        same((row["entity"], row["tick"], row.get("draw", 0)), (line["entity"], line["tick"], line["draw"]))
    row, line = rows[1], lines[1]  # of somebody who remembers nothing yet
    value = said(*MEMORY, "--entity", row["entity"], "--tick", row["tick"], row["text"])
    del value["digest"]
    same(value, line)


def test_simulate_in_any_order():
    text = good("simulate", SHORT, *MEMORY)
    for how in (["--shuffle"], ["--shuffle=9", "--speakers", 2], ["--speakers", 1, "--frame", 0.3], ["--threads", 2, "--isa", "portable"]):
        done = run("simulate", SHORT, *MEMORY, *how)
        same((done.returncode, done.stdout.decode()), (0, text))
        assert "--frame" not in how or b"p99.9" in done.stderr, done.stderr
        assert "--shuffle" not in how or b"in another order" in done.stderr, done.stderr
    same(good("simulate", "-", *MEMORY, stdin=SHORT.read_bytes()), text)
    same(good("simulate", "-", *MEMORY, stdin=b"\n \n" + SHORT.read_bytes().replace(b"\n", b"\r\n\n").rstrip()), text)


def test_golden():
    want = (GOLDEN / "digest.txt").read_text().split()[0]
    same(played(GOLDEN / "script.jsonl", *MEMORY)[1]["digest"], want)


def test_script_of_a_program_that_waits():
    with subprocess.Popen([VERBATIM, "simulate", "-", *SEED], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, env=ENV) as program:
        for tick in range(3):
            program.stdin.write(json.dumps({"entity": 1, "tick": tick, "text": QUESTION}).encode() + b"\n")
            program.stdin.flush()
            same(json.loads(program.stdout.readline())["tick"], tick)
        program.stdin.close()
        same(json.loads(program.stdout.readline())["lines"], 3)
        same(program.wait(), 0)


def test_bad_scripts():
    for text, word in ((b'{"tick": 1}', "entity"), (b'{"entity": 1}', "tick"), (b'{"entity": -1, "tick": 1}', "entity"),
                       (b'{"entity": 1, "tick": 1.5}', "tick"), (b'{"entity": 1, "tick": 1, "txt": "x"}', "txt"),
                       (b'{"entity": 1, "tick": 1, "text": 5}', "text"), (b'[1]', "object"), (b'{"entity"', "column"),
                       (b'{"entity": 1, "tick": 1, "facts": ["a"]}', "facts"), (b'{"entity": "", "tick": 1}', "an empty text"),
                       (b'{"entity": 1, "tick": 1, "facts": {"a": 1}}', "facts: a"), (b'"\xff"', "column"),
                       (b'{"entity": 1, "entity": 1, "tick": 1}', "duplicate"), (b'{"entity": [1], "tick": 1}', "a list"),
                       (b'{"entity": 1, "tick": 1, "persona": "nobody"}', "nobody"),
                       (b'{"entity": 1, "tick": 1, "remember": "x", "draw": 1}', "draw"),
                       (b'{"entity": "99999999999999999999", "tick": 1}', "a greater number"),
                       (b'{"entity": 1, "tick": 1, "text": "' + b"x" * (1 << 20) + b'"}', "bytes")):
        path = WORK / "bad.jsonl"
        path.write_bytes(b'\n{"entity": 1, "tick": 0}\n' + text + b"\n")
        bad(3, "simulate", path, says=["bad.jsonl:3: ", word])
    bad(3, "simulate", WORK / "none.jsonl", says="none.jsonl")
    bad(4, "simulate", WORK)
    same(good("simulate", "-", stdin="").count("\n"), 1)


# --- tables ----------------------------------------------------------------------------------------------------

def test_tables():
    text, table, again = good("simulate", SHORT, *MEMORY), WORK / "a.table", WORK / "b.table"
    digest = json.loads(text.splitlines()[-1])["digest"]
    value = json.loads(good("bake", SHORT, *MEMORY, "-o", table, "--json"))
    same((value["lines"], value["entries"], value["digest"]), (12, 12, digest))
    good("bake", "-", *MEMORY, "-o", again, "--speakers", 3, stdin="".join(json.dumps(row) + "\n" for row in short() + short()[-1:]))
    same(again.read_bytes(), table.read_bytes())
    same(good("simulate", SHORT, *MEMORY, "--table", table), text.replace('"baked":false', '"baked":true').replace('"baked":0', '"baked":12'))
    assert said(*MEMORY, "--entity", "Anna", "--tick", "0", "--table", table, QUESTION)["baked"]
    same(good("simulate", SHORT, "--cast", CAST, "--seed", "8", "--table", table), good("simulate", SHORT, "--cast", CAST, "--seed", "8"))
    damaged(table, digest)


def damaged(table, digest):
    whole = bytearray(table.read_bytes())
    place, baked = WORK / "damaged.table", set()
    for at in random.Random(1).sample(range(48, len(whole)), 6):
        whole[at] ^= 0x20
        place.write_bytes(whole)
        whole[at] ^= 0x20
        total = played(SHORT, *MEMORY, "--table", place)[1]
        same(total["digest"], digest)
        baked.add(total["baked"])
    assert min(baked) < 12, baked
    for cut in (20, len(whole) - 1):
        place.write_bytes(whole[:cut])
        bad(3, "simulate", SHORT, "--table", place, says="damaged.table")
    whole[20] ^= 1
    place.write_bytes(whole)
    bad(3, "say", "--table", place, QUESTION, says="damaged.table")
    bad(3, "say", "--table", WORK / "none.table", QUESTION, says="none.table")


def test_bake_replaces_only_by_force():
    table = WORK / "kept.table"
    table.write_bytes(b"mine")
    bad(4, "bake", SHORT, *MEMORY, "-o", table, says=["kept.table", "--force"])
    same(table.read_bytes(), b"mine")
    good("bake", SHORT, *MEMORY, "-o", table, "--force")
    assert table.read_bytes().startswith(b"VBTABLE\n")
    bad(2, "bake", SHORT, says="-o FILE")
    bad(4, "bake", SHORT, *MEMORY, "-o", WORK / "nowhere" / "x", says="nowhere")


def test_full_disk():
    table = WORK / "full.table"
    good("bake", SHORT, *MEMORY, "-o", table)
    whole = table.read_bytes()

    def limit(room):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    for room in (0, 47, len(whole) // 2, len(whole) - 1):
        bad(4, "bake", SHORT, *MEMORY, "-o", table, "--force", says="full.table", limit=lambda: limit(room))
        same(table.read_bytes(), whole)
        assert not (WORK / "full.table.part").exists()
        if room == 0:
            bad(4, "bake", SHORT, *MEMORY, "-o", WORK / "new.table", says="new.table", limit=lambda: limit(room))
    assert not (WORK / "new.table").exists()
    good("bake", SHORT, *MEMORY, "-o", table, "--force", limit=lambda: limit(len(whole)))
    for fd in "/dev/full",:
        with open(fd, "wb") as out:
            done = subprocess.run([VERBATIM, "simulate", str(SHORT), *map(str, MEMORY)], stdout=out, stderr=subprocess.PIPE, env=ENV)
            same(done.returncode, 4)


# --- endings, terminals ----------------------------------------------------------------------------------------

def endless():
    path = WORK / "endless.jsonl"
    if not path.exists():
        script(path.name, ({"entity": i % 50, "tick": i, "text": QUESTION} for i in range(100000)))
    return path


def test_interrupt():
    for args in (["simulate", endless()], ["bake", endless(), "-o", WORK / "half.table"]):
        with subprocess.Popen([VERBATIM, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV,
                              bufsize=0) as program:
            if args[0] == "simulate":
                json.loads(program.stdout.readline())
            else:
                time.sleep(0.3)
            program.send_signal(signal.SIGINT)
            out, err = program.communicate(timeout=30)
        same(program.returncode, 130)
        assert b"interrupted" in err, err
        for row in out.splitlines():
            json.loads(row)
    assert not list(WORK.glob("half.table*"))


def test_closed_pipe():
    with subprocess.Popen([VERBATIM, "simulate", str(endless())], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV) as program:
        program.stdout.readline()
        program.stdout.close()
        same(program.wait(timeout=30), 4)
        assert b"cannot write" in program.stderr.read()


def on_terminal(*args, columns=80, env=None):
    """What a program writes to a terminal of this width, stdout and stderr."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execve(str(args[0]), [str(x) for x in args], {**ENV, **(env or {})})
    text = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            break
        text += data
    same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
    os.close(fd)
    return text.decode().replace("\r\n", "\n")


def test_progress_on_a_terminal_alone():
    rows = [{"entity": i % 50, "tick": i, "text": QUESTION} for i in range(200)]
    text = on_terminal(VERBATIM, "simulate", script("bar.jsonl", rows))
    assert " %  [" in text and "tokens/s" in text, text[:500]
    lines = [row.split("\r\x1b[K")[-1] for row in text.split("\n")]
    same(sum(row.startswith('{"entity"') for row in lines), 200)


# --- the village -----------------------------------------------------------------------------------------------

def village(*args, **options):
    return good(*args, program=str(EXAMPLES / "village"), **options)


def test_village():
    day = village()
    same(village("7"), day)
    assert village("2") != day
    assert day.count(" at the ") > 100 and day.splitlines()[-1].startswith("the day of seed 7: "), day[-300:]
    shown = on_terminal(EXAMPLES / "village", columns=40)
    assert "\x1b[" in shown and shown.splitlines()[-1] == day.splitlines()[-1], shown[-300:]
    plain = on_terminal(EXAMPLES / "village", columns=40, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines()[:-1])) <= 40, max(plain.splitlines(), key=len)
    same(" ".join(plain.split()), " ".join(day.split()))


def test_frames():
    text = good("100", "2", program=str(EXAMPLES / "frames"))
    assert "100 lines" in text and "p99.9" in text and "tokens/s" in text, text


def test_readme():
    """What README shows is what these commands print, on any machine."""
    shown = [line.strip() for line in (ROOT / "README.md").read_text().split("## Characters")[1].split("\n## ")[0].splitlines()]
    day = village("7").splitlines()
    at = shown.index("06:30  at the mill")
    for line in [*shown[at - 1:at + 6], shown[at + 7]]:
        assert line in map(str.strip, day), f"{line!r} is not in the village"
    say = next(i for i, line in enumerate(shown) if line.startswith("$ verbatim say"))
    same(good("say", *SEED, "--entity", "Anna", "--tick", "12", QUESTION).strip(), shown[say + 1])


# --- long ------------------------------------------------------------------------------------------------------

def test_long_script():
    """A long script in bounded memory, in order and in another one."""
    rows = ({"entity": i % 300, "tick": i // 300, "text": ("Do you like %d?" % (i % 97))} for i in range(3000))
    path = script("long.jsonl", rows)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    lines, total = played(path, "--shuffle=3")
    same((len(lines), total["lines"]), (3000, 3000))
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert after < max(before, 1) + (256 << 10), f"{after} KiB"


def main():
    wanted = sys.argv[3:]
    return each.run(globals(), wanted, lambda name: bool(wanted) or "_long_" not in name)


if __name__ == "__main__":
    sys.exit(main())
