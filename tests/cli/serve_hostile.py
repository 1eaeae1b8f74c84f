#!/usr/bin/env python3
"""serve_hostile.py VERBATIM [NAME...] - requests that mean harm, and work that must not be in the way of others.

Each hostile request is refused with a 4xx within 100 ms, memory does not grow, and the next one is served.
"""
import http.client
import json
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

import each
import scratch

from served import Server, store, stretch, until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
ENCODER = ROOT / "tests/golden/bert-mean/model.gguf"
LONG = ROOT / "tests/golden/llama-long/model.gguf"
WORK = scratch.folder("hostile")
MODELS = store(WORK / "models", {"tiny": TINY, "encoder": ENCODER, "long": LONG})
SLOW = stretch(VERBATIM)
GENERATE = {"model": "tiny", "prompt": "a", "stream": False, "raw": True, "options": {"num_predict": 2, "temperature": 0}}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "a"}], "max_tokens": 2}


def serve(*options, models=MODELS, **more):
    return Server(VERBATIM, models, "--threads", "1", *options, **more)


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def with_field(body, path, value):
    copy = json.loads(json.dumps(body))
    at = copy
    for key in path.split(".")[:-1]:
        at = at.setdefault(key, {})
    at[path.split(".")[-1]] = value
    return copy


def work(s):
    """Seconds that the server's threads have worked: what a busy machine cannot disturb."""
    total = 0
    for task in pathlib.Path(f"/proc/{s.process.pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass  # the thread has ended
    return total / 1e9


class Attack:
    """Asks one thing after the other; the slowest answer and the growth of memory are looked at behind the last."""

    def __init__(self, server):
        self.server, self.asked, self.slowest = server, 0, (0, "")
        held = with_field(GENERATE, "format", "json")  # what all grammars of a model share is made once
        for body, path in ((GENERATE, "/api/generate"), (CHAT, "/v1/chat/completions"), (held, "/api/generate")):
            assert server.ask("POST", path, body)[0] == 200
        self.before = server.memory()

    def refused(self, method, path, body, what, statuses=range(400, 500), seconds=0.1):
        begin = work(self.server)
        try:
            status, _, self.said = self.server.ask(method, path, body)
        except (http.client.BadStatusLine, ConnectionError):
            status = 400  # closed without an answer
        took = work(self.server) - begin
        self.asked += 1
        if took > self.slowest[0]:
            self.slowest = (took, what)
        if status == 500 and b"must be of" in self.said:  # as Ollama answers options of a wrong type
            status = 400
        assert status in statuses, f"{method} {path} {what[:200]}: status {status}"
        assert took < seconds * SLOW, f"{method} {path} {what[:200]}: {took:.3f} s"

    def end(self, least):
        same(self.server.ask("POST", "/api/generate", GENERATE)[0], 200)
        same(all(not slot["is_processing"] for slot in self.server.json("GET", "/slots")[1]), True)
        grown = self.server.memory() - self.before
        assert SLOW > 1 or grown < 16 << 20, f"memory grew by {grown >> 20} MiB"
        assert self.asked >= least, f"only {self.asked} requests"
        print(f"      {self.asked} refused, the slowest after {self.slowest[0] * 1e3:.0f} ms ({self.slowest[1][:40]})")


# --- names -------------------------------------------------------------------------------------------------------

def names():
    for up in ("..", "../..", "../../../../etc", "%2e%2e", "..%2f..", "....//", ".\\..", "/", "//", "\\\\server\\share", "~", "."):
        for end in ("", "/passwd", "/tiny", ":latest", "/tiny:latest", "\0", "/\u2025/x", "\u202e", " ", "\n", "\x7f", "/.ssh/id_rsa"):
            yield up + end
    yield from ("sha256:" + "0" * 64, "sha256-" + "f" * 64, "@sha256:" + "0" * 64, "tiny@sha256:" + "0" * 64, "tiny:..", "tiny:../x", ":",
                ":latest", "tiny:", "a" * 5000, "a/" * 2000, "tiny:" + "b" * 5000, "http://127.0.0.1:1/x", "file:///etc/passwd",
                "registry.ollama.ai/../x", "library/../../tiny", "tiny\x00", "C:\\tiny", "NUL", "con", "$(id)", "`id`", "{{.Model}}", "%00")


def test_names_are_never_paths():
    with serve() as s:
        a = Attack(s)
        for name in names():
            for path in ("/api/show", "/api/generate", "/v1/chat/completions"):
                body = with_field(CHAT if "v1" in path else GENERATE, "model", name)
                a.refused("POST", path, body, repr(name))
        for digest in ("sha256:" + "0" * 63, "sha256:" + "g" * 64, "sha256:../../../../etc/passwd", "md5:" + "0" * 32, "sha256-" + "0" * 64,
                       "sha256:" + "0" * 65, "%2e%2e%2fpasswd", "sha256:" + "0" * 32 + "/" + "0" * 31, "SHA256:" + "0" * 64):
            for method in ("HEAD", "POST"):
                a.refused(method, f"/api/blobs/{digest}", b"x" if method == "POST" else None, digest)
        for path in ("/v1/models/..%2f..%2fetc%2fpasswd", "/v1/models/%00", "/v1/models//etc/passwd", "/../etc/passwd", "/api/../etc/passwd",
                     "/%2e%2e/%2e%2e/etc/passwd", "/api/tags/../../x", "//etc/passwd", "/app.js/../../x", "/v1/models/" + "x" * 8000):
            a.refused("GET", path, None, path)
        a.end(440)


# --- numbers and types -------------------------------------------------------------------------------------------

NUMBERS = {"options.temperature": (None, 100), "options.top_p": (0, 1), "options.min_p": (0, 1), "options.top_k": (None, None),
           "options.typical_p": (0, 1), "options.repeat_penalty": (0, 100), "options.presence_penalty": (-100, 100),
           "options.frequency_penalty": (-100, 100), "options.num_ctx": (None, None)}
OPENAI = {"temperature": (0, 100), "top_p": (0, 1), "n": (1, 16), "max_tokens": (None, None), "top_logprobs": (0, 20),
          "frequency_penalty": (-100, 100), "presence_penalty": (-100, 100), "seed": (None, None)}


def test_numbers_out_of_range():
    with serve() as s:
        a = Attack(s)
        for fields, body, path in ((NUMBERS, GENERATE, "/api/generate"), (OPENAI, CHAT, "/v1/chat/completions")):
            for field, (least, most) in fields.items():
                wrong = ["1", [1], {"a": 1}, True]
                wrong += [least - 1, -1e308] if least is not None else []
                wrong += [most + 1, 1e308] if most is not None else [1e308]
                for value in wrong:
                    a.refused("POST", path, with_field(body, field, value), f"{field} {value!r}")
                for text in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x10", b"01", b"1.", b".5", b"+1", b"1e", b"--1",
                             b"99999999999999999999999999"):
                    raw = json.dumps(with_field(body, field, 987654321)).encode().replace(b"987654321", text)
                    a.refused("POST", path, raw, f"{field} {text.decode()}")
        for field, value in (("stop", 5), ("stop", [5]), ("stop", ["x"] * 100), ("messages", {}), ("messages", [1]), ("messages", [[]]),
                             ("messages", "x"), ("model", 1), ("model", None), ("model", ""), ("response_format", 3),
                             ("response_format", {"type": "json_schema"}), ("response_format", {"type": "json_schema", "json_schema": 1})):
            a.refused("POST", "/v1/chat/completions", with_field(CHAT, field, value), f"{field} {value!r}")
        for value in ([-1], [1 << 40], ["a", 1], [[1], "a", {}], [1.5], [[]], [[[1]]], {}, 5, True):
            for path, field in (("/v1/completions", "prompt"), ("/v1/embeddings", "input")):
                a.refused("POST", path, with_field({"model": "tiny", "max_tokens": 1}, field, value), f"{field} {value!r}")
        for value in (5, {}, [5], [{}], True, [["a"]], ["a"] * 5000):
            a.refused("POST", "/api/embed", {"model": "tiny", "input": value}, f"input {str(value)[:40]}")
        a.end(250)


# --- JSON --------------------------------------------------------------------------------------------------------

BROKEN = [b"{", b"}", b"[", b"]", b"{]", b"[}", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}', b"{,}", b'{"a"1}', b"{a:1}", b"{'a':1}",
          b'{"a":1 "b":2}', b'{"a":1}x', b'{"a":1}{}', b'{"a":tru}', b'{"a":True}', b'{"a":nul}', b'{"a":undefined}', b'{"a":"x}',
          b'{"a":"\\x41"}', b'{"a":"\\u12"}', b'{"a":"\\uD800"}', b'{"a":"\\uDC00x"}', b'{"a":"\t"}', b'{"a":"\n"}', b'{"a":"\x00"}',
          b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xe2\x82"}', b'\xef\xbb\xbf{"a":1}',
          b"\xff\xfe{\x00}\x00", b'{"a":/**/1}', b'//x\n{"a":1}', b'{"a":[1,]}', b'{"a":[,1]}', b'{"a":[1 2]}', b'{"a":1.2.3}', b'{"a":1e+}',
          b"\x00", b"\x1f", b'"', b'"abc', b"-", b"nan", b"{" * 5000, b"[" * 129 + b"]" * 129, b'{"a":' * 129 + b"1" + b"}" * 129,
          b'{"' + b"k" * 100000, b"\x80" * 100000, b'{"a":' + b" " * 1000000]


def test_broken_json():
    with serve() as s:
        a = Attack(s)
        for path in ("/api/generate", "/api/chat", "/api/embed", "/v1/chat/completions", "/v1/responses", "/tokenize"):
            for body in BROKEN:
                a.refused("POST", path, body, repr(body[:60]))
        a.end(300)


# --- grammars and schemas ----------------------------------------------------------------------------------------

def deep(n, inner):
    for _ in range(n):
        inner = {"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": False}
    return inner


SCHEMAS = {
    "deep": deep(70, {"type": "string"}), "very deep": deep(120, {"type": "string"}),
    "a loop of references": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "itself": {"$ref": "#"}, "nowhere": {"$ref": "#/$defs/none"}, "elsewhere": {"$ref": "http://127.0.0.1:1/x"},
    "a billion items": {"type": "array", "minItems": 10**9}, "too many items": {"type": "array", "items": {"type": "null"}, "minItems": 100000},
    "long text": {"type": "string", "minLength": 10**7}, "negative": {"type": "string", "minLength": -1},
    "wide": {"type": "object", "properties": {f"k{i}": {"enum": list(range(50))} for i in range(3000)}},
    "many ways": {"anyOf": [{"const": f"{i}" * 20} for i in range(20000)]},
    "doubling": {"$ref": "#/$defs/x30", "$defs": {"x0": {"type": "null"}, **{f"x{i}": {
        "type": "array", "prefixItems": [{"$ref": f"#/$defs/x{i - 1}"}] * 2, "minItems": 2, "maxItems": 2} for i in range(1, 31)}}},
    "a pattern": {"type": "string", "pattern": "^(a{1,2000}){1,2000}$"}, "broken pattern": {"type": "string", "pattern": "^+[a-z$"},
    "nested pattern": {"type": "string", "pattern": "^" + "(" * 1000 + "a" + ")" * 1000 + "$"}, "no type": {"type": "colour"},
    "impossible": {"type": "integer", "minimum": 5, "maximum": 1}, "false": False,
}
GRAMMARS = {
    "left": "root ::= root \"a\"", "left behind": "root ::= x\nx ::= y \"a\"\ny ::= x | \"b\"", "empty loop": "root ::= x*\nx ::= \"\"",
    "no root": "x ::= \"a\"", "unknown": "root ::= nothing", "a billion": "root ::= \"a\"{1000000000}", "nested": "root ::= " + "(" * 2000 + "\"a\"" + ")" * 2000,
    "product": "root ::= a{1000}\na ::= b{1000}\nb ::= \"x\"{1000}", "open": "root ::= \"a", "class": "root ::= [z-a]", "open class": "root ::= [a",
    "escape": "root ::= \"\\x\"", "minus": "root ::= \"a\"{-1}", "swapped": "root ::= \"a\"{5,2}", "long": "root ::= " + " | ".join('"%d"' % i for i in range(150000)),
    "rules": "root ::= r0\n" + "\n".join(f"r{i} ::= r{i + 1} r{i + 1}" for i in range(20000)) + "\nr20000 ::= \"a\"", "zero": "root ::= \"\\0\" \x01",
}


def test_bombs_of_schemas_and_grammars():
    with serve() as s:
        a = Attack(s)
        accepted = []
        for name, schema in SCHEMAS.items():
            for path, field, body in (("/api/generate", "format", GENERATE),
                                      ("/v1/chat/completions", "response_format", CHAT)):
                value = schema if field == "format" else {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
                # what can be held to is answered; it must not take longer
                a.refused("POST", path, with_field(body, field, value), name, range(200, 500), 0.3)
                if s.ask("POST", path, with_field(body, field, value))[0] == 200:
                    accepted.append(name)
        for name, grammar in GRAMMARS.items():
            a.refused("POST", "/v1/completions", {"model": "tiny", "prompt": "a", "max_tokens": 1, "grammar": grammar}, name, range(200, 500), 0.3)
        for name in ("very deep", "itself", "nowhere", "elsewhere", "a billion items", "long text", "broken pattern", "no type"):
            assert name not in accepted, f"{name} was accepted"
        a.end(50)


# --- long texts --------------------------------------------------------------------------------------------------

def test_texts_that_are_much_too_long():
    with serve() as s:
        a = Attack(s)
        most = 2000000
        texts = {"letters": "a" * most, "words": "word " * (most // 5), "signs": "<s>" * (most // 3), "lines": "\n" * (most // 2),
                 "spaces": " " * most, "emoji": "\U0001f600" * (most // 12), "numbers": "1234567890" * (most // 10),
                 "accents": "e\u0301" * (most // 8)}
        for name, text in texts.items():
            for path, body in (("/api/generate", with_field(GENERATE, "prompt", text)),
                               ("/v1/chat/completions", with_field(CHAT, "messages", [{"role": "user", "content": text}])),
                               ("/v1/completions", {"model": "tiny", "prompt": text, "max_tokens": 1})):
                a.refused("POST", path, json.dumps(body).encode(), f"{name} {path}", seconds=0.25)
            a.refused("POST", "/api/embed", {"model": "tiny", "input": text, "truncate": False}, f"embed {name}", seconds=0.25)
        same(s.ask("POST", "/api/generate", GENERATE)[0], 200)


def test_a_conversation_of_many_messages_is_cut_quickly():
    with serve("--ctx", "256") as s:
        messages = [{"role": "user" if i % 2 else "assistant", "content": f"message {i}"} for i in range(20001)] + [
            {"role": "user", "content": "a"}]
        begin = time.monotonic()
        status, answer = s.json("POST", "/api/chat", {"model": "tiny", "messages": messages, "stream": False, "options": {"num_predict": 1}})
        took = time.monotonic() - begin
        same(status, 200)
        assert 128 < answer["prompt_eval_count"] < 256, answer["prompt_eval_count"]
        assert took < 2 * SLOW, f"{took:.1f} s"


# --- others go on being served -----------------------------------------------------------------------------------

def big(folder, name, mib):
    """A model whose file is long to read: its end is a hole."""
    path = folder / f"{name}.gguf"
    path.write_bytes(TINY.read_bytes())
    with open(path, "r+b") as f:
        f.truncate(mib << 20)
    return path


def test_while_a_model_is_loaded_others_are_served():
    folder = WORK / "loading"
    store(folder, {"tiny": TINY})
    for name in ("big", "bigger"):
        big(folder, name, 300)
    with serve(models=folder) as s:
        expected = s.json("POST", "/api/generate", GENERATE)[1]["response"]
        answers, slowest = {}, 0

        def load(name, i):
            answers[name, i] = s.ask("POST", "/api/generate", with_field(GENERATE, "model", name))
        waiting = [threading.Thread(target=load, args=(name, i)) for name in ("big", "bigger") for i in range(20)]
        begin = time.monotonic()
        for t in waiting:
            t.start()
        asked = 0
        while any(t.is_alive() for t in waiting):
            at = time.monotonic()
            status, answer = s.json("POST", "/api/generate", GENERATE)
            same((status, answer["response"]), (200, expected))
            same(s.ask("GET", "/health")[0], 200)
            slowest = max(slowest, time.monotonic() - at)
            asked += 1
        took = time.monotonic() - begin
        for t in waiting:
            t.join()
        same({(k[0], v[0], json.loads(v[2])["response"]) for k, v in answers.items()},
             {("big", 200, expected), ("bigger", 200, expected)})
        assert asked >= 5 and slowest < took / 2, f"{asked} answers, the slowest took {slowest:.2f} of {took:.2f} s"
        load_ns = [json.loads(v[2])["load_duration"] for v in answers.values()]
        assert max(load_ns) > took * 1e9 / 4, f"{max(load_ns)} ns of {took:.2f} s are told as loading"
        print(f"      {asked} answers while 40 waited {took:.1f} s for two models, the slowest after {slowest * 1e3:.0f} ms")


def test_a_model_that_cannot_be_loaded_is_told_to_all_who_wait():
    folder = WORK / "broken"
    store(folder, {"tiny": TINY})
    (folder / "broken.gguf").write_bytes(TINY.read_bytes()[:100000])
    (folder / "huge.gguf").write_bytes(TINY.read_bytes())
    with serve("--ctx", "128", models=folder) as s:
        for path, body in (("/api/generate", GENERATE), ("/v1/chat/completions", CHAT), ("/tokenize", {"content": "x"})):
            status, answer = s.json("POST", path, with_field(body, "model", "broken"))
            error = answer["error"]
            assert status >= 400 and "broken.gguf" in (error if isinstance(error, str) else error["message"]), (path, status, answer)
        same(s.ask("POST", "/api/generate", GENERATE)[0], 200)


def test_the_end_does_not_wait_for_loading():
    folder = WORK / "ending"
    store(folder, {"tiny": TINY})
    big(folder, "big", 20000)
    with serve(models=folder) as s:
        answer = []
        t = threading.Thread(target=lambda: answer.append(s.ask("POST", "/api/generate", with_field(GENERATE, "model", "big"))))
        t.start()
        time.sleep(0.3)
        begin = time.monotonic()
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        s.process.send_signal(signal.SIGTERM)
        s.process.wait(20 * SLOW)
        assert time.monotonic() - begin < 2 * SLOW, f"{time.monotonic() - begin:.1f} s"
        t.join()
        same(answer[0][0], 503)


# --- embeddings --------------------------------------------------------------------------------------------------

def gaps(s, tokens, meanwhile):
    """The pauses between the lines of a stream while something else goes on."""
    c = s.connect()
    c.request("POST", "/api/generate", json.dumps({"model": "long", "prompt": "a", "raw": True, "options": {
        "num_predict": tokens, "temperature": 0, "stop": []}}))
    r = c.getresponse()
    r.readline()
    t = threading.Thread(target=meanwhile)
    t.start()
    found, last = [], time.monotonic()
    while r.readline():
        now = time.monotonic()
        found.append(now - last)
        last = now
    t.join()
    c.close()
    return found


def long_text(n):
    return " ".join(f"w{i * 7919 % 1000}" for i in range(n))


def test_a_long_embedding_takes_turns():
    """Beside a text that is embedded a stream has pauses of a step or two, not of the whole text; who leaves is not computed."""
    with serve("--ctx", "8192") as s:
        text = long_text(2000)
        took = []

        def embed():
            begin = time.monotonic()
            status, answer = s.json("POST", "/api/embed", {"model": "long", "input": text})
            took.append(time.monotonic() - begin)
            same(status, 200)
            took.append(answer["prompt_eval_count"])
        s.ask("POST", "/api/embed", {"model": "long", "input": "a"})
        pauses = gaps(s, 1000, embed)
        assert took[1] > 1500, took
        assert max(pauses) < max(took[0] / 2, 0.3) * SLOW, f"a pause of {max(pauses):.2f} s beside an embedding of {took[0]:.2f} s"
        body = json.dumps({"model": "long", "input": [text] * 50}).encode()
        c = s.socket()
        c.sendall(b"POST /api/embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        until(10 * SLOW, lambda: any(slot["is_processing"] for slot in s.json("GET", "/slots")[1]), "embedding")
        c.close()
        until(0.5 * SLOW, lambda: not any(slot["is_processing"] for slot in s.json("GET", "/slots")[1]), "giving it up")
        print(f"      {took[1]} tokens in {took[0]:.2f} s, the longest pause beside them {max(pauses) * 1e3:.0f} ms")


def test_parts_of_a_text_change_no_bit():
    for model, texts in (("tiny", ["a", long_text(300)]), ("encoder", ["a b c", long_text(5)])):
        rows = []
        for options in ((), ("--parallel", "1")):
            with serve(*options) as s:
                rows.append([s.json("POST", "/api/embed", {"model": model, "input": t})[1]["embeddings"] for t in texts])
                rows.append([[row] for row in s.json("POST", "/api/embed", {"model": model, "input": texts})[1]["embeddings"]])
        assert all(r == rows[0] for r in rows), model


# --- the sandbox -------------------------------------------------------------------------------------------------

def status_of(s, field):
    text = pathlib.Path(f"/proc/{s.process.pid}/status").read_text()
    return re.search(rf"^{field}:\s*(\S+)", text, re.M)[1]


def test_the_process_gives_up_what_it_does_not_need():
    home = pathlib.Path(tempfile.mkdtemp(prefix="verbatim-home-", dir="/var/tmp"))
    secret = home / ".secret"
    secret.mkdir(parents=True)
    for name in ("model", "linked"):
        (secret / f"{name}.gguf").write_bytes(TINY.read_bytes())
    (home / "open.gguf").write_bytes(TINY.read_bytes())
    (MODELS / "link.gguf").symlink_to(secret / "linked.gguf")
    env = {"HOME": str(home)}
    make = {"model": "made", "stream": False}
    try:
        with serve(env=env) as s:
            for task in pathlib.Path(f"/proc/{s.process.pid}/task").iterdir():
                same(re.search(r"^Seccomp:\s*(\d)", (task / "status").read_text(), re.M)[1], "2")
            same(status_of(s, "NoNewPrivs"), "1")
            same(s.ask("POST", "/api/generate", with_field(GENERATE, "model", "link"))[0], 200)
            status, _, text = s.ask("POST", "/api/create", {**make, "from": str(secret / "model.gguf")})
            hidden = status
            same(s.ask("POST", "/api/create", {**make, "from": str(home / "open.gguf")})[0], 200)
            same(s.ask("POST", "/api/generate", with_field(GENERATE, "model", "made"))[0], 200)
            same(s.ask("DELETE", "/api/delete", {"model": "made"})[0], 200)
        assert re.search("sandbox: .*no programs", s.said), s.said
        if "files are written" in s.said:
            assert hidden >= 400, f"a hidden file was read: {text}"
        with serve("--no-sandbox", env=env) as s:
            same(status_of(s, "Seccomp"), "0")
            same(s.ask("POST", "/api/create", {**make, "from": str(secret / "model.gguf")})[0], 200)
            same(s.ask("DELETE", "/api/delete", {"model": "made"})[0], 200)
        assert "sandbox" not in s.said, s.said
    finally:
        (MODELS / "link.gguf").unlink()
        shutil.rmtree(home)


if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[2:]))
