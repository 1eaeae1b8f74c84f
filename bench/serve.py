"""serve.py - `verbatim serve` and llama-server in turns, many clients at once. Standard library only.

    serve.py --build DIR MODEL.gguf [--clients 16] [--requests 2] [--tokens 128] [--words 120] [--threads N]
             [--rounds 5] [--ctx 1024] [--temperature 0.8] [--csv FILE]

VB_PEER_SERVER names llama-server. A round starts each server once, in an order that alternates, with as many slots as
clients and the same threads; each client asks for one streamed chat answer after the other. Every prompt begins
differently, so that nothing is known before. Figures of a round:

    tokens/s   all tokens of all answers (as usage counts them) over the time from the first request to the last answer
    per CPU s  the same tokens over the server's own processor time: it tells the truth on a busy machine, too
    between    from one piece of an answer to the next, in ms: what a reader sees; its median and 95th percentile
    first      from a request to its first piece, in ms, median

Ratios are taken inside a round, between neighbours in time; the last line has the medians of the rounds' ratios. In
the end each answer of ours is asked for alone: all of them must be the same.
"""
import argparse
import csv
import hashlib
import http.client
import json
import os
import pathlib
import random
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time

OURS, PEER = "verbatim", "llama-server"
WORDS = """river stone garden winter machine letter green silent market window captain bridge morning paper engine
forest island dinner simple yellow teacher planet summer ticket doctor mirror carpet number animal picture valley
history""".split()


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def question(opts, draw, seed):
    words = [draw.choice(WORDS) for _ in range(opts.words // 2 + draw.randrange(opts.words))]
    messages = [{"role": "system", "content": f"You write long stories, {draw.random()}."},
                {"role": "user", "content": "Tell a story of " + " ".join(words) + "."}]
    return {"model": opts.name, "stream": True, "stream_options": {"include_usage": True}, "max_tokens": opts.tokens,
            "temperature": opts.temperature, "top_p": 0.9, "top_k": 40, "min_p": 0, "seed": seed, "messages": messages}


def questions(opts):
    """Bodies of the requests of each client."""
    draw = random.Random(11)
    return [[question(opts, draw, 100 * client + i) for i in range(opts.requests)] for client in range(opts.clients)]


# --- servers ---------------------------------------------------------------------------------------------------------

class Server:
    def __init__(self, engine, opts):
        self.port, model = free_port(), os.path.abspath(opts.model)
        if engine == OURS:
            args = [os.path.join(opts.build, "verbatim"), "serve", "--models", os.path.dirname(model),
                    "--parallel", opts.clients, "--ctx", opts.ctx, "--threads", opts.threads]
        else:
            args = [os.environ["VB_PEER_SERVER"], "-m", model, "-np", opts.clients, "-c", opts.ctx * opts.clients,
                    "-t", opts.threads, "-tb", opts.threads]
        args += ["--host", "127.0.0.1", "--port", self.port]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("VERBATIM_", "OLLAMA_"))}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([str(a) for a in args], env=clean, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)

    def __enter__(self):
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                c.request("GET", "/health")
                if c.getresponse().status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        self.log.seek(0)
        last = self.log.read().decode(errors="replace").strip().splitlines()[-1:]
        self.__exit__()
        raise Failed(f"{self.process.args[0]} did not start: {' '.join(last)}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def cpu(self):
        """Seconds of processor time so far, of all threads."""
        return sum(int((task / "schedstat").read_text().split()[0])
                   for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()) / 1e9


# --- clients ---------------------------------------------------------------------------------------------------------

class Answer:
    """One streamed answer: bytes with the times they came, read when the round is over."""

    def __init__(self, port, body):
        data = json.dumps(body).encode()
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n")
        self.pieces, self.asked = [], time.perf_counter()
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.sendall(head.encode() + data)

    def more(self):
        """False: it was the end."""
        data = self.socket.recv(1 << 16)
        self.pieces.append((time.perf_counter(), data))
        return bool(data)

    def body(self):
        """(time, bytes) without headers and lengths of chunks."""
        rest, inside, left = b"", False, 0
        for when, data in self.pieces:
            rest += data
            while rest:
                if left > 0:
                    yield when, rest[:left]
                    left, rest = left - len(rest[:left]), rest[left:]
                    continue
                head, end, behind = rest.partition(b"\r\n" if inside else b"\r\n\r\n")
                if not end:
                    break
                rest = behind
                if inside and head:  # what ends a chunk is an empty line
                    left = int(head, 16)
                if not inside and b"chunked" not in head.lower():
                    raise Failed("expected a stream, found " + repr(head[:200] + b" ... " + rest[:300]))
                inside = True

    def read(self):
        """Text, usage, and the times when pieces of the text were whole."""
        text, usage, times, rest = [], None, [], b""
        for when, data in self.body():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                usage = event.get("usage") or usage
                piece = "".join(c["delta"].get("content") or "" for c in event.get("choices", []))
                if piece:
                    text.append(piece)
                    times.append(when)
        if usage is None:
            raise Failed("an answer without usage")
        return "".join(text), usage["completion_tokens"], times


def ask_all(port, bodies):
    """bodies: a list for each client, asked one after the other. Returns the answers in that order."""
    answers = [[] for _ in bodies]
    with selectors.DefaultSelector() as waiting:

        def ask(client):
            if len(answers[client]) == len(bodies[client]):
                return
            answers[client].append(Answer(port, bodies[client][len(answers[client])]))
            waiting.register(answers[client][-1].socket, selectors.EVENT_READ, client)

        for client in range(len(bodies)):
            ask(client)
        while waiting.get_map():
            for key, _ in waiting.select():
                if answers[key.data][-1].more():
                    continue
                waiting.unregister(key.fileobj)
                key.fileobj.close()
                ask(key.data)
    return [a for client in answers for a in client]


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def measure(engine, opts, bodies):
    with Server(engine, opts) as server:
        ask_all(server.port, [[{**bodies[0][0], "max_tokens": 2}]])  # loads the model
        cpu = server.cpu()
        answers = ask_all(server.port, bodies)
        cpu = server.cpu() - cpu
    begin, end = min(a.asked for a in answers), max(a.pieces[-1][0] for a in answers)
    read = [a.read() for a in answers]
    gaps = [1000 * (b - a) for _, _, times in read for a, b in zip(times, times[1:])] or [0.0]
    tokens = sum(n for _, n, _ in read)
    return {"tokens/s": tokens / (end - begin), "per CPU s": tokens / cpu, "between p50": quantile(gaps, 0.5),
            "between p95": quantile(gaps, 0.95),
            "first": statistics.median(1000 * (times[0] - a.asked) for a, (_, _, times) in zip(answers, read) if times),
            "tokens": tokens}, [text for text, _, _ in read]


def alone(opts, bodies, texts):
    """How many answers come out the same without company."""
    with Server(OURS, opts) as server:
        same = [ask_all(server.port, [[body]])[0].read()[0] for client in bodies for body in client]
    return sum(a == b for a, b in zip(same, texts))


# --- the table -------------------------------------------------------------------------------------------------------

FIGURES = ("tokens/s", "per CPU s", "between p50", "between p95", "first")


def show(label, engine, figures):
    print(f"{label:>8}  {engine:<13}" + "".join(f"{figures[f]:>13.2f}" for f in FIGURES), flush=True)


def arguments():
    p = argparse.ArgumentParser(prog="serve.py")
    p.add_argument("--build", required=True)
    p.add_argument("model")
    for name, value in (("clients", 16), ("requests", 2), ("tokens", 128), ("words", 120), ("rounds", 5), ("ctx", 1024),
                        ("threads", os.cpu_count())):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--temperature", type=float, default=0.8)
    p.add_argument("--csv")
    return p.parse_args()


def main():
    opts = arguments()
    opts.name = pathlib.Path(opts.model).stem
    engines = [OURS] + ([PEER] if os.environ.get("VB_PEER_SERVER") else [])
    bodies = questions(opts)
    print(f"{opts.name}: {opts.clients} clients, {opts.requests} requests each, {opts.tokens} tokens, "
          f"{opts.threads} threads")
    print(f"{'round':>8}  {'':<13}" + "".join(f"{f:>13}" for f in FIGURES))
    rounds, texts = [], None
    for i in range(opts.rounds):
        one = {}
        for engine in engines if i % 2 == 0 else engines[::-1]:
            one[engine], said = measure(engine, opts, bodies)
            show(str(i + 1), engine, one[engine])
            if engine == OURS and texts not in (None, said):
                raise Failed("two rounds have different texts")
            texts = said if engine == OURS else texts
        rounds.append(one)
    for engine in engines:
        show("median", engine, {f: statistics.median(r[engine][f] for r in rounds) for f in FIGURES})
    if PEER in engines:
        show("ratio", "", {f: statistics.median(r[OURS][f] / r[PEER][f] for r in rounds) for f in FIGURES})
    if opts.csv:
        with open(opts.csv, "w", newline="") as out:
            sheet = csv.writer(out)
            sheet.writerow(["round", "engine", *FIGURES])
            sheet.writerows([i + 1, e, *(r[e][f] for f in FIGURES)] for i, r in enumerate(rounds) for e in engines)
    same = alone(opts, bodies, texts)
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    print(f"{same} of {len(texts)} texts are those of the request alone; digest of all {digest}")
    return same != len(texts)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as why:
        sys.exit(f"serve: {why}")
