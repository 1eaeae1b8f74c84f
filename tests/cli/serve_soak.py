#!/usr/bin/env python3
"""serve_soak.py VERBATIM MODEL REQUESTS - sixteen clients at once for a long time: every answer is the one a request
gets alone, and memory and descriptors stay what they were."""
import json
import pathlib
import random
import sys
import threading
import time
import scratch

from served import Server, store, stretch, until

VERBATIM, MODEL = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
REQUESTS, CLIENTS, ROUNDS = int(sys.argv[3]), 16, 4  # rounds before memory is measured, and as many behind
SLOW = stretch(VERBATIM)
WORK = scratch.folder("soak")
MODELS = store(WORK / "models", {"m": MODEL})


def generations():
    """Few beginnings, many ends, greedy and drawn."""
    draw = random.Random(5)
    beginnings = ["".join(draw.choice("abcdefgh ") for _ in range(60)) for _ in range(6)]
    for i in range(60):
        options = {"num_predict": 1 + i % 12, "seed": i, "temperature": 0.9 * (i % 3 > 0), "repeat_penalty": 1.0}
        yield {"model": "m", "prompt": draw.choice(beginnings) + str(i), "raw": True, "stream": i % 2 == 0,
               "keep_alive": -1, "options": options}


def text_of(data):
    return "".join(json.loads(line)["response"] for line in data.splitlines() if line)


def odd(draw):
    """Requests that end before they reach a model: method, path, body, status."""
    return draw.choice([("GET", "/nothing", None, 404), ("PUT", "/api/generate", b"{}", 405), ("POST", "/api/generate", b"{", 400),
                        ("POST", "/api/generate", b'{"model":"none"}', 404), ("GET", "/metrics", None, 200), ("GET", "/slots", None, 200),
                        ("POST", "/tokenize", b'{"model":"m","content":"a b c"}', 200), ("POST", "/tokenize", b"[" * 500, 400)])


def client(s, number, alone, wrong):
    draw, c = random.Random(number), s.connect()
    for i in range(REQUESTS // CLIENTS // ROUNDS // 2):
        if i % 97 == 96:  # a new connection now and then
            c.close()
            c = s.connect()
        if draw.random() < 0.2:
            method, path, body, status = odd(draw)
            c.request(method, path, body)
            answer = c.getresponse()
            answer.read()
            if answer.status != status:
                wrong.append((path, body, answer.status))
            if answer.headers["Connection"] == "close":
                c.close()
            continue
        body, expected = draw.choice(alone)
        c.request("POST", "/api/generate", body)
        found = text_of(c.getresponse().read())
        if found != expected:
            wrong.append((body, expected, found))
    c.close()


def run(s, alone):
    wrong = []
    threads = [threading.Thread(target=client, args=(s, i, alone, wrong)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, f"{len(wrong)} answers are other ones, such as {wrong[0]}"


with Server(VERBATIM, MODELS, "--ctx", "512", "--parallel", "8", "--threads", "1") as s:
    bodies = [json.dumps(body).encode() for body in generations()]
    alone = [(body, text_of(s.ask("POST", "/api/generate", body)[2])) for body in bodies]
    idle, begin = s.descriptors(), time.monotonic()
    for _ in range(ROUNDS):
        run(s, alone)
    memory = s.memory()
    for _ in range(ROUNDS):
        run(s, alone)
    grown = s.memory() - memory
    until(5 * SLOW, lambda: s.descriptors() <= idle, "closing descriptors")
    print(f"{REQUESTS} requests, {REQUESTS / (time.monotonic() - begin):.0f} a second, memory {grown >> 10:+d} KiB, "
          f"{grown / memory * 100:+.2f} %")
    assert SLOW > 1 or grown < max(memory // 100, 1 << 20), "memory grew"  # of a tiny process 1 % is less than an arena
print("1 passed, 0 failed")
