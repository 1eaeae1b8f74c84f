#!/usr/bin/env python3
"""serve_traces.py VERBATIM SLOW - what `verbatim serve` leaves behind: a trace of every answer, digests, events, a log; and
what ends an answer early: deadlines, disks that are full.

Sixteen clients at once ask in every API. Each answer names its trace, the trace verifies and says the answer's text, and
its digest is the one that the same request has alone. SLOW is a model that takes seconds for a long answer.
"""
import concurrent.futures
import ctypes
import ctypes.util
import datetime
import hashlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import time

import each
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
SLOWLY = sys.argv[2]
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
WORK = scratch.folder("traces")
MODELS = served.store(WORK / "models", {"tiny": TINY, "slow": SLOWLY})
TRACES = WORK / "traces/new"
SLOW = served.stretch(VERBATIM)
ENV = {"XDG_CACHE_HOME": str(WORK)}


def serve(*options, **more):
    return served.Server(VERBATIM, MODELS, *options, env=ENV, **more)


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def verbatim(*args, code=0):
    done = subprocess.run([VERBATIM, *map(str, args)], capture_output=True, env={"HOME": str(WORK), **ENV})
    assert done.returncode == code, (args, done)
    return done.stdout


def trace_of(name):
    path = TRACES / f"{name}.trace"
    return [json.loads(line) for line in verbatim("trace", "show", path, "--json").splitlines()]


class Hash(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def digest_of(name):
    """XXH3-128 over the logits' digests of the trace's chosen tokens."""
    data = b"".join(bytes.fromhex(r["logits"]) for r in trace_of(name) if r["record"] == "chosen")
    xxh = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    xxh.restype, xxh.argtypes = Hash, [ctypes.c_char_p, ctypes.c_size_t]
    value = xxh(data, len(data))
    return f"{value.high:016x}{value.low:016x}"


def chosen_text(name):
    records = trace_of(name)
    text = b""
    for r in records:
        if r["record"] == "chosen":
            text += bytes.fromhex(r["text"]["bytes"]) if isinstance(r["text"], dict) else r["text"].encode()
    return text.decode(errors="replace")


def plain(text):
    """Without what a stream of text hides or replaces."""
    return re.sub("\ufffd|<unk>|</?s>", "", text)


def events_of(text):
    return [json.loads(line[6:]) for line in text.decode().splitlines() if line.startswith("data: {")]


# --- asking: each returns the answer's text and what "verbatim" says of it -------------------------------------------

def options(k):
    return {"temperature": 0.9, "seed": k, "num_predict": 12, "top_k": 30}


def fields(k):
    return {"temperature": 0.9, "seed": k, "max_tokens": 12, "top_k": 30}


def generate(s, k, **more):
    status, a = s.json("POST", "/api/generate", {"model": "tiny", "prompt": f"once {k}", "stream": False,
                                                 "options": options(k), **more})
    same(status, 200)
    return a["response"], a.get("verbatim")


def generate_stream(s, k, **more):
    status, _, text = s.ask("POST", "/api/chat", {"model": "tiny", "options": options(k), **more,
                                                  "messages": [{"role": "user", "content": f"two {k}"}]})
    same(status, 200)
    lines = [json.loads(line) for line in text.splitlines()]
    assert all("verbatim" not in line for line in lines[:-1]), lines
    return "".join(line["message"]["content"] for line in lines), lines[-1].get("verbatim")


def chat(s, k, **more):
    status, a = s.json("POST", "/v1/chat/completions", {"model": "tiny", **fields(k), **more,
                                                        "messages": [{"role": "user", "content": f"three {k}"}]})
    same(status, 200)
    return a["choices"][0]["message"]["content"], a.get("verbatim")


def chat_stream(s, k, **more):
    status, _, text = s.ask("POST", "/v1/chat/completions", {"model": "tiny", "stream": True, **fields(k), **more,
                                                             "messages": [{"role": "user", "content": f"four {k}"}]})
    same(status, 200)
    said = [e for e in events_of(text) if e["choices"]]
    return "".join(e["choices"][0]["delta"].get("content", "") for e in said), said[-1].get("verbatim")


def completion(s, k, **more):
    status, a = s.json("POST", "/v1/completions", {"model": "tiny", "prompt": f"five {k}", **fields(k), **more})
    same(status, 200)
    return a["choices"][0]["text"], a.get("verbatim")


def completion_stream(s, k, **more):
    status, _, text = s.ask("POST", "/v1/completions", {"model": "tiny", "prompt": f"six {k}", "stream": True, **fields(k),
                                                        **more})
    same(status, 200)
    said = [e for e in events_of(text) if e["choices"]]
    return "".join(e["choices"][0]["text"] for e in said), said[-1].get("verbatim")


def respond(s, k, **more):
    body = {"model": "tiny", "input": f"seven {k}", "temperature": 0.9, "seed": k, "max_output_tokens": 12, **more}
    status, a = s.json("POST", "/v1/responses", body)
    same(status, 200)
    return a["output"][0]["content"][0]["text"], a.get("verbatim")


WAYS = [generate, generate_stream, chat, chat_stream, completion, completion_stream, respond]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


# --- traces ----------------------------------------------------------------------------------------------------------

def test_every_answer_has_its_trace_also_under_load():
    asked = [(way, k) for k in range(4) for way in WAYS]
    with serve("--trace-dir", str(TRACES), "--parallel", "5", "--threads", "1") as s:
        same(TRACES.stat().st_mode & 0o777, 0o700)
        with concurrent.futures.ThreadPoolExecutor(16) as crowd:
            together = list(crowd.map(lambda q: q[0](s, q[1]), asked))
        alone = [way(s, k) for way, k in asked[:7]]
    for (text, said), (own, again) in zip(together, alone):
        same((own, again["logits_digest"]), (text, said["logits_digest"]))
        assert again["trace"] != said["trace"]
    for text, said in together + alone:
        same(set(said), {"trace", "logits_digest"})
        assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{12}", said["trace"]), said
        same(said["logits_digest"], digest_of(said["trace"]))
        same(plain(chosen_text(said["trace"])), plain(text))
        assert verbatim("trace", "verify", TRACES / f"{said['trace']}.trace").startswith(b"verified"), said
    same(len(list(TRACES.iterdir())), len(together) + len(alone))


def test_choices_and_prompts_have_a_trace_each():
    with serve("--trace-dir", str(TRACES)) as s:
        a = s.json("POST", "/v1/chat/completions", {"model": "tiny", "n": 3, **fields(1),
                                                    "messages": [{"role": "user", "content": "x"}]})[1]
        b = s.json("POST", "/v1/completions", {"model": "tiny", "prompt": ["a", "b"], **fields(1)})[1]
    for answer, n in ((a, 3), (b, 2)):
        names = [c["verbatim"]["trace"] for c in answer["choices"]]
        same([name.rsplit("-", 1)[1] for name in names], [str(i) for i in range(n)])
        same([digest_of(name) for name in names], [c["verbatim"]["logits_digest"] for c in answer["choices"]])
        assert "verbatim" not in answer, answer
        for name in names:
            verbatim("trace", "verify", TRACES / f"{name}.trace")


def test_answers_held_to_a_schema_are_proved_too():
    with serve("--trace-dir", str(TRACES)) as s:
        said = [generate(s, 3, format=SCHEMA), generate(s, 4, format="json"),
                chat(s, 5, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}),
                completion(s, 6, grammar='root ::= "ab" [0-9]+')]
    for text, v in said:
        rules = [r for r in trace_of(v["trace"]) if r["record"] == "rules"]
        same(len(rules), 1)
        assert verbatim("trace", "verify", TRACES / f"{v['trace']}.trace").startswith(b"verified")
        assert verbatim("trace", "replay", TRACES / f"{v['trace']}.trace").startswith(b"equal")
    same(said[0][0][0], "{")
    same(said[3][0][:2], "ab")


def add_template(name, text):
    """The model "tiny" again, with a template in Ollama's language."""
    library = next((MODELS / "manifests").iterdir()) / "library"
    manifest = json.loads((library / "tiny/latest").read_text())
    digest = hashlib.sha256(text.encode()).hexdigest()
    (MODELS / "blobs" / f"sha256-{digest}").write_text(text)
    manifest["layers"].append({"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{digest}", "size": len(text)})
    (library / name).mkdir()
    (library / name / "latest").write_text(json.dumps(manifest))


def test_a_template_of_the_store_is_found_again():
    add_template("worded", "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<answer>")
    with serve("--trace-dir", str(TRACES)) as s:
        said = chat(s, 1, model="worded")[1]
    given = "".join(r["text"] for r in trace_of(said["trace"]) if r["record"] == "given")
    assert given.replace("\u2581", " ").endswith("<user>three 1<answer>"), given
    path = TRACES / f"{said['trace']}.trace"
    (WORK / "link").symlink_to(MODELS)
    env = {"VERBATIM_MODELS": str(WORK / "link"), "OLLAMA_MODELS": "/nonexistent"}
    verified = subprocess.run([VERBATIM, "trace", "verify", path], capture_output=True, env={"HOME": str(WORK), **ENV, **env})
    assert verified.returncode == 0, verified


def test_what_chooses_nothing_leaves_nothing():
    before = set(TRACES.iterdir())
    with serve("--trace-dir", str(TRACES)) as s:
        s.json("POST", "/api/generate", {"model": "tiny"})
        s.json("POST", "/api/embed", {"model": "tiny", "input": "a"})
        status, a = s.json("POST", "/v1/completions", {"model": "tiny", "prompt": "a b c", "max_tokens": 0, "echo": True})
        same((status, "trace" in a["verbatim"]), (200, False))
        same(s.json("POST", "/api/generate", {"model": "tiny", "prompt": "x", "format": 7})[0], 400)
    same(set(TRACES.iterdir()), before)


def test_a_digest_is_told_to_whoever_asks():
    ask = {"verbatim": {"logits_digest": True, "colour": 1}}
    with serve() as s:
        for way in WAYS:
            same(way(s, 1)[1], None)
            said = way(s, 1, **ask)[1]
            same((set(said) - {"ignored"}, len(said["logits_digest"])), ({"logits_digest"}, 32))
        same(generate(s, 1, **ask)[1]["ignored"], ["verbatim.colour"])
        same(s.json("POST", "/api/generate", {"model": "tiny", "prompt": "x", "verbatim": 3})[0], 400)
    with serve("--trace-dir", str(TRACES), "--threads", "2") as s:
        for way in WAYS:
            same(way(s, 1)[1]["logits_digest"], digest_of(way(s, 1)[1]["trace"]))


def test_a_trace_that_cannot_be_written_is_no_answer():
    full = WORK / "full"
    full.mkdir(exist_ok=True)
    with serve("--trace-dir", str(full)) as s:
        full.rename(WORK / "gone")
        status, a = s.json("POST", "/api/generate", {"model": "tiny", "prompt": "x", "stream": False})
        assert status == 500 and "trace" in a["error"] and "cannot" in a["error"], (status, a)
        (WORK / "gone").rename(full)
        generate(s, 1)
    done = subprocess.run([VERBATIM, "serve", "--port", "0", "--trace-dir", str(TINY)], capture_output=True)
    assert done.returncode == 4 and b"expected a folder for traces" in done.stderr, done


def test_a_client_that_leaves_leaves_a_whole_trace():
    before = set(TRACES.iterdir())
    with serve("--trace-dir", str(TRACES)) as s:
        c = s.socket()
        body = json.dumps({"model": "tiny", "prompt": "x", "options": {"num_predict": 100000}}).encode()
        c.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        served.until(20 * SLOW, lambda: b'"done":false' in c.recv(65536), "a piece")
        c.close()
        served.until(20 * SLOW, lambda: not any(x["is_processing"] for x in s.json("GET", "/slots")[1]), "a free slot")
    new = set(TRACES.iterdir()) - before
    same(len(new), 1)
    verbatim("trace", "verify", new.pop())


# --- deadlines -------------------------------------------------------------------------------------------------------

def long_one(s, seconds=None, stream=False, path="/api/generate"):
    headers = {"X-Request-Timeout": str(seconds)} if seconds else {}
    body = {"model": "slow", "prompt": "x", "raw": True, "stream": stream, "max_tokens": 7000, "temperature": 0.9, "seed": 2,
            "options": {"num_predict": 7000, "temperature": 0.9, "seed": 2}}
    start = time.monotonic()
    answer = s.ask("POST", path, body, headers)
    return time.monotonic() - start, answer


def test_a_deadline_ends_what_runs():
    with serve("--threads", "1") as s:
        s.json("POST", "/api/generate", {"model": "slow"})
        for path in ("/api/generate", "/v1/completions"):
            took, (status, _, text) = long_one(s, 0.05, path=path)
            assert status == 504 and b"deadline" in text and took < 1.0 * SLOW, (status, text, took)
        took, (status, _, text) = long_one(s, 0.5, stream=True)
        last = json.loads(text.splitlines()[-1])
        assert status == 200 and "deadline" in last["error"] and took < 2.0 * SLOW, (status, last, took)
        assert b"verbatim_jobs_late_total 3" in s.ask("GET", "/metrics")[2]
        for odd in ("0", "x", "-1", "1e400"):
            same(s.ask("POST", "/api/generate", {"model": "tiny", "prompt": "x", "options": {"num_predict": 2}},
                       {"X-Request-Timeout": odd})[0], 200)


def test_the_servers_deadline_is_the_most():
    with serve("--deadline", "1", "--threads", "1") as s:
        took, (status, _, text) = long_one(s, 100)
        assert status == 504 and took < 3 * SLOW, (status, text, took)


# --- events, log, state ----------------------------------------------------------------------------------------------

class Listener:
    """A stream of /events, read as it comes."""

    def __init__(self, s):
        self.c = s.connect(20 * SLOW)
        self.c.request("GET", "/events")
        self.r = self.c.getresponse()
        same((self.r.status, self.r.headers["Content-Type"]), (200, "text/event-stream"))
        self.seen = []

    def next(self):
        """The next event; None at the end."""
        name = None
        while line := self.r.readline().decode():
            assert not line.startswith(":"), f"nothing more for a while behind {self.seen[-3:]}"
            if line.startswith("event: "):
                name = line[7:].strip()
            if line.startswith("data: "):
                event = json.loads(line[6:])
                same(event["event"], name)
                self.seen.append(event)
                return event
        return None

    def until(self, **wanted):
        while (event := self.next()) is not None:
            if all(event.get(k) == v for k, v in wanted.items()):
                return event
        raise AssertionError(f"no {wanted} among {self.seen}")


def test_events_tell_what_happens():
    with serve("--trace-dir", str(TRACES), "--parallel", "1", "--threads", "1") as s:
        ear = Listener(s)
        first = ear.next()
        same((first["event"], first["state"], first["progress"]), ("status", "idle", 0))
        text, said = generate(s, 1)
        ear.until(event="status", state="loading", model="tiny:latest")
        loaded = ear.until(event="model_load", model="tiny:latest")
        assert loaded["seconds"] > 0 and loaded["bytes"] > 100000, loaded
        same(ear.until(event="status", state="ready")["progress"], 1)
        told = ear.until(event="generate", trace=said["trace"])
        same((told["model"], told["tokens"], told["reason"]), ("tiny:latest", 12, "length"))
        assert told["prompt_tokens"] > 0 and told["seconds"] >= told["decode_seconds"] > 0, told
        over = ear.until(event="request", path="/api/generate")
        same((over["request"], over["status"], over["method"]), (told["request"], 200, "POST"))
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            first = other.submit(long_one, s, 0.5 * SLOW)
            served.until(20 * SLOW, lambda: any(x["is_processing"] for x in s.json("GET", "/slots")[1]), "a slot in use")
            s.json("POST", "/api/generate", {"model": "slow", "prompt": "x", "raw": True, "stream": False,
                                             "options": {"num_predict": 2}})
            same(first.result()[1][0], 504)
        assert ear.until(event="queue_wait")["queue_seconds"] > 0
        for name in ("slow", "tiny"):
            same(s.json("POST", "/api/generate", {"model": name, "keep_alive": 0})[1]["done_reason"], "unload")
            ear.until(event="model_unload", model=f"{name}:latest")
        ear.until(event="status", state="idle")
    while ear.next() is not None:  # the stream ends with the server
        pass


def test_an_error_is_told():
    broken = WORK / "broken"
    broken.mkdir(exist_ok=True)
    (broken / "bad.gguf").write_bytes(TINY.read_bytes()[:5000])
    with served.Server(VERBATIM, broken, env=ENV) as s:
        ear = Listener(s)
        status = s.json("POST", "/api/generate", {"model": "bad", "prompt": "x"})[0]
        assert status >= 400, status
        error = ear.until(event="error")
        assert "bad" in error["message"] and error["model"].startswith("bad"), error
        same(ear.until(event="status", state="error")["model"], error["model"])


def no_streams(s):
    served.until(20 * SLOW, lambda: s.ask("GET", "/metrics")[2].count(b"verbatim_event_streams 0") == 1, "no streams")


def test_listeners_come_and_go():
    with serve() as s:
        generate(s, 1)
        for i in range(200):
            c = s.socket()
            c.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in c.recv(4096)
            c.close()
            if i % 50 == 49:
                no_streams(s)
        ears, refused = [], 0
        for _ in range(70):
            c = s.connect()
            c.request("GET", "/events")
            r = c.getresponse()
            refused += r.status == 503
            ears.append((c, r))
        same(refused, 6)
        for c, r in ears:
            r.close()
            c.close()
        no_streams(s)
        generate(s, 2)


def test_the_log_is_a_line_of_json_an_event():
    with serve("--trace-dir", str(TRACES), "--log-format", "json") as s:
        said = generate(s, 1)[1]
        same(s.ask("GET", "/nothing")[0], 404)
        request = s.ask("GET", "/health")[1]["X-Request-Id"]
    lines = [json.loads(line) for line in s.said.splitlines()]
    for line in lines:
        assert datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")) and line["event"], line
    kinds = {line["event"] for line in lines}
    assert {"talk", "status", "model_load", "generate", "request"} <= kinds, kinds
    same([line["tokens"] for line in lines if line.get("trace") == said["trace"]], [12])
    same([line["path"] for line in lines if line.get("request") == request], ["/health"])
    same([line["status"] for line in lines if line.get("path") == "/nothing"], [404])


def test_ready_says_whether_more_can_come():
    with serve("--parallel", "1", "--max-queue", "1", "--threads", "1") as s:
        status, a = s.json("GET", "/ready")
        same((status, a["status"], a["state"], a["models"]), (200, "ok", "idle", 0))
        generate(s, 1)
        same(s.json("GET", "/ready")[1]["state"], "ready")
        body = json.dumps({"model": "slow", "prompt": "x", "raw": True, "keep_alive": -1,
                           "options": {"num_predict": 100000, "temperature": 0.9, "seed": 2}}).encode()
        clients = []
        for expected in ({"running": 1, "waiting": 0, "status": "ok"}, {"running": 1, "waiting": 1, "status": "busy"}):
            c = s.socket()
            c.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            clients.append(c)
            served.until(20 * SLOW, lambda: expected.items() <= s.json("GET", "/ready")[1].items(), expected)
        same(s.json("GET", "/ready")[0], 503)
        same(s.json("GET", "/health")[0], 200)
        for c in clients:
            c.shutdown(socket.SHUT_RDWR)
            c.close()
        served.until(20 * SLOW, lambda: s.json("GET", "/ready")[0] == 200, "room")


if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[3:]))
