#!/usr/bin/env python3
"""serve_leave.py VERBATIM MODEL [INSTANTS [SEED]] - clients that leave, queues that are full, servers that are told to end.

A client leaves at random instants of prefill and decoding: its slot is free within 250 ms, no descriptor and no memory is
lost, and whoever stays gets the answer it would have got alone.
"""
import concurrent.futures
import json
import pathlib
import random
import signal
import socket
import statistics
import struct
import sys
import threading
import time

import each
import scratch

from served import Server, store, stretch, until

VERBATIM, MODEL = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
SEED = int(sys.argv[4]) if sys.argv[4:] else 1
WORK = scratch.folder("leave")
QUICK = pathlib.Path(__file__).resolve().parent.parent / "golden/llama-gqa/model.gguf"
MODELS = store(WORK / "models", {"m": MODEL, "quick": QUICK})
SLOW = stretch(VERBATIM)
INSTANTS = int(sys.argv[3]) // (4 if SLOW > 1 else 1) if sys.argv[3:] else 300
FREE_WITHIN = 0.25 * SLOW
RANDOM = random.Random(SEED)


def serve(*options, **more):
    return Server(VERBATIM, MODELS, "--threads", "1", *options, **more)


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def prompt(n):
    """About n tokens that nobody has asked before."""
    return "".join(RANDOM.choice("abcdefghijklmnop qrstuvwxyz") for _ in range(n))


def request(text, tokens, stream):
    return {"model": "m", "prompt": text, "raw": True, "stream": stream, "keep_alive": -1,
            "options": {"num_predict": tokens, "temperature": 0.8, "seed": 7}}


def start(s, body, headers=""):
    text = json.dumps(body).encode()
    c = s.socket()
    c.sendall(f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(text)}\r\n\r\n".encode() + text)
    return c


def leave(c):
    if RANDOM.random() < 0.5:  # a reset instead of an orderly end
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def busy(s):
    return sum(slot["is_processing"] for slot in s.json("GET", "/slots")[1])


def metric(s, name):
    for line in s.ask("GET", "/metrics")[2].decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(name)


def answer(s, body):
    status, value = s.json("POST", "/api/generate", body)
    assert status == 200, value
    return value["response"]


def context(s):
    s.json("POST", "/api/generate", {"model": "m", "keep_alive": -1, "stream": False})
    return s.json("GET", "/slots")[1][0]["n_ctx"]


def pace(s, n):
    """Seconds that prefill and 20 tokens take for a prompt of n letters."""
    begin = time.monotonic()
    answer(s, request(prompt(n), 20, False))
    return time.monotonic() - begin


# --- clients that leave ------------------------------------------------------------------------------------------

def test_a_slot_is_free_again_at_once():
    with serve("--ctx", "2048") as s:
        n = min(context(s) // 2, 1500)
        reference = request("a b c", 12, False)
        expected = answer(s, reference)
        length = pace(s, n)
        idle, memory, took, met = s.descriptors(), s.memory(), [], 0
        for i in range(INSTANTS):
            c = start(s, request(prompt(n), 0 if i % 2 else 40, bool(i % 3)))
            time.sleep(RANDOM.random() * length * 1.2)
            met += busy(s) > 0
            leave(c)
            took.append(until(FREE_WITHIN, lambda: busy(s) == 0, f"instant {i}: freeing the slot"))
            if i == INSTANTS // 5:
                memory = s.memory()
        same(answer(s, reference), expected)
        until(5 * SLOW, lambda: s.descriptors() <= idle, "closing descriptors")
        same((metric(s, "llamacpp:requests_processing"), metric(s, "llamacpp:requests_deferred")), (0, 0))
        assert metric(s, "verbatim_jobs_cancelled_total") >= met // 2, "the clients left too late"
        assert met >= INSTANTS // 5, f"only {met} of {INSTANTS} were met at work"
        grown = s.memory() - memory
        assert SLOW > 1 or grown < 4 << 20, f"memory grew by {grown >> 10} KiB"
        print(f"      {INSTANTS} left, {met} met at work, slots were free after {statistics.median(took) * 1e3:.0f} ms in the "
              f"median, {max(took) * 1e3:.0f} ms at most, memory {grown >> 10:+d} KiB")


def test_a_crowd_leaves():
    with serve("--ctx", "1024", "--parallel", "3") as s:
        n = min(context(s) // 2, 600)
        expected = answer(s, request("x y z", 30, False))
        idle, got = s.descriptors(), []
        for _ in range(6):
            crowd = [start(s, request(prompt(n), 0, bool(i % 2))) for i in range(12)]
            stays = threading.Thread(target=lambda: got.append(answer(s, request("x y z", 30, False))))
            stays.start()
            time.sleep(RANDOM.random() * 0.3)
            RANDOM.shuffle(crowd)
            for c in crowd:
                leave(c)
            stays.join()
            until(FREE_WITHIN, lambda: busy(s) == 0 and metric(s, "llamacpp:requests_deferred") == 0, "freeing all slots")
        same(got, [expected] * 6)
        until(5 * SLOW, lambda: s.descriptors() <= idle, "closing descriptors")


def test_clients_leave_while_answers_begin():
    """The answer may have begun, and its client may be gone, before whoever started it is told of anything."""
    body = json.dumps(request("x", 3, True) | {"model": "quick"}).encode()
    head = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)

    def reset(s, reads):
        c = s.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sendall(head + body)
        if reads:
            c.recv(100)
        c.close()

    with serve() as s, concurrent.futures.ThreadPoolExecutor(8) as crowd:
        idle = s.descriptors()
        list(crowd.map(lambda i: reset(s, i % 2), range(int(20000 / SLOW))))
        until(5 * SLOW, lambda: busy(s) == 0 and s.descriptors() <= idle + 8, "freeing slots and descriptors")


# --- queues ------------------------------------------------------------------------------------------------------

def test_a_full_queue():
    with serve("--ctx", "2048", "--parallel", "1", "--max-queue", "2") as s:
        n = context(s)
        first = start(s, request(prompt(n * 3 // 4), 0, True))
        until(10 * SLOW, lambda: busy(s) == 1, "beginning")
        waiting = [start(s, request(prompt(50), 1, False)) for _ in range(2)]
        until(10 * SLOW, lambda: metric(s, "llamacpp:requests_deferred") == 2, "waiting")
        for path, body in (("/api/generate", request("x", 1, True)), ("/v1/completions", {"model": "m", "prompt": "x"})):
            status, headers, text = s.ask("POST", path, body)
            same((path, status), (path, 503))
            assert int(headers["Retry-After"]) > 0 and b"server busy" in text, text
        same(metric(s, "verbatim_jobs_refused_total"), 2)
        leave(first)
        for c in waiting:
            assert c.recv(100).startswith(b"HTTP/1.1 200")
            c.close()


def test_priorities_by_key():
    keys = WORK / "keys"
    keys.write_text("key-of-the-patient-one 0\nkey-of-the-impatient-one 9\n")
    with serve("--ctx", "2048", "--parallel", "1", "--api-key-file", str(keys)) as s:
        def asked(name):
            return f"Authorization: Bearer key-of-the-{name}-one\r\n"
        ask, order, lock = {"Authorization": "Bearer key-of-the-patient-one"}, [], threading.Lock()
        ctx = s.json("POST", "/api/generate", {"model": "m", "stream": False}, ask) and \
            s.json("GET", "/slots", headers=ask)[1][0]["n_ctx"]
        first = start(s, request(prompt(ctx * 3 // 4), 0, True), asked("patient"))
        until(10 * SLOW, lambda: s.json("GET", "/slots", headers=ask)[1][0]["is_processing"], "beginning")

        def wait(c, name):
            c.recv(100)
            with lock:
                order.append(name)
        threads = []
        for i, name in enumerate(("patient", "patient", "impatient")):
            c = start(s, request(prompt(ctx // 3), 20, False), asked(name))
            threads.append(threading.Thread(target=wait, args=(c, name)))
            threads[-1].start()
            until(10 * SLOW, lambda: b"llamacpp:requests_deferred %d\n" % (i + 1) in s.ask("GET", "/metrics", headers=ask)[2], "waiting")
        leave(first)
        for t in threads:
            t.join()
        same(order, ["impatient", "patient", "patient"])


# --- the end -----------------------------------------------------------------------------------------------------

def lines_of(c):
    data = b""
    while True:
        try:
            piece = c.recv(1 << 16)
        except OSError:
            return data, False
        if not piece:
            return data, data.endswith(b"0\r\n\r\n")
        data += piece


def status_on(connection):
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_what_runs_may_finish():
    with serve("--ctx", "2048") as s:
        kept = s.connect()
        kept.request("GET", "/health")
        same(kept.getresponse().read(), b'{"status":"ok"}')
        c = start(s, request(prompt(context(s) * 3 // 4), int(200 / SLOW), True))
        until(10 * SLOW, lambda: busy(s) == 1, "beginning")
        s.process.send_signal(signal.SIGTERM)
        until(1 * SLOW, lambda: status_on(kept) == 503, "refusing what is new")
        data, whole = lines_of(c)
        assert whole and b'"done":true' in data, data[-300:]
        same(s.process.wait(20 * SLOW), 0)


def test_a_second_signal_ends_at_once():
    with serve("--ctx", "2048") as s:
        c = [start(s, request(prompt(context(s) // 2), 0, bool(i % 2))) for i in range(6)]
        until(10 * SLOW, lambda: busy(s) >= 1, "beginning")
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
        s.process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        same(s.process.wait(20 * SLOW), 0)
        took = time.monotonic() - begin
        assert took < 1 * SLOW, f"ending took {took:.2f} s"
        for one in c:
            one.close()


def end_amid_requests(seed, rounds, returned):
    """Requests that are read to their ends while the server ends."""
    r = random.Random(seed)
    text = json.dumps(dict(request("a", 1, False), model="quick")).encode()

    def rest(c, after):
        time.sleep(after)
        try:
            c.sendall(text[5:])
            c.recv(100)
        except OSError:
            pass  # the server has gone
        c.close()

    for _ in range(rounds):
        with serve() as s:
            senders = []
            for _ in range(24):
                c = s.socket()
                c.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(text) + text[:5])
                senders.append(threading.Thread(target=rest, args=(c, r.uniform(0.01, 0.04))))
            for sender in senders:
                sender.start()
            time.sleep(r.uniform(0.01, 0.03))
            s.process.send_signal(signal.SIGTERM)
            s.process.send_signal(signal.SIGTERM)
            returned.append(s.process.wait(20 * SLOW))
            for sender in senders:
                sender.join()


def test_requests_that_come_whole_while_the_server_ends():
    returned = []
    all_of_them = [threading.Thread(target=end_amid_requests, args=(seed, 20, returned)) for seed in range(4)]
    for one in all_of_them:
        one.start()
    for one in all_of_them:
        one.join()
    same(returned, [0] * 80)


if __name__ == "__main__":
    sys.exit(each.run(globals()))
