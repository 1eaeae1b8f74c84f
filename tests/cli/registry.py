"""registry.py - a real registry (Docker Distribution) on a folder of its own, and a way to it that breaks, for the tests of
pull and push."""
import base64
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

import each

PROGRAM = shutil.which("docker-registry") or shutil.which("registry")
KIND = "application/vnd.ollama.image."
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def certificate(key, path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", path, "-subj",
                    "/CN=tokens", "-days", "2"], check=True, capture_output=True)


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """Use it as a context. `auth`: lines of its settings; `tls`: with a certificate that nobody knows."""

    def __init__(self, auth="", tls=False):
        if PROGRAM is None:
            raise each.Skip("there is no docker-registry here")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="verbatim-registry-"))
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        if tls:
            certificate(self.folder / "tls.key", self.folder / "tls.pem")
            tls = f", tls: {{certificate: {self.folder}/tls.pem, key: {self.folder}/tls.key}}"
        settings = self.folder / "config.yml"
        settings.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {self.folder}/data}}\n"
                            f"http: {{addr: '{self.host}', secret: of-this-test{tls or ''}}}\n{auth}")
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([PROGRAM, "serve", str(settings)], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text())
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, True)

    def ask(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def put_blob(self, repository, data):
        status, headers, _ = self.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert status == 202, status
        place = urllib.parse.urlsplit(headers["Location"])
        digest = digest_of(data)
        status, _, text = self.ask("PUT", f"{place.path}?{place.query}&digest={digest}", data,
                                   {"Content-Type": "application/octet-stream"})
        assert status == 201, text
        return digest

    def put(self, repository, tag, layers, lie=None):
        """A model of these layers, [(kind, data)]; `lie` may change the manifest before it is stored. Returns its bytes."""
        config = json.dumps({"model_format": "gguf"}).encode()
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": CONFIG, "digest": self.put_blob(repository, config), "size": len(config)},
                    "layers": [{"mediaType": KIND + kind, "digest": self.put_blob(repository, data), "size": len(data)}
                               for kind, data in layers]}
        if lie:
            lie(manifest)
        text = json.dumps(manifest).encode()
        status, _, said = self.ask("PUT", f"/v2/{repository}/manifests/{tag}", text, {"Content-Type": MANIFEST})
        assert status == 201, said
        return text

    def get(self, repository, tag):
        """The manifest's bytes and the blobs by their digests."""
        status, _, text = self.ask("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
        assert status == 200, text
        manifest = json.loads(text)
        blobs = {}
        for layer in [manifest["config"], *manifest["layers"]]:
            status, _, blobs[layer["digest"]] = self.ask("GET", f"/v2/{repository}/blobs/{layer['digest']}")
            assert status == 200, layer
        return text, blobs

    def file_of(self, digest):
        hex_ = digest.removeprefix("sha256:")
        return self.folder / f"data/docker/registry/v2/blobs/sha256/{hex_[:2]}/{hex_}/data"


class Way:
    """A TCP relay to a port. `down` and `up`: how many bytes a connection may carry towards the client and from it before it
    is cut (None: any number); `stall`: it is not cut then, but falls silent; `reset`: what is on its way is lost; `edit`
    changes what goes up. `sends_to`: requests for blobs that have a token are sent there."""

    def __init__(self, port, down=None, up=None, stall=False, reset=False, edit=None):
        self.port_of_registry, self.down, self.up, self.stall, self.edit = port, down, up, stall, edit
        self.reset, self.sends_to = reset, None
        self.carried_down = self.carried_up = self.connections = 0
        self.open = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for s in self.open:
            s.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                registry = socket.create_connection(("127.0.0.1", self.port_of_registry))
            except OSError:
                return
            self.connections += 1
            self.open += [client, registry]
            threading.Thread(target=self.relay, args=(client, registry), daemon=True).start()

    def pass_on(self, source, sink, carried):
        """Once; False: the connection is over."""
        downwards = source is not carried["client"]
        limit = self.down if downwards else self.up
        data = source.recv(1 << 16)
        if limit is not None:
            data = data[:max(limit - carried[downwards], 0)]
        if not downwards and self.edit:
            data = self.edit(data)
        if not downwards and self.sends_to and data.startswith(b"GET ") and b"/blobs/" in data and b"Authorization" in data:
            path = data.split()[1].decode()
            source.sendall(f"HTTP/1.1 307 There\r\nLocation: {self.sends_to}{path}\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        sink.sendall(data)
        carried[downwards] += len(data)
        if downwards:
            self.carried_down += len(data)
        else:
            self.carried_up += len(data)
        return bool(data) and (limit is None or carried[downwards] < limit)

    def relay(self, client, registry):
        carried = {"client": client, False: 0, True: 0}
        try:
            while all(self.pass_on(s, registry if s is client else client, carried)
                      for s in select.select([client, registry], [], [])[0]):
                pass
            if self.stall:
                return
            for s in (client, registry) if self.reset else ():
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, ValueError):
            pass
        client.close()
        registry.close()


class Web:
    """A small HTTP server of this machine; a subclass calls open() with what answers."""

    def open(self, handler):
        handler.log_message = lambda *_: None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Elsewhere(Web):
    """Where a registry keeps its blobs: gives those of the Registry at this port, and notes what it was asked."""

    def __init__(self, port):
        self.asked, elsewhere = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                elsewhere.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                c.request("GET", self.path)
                data = c.getresponse().read()
                c.close()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.open(Handler)


class Endless(Web):
    """A registry that means no good: a manifest without end, redirects in a circle, one to a file."""

    def __init__(self):
        self.sent, endless = 0, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if "/manifest/" not in self.path:
                    self.send_response(302)
                    self.send_header("Location", self.path if "/around/" in self.path else "file:///etc/hostname")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.end_headers()
                try:
                    while endless.sent < 1 << 30:
                        endless.sent += self.wfile.write(b" " * 65536)
                except OSError:
                    pass

        self.open(Handler)


class Tokens(Web):
    """Gives bearer tokens to a Registry whose settings have `auth`; `asked` has what was asked for. With `silent` it gives
    none."""

    def __init__(self, folder):
        self.key, self.certificate = folder / "token.key", folder / "token.pem"
        certificate(self.key, self.certificate)
        self.asked, self.silent, tokens = [], False, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                tokens.asked.append({**asked, "authorization": self.headers["Authorization"]})
                text = json.dumps({} if tokens.silent else {"token": tokens.token(asked)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self.open(Handler)
        self.auth = (f"auth:\n  token:\n    realm: http://127.0.0.1:{self.port}/token\n    service: models here\n"
                     f"    issuer: tokens\n    rootcertbundle: {self.certificate}\n")

    def token(self, asked):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")
        lines = self.certificate.read_text().splitlines()
        head = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(lines[1:lines.index("-----END CERTIFICATE-----")])]}
        access = []
        for scope in asked.get("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {"iss": "tokens", "sub": "", "aud": "models here", "exp": now + 600, "nbf": now - 10, "iat": now,
                  "jti": os.urandom(8).hex(), "access": access}
        text = part(json.dumps(head).encode()) + b"." + part(json.dumps(claims).encode())
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, check=True, capture_output=True)
        return (text + b"." + part(signed.stdout)).decode()
