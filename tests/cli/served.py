"""served.py - a store of models in a folder, and a `verbatim serve` at work on it, for the tests of the server."""
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time


def store(folder, models):
    """models: {name: path}. Ollama's layout: blobs by digest, a manifest for each name."""
    folder = pathlib.Path(folder)
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    for name, path in models.items():
        data = pathlib.Path(path).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        (folder / "blobs" / f"sha256-{digest}").write_bytes(data)
        config = json.dumps({"model_format": "gguf"}).encode()
        config_digest = hashlib.sha256(config).hexdigest()
        (folder / "blobs" / f"sha256-{config_digest}").write_bytes(config)
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                               "digest": f"sha256:{config_digest}", "size": len(config)},
                    "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}",
                                "size": len(data)}]}
        at = folder / "manifests/registry.ollama.ai/library" / name / "latest"
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(json.dumps(manifest))
    return folder


def stretch(verbatim):
    """How much longer things may take: a build with a sanitizer is slow."""
    data = pathlib.Path(verbatim).read_bytes()
    return 10 if b"__asan_init" in data or b"__tsan_init" in data else 1


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    """Use it as a context; `options` are the command line's."""

    def __init__(self, verbatim, models, *options, env=None, **popen):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("VERBATIM_", "OLLAMA_"))}
        clean.update(VERBATIM_MODELS=str(models), OLLAMA_MODELS="/nonexistent", HOME=str(models))
        clean.update(env or {})
        port = () if "--port" in options or "--unix" in options else ("--port", "0")
        self.unix = options[options.index("--unix") + 1] if "--unix" in options else None
        self.process = subprocess.Popen([verbatim, "serve", "--json", *port, *options], env=clean, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)
        said = ""
        while not said.endswith("}\n"):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(self.process.communicate()[1])
            said += line
        self.port = json.loads(said)["port"]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self.said = self.process.communicate()[1]
        if exception[0] is not None or self.process.returncode != 0:
            print(self.said)
            print(f"serve: exit {self.process.returncode}")
        if exception[0] is None:
            assert self.process.returncode == 0, f"serve: expected exit 0, found {self.process.returncode}"

    def connect(self, timeout=60):
        if self.unix:
            return UnixConnection(self.unix, timeout)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None, timeout=60):
        """Returns status, headers, body."""
        c = self.connect(timeout)
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        try:
            c.request(method, path, data, headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def text(self, method, path, body=None):
        """Returns status, content type and text."""
        status, headers, text = self.ask(method, path, body, {} if body is None else {"Content-Type": "application/json"})
        return status, headers["Content-Type"], text.decode()

    def json(self, method, path, body=None, headers=None):
        status, _, text = self.ask(method, path, body, headers)
        return status, json.loads(text)

    def socket(self, timeout=60):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        return s

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self, key="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        return 0


def until(seconds, condition, what):
    """Waits for the condition; returns how long it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.002)
    return time.monotonic() - start
