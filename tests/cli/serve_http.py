#!/usr/bin/env python3
"""serve_http.py VERBATIM [NAME...] - the server's doors: who may ask, how much, how long, and what becomes of those who leave."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import each
import scratch

from served import Server, store, stretch, until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
WORK = scratch.folder("http")
MODELS = store(WORK / "models", {"tiny": TINY})
SLOW = stretch(VERBATIM)


def serve(*options, **more):
    return Server(VERBATIM, MODELS, *options, **more)


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def refused(expected, *options, env=None):
    """The server does not start, and says why."""
    try:
        with serve(*options, env=env):
            pass
    except RuntimeError as said:
        assert expected in str(said), f"{options}: expected {expected!r}, found {said}"
        return
    raise AssertionError(f"{options} {env}: the server started")


def error_of(answer):
    status, _, text = answer
    value = json.loads(text)["error"]
    return status, value if isinstance(value, str) else value["message"]


# --- who may ask -------------------------------------------------------------------------------------------------

def test_only_names_of_this_machine():
    with serve() as s:
        for host in ("localhost", "localhost:%d" % s.port, "127.0.0.1", "127.8.9.1:11434", "[::1]:80", "LOCALHOST",
                     "a.localhost", socket.gethostname()):
            same((host, s.ask("GET", "/api/version", headers={"Host": host})[0]), (host, 200))
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:11434", "10.0.0.1",
                     "[fe80::1]", "localhos", "[::1.evil.example", "x" * 5000, "128.0.0.1", "notlocalhost"):
            status, text = error_of(s.ask("GET", "/api/version", headers={"Host": host}))
            same((host[:40], status), (host[:40], 403))
            assert "Host" in text
        same(s.ask("POST", "/tokenize", {"model": "tiny", "content": "x"}, {"Host": "evil.example"})[0], 403)


def test_pages_of_others_are_refused():
    with serve("--cors", "https://page.example", "--cors", "app://here") as s:
        own = f"http://127.0.0.1:{s.port}"
        for origin in (own, "https://page.example", "app://here"):
            same((origin, s.ask("GET", "/api/version", headers={"Origin": origin})[0]), (origin, 200))
        for origin in ("https://evil.example", "null", "http://page.example", "https://page.example.evil.example",
                       "https://page.example:444", "file://", f"https://127.0.0.1:{s.port}"):
            for method in ("GET", "POST", "OPTIONS"):
                status, headers, _ = s.ask(method, "/api/version", headers={"Origin": origin})
                same((origin, status), (origin, 403))
                same(headers["Access-Control-Allow-Origin"], None)
        _, headers, _ = s.ask("GET", "/api/version", headers={"Origin": "https://page.example"})
        same((headers["Access-Control-Allow-Origin"], headers["Vary"]), ("https://page.example", "Origin"))
        same(headers["Access-Control-Allow-Credentials"], None)
        status, headers, _ = s.ask("OPTIONS", "/api/chat", headers={
            "Origin": "https://page.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization"})
        same((status, headers["Access-Control-Allow-Headers"]), (204, "content-type,authorization"))
        assert "DELETE" in headers["Access-Control-Allow-Methods"]
    with serve("--cors", "*") as s:
        same(s.ask("GET", "/api/version", headers={"Origin": "https://any.example"})[0], 200)
    with serve() as s:
        same(s.ask("GET", "/api/version", headers={"Origin": "https://any.example"})[0], 403)
        same(s.ask("GET", "/api/version")[1]["Access-Control-Allow-Origin"], None)


def test_keys():
    keys = WORK / "keys"
    keys.write_text("# who\nfirst-key-of-all-of-them 5\n\nsecond-key-0123456789\t-3 # behind\n")
    with serve("--api-key-file", str(keys), "--host", "0.0.0.0") as s:
        for headers in ({"Authorization": "Bearer first-key-of-all-of-them"}, {"X-Api-Key": "second-key-0123456789"},
                        {"authorization": "bearer second-key-0123456789"}):
            same((headers, s.ask("GET", "/api/version", headers=headers)[0]), (headers, 200))
        for headers in ({}, {"Authorization": "Bearer first-key-of-all-of-the"}, {"Authorization": "Bearer "},
                        {"Authorization": "Bearer first-key-of-all-of-themx"}, {"Authorization": "first-key-of-all-of-them"},
                        {"Authorization": "Basic Zmlyc3Q6"}, {"X-Api-Key": "first-key-of-all-of-them 5"}, {"X-Api-Key": "#"},
                        {"X-Api-Key": "k" * 300}, {"X-Api-Key": ""}):
            status, found, text = s.ask("GET", "/api/version", headers=headers)
            same((headers, status, found["WWW-Authenticate"]), (headers, 401, "Bearer"))
        status, _, text = s.ask("POST", "/v1/chat/completions", {})
        same((status, json.loads(text)["error"]["code"]), (401, "invalid_api_key"))
        same([s.ask("GET", path)[0] for path in ("/health", "/", "/metrics", "/slots", "/nothing")], [200, 200, 401, 401, 401])


def test_no_door_without_a_lock():
    refused("--api-key-file", "--host", "0.0.0.0")
    refused("--api-key-file", "--host", "::")
    refused("--api-key-file", env={"OLLAMA_HOST": "0.0.0.0:0"})
    for text, expected in (("", "found none"), ("short\n", ":1: expected a key of 16 to 255"),
                           ("a-key-that-is-long high\n", "priority"), ("a-key-that-is-long 5000\n", "priority"),
                           ("#\n" + "k" * 256, ":2: expected a key")):
        (WORK / "bad").write_text(text)
        refused(expected, "--api-key-file", str(WORK / "bad"))
    refused("No such file", "--api-key-file", str(WORK / "none"))


# --- where it listens, what it is told ---------------------------------------------------------------------------

def test_a_socket_in_the_file_system():
    path = str(WORK / "server.sock")
    with serve("--unix", path) as s:
        same(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        same(s.ask("GET", "/api/version", headers={"Host": "anything"})[0], 200)
        refused("found a server at work", "--unix", path)
        same(s.ask("GET", "/health")[0], 200)
    assert not os.path.exists(path)
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    with serve("--unix", path) as s:
        same(s.ask("GET", "/health")[0], 200)
    (WORK / "file").write_text("mine")
    refused("Address already in use", "--unix", str(WORK / "file"))
    same((WORK / "file").read_text(), "mine")
    refused("expected a path of at most", "--unix", "/tmp/" + "x" * 200)


def passed(fd, *options, env=None):
    clean = {"VERBATIM_MODELS": str(MODELS), "HOME": str(WORK), "PATH": os.environ["PATH"], **(env or {})}
    for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
        if name in os.environ:
            clean[name] = os.environ[name]
    return subprocess.Popen(["sh", "-c", f'exec 3<&{fd}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve "$@"', VERBATIM, *options],
                            env=clean, pass_fds=(fd,), stderr=subprocess.PIPE, text=True)


def test_a_socket_that_is_passed():
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(WORK / "notify"))
    told.settimeout(30)
    with socket.create_server(("127.0.0.1", 0)) as given:
        c = socket.create_connection(given.getsockname())  # before there is a server
        c.sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        p = passed(given.fileno(), env={"NOTIFY_SOCKET": str(WORK / "notify")})
        assert c.recv(100).startswith(b"HTTP/1.1 200"), "no answer"
        same(told.recv(100), b"READY=1")
        c.close()
        p.send_signal(signal.SIGTERM)
        same(told.recv(100), b"STOPPING=1")
        same(p.wait(10 * SLOW), 0)
    with socket.create_server(("0.0.0.0", 0)) as given:
        p = passed(given.fileno())
        assert "--api-key-file" in p.communicate(timeout=30)[1]
        same(p.returncode, 2)
    with open("/dev/null") as nothing:
        p = passed(nothing.fileno())
        assert "a socket that listens" in p.communicate(timeout=30)[1]


def test_the_environment():
    with serve("--port", "0", env={"VERBATIM_HOST": "http://localhost:1", "OLLAMA_HOST": "evil", "OLLAMA_ORIGINS":
                                   "https://a.example,https://b.example", "OLLAMA_NUM_PARALLEL": "3", "VERBATIM_MODELS": "/none",
                                   "OLLAMA_MODELS": str(MODELS), "OLLAMA_CONTEXT_LENGTH": "128"}) as s:
        same(s.ask("GET", "/api/version", headers={"Origin": "https://b.example"})[0], 200)
        status, props = s.json("GET", "/props?model=tiny")
        same((status, props["total_slots"], props["default_generation_settings"]["n_ctx"]), (200, 3, 128))
    with serve("--parallel", "2", "--models", str(MODELS), env={"VERBATIM_NUM_PARALLEL": "3", "VERBATIM_MODELS": "/none"}) as s:
        same(s.json("GET", "/props?model=tiny")[1]["total_slots"], 2)
    for name, value in (("OLLAMA_HOST", "localhost:99999"), ("VERBATIM_NUM_PARALLEL", "many"), ("OLLAMA_KEEP_ALIVE", "soon"),
                        ("OLLAMA_KV_CACHE_TYPE", "q4_0"), ("VERBATIM_MAX_QUEUE", "-1"), ("OLLAMA_ORIGINS", "example")):
        refused("expected", env={name: value})
    refused("expected a time", "--keep-alive", "1 fortnight")


def test_models_are_kept_as_long_as_asked():
    with serve("--keep-alive", "300ms") as s:
        same(s.json("POST", "/tokenize", {"model": "tiny", "content": "x"})[0], 200)
        same(len(s.json("GET", "/slots")[1]), 4)
        until(3 * SLOW, lambda: s.json("GET", "/slots")[1] == [], "unloading")


# --- how much, how long ------------------------------------------------------------------------------------------

def say(s, text, most=1 << 16, timeout=30):
    """Sends bytes, returns the status of the answer (0: closed without one) and how long it took."""
    c = s.socket(timeout)
    start = time.monotonic()
    try:
        c.sendall(text)
    except OSError:
        pass
    try:
        got = c.recv(most)
    except OSError:
        got = b""
    took = time.monotonic() - start
    c.close()
    found = re.match(rb"HTTP/1.[01] (\d+) ", got)
    return (int(found[1]) if found else 0), took


def test_a_large_body_is_refused_before_it_is_read():
    with serve() as s:
        s.json("POST", "/tokenize", {"model": "tiny", "content": "x"})
        before = s.memory()
        for path in ("/api/generate", "/v1/completions", "/tokenize"):
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {64 << 20}\r\n\r\n".encode()
            status, took = say(s, head)
            same((path, status), (path, 413))
            assert took < 0.05 * SLOW, f"413 took {took:.3f} s"
        for n in ("99999999999999999999999", "-1", "1x"):
            status, took = say(s, f"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {n}\r\n\r\n".encode())
            assert 400 <= status < 500 and took < 0.1 * SLOW, (n, status, took)
        c = s.connect()
        c.putrequest("POST", "/tokenize")
        c.putheader("Transfer-Encoding", "chunked")
        c.endheaders()
        try:
            for _ in range(64):
                c.send(b"100000\r\n" + b"a" * (1 << 20) + b"\r\n")
            c.send(b"0\r\n\r\n")
        except OSError:
            pass
        same(c.getresponse().status, 413)
        grown = max(s.memory("VmHWM"), s.memory()) - before
        assert SLOW > 1 or grown < 16 << 20, f"memory grew by {grown >> 20} MiB"
        same(s.ask("GET", "/health")[0], 200)


def test_bombs():
    post = "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    bodies = [b"[" * 1000000, b"{\"a\":" * 200000, b"[" + b"1," * 2000000 + b"1]", b"{\"content\":" + b"[" * 129 + b"]" * 129 + b"}",
              b"{" + b",".join(b'"k%d":1' % i for i in range(250000)) + b"}", b'{"content":NaN}', b'{"content":"\xff"}',
              b'{"content":"\\ud800"}', b'{"content":"\\u0000"}', b'{"content":"x"', b'{"content":"x"}}', b"", b"\0" * 1000000, b"null", b"1e999",
              b'"' + b"\\" * 999999, b'{"content":1}', b'{"content":"x","model":["tiny"]}', b'{"content":"a","content":{}}',
              b'{"model":"../../etc/passwd","content":"x"}', b'{"model":"/etc/passwd","content":"x"}', b"[]", b"tru"]
    heads = [b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * (1 << 20) + b"\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: a\r\n" % i for i in range(20000)) + b"\r\n",
             b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
             b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
             b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"]
    with serve() as s:
        s.json("POST", "/tokenize", {"model": "tiny", "content": "x"})
        before = s.memory()
        for text in heads:
            status, took = say(s, text)
            assert 400 <= status < 500, (text[:60], text[-60:], status)
            assert took < 0.1 * SLOW, (text[:60], took)
        for body in bodies:
            status, took = say(s, (post % len(body)).encode() + body)
            assert 400 <= status < 500, (body[:60], status)
            assert took < 0.1 * SLOW, (body[:60], took)
        grown = s.memory() - before
        assert SLOW > 1 or grown < 16 << 20, f"memory grew by {grown >> 20} MiB"
        same(s.ask("GET", "/health")[0], 200)


def test_slow_clients_are_dropped():
    with serve("--request-timeout", "1") as s:
        idle = s.descriptors()
        silent, dripping, half = s.socket(), s.socket(), s.socket()
        half.sendall(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        kept = s.connect()
        kept.request("GET", "/health")
        kept.getresponse().read()
        start, dropped = time.monotonic(), 0
        for c in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 200:
            try:
                dripping.sendall(bytes([c]))
            except OSError:
                dropped = time.monotonic() - start
                break
            time.sleep(0.05)
        assert 0.5 < dropped < 3 * SLOW, f"a byte at a time went on for {dropped:.1f} s"
        for c in (silent, half, kept.sock):
            c.settimeout(3 * SLOW)
            same(c.recv(100), b"")
        until(2 * SLOW, lambda: s.descriptors() <= idle, "closing")
        body = json.dumps({"model": "tiny", "content": "a" * 100000}).encode()  # slow, but fair
        c = s.socket()
        c.sendall(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        for i in range(0, len(body), 5000):
            c.sendall(body[i:i + 5000])
            time.sleep(0.1)
        assert c.recv(100).startswith(b"HTTP/1.1 200"), "a slow body was refused"


def to_the_end(c):
    """All that comes before the end, and whether there is an end."""
    got = b""
    try:
        while piece := c.recv(1 << 16):
            got += piece
    except TimeoutError:
        return got, False
    except OSError:
        pass
    return got, True


def stopped(s):
    return pathlib.Path(f"/proc/{s.process.pid}/stat").read_text().rsplit(")")[-1].split()[0] == "T"


def test_a_client_that_says_no_more_is_not_waited_for():
    """Its last bytes and its end come while the server sleeps, so that it wakes to both at once."""
    get, post = b"GET /health HTTP/1.1\r\nHost: localhost\r\n", b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\n"
    body = b"{" * 50000
    texts = [get + b"X-Long: " + b"a" * 5000, get + b"\r\n" + get, post + b"Content-Length: 50001\r\n\r\n" + body,
             post + b"Transfer-Encoding: chunked\r\n\r\nc351\r\n" + body]
    rng = random.Random(1)
    with serve("--request-timeout", "600") as s:
        idle = s.descriptors()
        for early in (False, True):  # its first bytes are read before, or it is new
            clients = []
            for text in texts * 24:
                cut = rng.choice([len(text), rng.randrange(len(text)), rng.randrange(200)])
                clients.append((socket.socket(), text[:cut], rng.randrange(cut + 1) if early else 0))
            for c, text, first in clients:
                c.settimeout(20)
                if early:
                    c.connect(("127.0.0.1", s.port))
                    c.sendall(text[:first])
            s.process.send_signal(signal.SIGSTOP)
            until(20, lambda: stopped(s), "stopping the server")
            for c, text, first in clients:
                if not early:
                    c.connect(("127.0.0.1", s.port))
                c.sendall(text[first:])
                c.shutdown(socket.SHUT_WR)
            s.process.send_signal(signal.SIGCONT)
            for c, text, _ in clients:
                got, ended = to_the_end(c)
                assert ended, f"kept after {len(text)} bytes: {text[:40]} ... {text[-20:]}"
                same((text, got.count(b"HTTP/1.1 200")), (text, text.startswith(get + b"\r\n")))  # what was whole is answered
                c.close()
        until(20, lambda: s.descriptors() <= idle, "closing")


def test_a_thousand_idle_connections():
    def cost():
        """Seconds of the server's processor that a request takes."""
        clock = ~s.process.pid << 3 | 2  # as clock_getcpuclockid(3) makes it: of all threads of a process
        start = time.clock_gettime(clock)
        for _ in range(60):
            same(s.ask("GET", "/health")[0], 200)
        return (time.clock_gettime(clock) - start) / 60

    def connections():
        folder, n = f"/proc/{s.process.pid}/fd", -1  # it listens at one
        for fd in os.listdir(folder):
            try:
                n += os.readlink(f"{folder}/{fd}").startswith("socket:")
            except FileNotFoundError:
                pass
        return n
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with serve("--request-timeout", "600") as s:
        cost()
        alone = cost()
        until(60, lambda: connections() == 0, "closing those alone")
        crowd = [s.socket() for _ in range(1000)]
        for i, c in enumerate(crowd):
            if i % 2:
                c.sendall(b"GET /slow HTTP/1.1\r\nHost: ")
        until(60, lambda: connections() == 1000, "1000 connections")
        among = cost()
        assert among < 2 * alone + 0.001 * SLOW, f"{alone * 1e3:.2f} ms alone, {among * 1e3:.2f} ms among a thousand"
        for c in crowd:
            c.close()
        until(60, lambda: connections() == 0, "closing 1000 connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- llama-server's routes ---------------------------------------------------------------------------------------

def cli(*args):
    return json.loads(subprocess.run([VERBATIM, *args], capture_output=True, check=True, timeout=120).stdout)


def test_text_to_tokens_and_back():
    with serve() as s:
        same(error_of(s.ask("POST", "/tokenize", {"content": "x"})), (400, "model is required"))
        same(error_of(s.ask("POST", "/tokenize", {"content": "x", "model": "none"})), (404, "model 'none' not found"))
        for text in ("Hello world", "", "Grüße \U0001f600 <p> {}", "a" * 3000):
            for special in (False, True):
                flags = ["--parse-special"] + ["--add-special"] * special
                expected = cli("tokenize", str(TINY), text, *flags)
                status, got = s.json("POST", "/tokenize", {"model": "tiny", "content": text, "add_special": special})
                same((status, got), (200, {"tokens": expected}))
            got = s.json("POST", "/tokenize", {"content": text, "with_pieces": True})[1]["tokens"]
            pieces = b"".join(bytes(t["piece"]) if isinstance(t["piece"], list) else t["piece"].encode() for t in got)
            assert text.encode() in (pieces, pieces[1:]), (text, pieces)
            ids = [t["id"] for t in got]
            back = s.json("POST", "/detokenize", {"tokens": ids})[1]["content"]
            assert back.strip() == text.strip(), (text, back)
        for bad in ([-1], [1 << 40], ["a"], [1.5], "x", {}):
            same((bad, s.ask("POST", "/detokenize", {"tokens": bad})[0]), (bad, 400))
        messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "Hello"}]
        status, got = s.json("POST", "/apply-template", {"messages": messages, "odd": 1})
        (WORK / "messages.json").write_text(json.dumps({"messages": messages, "add_generation_prompt": True}))
        expected = subprocess.run([VERBATIM, "template", str(TINY), str(WORK / "messages.json")], capture_output=True, check=True,
                                  text=True).stdout
        same((status, got), (200, {"prompt": expected, "verbatim": {"ignored": ["odd"]}}))
        same(s.ask("POST", "/apply-template", {"messages": 1})[0], 400)
        same(s.ask("POST", "/apply-template", {})[0], 400)
        same([s.ask(m, p)[0] for m, p in (("GET", "/tokenize"), ("POST", "/slots"), ("DELETE", "/metrics"))], [405] * 3)


def test_what_a_server_tells_of_itself():
    with serve("--parallel", "2") as s:
        same(s.json("GET", "/health"), (200, {"status": "ok"}))
        same(s.json("GET", "/slots"), (200, []))
        same(s.ask("GET", "/props")[0], 400)
        status, props = s.json("GET", "/props?model=tiny")
        same((status, props["total_slots"], props["model_alias"], props["bos_token"]), (200, 2, "tiny:latest", "<s>"))
        assert "[INST]" in props["chat_template"] and props["system_fingerprint"].startswith("vb1-")
        slots = s.json("GET", "/slots")[1]
        same([(x["id"], x["model"], x["is_processing"]) for x in slots], [(0, "tiny:latest", False), (1, "tiny:latest", False)])


def metrics(s):
    """{name{labels}: value}, after checking the format."""
    status, headers, text = s.ask("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
    values, kinds = {}, {}
    for line in text.decode().splitlines():
        if line.startswith("# TYPE "):
            kinds[line.split()[2]] = line.split()[3]
        elif not line.startswith("#"):
            found = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^{}]*\})? ([0-9.e+-]+)", line)
            assert found, f"not Prometheus: {line}"
            base = re.sub(r"_(bucket|sum|count)$", "", found[1])
            assert found[1] in kinds or kinds.get(base) == "histogram", line
            values[found[1] + (found[2] or "")] = float(found[3])
    return values


def test_metrics():
    with serve() as s:
        for _ in range(7):
            s.ask("POST", "/tokenize", {"model": "tiny", "content": "x"})
        s.ask("POST", "/tokenize", {"model": "none", "content": "x"})
        s.ask("GET", "/nothing")
        total = 'verbatim_http_requests_total{route="%s",status="%d"}'
        seen = {total % ("POST /tokenize", 200): 7, total % ("POST /tokenize", 404): 1, total % ("other", 404): 1}
        until(5, lambda: all(metrics(s).get(k) == n for k, n in seen.items()), "counting")
        m = metrics(s)
        name = 'verbatim_http_request_seconds_%s{route="POST /tokenize"%s}'
        buckets = [v for k, v in m.items() if k.startswith('verbatim_http_request_seconds_bucket{route="POST /tokenize"')]
        same((buckets[-1], buckets == sorted(buckets), m[name % ("count", "")]), (8, True, 8))
        same((m["verbatim_models_loaded"], m["verbatim_slots"], m["llamacpp:requests_processing"]), (1, 4, 0))


if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[2:]))
