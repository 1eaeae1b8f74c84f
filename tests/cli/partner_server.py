#!/usr/bin/env python3
"""partner_server.py - a real HTTP server that answers as a recorded engine did.

    Ollama(cases, model, sha256)  the cases of tests/recordings/*.json: /api/version, show, generate, chat; streamed as
                                  Ollama streams, a token a line
    Exchanges(list)               whole exchanges {"method", "path", "request", "status", "body"}, found by equal requests

A fault stands in front of the path, so one server plays them all: http://HOST:PORT/cut breaks off the last answer.

    partner_server.py record URL FILE [PORT]   stands in front of a live engine and writes every exchange to FILE
"""
import http.server
import json
import signal
import sys
import threading
import urllib.request

FAULTS = ("broken", "cut", "half", "early", "late-error", "silent", "busy", "wrong-type", "plain", "garbage-show")


class Ollama:
    def __init__(self, recording, sha256, model="recorded", version="0.0.0", parameters=""):
        self.recording, self.model, self.version = recording, model, version
        self.modelfile = f"# Modelfile\nFROM /models/blobs/sha256-{sha256}\n"
        self.parameters = parameters

    def case(self, path, request):
        for case in self.recording["cases"]:
            asked = case["request"]
            key = "messages" if path == "/api/chat" else "prompt"
            if case["endpoint"] == path and asked[key] == request.get(key) and asked.get("raw") == request.get("raw"):
                return case["response"]
        return None

    def answer(self, method, path, request):
        """(status, list of lines)"""
        if path == "/api/version":
            return 200, [{"version": self.version}]
        if request is None or request.get("model") != self.model:
            return 404, [{"error": f"model '{(request or {}).get('model')}' not found"}]
        if path == "/api/show":
            return 200, [{"modelfile": self.modelfile, "template": "{{ .Prompt }}", "parameters": self.parameters}]
        reply = self.case(path, request)
        if reply is None:
            return 500, [{"error": "no such question was recorded"}]
        if request.get("_debug_render_only"):
            return 200, [{"model": self.model}]
        return 200, list(self.stream(reply))

    @staticmethod
    def stream(reply):
        text = reply["response"] if "response" in reply else reply["message"]["content"]
        said = lambda part: {"response": part} if "response" in reply else {"message": {"role": "assistant", "content": part}}
        for entry in reply["logprobs"]:
            part = entry["token"] if text.startswith(entry["token"]) else ""
            text = text[len(part):]
            yield {**said(part), "done": False, "logprobs": [entry]}
        if text:
            yield {**said(text), "done": False}
        yield {**{k: v for k, v in reply.items() if k not in ("response", "message", "logprobs")}, **said("")}


class Exchanges:
    def __init__(self, exchanges):
        self.exchanges = exchanges

    def answer(self, method, path, request):
        for one in self.exchanges:
            if (one["method"], one["path"], one["request"]) == (method, path, request):
                return one["status"], [one["body"]]
        return 404, [{"error": {"code": 404, "message": f"not recorded: {method} {path} {json.dumps(request)}"}}]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.handle_one(None)

    def do_POST(self):
        self.handle_one(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def handle_one(self, request):
        first = self.path.split("/")[1]
        fault, path = (first, self.path[len(first) + 1:]) if first in FAULTS else (None, self.path)
        last = path in ("/api/generate", "/api/chat", "/completion")
        status, lines = self.server.engine.answer(self.command, path, request)
        self.server.seen.append((self.command, path, request))
        data = [json.dumps(line).encode() + b"\n" for line in lines]
        if fault == "busy" and last:
            status, data = 503, [b'{"error":"server busy, please try again.  maximum pending requests exceeded"}']
        if fault == "plain" and last:
            status, data = 500, [b"Internal Server Error\nsecond line\n"]
        if fault == "garbage-show" and path in ("/api/show", "/props"):
            data = [b"<html>not an engine</html>"]
        if fault == "broken" and last:
            data[len(data) // 2] = data[len(data) // 2][:-3] + b"\x00{{\n"
        if fault == "early" and last:
            data = data[:-1] or [b""]
        if fault == "late-error" and last:
            data[-1] = b'{"error":"an error was encountered while running the model"}\n'
        if fault == "wrong-type" and last:
            data[0] = b'{"response":7,"content":7,"message":{"content":7},"done":true}\n'
        if fault == "silent" and last:
            self.server.stop.wait(60)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i, line in enumerate(data):
            if fault in ("cut", "half") and last and i == len(data) // 2:
                self.chunk(line[:len(line) // 2]) if fault == "half" else None
                self.close_connection = True
                return
            self.chunk(line)
        self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, engine, port=0, handler=Handler):
        super().__init__(("127.0.0.1", port), handler)
        self.engine, self.seen, self.stop = engine, [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client)

    def close(self):
        self.stop.set()
        self.shutdown()
        self.server_close()


class Recorder:
    """Asks a live engine and keeps what it said."""
    def __init__(self, upstream):
        self.upstream, self.kept = upstream, []

    def answer(self, method, path, request):
        data = None if request is None else json.dumps(request).encode()
        ask = urllib.request.Request(self.upstream + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(ask) as reply:
            status, body = reply.status, [json.loads(line) for line in reply.read().splitlines() if line.strip()]
        self.kept.append({"method": method, "path": path, "request": request, "status": status, "body": body[0]})
        return status, body


def main():
    _, what, upstream, path, *port = sys.argv
    assert what == "record", __doc__
    recorder = Recorder(upstream.rstrip("/"))
    server = Server(recorder, int(port[0]) if port else 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop.set())
    print(f"{server.url} stands in front of {upstream}; Ctrl-C writes {path}", flush=True)
    server.stop.wait()
    with open(path, "w") as out:
        json.dump(recorder.kept, out, indent=0, ensure_ascii=False)
        out.write("\n")


if __name__ == "__main__":
    main()
