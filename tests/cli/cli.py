#!/usr/bin/env python3
"""cli.py VERBATIM - the command line as a black box.

Needs tests/golden/llama-gqa; with SMOLLM2=path also tries what wants a model that speaks. Every test_* function is a
test; it fails by an exception. Ends with "N passed, N failed". An argument after VERBATIM selects tests by name.
"""
import array
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time

import each
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
CASE = ROOT / "tests/golden/llama-gqa"
TINY = str(CASE / "model.gguf")
REAL = os.environ.get("SMOLLM2", "")
REAL = REAL if os.path.isfile(REAL) else ""
WORK = scratch.folder("cli")
ENV = {"PATH": os.environ["PATH"], "HOME": str(WORK), "TERM": "xterm", "LANG": "C.UTF-8",
       "OLLAMA_MODELS": str(WORK / "nowhere"), "VERBATIM_VULKAN": str(WORK / "nowhere")}
ENV.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "TSAN_", "LSAN_"))})
PAGE = ROOT / "docs/man/verbatim.1"


def run(*args, stdin=b"", env=None, stdout=subprocess.PIPE, timeout=120):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([VERBATIM, *map(str, args)], input=stdin, stdout=stdout, stderr=subprocess.PIPE,
                          env={**ENV, **(env or {})}, timeout=timeout)
    assert done.returncode >= 0, f"{args}: ended by signal {-done.returncode}: {done.stderr}"
    talk = done.stderr if args[:1] in (("run",), ("detokenize",)) else (done.stdout or b"") + done.stderr
    assert b"\x1b" not in talk, f"{args}: escape bytes off a terminal"  # a model's own bytes are data
    return done


def good(*args, **options):
    done = run(*args, **options)
    assert done.returncode == 0, f"{args}: exit {done.returncode}: {done.stderr.decode()}"
    return done.stdout


def parsed(*args, **options):
    return json.loads(good(*args, **options))


def bad(code, *args, says=None, **options):
    done = run(*args, **options)
    text = done.stderr.decode()
    assert done.returncode == code, f"{args}: expected exit {code}, found {done.returncode}: {text}"
    assert text.startswith("verbatim: "), f"{args}: nothing said: {text!r}"
    for word in [says] if isinstance(says, str) else says or []:
        assert word in text, f"{args}: expected {word!r} in {text!r}"
    return done


def same(a, b):
    assert a == b, f"expected {a!r}, found {b!r}"


def tokens():
    return json.loads((CASE / "tokens.json").read_text())


def token_ids():
    value = tokens()
    return value["tokens"] if isinstance(value, dict) else value


# --- help, version, completion, manual -------------------------------------------------------------------------

def commands():
    return parsed("help", "--json")["commands"]


def test_help_lists_every_command():
    text = good("help").decode()
    for command in commands():
        assert command["name"] in text, command["name"]
    same(good("--help"), good("help"))
    same(good("-h"), good("help"))


def test_every_command_explains_itself():
    for command in commands():
        words = command["name"].split()
        text = good(*words, "--help").decode()
        assert text.startswith("Usage: verbatim " + command["name"]), text
        same(good("help", *words).decode(), text)
        for option in command["options"]:
            assert "--" + option["name"] in text, option
        same(parsed("help", *words, "--json"), command)


def test_manual_knows_every_command_and_option():
    page = PAGE.read_text()
    for command in commands():
        assert re.search(r"(Cm|Ic) " + command["name"].replace(" ", " (Cm )?"), page), command["name"]
        for option in command["options"]:
            assert "Fl -" + option["name"] in page, option["name"]


def test_version():
    assert re.fullmatch(rb"verbatim \d+\.\d+\.\d+ \(arithmetic \d+\)\n", good("version"))
    same(good("--version"), good("version"))
    same(set(parsed("version", "--json")), {"version", "arithmetic"})


def bash_complete(*words):
    script = WORK / "completion.bash"
    script.write_bytes(good("help", "--completion", "bash"))
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _verbatim; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", code, "bash", script, *words], capture_output=True, cwd=CASE,
                          env={**ENV, "PATH": os.path.dirname(VERBATIM) + ":" + ENV["PATH"]})
    same(done.stderr, b"")
    return done.stdout.decode().split("\n")[:-1]


def test_bash_completion_completes():
    same(bash_complete("verbatim", "tr"), ["trace"])
    assert {"show", "export", "keygen", "sign", "diff", "replay", "verify", "branch", "tree"} <= set(bash_complete("verbatim", "trace", ""))
    same(bash_complete("verbatim", "run", "--pl"), ["--player"])
    same(bash_complete("verbatim", "run", "--player", ""), ["cpu", "vulkan", "oracle", "blas"])
    same(bash_complete("verbatim", "run", "--arith", "=", "f"), ["f32"])
    same(bash_complete("verbatim", "trace", "diff", "greedy"), ["greedy.json"])
    assert "model.gguf" in bash_complete("verbatim", "show", "--ctx", "5", "mod")
    same(bash_complete("verbatim", "run", "--max-tokens", ""), [""])


def test_completions_parse():
    for shell in "bash", "zsh", "fish":
        text = good("help", "--completion", shell)
        if shutil.which(shell):
            subprocess.run([shell, "-n"], input=text, check=True)
    bad(2, "help", "--completion", "csh", says=["--completion", "bash|zsh|fish", "csh"])


# --- usage errors ----------------------------------------------------------------------------------------------

def test_usage_errors_name_option_expected_and_found():
    bad(2, says="command")
    bad(2, "frobnicate", says="frobnicate")
    bad(2, "trace", says="trace")
    bad(2, "trace", "frobnicate", says="trace frobnicate")
    bad(2, "run", says=["MODEL", "0 arguments"])
    bad(2, "run", TINY, "a", "b", says=["3 arguments", "quotes"])
    bad(2, "run", TINY, "a", "--frobnicate", says="--frobnicate")
    bad(2, "run", TINY, "a", "-z", says="-z")
    bad(2, "run", TINY, "a", "--temp", says=["--temp", "end of the line"])
    bad(2, "run", TINY, "a", "--temp", "hot", says=["--temp", "from 0 to 100", "hot"])
    bad(2, "run", TINY, "a", "--temp", "nan", says=["--temp", "nan"])
    bad(2, "run", TINY, "a", "--top-p=1.5", says=["--top-p", "from 0 to 1", "1.5"])
    bad(2, "run", TINY, "a", "-n", "-5", says=["--max-tokens", "-5"])
    bad(2, "run", TINY, "a", "-n", "5x", says=["--max-tokens", "5x"])
    bad(2, "run", TINY, "a", "-s", "-1", says=["--seed", "-1"])
    bad(2, "run", TINY, "a", "-s", "18446744073709551616", says="--seed")
    bad(2, "run", TINY, "a", "--kv", "f64", says=["--kv", "f16|f32|q8_0", "f64"])
    bad(2, "run", TINY, "a", "--isa=sse9", says=["--isa", "sse9"])
    bad(2, "run", TINY, "a", "--raw=yes", says=["--raw", "no value", "yes"])
    bad(2, "run", TINY, "a", "--stop", "", says=["--stop", "not empty"])
    bad(2, "run", TINY, "a", "--raw", "--system", "b", says="--system")
    bad(2, "show", TINY, "--temp", "1", says=["show", "--temp"])
    bad(2, "trace", "diff", "a", says="A B")
    bad(2, "logits", TINY, says="--tokens")
    bad(2, "logits", TINY, "--tokens", "1", "--prompt", "a", says="2 of them")
    bad(2, "logits", TINY, "--tokens", "1,x", says="'x'")
    bad(2, "logits", TINY, "--tokens", "", says="found 0")
    bad(2, "logits", TINY, "--tokens", "1", "--batch", "0", says="--batch")
    bad(2, "tokenize", TINY, "--hex", "abc", says="two digits")
    bad(2, "tokenize", TINY, "--hex", "zz", says="hexadecimal")
    bad(2, "detokenize", TINY, "one", says="'one'")
    bad(2, "template", "a.json", says="MODEL")
    bad(2, "help", "frobnicate", says="frobnicate")


def test_spellings_of_an_option():
    expected = good("run", TINY, "ab", "--raw", "--max-tokens", "5")
    for spelling in ["--max-tokens=5"], ["-n", "5"], ["-n5"]:
        same(good("run", *spelling, TINY, "--raw", "ab"), expected)
    same(good("run", "--raw", "-n5", "--", TINY, "ab"), expected)


def test_double_dash_ends_the_options():
    same(good("tokenize", TINY, "--", "--json"), good("tokenize", TINY, "--hex", b"--json".hex()))


# --- files and output ------------------------------------------------------------------------------------------

def test_input_errors():
    garbage, empty = WORK / "garbage.gguf", WORK / "empty.gguf"
    garbage.write_bytes(b"GGUF" + bytes(range(60)))
    empty.write_bytes(b"")
    for command in ["show"], ["explain"], ["run", "--raw", "x"], ["logits", "--tokens", "1"], ["tokenize", "x"]:
        head, rest = command[0], command[1:]
        bad(3, head, WORK / "absent.gguf", *[r for r in rest if r != "x"], *["x"] * ("x" in rest), says="absent.gguf")
        bad(3, head, garbage, *[r for r in rest if r != "x"], *["x"] * ("x" in rest), says="garbage.gguf")
        bad(3, head, empty, *[r for r in rest if r != "x"], *["x"] * ("x" in rest), says="empty.gguf")
    bad(3, "show", "no-such-model:latest", says="no-such-model")
    bad(3, "trace", "show", garbage, says="garbage.gguf")
    bad(3, "trace", "diff", WORK / "absent.trace", WORK / "absent.trace", says="absent.trace")
    bad(2, "logits", TINY, "--tokens", "1,99999", says="99999")
    bad(3, "logits", TINY, "--tokens-file", WORK / "absent.json", says="absent.json")
    bad(4, "logits", TINY, "--tokens-file", WORK, says=str(WORK))
    bad(4, "logits", TINY, "--tokens", "1", "--out", WORK / "no/such/folder", says="no/such/folder")
    for text in "{", '["a"]', "[1.5]", "[-1]", "{}":
        (WORK / "ids.json").write_text(text)
        bad(3, "logits", TINY, "--tokens-file", WORK / "ids.json", says="ids.json")
    bad(3, "run", TINY, "--raw", "-c", "4", "a long prompt that has more tokens than that", says="expected")


SAMPLES = [["version"], ["help"], ["help", "--json"], ["tokenize", TINY, "abc"], ["detokenize", TINY, "80", "81"],
           ["show", TINY], ["show", TINY, "--json"], ["explain", TINY], ["explain", TINY, "--json"],
           ["list", "--json"], ["run", TINY, "--raw", "-n3", "ab"], ["run", TINY, "--raw", "-n3", "--json", "ab"],
           ["logits", TINY, "--tokens", "1,2"], ["help", "--completion", "zsh"]]


def test_a_full_disk_is_noticed():
    for args in SAMPLES:
        with open("/dev/full", "wb") as full:
            bad(4, *args, stdout=full, says="stdout")
    bad(4, "logits", TINY, "--tokens", "1,2,3", "--out", "/dev/full", says="/dev/full")


def test_a_closed_pipe_is_noticed():
    for args in SAMPLES:
        reader, writer = os.pipe()
        os.close(reader)
        bad(4, *args, stdout=writer, says="stdout")
        os.close(writer)


def test_a_closed_stdout_is_noticed():
    trace = WORK / "closed.trace"
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", VERBATIM, "run", TINY, "--raw", "-n3", "--trace", trace, "ab"],
                          env=ENV, capture_output=True)
    same(done.returncode, 4)
    assert b"ab" in good("trace", "show", trace, "--json")
    done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", VERBATIM, "tokenize", TINY, "ab"], env=ENV,
                          capture_output=True)
    same((done.returncode, done.stdout), (0, good("tokenize", TINY, "ab")))
    done = subprocess.run(["sh", "-c", '"$@" <&-', "sh", VERBATIM, "tokenize", TINY, "-"], env=ENV, capture_output=True)
    same(done.returncode, 4)


def test_json_everywhere():
    trace = WORK / "json.trace"
    good("run", TINY, "--raw", "-n3", "--trace", trace, "ab")
    (WORK / "in.json").write_text('{"messages": []}')
    (WORK / "t.jinja").write_text("x")
    (WORK / "yes.json").write_text('{"type": "boolean"}')
    (WORK / "asked.jsonl").write_text('{"entity": 1, "tick": 2, "text": "Who is there?"}\n')
    (WORK / "Modelfile").write_text(f"FROM {TINY}")
    samples = {"run": [TINY, "--raw", "-n3", "ab"], "logits": [TINY, "--tokens", "1"], "tokenize": [TINY, "a"],
               "embed": [TINY, "a", "b"], "create": ["made", "-f", WORK / "Modelfile"], "cp": ["made", "copied"],
               "rm": ["made", "copied"], "quantize": [TINY, WORK / "eight.gguf", "--type", "Q8_0"],
               "detokenize": [TINY, "80"], "template": ["--template", WORK / "t.jinja", WORK / "in.json"],
               "show": [TINY, "--tensors"], "explain": [TINY, "--kernels"], "trace show": [trace], "trace export": [trace],
               "trace keygen": [WORK / "json.key"], "trace sign": [trace, "--key", WORK / "json.key"],
               "trace diff": [trace, trace], "trace replay": [trace], "trace verify": [trace],
               "trace branch": [trace, "--at", "2", "-n1"], "trace tree": [trace], "trace quorum": [trace, trace],
               "classify": [TINY, "--raw", "--labels", "a,b", "text"],
               "extract": [TINY, "--template-as", "ollama", "--schema", WORK / "yes.json", "text"],
               "diff": [trace, trace], "simulate": [WORK / "asked.jsonl"],
               "bake": [WORK / "asked.jsonl", "-o", WORK / "json.table"]}
    for command in commands():
        name = command["name"]
        assert "json" in [o["name"] for o in command["options"]], name
        if name in ("parity", "serve", "pull", "push", "ps", "stop", "convert"):
            continue  # they ask others, do not end by themselves, or want a folder that has its own test
        text = good(*name.split(), "--json", *samples.get(name, []))
        for part in text.splitlines() if name in ("trace show", "trace export", "simulate") else [text]:  # an object a line
            json.loads(part)


# --- embeddings ------------------------------------------------------------------------------------------------

def rows(*args, **more):
    lines = good("embed", *args, **more).decode().splitlines()
    return [list(array.array("f", map(float, line.split()))) for line in lines]  # nine digits are a float exactly


def test_embeddings_are_the_golden_ones():
    case = ROOT / "tests/golden/bert-mean"
    ids = ",".join(map(str, json.loads((case / "tokens.json").read_text())))
    for pooling in "none", "mean", "cls":
        expected = array.array("f", (case / f"embd_{pooling}.f32").read_bytes())
        found = rows(case / "model.gguf", "--tokens", ids, "--arith", "f32", "--pooling", pooling)
        found = [x for row in found for x in row]
        same(len(found), len(expected))
        assert all(abs(a - b) < 2e-4 for a, b in zip(found, expected)), pooling
    same(rows(case / "model.gguf", "--tokens", ids), rows(case / "model.gguf", "--tokens", ids, "--pooling", "mean"))


def test_embeddings():
    both = rows(TINY, "Hello", "world, hello")
    same(rows(TINY, "Hello") + rows(TINY, "world, hello"), both)
    same(rows(TINY, stdin="Hello\nworld, hello\n"), both)
    same(rows(TINY, "-", "--threads", "3", "--isa", "portable", stdin="Hello\nworld, hello"), both)
    same(rows(TINY, "Hello", "--pooling", "last"), both[:1])
    every = rows(TINY, "Hello", "--pooling", "none")
    same(every[-2], both[0])
    same(rows(TINY, "Hello", "--pooling", "cls"), every[:1])
    length = sum(x * x for x in rows(TINY, "Hello", "--normalize")[0])
    assert abs(length - 1) < 1e-6, length
    value = parsed("embed", TINY, "Hello", "world, hello", "--json")
    same(([e["embedding"] for e in value["embeddings"]], value["pooling"]), (both, "last"))


def test_encoders_refuse_logits():
    encoder = ROOT / "tests/golden/nomic-bert/model.gguf"
    bad(3, "logits", encoder, "--tokens", "5,6", says="encoder")
    bad(3, "run", encoder, "--raw", "hello", says="encoder")
    bad(2, "embed", encoder, "--tokens", "5,6", "hello", says="2 of them")
    bad(2, "embed", encoder, "--tokens", "5", "--pooling", "max", says="max")
    bad(2, "logits", ROOT / "tests/golden/gpt2/model.gguf", "--tokens", "5", "--ctx", "129", says="128")


# --- text ------------------------------------------------------------------------------------------------------

def test_tokenize():
    ids = parsed("tokenize", TINY, "Hello, world")
    assert ids and all(isinstance(i, int) for i in ids)
    same(parsed("tokenize", TINY, "-", stdin="Hello, world"), ids)
    same(parsed("tokenize", TINY, "--hex", b"Hello, world".hex()), ids)
    same(parsed("tokenize", TINY, "--hex", "-", stdin=b"Hello, world".hex() + "\n"), ids)
    same(parsed("tokenize", TINY, "--add-special", "Hello, world"), [1] + ids)
    assert 2 in parsed("tokenize", TINY, "--parse-special", "a</s>") and 2 not in parsed("tokenize", TINY, "a</s>")
    value = parsed("tokenize", TINY, "--json", "Hello, world")
    same((value["ids"], value["count"], len(value["pieces"])), (ids, len(ids), len(ids)))
    same(parsed("tokenize", TINY, ""), [])


def test_detokenize():
    ids = good("tokenize", TINY, "Hello, wörld").decode().strip()
    text = good("detokenize", TINY, ids)
    same(text.decode().strip(), "Hello, wörld")
    same(good("detokenize", TINY, *json.loads(ids)), text)
    same(good("detokenize", TINY, "-", stdin=ids), text)
    same(good("detokenize", TINY, "--hex", ids).decode(), text.hex() + "\n")
    same(parsed("detokenize", TINY, "--json", ids)["text"].encode(), text)
    assert b"</s>" in good("detokenize", TINY, "80", "2")
    assert b"</s>" not in good("detokenize", TINY, "--hide-special", "80", "2")
    bad(2, "detokenize", TINY, "99999", says="99999")


def test_bytes_that_are_no_text_are_valid_json():
    value = parsed("detokenize", TINY, "--json", "131")
    assert isinstance(value["text"], str)


def test_template():
    source, data = WORK / "chat.jinja", WORK / "chat.json"
    source.write_text("{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m['content'] }}\n{% endfor %}"
                      "{% if add_generation_prompt %}>{% endif %}")
    data.write_text(json.dumps({"messages": [{"role": "user", "content": "Grüße"}], "tools": None, "kwargs": {},
                                "add_generation_prompt": True, "special_tokens": {"bos_token": "<s>"},
                                "strftime_now": None}))
    expected = "<s>[user] Grüße\n>".encode()
    same(good("template", "--template", source, data), expected)
    same(good("template", "--template", source, "-", stdin=data.read_bytes()), expected)
    same(parsed("template", "--template", source, data, "--json")["prompt"].encode(), expected)
    source.write_text("{% for %}")
    bad(3, "template", "--template", source, data)
    source.write_text("{{ raise_exception('no such role') }}")
    bad(3, "template", "--template", source, data, says="no such role")
    source.write_text("x")
    bad(3, "template", "--template", source, "-", stdin="{")


# --- evaluation ------------------------------------------------------------------------------------------------

def test_logits_file_and_digest():
    ids, out = token_ids(), WORK / "logits.f32"
    text = ",".join(map(str, ids))
    digest = good("logits", TINY, "--tokens", text, "--out", out)
    assert re.fullmatch(rb"[0-9a-f]{32}\n", digest), digest
    vocab = parsed("show", TINY, "--json")["vocab"]
    same(out.stat().st_size, len(ids) * vocab * 4)
    first = out.read_bytes()
    (WORK / "ids.json").write_text(json.dumps(ids))
    for options in (["--batch", "1"], ["--batch", "3"], ["--batch", "1000"], ["-t", "1"], ["-t", "5"],
                    ["--isa", "portable"], ["--player", "oracle"]):
        same(good("logits", TINY, "--tokens-file", WORK / "ids.json", "--out", out, *options), digest)
        same(out.read_bytes(), first)
    same(good("logits", TINY, "--tokens-file", "-", stdin=json.dumps(ids)), digest)
    value = parsed("logits", TINY, "--tokens", text, "--json")
    same((value["digest"], value["tokens"], value["vocab"], value["out"]), (digest.decode().strip(), len(ids), vocab, None))
    assert good("logits", TINY, "--tokens", text, "--arith", "f32") != digest


def test_logits_are_the_golden_ones():
    ids, out = token_ids(), WORK / "golden.f32"
    good("logits", TINY, "--tokens", ",".join(map(str, ids)), "--arith", "f32", "--out", out)
    found, expected = array.array("f"), array.array("f")
    found.frombytes(out.read_bytes())
    expected.frombytes((CASE / "logits.f32").read_bytes())
    same(len(found), len(expected))
    worst = max(abs(a - b) for a, b in zip(found, expected))
    assert worst <= 0.0002, worst


def test_logits_of_a_prompt_are_those_of_its_tokens():
    ids = parsed("tokenize", TINY, "--add-special", "--parse-special", "Hello")
    same(good("logits", TINY, "--prompt", "Hello"), good("logits", TINY, "--tokens", ",".join(map(str, ids))))


def test_run_prints_the_text_alone():
    done = run("run", TINY, "--raw", "-n", "8", "Hello")
    same(done.returncode, 0)
    line = rb"verbatim: prefill \d+ tokens [\d.]+/s, decode \d+ tokens [\d.]+/s( \(\d+ of \d+ drafted accepted\))?\n"
    assert re.fullmatch(line, done.stderr), done.stderr
    value = parsed("run", TINY, "--raw", "-n", "8", "--json", "Hello")
    same(value["text"].encode(), done.stdout)
    assert len(value["ids"]) == value["tokens"] <= 8 and value["end"] in ("length", "token")
    same(value["prompt_tokens"], len(parsed("tokenize", TINY, "--add-special", "--parse-special", "Hello")))


def test_run_reads_standard_input():
    expected = good("run", TINY, "--raw", "-n8", "Hello")
    same(good("run", TINY, "--raw", "-n8", "-", stdin="Hello"), expected)
    same(good("run", TINY, "--raw", "-n8", stdin="Hello"), expected)


def test_run_is_the_same_whatever_the_threads():
    expected = good("run", TINY, "--raw", "-n20", "--temp", "0.9", "-s", "7", "Hello")
    for options in ["-t1"], ["-t3"], ["--isa=portable"], ["--player=oracle"]:
        same(good("run", TINY, "--raw", "-n20", "--temp", "0.9", "-s", "7", "Hello", *options), expected)
    others = {good("run", TINY, "--raw", "-n20", "--temp", "0.9", "-s", s, "Hello") for s in (1, 2, 3, 2**64 - 1)}
    assert len(others) > 1


def test_run_speculates_without_a_trace_of_it():
    words = ["run", TINY, "--raw", "-n60", "--temp", "0.9", "-s", "3", "Hello Hello Hello Hello"]
    expected = None
    for i, options in enumerate((["--speculate=off"], [], ["--speculate=ngram"], ["--draft", TINY],
                                 ["--draft", TINY, "--speculate=draft"])):
        record = WORK / f"speculation-{i}.trace"
        value = parsed(*words, "--json", "--trace", record, *options)
        found = value["ids"], value["text"], value["end"], value["digest"]
        expected = expected or found
        same(found, expected)
        assert 0 <= value["accepted"] <= value["drafted"] and (value["drafted"] == 0 or i > 0), value
        assert i < 4 or value["accepted"] == value["drafted"] > 5, value
        good("trace", "replay", record)
    wrong = run("run", TINY, "--raw", "-n4", "--draft", str(ROOT / "tests/golden/gemma3/model.gguf"), "Hello")
    assert wrong.returncode != 0 and b"gemma3" in wrong.stderr and b"llama-gqa" in wrong.stderr, wrong.stderr
    wrong = run("run", TINY, "--raw", "-n4", "--speculate=draft", "Hello")
    assert wrong.returncode == 2 and b"--draft" in wrong.stderr, wrong.stderr


def test_run_keeps_prompts():
    kept, prompt = WORK / "kept", "Hello, world. " * 24
    expected = good("run", TINY, "--raw", "-n20", "--temp", "0.9", prompt)
    for i in range(2):
        value = parsed("run", TINY, "--raw", "-n20", "--temp", "0.9", "--cache", kept, "--json", prompt)
        same(value["text"].encode(), expected)
        same(value["known_tokens"], i * value["prompt_tokens"])
        assert value["prefill"]["tokens"] == 0 or i == 0, value["prefill"]
    assert b"more known)" in run("run", TINY, "--raw", "-n20", "--cache", kept, prompt + "!").stderr
    same(kept.stat().st_mode & 0o077 & 0o022, 0)
    for node in kept.iterdir():
        same(node.stat().st_mode & 0o077, 0)
    bad(4, "run", TINY, "--raw", "-n1", "--cache", TINY, prompt, says="llama-gqa")
    bad(3, "run", TINY, "--raw", "-n1", "--player=oracle", "--cache", kept, prompt, says="player oracle")


def test_run_notes_settings_without_effect():
    text = run("run", TINY, "--raw", "-n1", "-s", "7", "--top-k", "3", "Hello").stderr.decode()
    assert "note: --seed has no effect" in text and "note: --top-k has no effect" in text, text


def test_run_stops_before_a_stop_text():
    text = parsed("run", TINY, "--raw", "-n20", "--json", "Hello")["text"]
    stop = text[len(text) // 2:][:2]
    value = parsed("run", TINY, "--raw", "-n20", "--json", "--stop", stop, "Hello")
    same((value["text"], value["end"]), (text[:text.index(stop)], "stop"))


def test_run_ends_when_the_context_is_full():
    value = parsed("run", TINY, "--raw", "-c", "16", "--json", "Hello")
    assert value["end"] in ("context", "token") and value["prompt_tokens"] + value["tokens"] <= 16, value


def test_interrupt_ends_a_run_cleanly():
    trace = WORK / "interrupted.trace"
    child = subprocess.Popen([VERBATIM, "run", REAL or TINY, "--raw", "--player", "cpu" if REAL else "oracle", "--trace",
                              str(trace), "Once upon a time"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
    child.stdout.read(1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    if child.returncode == 0 and not REAL:
        raise each.Skip("the tiny model was faster")
    same(child.returncode, 130)
    assert b"digest" in err, err
    good("trace", "show", trace)
    good("trace", "replay", trace)


# --- traces ----------------------------------------------------------------------------------------------------

def test_traces():
    a, b, c = WORK / "a.trace", WORK / "b.trace", WORK / "c.trace"
    done = run("run", TINY, "--raw", "-n10", "--temp", "0.8", "-s1", "--trace", a, "Hello")
    digest = re.search(rb"trace (\S+), digest ([0-9a-f]{64})\n$", done.stderr)
    assert digest and digest[1].decode() == str(a), done.stderr
    value = parsed("run", TINY, "--raw", "-n10", "--temp", "0.8", "-s1", "--trace", b, "--json", "-t3", "Hello")
    same((value["digest"].encode(), value["trace"]), (digest[2], str(b)))
    good("run", TINY, "--raw", "-n10", "--temp", "0.8", "-s2", "--trace", c, "Hello")
    assert good("trace", "diff", a, b).startswith(b"equal: ")
    same(parsed("trace", "diff", a, b, "--json")["equal"], True)
    done = run("trace", "diff", a, c)
    assert done.returncode == 1 and done.stdout.startswith(b"differs in "), done
    value = json.loads(run("trace", "diff", a, c, "--json").stdout)
    assert value["equal"] is False and {"record", "position", "field", "a", "b"} <= set(value)
    for options in [], ["--isa", "portable"], ["-t", "5"], ["--player", "oracle"], ["--model", TINY]:
        assert good("trace", "replay", a, *options).startswith(b"equal: ")
    assert good("trace", "show", a) and good("trace", "show", a, "--json")
    assert run("run", TINY, "--raw", "-n1", "--trace", a, "Hello").returncode != 0, "an existing trace was overwritten"
    assert good("trace", "diff", a, b).startswith(b"equal: ")


def test_a_changed_trace_is_noticed():
    path = WORK / "changed.trace"
    good("run", TINY, "--raw", "-n10", "--trace", path, "Hello")
    data = bytearray(path.read_bytes())
    for place in 9, len(data) // 2, len(data) - 9:
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert run("trace", "replay", path).returncode in (1, 3), place
    path.write_bytes(data[:-5])
    done = run("trace", "show", path)
    assert done.returncode in (0, 3) and done.stderr, "a torn trace must say so"


# --- models ----------------------------------------------------------------------------------------------------

def test_show():
    text = good("show", TINY).decode()
    for word in "llama", "memory", "context 256", "general.architecture", "plan":
        assert word in text, word
    assert "blk.0.attn_q.weight" in good("show", TINY, "--tensors").decode()
    value = parsed("show", TINY, "--tensors", "--json")
    same((value["arch"], value["layers"], value["vocab"], value["runs"]), ("llama", 3, 384, True))
    assert value["memory"]["sessions"][0]["bytes"] > 0
    tensor = {t["name"]: t for t in value["tensors"]}["token_embd.weight"]
    same((tensor["shape"], tensor["format"]), ([64, 384], "F32"))
    smaller = parsed("show", TINY, "--json", "-c", "16")["memory"]["sessions"]
    same([s["context"] for s in smaller], [16])


def test_explain():
    text = good("explain", TINY).decode()
    assert "blk.2" in text and "linear" in text
    assert len(good("explain", TINY, "--kernels")) > len(text)
    assert len(parsed("explain", TINY, "--json")) > 30


def test_an_ollama_store():
    store = WORK / "ollama"
    data = pathlib.Path(TINY).read_bytes()
    import hashlib
    digest = hashlib.sha256(data).hexdigest()
    (store / "blobs").mkdir(parents=True)
    (store / "blobs" / f"sha256-{digest}").write_bytes(data)
    manifest = store / "manifests" / ("registry" + ".ollama.ai") / "library/tiny/latest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(data)}]}))
    env = {"OLLAMA_MODELS": str(store)}
    names = [m["name"] for m in parsed("list", "--json", env=env)]
    assert "tiny:latest" in names, names
    assert b"tiny:latest" in good("list", env=env) and good("ls", env=env) == good("list", env=env)
    ids = "1,2,3"
    same(good("logits", "tiny", "--tokens", ids, env=env), good("logits", TINY, "--tokens", ids))
    same(good("logits", "tiny:latest", "--tokens", ids, env=env), good("logits", TINY, "--tokens", ids))
    manifest.write_text('{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x"}]}')
    bad(3, "show", "tiny", env=env)


def test_doctor():
    text = good("doctor").decode()
    assert re.search(r"kernels +portable ok \(\d+ comparisons", text), text
    value = parsed("doctor", "--json")
    same([k["isa"] for k in value["kernels"]], ["portable", "avx2", "avxvnni", "avx512", "neon"])
    assert value["machine"]["cores"] >= 1 and value["machine"]["memory_bytes"] > 0
    assert all(k["verdict"] == "ok" for k in value["kernels"] if k["isa"] in ("portable",))


# --- terminals -------------------------------------------------------------------------------------------------

class Terminal:
    """A program on a pseudo-terminal; everything it writes is kept in .text."""

    def __init__(self, *args, env=None):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(VERBATIM, [VERBATIM, *map(str, args)], {**ENV, **(env or {})})

    def pump(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def until(self, word, seconds=60):
        """Reads until `word` comes; forgets what was before it."""
        end = time.monotonic() + seconds
        while word not in self.text:
            assert time.monotonic() < end, f"expected {word!r} within {seconds} s, found {self.text!r}"
            if not self.pump(0.2):
                assert word in self.text, f"expected {word!r} before the end, found {self.text!r}"
        before, self.text = self.text.split(word, 1)
        return before

    def keys(self, text):
        """Types, once the program listens to single keys: Ctrl-D in a terminal that still waits for lines is lost."""
        stop = time.monotonic() + 10
        while termios.tcgetattr(self.fd)[3] & termios.ICANON and "\x03" not in text and time.monotonic() < stop:
            self.pump(0.01)
        os.write(self.fd, text.encode())

    def end(self, seconds=60):
        """Waits for the program's end; its exit code."""
        stop = time.monotonic() + seconds
        while self.pump(0.2):
            if time.monotonic() > stop:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"did not end: {self.text!r}")
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


def on_terminal(*args, **env):
    terminal = Terminal(*args, env=env)
    terminal.end()
    return terminal.text


def test_colour_only_on_a_terminal():
    assert "\x1b[" in on_terminal("doctor")
    assert "\x1b" not in on_terminal("doctor", NO_COLOR="1")
    assert "\x1b" not in on_terminal("doctor", TERM="dumb")
    assert "\x1b" not in on_terminal("doctor", "--json")


def test_chat():
    terminal = Terminal("run", TINY, "--template-as", "ollama", "-n", "5")
    terminal.until(">>> ")
    terminal.keys("/help\r")
    terminal.until("Ctrl-C stops an answer")
    terminal.until(">>> ")
    terminal.keys("first words\r")
    terminal.until("decode")
    terminal.until(">>> ")
    terminal.keys("\x1b[A")
    terminal.until("first words")
    terminal.keys("\r")
    terminal.until("decode")
    terminal.until(">>> ")
    terminal.keys("half a line\x03/help\r")
    terminal.until("Ctrl-C stops an answer")
    terminal.until(">>> ")
    terminal.keys("/bye\r")
    same(terminal.end(), 0)


def test_end_of_input_ends_a_chat():
    terminal = Terminal("run", TINY, "--template-as", "ollama", "-n", "5")
    terminal.until(">>> ")
    terminal.keys("\x04")
    same(terminal.end(), 0)


def test_chat_traces_every_answer():
    trace = WORK / "chat.trace"
    terminal = Terminal("run", TINY, "--template-as", "ollama", "-n", "5", "--trace", trace)
    for word in "one", "two":
        terminal.until(">>> ")
        terminal.keys(word + "\r")
        terminal.until("digest")
    terminal.until(">>> ")
    terminal.keys("\x04")
    terminal.end()
    good("trace", "replay", trace)
    good("trace", "replay", str(trace) + ".2")


def test_chat_needs_a_person():
    assert "expected a PROMPT" in on_terminal("run", TINY, "--json")


def test_chat_interrupt_stops_the_answer():
    if not REAL:
        raise each.Skip("needs SMOLLM2")
    terminal = Terminal("run", REAL)
    terminal.until(">>> ")
    terminal.keys("Tell me a short story about a lighthouse.\r")
    terminal.until("the fury of the sea")  # which this model goes on about without an end
    terminal.keys("\x03")
    terminal.until("decode", 20)
    terminal.until(">>> ")
    terminal.keys("/clear\r")
    terminal.until(">>> ")
    terminal.keys("Why is the sky blue?\r")
    assert "Rayleigh scattering" in terminal.until("decode")
    terminal.until(">>> ")
    terminal.keys("/bye\r")
    same(terminal.end(), 0)


def test_a_real_model_answers():
    if not REAL:
        raise each.Skip("needs SMOLLM2")
    question = "Why is the sky blue?"
    answer = good("run", REAL, "-n", "40", question)
    assert b"Rayleigh scattering" in answer, answer
    same(good("run", REAL, "-n", "40", stdin=question + "\n"), answer)
    same(good("run", REAL, "-n", "40", "-t1", "-", stdin=question), answer)
    template = good("template", REAL, "-", stdin=json.dumps(
        {"messages": [{"role": "user", "content": question}], "add_generation_prompt": True})).decode()
    same(good("run", REAL, "-n", "40", "--raw", template), answer)
    assert good("run", REAL, "-n", "40", "--system", "Answer in French.", question) != answer


def main():
    return each.run(globals(), sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
