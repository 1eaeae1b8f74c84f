#!/usr/bin/env python3
"""store.py VERBATIM [NAME...] - our own store of models, written from the command line and over HTTP.

After each test the store is looked through: each blob is what its name says, each manifest's blobs are there, and nothing
is half written. A store of Ollama's stands beside it and must not change by a byte. Ends with "N passed, N failed".
"""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import each
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests/golden"
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
MODEL = GOLDEN / "llama-gqa/model.gguf"
DATA = MODEL.read_bytes()
DIGEST = hashlib.sha256(DATA).hexdigest()
WORK = scratch.folder("store")
OLLAMA = served.store(WORK / "ollama", {"theirs": GOLDEN / "gemma3/model.gguf"})
SLOW = served.stretch(VERBATIM)
HOST = "registry" + ".ollama.ai"
KIND = "application/vnd.ollama.image."
SHIM = pathlib.Path(VERBATIM).parent / "tests/shims/store_faults.so"
GREEDY = {"temperature": 0, "num_predict": 6, "seed": 1}


def same(a, b):
    assert a == b, f"expected {b!r}, found {a!r}"


def snapshot(folder):
    return {str(p.relative_to(folder)): (p.lstat().st_mtime_ns, p.lstat().st_mode, p.read_bytes() if p.is_file() else b"")
            for p in sorted(folder.rglob("*"))}


THEIRS = snapshot(OLLAMA)


class Own:
    """A store of ours, new for each test, and what must be true of it."""

    def __init__(self, **files):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=WORK)) / "models"
        self.folder.mkdir()
        for name, path in files.items():
            shutil.copy(path, self.folder / f"{name}.gguf")
        self.env = {"VERBATIM_MODELS": str(self.folder), "OLLAMA_MODELS": str(OLLAMA), "HOME": str(self.folder.parent),
                    "XDG_CACHE_HOME": str(self.folder.parent)}

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind is None:
            self.sound()

    def run(self, *args, code=0, text=None, cwd=None):
        done = subprocess.run([VERBATIM, *map(str, args)], capture_output=True, env={**os.environ, **self.env},
                              input=text, cwd=cwd, timeout=60 * SLOW)
        assert done.returncode == code, f"{args}: exit {done.returncode}: {done.stderr.decode()}"
        return done.stdout.decode(), done.stderr.decode()

    def server(self, *options, **popen):
        return served.Server(VERBATIM, self.folder, *options, env=self.env, **popen)

    def names(self):
        return sorted(m["name"] for m in json.loads(self.run("list", "--json")[0]) if m["store"] == "verbatim")

    def manifest(self, name):
        model, _, tag = name.partition(":")
        return json.loads((self.folder / "manifests" / HOST / "library" / model / (tag or "latest")).read_bytes())

    def layers(self, name):
        """Each layer's kind and bytes."""
        return [(layer["mediaType"].removeprefix(KIND), self.blob(layer["digest"])) for layer in self.manifest(name)["layers"]]

    def blob(self, digest):
        return (self.folder / "blobs" / digest.replace(":", "-")).read_bytes()

    def blobs(self):
        return sorted(p.name for p in (self.folder / "blobs").iterdir())

    def clear(self):
        """Blobs that no manifest names: pushed ones, and those of attempts that failed."""
        for name in self.blobs():
            (self.folder / "blobs" / name).unlink()

    def sound(self, orphans=False):
        """No blob differs from its name, none is missing or unfinished; and none is there for nothing, unless `orphans`."""
        named = set()
        for path in (self.folder / "manifests").rglob("*"):
            if not path.is_file() or path.name.startswith(".new-"):
                continue
            m = json.loads(path.read_bytes())
            for layer in [m["config"], *m["layers"]]:
                data = self.blob(layer["digest"])
                same(len(data), layer["size"])
                named.add(layer["digest"].replace(":", "-"))
        for name in self.blobs():
            same(name, "sha256-" + hashlib.sha256((self.folder / "blobs" / name).read_bytes()).hexdigest())
        if not orphans:
            same(set(self.blobs()) - named, set())
        assert snapshot(OLLAMA) == THEIRS, "Ollama's store has changed"


def answer(own, model, *args):
    return own.run("run", model, "-n", "8", *args, "Hello")[0]


# --- the command line --------------------------------------------------------------------------------------


MODELFILE = f"""# of a file
FROM {MODEL}
PARAMETER temperature 0
PARAMETER stop "<|im_end|>"
PARAMETER stop "zzz"
TEMPLATE \"\"\"{{{{ range .Messages }}}}{{{{ .Role }}}}: {{{{ .Content }}}}
{{{{ end }}}}\"\"\"
SYSTEM Be brief.
LICENSE \"\"\"MIT
of two lines\"\"\"
MESSAGE user Hi
MESSAGE assistant Yes?
"""


def test_create_from_a_modelfile():
    with Own() as own:
        (own.folder.parent / "Modelfile").write_text(MODELFILE)
        said = own.run("create", "brief", cwd=own.folder.parent)[1]
        assert "success" in said, said
        same(own.names(), ["brief:latest"])
        found = own.layers("brief")
        same([kind for kind, _ in found], ["model", "template", "system", "license", "params", "messages"])
        same(found[0][1], DATA)
        same([data for _, data in found[1:]], [
            b"{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}", b"Be brief.", b"MIT\nof two lines",
            b'{"stop":["\\u003c|im_end|\\u003e","zzz"],"temperature":0}\n',
            b'[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"}]\n'])
        m = own.manifest("brief")
        same((m["schemaVersion"], m["mediaType"]), (2, "application/vnd.docker.distribution.manifest.v2+json"))
        config = json.loads(own.blob(m["config"]["digest"]))
        same(own.blob(m["config"]["digest"]), b'{"model_format":"gguf","model_family":"llama","model_families":["llama"],'
             + f'"model_type":"{config["model_type"]}","file_type":"{config["file_type"]}"'.encode()
             + b',"architecture":"amd64","os":"linux"}\n')
        same([set(layer) for layer in m["layers"]], 6 * [{"mediaType", "digest", "size"}])
        assert answer(own, "brief", "--raw") == answer(own, str(MODEL), "--raw")
        own.run("rm", "brief")
        same(own.blobs(), [])


def test_the_manuals_modelfile():
    text = (ROOT / "docs/MODELS.md").read_text().split("hold several lines.\n\n")[1].split("\n\nWhat is not said")[0]
    with Own(smollm2=MODEL) as own:
        own.run("create", "brief", "-f", "-", text="\n".join(line[4:] for line in text.splitlines()).encode())
        same([k for k, _ in own.layers("brief")], ["model", "template", "system", "license", "params", "messages"])
        same(dict(own.layers("brief"))["system"], b"You are brief.\nVery brief.")


def test_create_from_models():
    with Own(base=MODEL) as own:
        own.run("create", "a", "-f", "-", text=b"FROM base\nSYSTEM one\nPARAMETER top_k 5\nPARAMETER seed 3\n")
        own.run("create", "b:x", "-f", "-", text=b"FROM a\nSYSTEM two\nPARAMETER top_k 7\n")
        own.run("create", "c", "-f", "-", text=b"FROM theirs\nLICENSE one\n")
        same(own.names(), ["a:latest", "b:x", "base", "c:latest"])
        same([k for k, _ in own.layers("b:x")], ["model", "system", "params"])
        same([d for _, d in own.layers("b:x")[1:]], [b"two", b'{"seed":3,"top_k":7}\n'])
        same(own.manifest("b:x")["layers"][0]["from"], "a:latest")
        same(own.layers("c")[0][1], (GOLDEN / "gemma3/model.gguf").read_bytes())
        own.run("create", "a", "-f", "-", text=b"FROM a\nSYSTEM three\n")  # out of itself
        same(own.layers("a")[1:], [("system", b"three"), ("params", b'{"seed":3,"top_k":5}\n')])
        own.run("rm", "a", "c")
        same(own.names(), ["b:x", "base"])
        assert answer(own, "b:x", "--raw") == answer(own, "base", "--raw")


(WORK / "text.gguf").write_bytes(b"GGUF is not all")


def test_a_conversation_begins_as_its_model_says():
    """`run` gives the model what --raw would, if one wrote the store's messages into the prompt."""
    with Own(base=MODEL) as own:
        template = '{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}'
        own.run("create", "m", "-f", "-", text=f'FROM base\nTEMPLATE """{template}"""\nSYSTEM Be.\nMESSAGE user a\nMESSAGE assistant b\n'.encode())
        def ids(*args):
            return json.loads(own.run("run", "m", "-n", "4", "--json", *args)[0])
        said, system = ids("c"), ids("--system", "No.", "c")
        for found, text in (said, "system=Be.;user=a;assistant=b;user=c;"), (system, "system=No.;user=a;assistant=b;user=c;"):
            raw = ids("--raw", text)
            same((found["prompt_tokens"], found["ids"]), (raw["prompt_tokens"], raw["ids"]))


def test_create_refuses():
    with Own(base=MODEL) as own:
        for name, text, code, says in [
                ("x", f"FROM {WORK}/text.gguf", 3, "text.gguf"), ("x", "FROM nowhere", 3, "model 'nowhere' not found"),
                ("x", "FROM ./nowhere", 3, "expected a file, found none"), ("x", f"FROM {WORK}", 3, "found a directory"),
                ("x", "SYSTEM x", 3, "expected a line FROM"), ("../x", "FROM base", 2, "invalid model name"),
                ("x", "FROM base\nADAPTER y", 3, "adapter is not supported"), ("base", "FROM theirs", 2, "found the file base.gguf"),
                ("x", "FROM base\nPARAMETER top_k hot", 3, "of type int"), ("x", "FROM ../../nowhere", 3, "expected a file"),
                ("x", "FROM a/../../b", 2, "is invalid")]:
            said = own.run("create", name, "-f", "-", text=text.encode(), code=code)[1]
            assert says in said, f"{text}: {said}"
        own.run("create", "x", code=4 if os.path.exists("Modelfile") else 3, cwd=WORK)
        same(own.names(), ["base"])
        same(own.blobs(), [])


def test_copy_and_remove():
    with Own(base=MODEL) as own:
        own.run("cp", "theirs", "mine")
        own.run("cp", "mine", "me/mine:2")
        own.run("cp", "base", "other")
        same(own.names(), ["base", "me/mine:2", "mine:latest", "other:latest"])
        same(own.manifest("mine"), json.loads((OLLAMA / "manifests" / HOST / "library/theirs/latest").read_bytes()))
        own.run("rm", "mine")
        assert answer(own, "me/mine:2", "--raw") == answer(own, "theirs", "--raw")
        said = own.run("rm", "nowhere", "me/mine:2", code=3)[1]
        assert "model 'nowhere' not found" in said and "deleted 'me/mine:2'" in said, said
        assert "only read" in own.run("rm", "theirs", code=3)[1]
        own.run("rm", "base")
        same(own.names(), ["other:latest"])
        assert 'model "base" not found' in own.run("cp", "base", "x", code=3)[1]
        same(json.loads(own.run("rm", "other", "--json")[0]), {"deleted": ["other"]})


def test_a_copy_is_as_old_as_its_manifest():
    with Own() as own, own.server() as server:
        own.run("cp", "theirs", "first")
        blob = next(p for p in (own.folder / "blobs").iterdir() if p.stat().st_size == (GOLDEN / "gemma3/model.gguf").stat().st_size)
        os.utime(blob, (10**9, 10**9))
        os.utime(own.folder / "manifests" / HOST / "library/first/latest", (11 * 10**8, 11 * 10**8))
        same(server.ask("POST", "/api/copy", {"source": "first", "destination": "second"})[0], 200)
        times = {m["name"]: m["modified_at"] for m in server.json("GET", "/api/tags")[1]["models"]}
        same(times["first:latest"], "2004-11-09T11:33:20.000000000Z")
        assert times["second:latest"] > "2026", times
        same(server.json("POST", "/api/show", {"model": "first"})[1]["modified_at"], times["first:latest"])
        same(server.json("GET", "/v1/models/first")[1]["created"], 11 * 10**8)


TRAVERSALS = ["../x", "..", "a/../../x", "/etc/passwd", "a:../x", "%2e%2e/x", "a\\..\\x", "..%2fx", "a/./b", "a//b", "a/b/c/d",
              "a\nb", "\u202ea", "a\u00e4", ".x", "a/.x", "x:.y", "registry/../x", "~/x", "a\x7fb", "-x/y", "a:" + 81 * "t",
              90 * "m", "C:\\x", "a b", "a/b c", "file:///x", "a?b", "*", "a@b/../c"]


def test_hostile_names():
    with Own(base=MODEL) as own, own.server() as server:
        before = snapshot(own.folder.parent)
        for name in TRAVERSALS:
            for args in ("cp", "base", name), ("cp", "--", name, "x"), ("rm", "--", name):
                if name.startswith("-") and "--" not in args:
                    continue
                done = subprocess.run([VERBATIM, *args], env={**os.environ, **own.env}, capture_output=True)
                assert done.returncode in (2, 3), (args, done)
            for method, path, body in [("POST", "/api/copy", {"source": "base", "destination": name}),
                                       ("POST", "/api/copy", {"source": name, "destination": "x"}),
                                       ("DELETE", "/api/delete", {"model": name}),
                                       ("POST", "/api/create", {"model": name, "from": "base"}),
                                       ("POST", "/api/create", {"model": "x", "files": {name: "sha256:" + 64 * "0"}}),
                                       ("POST", "/api/create", {"model": "x", "files": {"a": name}})]:
                status, _, text = server.ask(method, path, body)
                assert status in (400, 404) or (status == 200 and b'"error"' in text), (path, body, status, text)
            status = server.ask("POST", "/api/blobs/" + name.encode().hex(), b"x")[0]
            same(status, 400)
        for path in "sha256:" + 63 * "0", "sha256:" + 65 * "0", "sha256-" + 63 * "0" + "/", "sha256:../../x", "sha256:" + 64 * "g":
            for method in "HEAD", "POST":
                status = server.ask(method, "/api/blobs/" + path, b"x" if method == "POST" else None)[0]
                same(status, 400)
        after = snapshot(own.folder.parent)
        for path in ("models/blobs", "models/manifests", "models/.lock", "models"):
            before.pop(path, None), after.pop(path, None)
        assert {k: v for k, v in after.items() if "verbatim/" not in k and k != "verbatim"} == \
               {k: v for k, v in before.items() if "verbatim/" not in k and k != "verbatim"}


# --- blobs over HTTP ---------------------------------------------------------------------------------------


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def push(server, data, digest=None):
    return server.ask("POST", "/api/blobs/" + (digest or digest_of(data)), data)


def test_blobs():
    with Own() as own, own.server() as server:
        recorded = json.loads((ROOT / "tests/recordings/store/blob_missing.json").read_text())
        status, headers, text = server.ask(recorded["method"], recorded["path"])
        same((status, headers["Content-Type"], text), (404, recorded["headers"]["Content-Type"], b""))
        data = random.Random(1).randbytes(1000)
        same((push(server, data)[0], push(server, data)[0]), (201, 200))
        same(server.ask("HEAD", "/api/blobs/" + digest_of(data))[0], 200)
        same(server.ask("HEAD", "/api/blobs/" + digest_of(data).replace(":", "-"))[0], 200)
        status, _, text = push(server, b"other", digest_of(b"said"))
        same((status, json.loads(text)["error"]),
             (400, f'digest mismatch, expected "{digest_of(b"said")}", got "{digest_of(b"other")}"'))
        same(push(server, b"")[0], 201)
        same(server.ask("GET", "/api/blobs/" + digest_of(data))[0], 405)
        same(len(own.blobs()), 2)
        own.sound(orphans=True)
        own.clear()


def test_large_blobs_are_streamed():
    data = random.Random(2).randbytes(48 << 20)
    with Own() as own, own.server() as server:
        same(push(server, b"warm")[0], 201)
        before = server.memory()
        same(push(server, data)[0], 201)
        grown = server.memory("VmHWM") - before
        if SLOW == 1:
            assert grown < 16 << 20, f"{grown >> 20} MiB more"
        c = server.connect()
        part = data[:5 << 20]
        pieces = (part[i:i + 100000] for i in range(0, len(part), 100000))
        c.request("POST", "/api/blobs/" + digest_of(part), pieces, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        r = c.getresponse()
        same((r.status, r.read()), (201, b""))
        own.sound(orphans=True)
        own.clear()


def test_clients_that_leave_leave_nothing():
    data = random.Random(3).randbytes(3 << 20)
    with Own() as own, own.server() as server:
        for n in 0, 1, 100, 1 << 16, 1 << 20, len(data) - 1:
            s = server.socket()
            s.sendall(f"POST /api/blobs/{digest_of(data)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode())
            s.sendall(data[:n])
            time.sleep(random.Random(n).random() / 20)
            s.close()
        served.until(5 * SLOW, lambda: (own.folder / "blobs").exists() and own.blobs() == [], "partial blobs are gone")
        same(push(server, data)[0], 201)
        own.clear()


def test_many_upload_the_same():
    data = random.Random(4).randbytes(4 << 20)
    with Own() as own, own.server() as server:
        found = []
        threads = [threading.Thread(target=lambda: found.append(push(server, data)[0])) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert set(found) <= {200, 201}, found
        same(own.blobs(), [digest_of(data).replace(":", "-")])
        own.sound(orphans=True)
        own.clear()


# --- models over HTTP --------------------------------------------------------------------------------------


def lines(server, path, body):
    status, headers, text = server.ask("POST", path, body)
    assert status == 200, (status, text)
    same(headers["Content-Type"], "application/x-ndjson")
    return [json.loads(line) for line in text.decode().splitlines()]


def generate(server, model, status=200, **fields):
    code, _, text = server.ask("POST", "/api/generate", {"model": model, "prompt": "Hi", "stream": False, "options": GREEDY, **fields})
    assert code == status, (code, text)
    return json.loads(text)


def test_create_over_http():
    with Own() as own, own.server() as server:
        body = {"model": "made", "files": {"m.gguf": "sha256:" + DIGEST}, "system": "Be brief.", "license": ["a", "b"],
                "parameters": {"temperature": 0.5, "stop": "x"}, "messages": [{"role": "user", "content": "é<"}], "odd": 1}
        assert "not found" in lines(server, "/api/create", body)[-1]["error"]
        same(push(server, DATA)[0], 201)
        said = lines(server, "/api/create", body)
        same(said[0], {"status": "parsing GGUF"})
        same(said[1], {"status": "using existing layer sha256:" + DIGEST})
        same([s["status"].split(" sha256")[0] for s in said[2:-1]], ["creating new layer"] * 5 + ["writing manifest"])
        same(said[-1], {"status": "success", "verbatim": {"ignored": ["odd"]}})
        same([d for _, d in own.layers("made")[1:]],
             [b"Be brief.", b"a", b"b", b'{"stop":["x"],"temperature":0.5}\n', '[{"role":"user","content":"é\\u003c"}]\n'.encode()])
        shown = server.json("POST", "/api/show", {"model": "made"})[1]
        same(shown["system"], "Be brief.")
        status, found = server.json("POST", "/api/create", {"name": "again", "from": "made", "stream": False})
        same((status, found), (200, {"status": "success"}))
        status, found = server.json("POST", "/api/create", {"model": "theirs2", "from": "theirs", "stream": False})
        same((status, found), (200, {"status": "success"}))
        generate(server, "theirs2", raw=True)
        same(generate(server, "again", raw=True)["response"], generate(server, "made", raw=True)["response"])
        same(own.names(), ["again:latest", "made:latest", "theirs2:latest"])


def test_create_refuses_over_http():
    with Own(base=MODEL) as own, own.server() as server:
        text = b"no model at all"
        same(push(server, text)[0], 201)
        for fields, status, says in [
                ({}, 400, "neither 'from' or 'files' was specified"), ({"files": {}}, 400, "no files provided to convert"),
                ({"files": {"/a": digest_of(text)}}, 400, "file path must be relative"),
                ({"files": {"a": "sha256:x"}}, 400, "invalid digest format"), ({"from": "nowhere"}, 404, "model 'nowhere' not found"),
                ({"files": {"a": digest_of(text)}}, 400, "GGUF"), ({"from": "base", "quantize": "q4_K_M"}, 400, "not supported"),
                ({"from": "base", "adapters": {"a": digest_of(text)}}, 400, "adapters are not supported"),
                ({"from": "base", "parameters": {"temperature": "hot"}}, 400, 'option "temperature" must be of type float32'),
                ({"from": "base", "system": 5}, 400, "cannot unmarshal number"), ({"from": "base", "messages": [{"role": "x"}]}, 400, "role"),
                ({"from": "base", "template": "{{ if .Prompt }}"}, 400, "template error"),
                ({"from": "base", "license": [5]}, 400, "license"), ({"from": str(WORK / "nowhere")}, 404, "nowhere"),
                ({"from": "base", "model": "../x"}, 400, "invalid model name"), ({"from": "base", "model": ""}, 400, "invalid model name")]:
            code, found = server.json("POST", "/api/create", {"model": "x", "stream": False, **fields})
            same(code, status)
            assert says in found["error"], (fields, found)
        told = {path: server.json("POST", "/api/create", {"model": "x", "from": path, "stream": False})[1]["error"].removeprefix(path)
                for path in ("/etc/passwd", "/nowhere", "/etc", "/dev/zero", str(WORK / "text.gguf"), "/../etc/passwd")}
        same(len(set(told.values())), 1)  # which files there are is nobody's business
        same(server.json("POST", "/api/create"), (400, {"error": "missing request body"}))
        same(own.names(), ["base"])
        same(server.json("POST", "/api/create", {"model": "y", "from": str(MODEL), "stream": False})[0], 200)
        own.run("rm", "y")
        (own.folder / "blobs" / digest_of(text).replace(":", "-")).unlink()


def test_copy_and_delete_as_recorded():
    with Own(smollm2=MODEL) as own, own.server() as server:
        for name in "copy", "delete", "delete_missing":
            r = json.loads((ROOT / f"tests/recordings/store/{name}.json").read_text())
            status, headers, text = server.ask(r["method"], r["path"], r["request"])
            same((status, headers["Content-Type"], text.decode()), (r["status"], r["headers"].get("Content-Type"), r["body"]))
        same(own.names(), ["smollm2"])
        status, found = server.json("POST", "/api/copy", {"source": "nope", "destination": "x"})
        same((status, found), (404, {"error": 'model "nope" not found'}))
        same(server.json("DELETE", "/api/delete", {"model": "theirs"})[0], 400)
        same(server.ask("POST", "/api/delete", {"model": "smollm2"})[0], 405)
        status, _, _ = server.ask("DELETE", "/api/delete", {"name": "smollm2"})
        same((status, own.names()), (200, []))


def test_what_is_loaded_follows():
    with Own(base=MODEL) as own, own.server() as server:
        def create(**fields):
            same(server.json("POST", "/api/create", {"model": "m", "from": "base", "stream": False, **fields})[0], 200)
        create(system="One.")
        first = generate(server, "m", _debug_render_only=True)["_debug_info"]["rendered_template"]
        generate(server, "m")
        create(system="Two.")
        second = generate(server, "m", _debug_render_only=True)["_debug_info"]["rendered_template"]
        assert "One." in first and "Two." in second and "One." not in second, (first, second)
        generate(server, "m")
        same(server.ask("DELETE", "/api/delete", {"model": "m"})[0], 200)
        generate(server, "m", status=404)
        same([m["name"] for m in server.json("GET", "/api/ps")[1]["models"] if m["name"].startswith("m:")], [])


def test_management_needs_the_key_of_a_server_that_has_keys():
    keys = WORK / "keys"
    keys.write_text("a-key-of-many-characters\n")
    with Own(base=MODEL) as own, own.server("--api-key-file", str(keys), "--host", "0.0.0.0") as server:
        body = {"model": "base"}
        same(server.ask("DELETE", "/api/delete", body)[0], 401)
        same(push(server, b"x")[0], 401)
        same(server.ask("POST", "/api/create", {"model": "x", "from": str(MODEL)})[0], 401)
        same(server.ask("DELETE", "/api/delete", body, {"Authorization": "Bearer a-key-of-many-characters"})[0], 200)
        same(own.names(), [])


# --- what goes wrong ---------------------------------------------------------------------------------------


def room_for(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def test_a_full_disk():
    data = random.Random(5).randbytes(3 << 20)
    with Own(base=MODEL) as own:
        own.run("create", "kept", "-f", "-", text=b"FROM base\nSYSTEM kept\n")
        before = own.blobs()
        with own.server(preexec_fn=room_for(2 << 20)) as server:
            status, _, text = push(server, data)
            assert status == 500 and b"File too large" in text, (status, text)
            same(push(server, b"small")[0], 201)
            same(set(own.blobs()) - set(before), {digest_of(b"small").replace(":", "-")})
            (own.folder / "blobs" / digest_of(b"small").replace(":", "-")).unlink()
        for room in 0, 1, 100, 10000, len(DATA) - 1:
            for text in b"FROM theirs\nSYSTEM new\n", b"FROM base\nSYSTEM new\n":
                done = subprocess.run([VERBATIM, "create", "kept", "-f", "-"], input=text, capture_output=True,
                                      env={**os.environ, **own.env}, preexec_fn=room_for(room))
                if done.returncode == 0:  # base's blob is there already, all else is small
                    assert room >= 100 and b"base" in text, (room, done)
                    own.run("create", "kept", "-f", "-", text=b"FROM base\nSYSTEM kept\n")
                else:
                    same(done.returncode, 4)
                same(own.layers("kept")[1], ("system", b"kept"))
        own.run("rm", "kept")
        own.clear()


def faulty(own, fault, words, text):
    """Runs it with that fault; returns the exit code."""
    env = {**os.environ, **own.env, "LD_PRELOAD": str(SHIM), "FAULT": fault, "FAULT_COUNT": str(WORK / "calls")}
    return subprocess.run([VERBATIM, *words], input=text, env=env, capture_output=True).returncode


def test_every_call_that_changes_files_fails():
    """Once, from there on, or the program is killed there: a name means what it meant, or what it should mean."""
    if not SHIM.exists() or SLOW > 1:
        raise each.Skip
    with Own(base=MODEL) as own:
        own.run("create", "kept", "-f", "-", text=b"FROM base\nSYSTEM 0\n")
        saved = own.folder.parent / "saved"
        shutil.copytree(own.folder, saved)
        for words, text, outcomes in [(["create", "kept", "-f", "-"], b"FROM theirs\nSYSTEM 1\n", (b"0", b"1")),
                                      (["cp", "kept", "other"], b"", (b"0",)), (["rm", "kept"], b"", (b"0", None))]:
            same(faulty(own, "none:0", words, text), 0)
            calls = int((WORK / "calls").read_text())
            assert calls > 3, calls
            every = int(os.environ.get("EVERY", 3))
            for i, kind in enumerate(["fail", "from", "die"]):  # each call by one of them, by all in the long run
                for n in range(1 + i % every, calls + 1, every):
                    shutil.rmtree(own.folder)
                    shutil.copytree(saved, own.folder)
                    code = faulty(own, f"{kind}:{n}", words, text)
                    assert code in {"die": (-9,)}.get(kind, (0, 4)), (kind, n, words, code)
                    own.run("rm", "nowhere", code=3)  # opens the store, and does away with what was left
                    own.sound(orphans=True)
                    kept = dict(own.layers("kept")).get("system") if "kept:latest" in own.names() else None
                    assert kept in outcomes, (kind, n, words, kept)
                    same(set(own.names()) - {"base", "kept:latest", "other:latest"}, set())
        shutil.rmtree(own.folder)
        shutil.copytree(saved, own.folder)


def test_killed_while_it_writes():
    chance = random.Random(6)
    rounds = int(os.environ.get("ROUNDS", 24 if SLOW == 1 else 6))
    with Own(base=MODEL) as own:
        own.run("create", "kept", "-f", "-", text=b"FROM base\nSYSTEM 0\n")
        spent = []
        for i in range(rounds):
            begin = time.monotonic()
            p = subprocess.Popen([VERBATIM, "create", "kept", "-f", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 env={**os.environ, **own.env})
            p.stdin.write(f"FROM {'theirs' if i % 2 else 'base'}\nSYSTEM {i + 1}\n".encode())
            p.stdin.close()
            if i > 1:
                time.sleep(chance.random() * max(spent))
                p.kill()
            p.wait()
            if i < 2:
                spent.append(time.monotonic() - begin)
            system = dict(own.layers("kept"))["system"]
            assert int(system) <= i + 1, system
        own.run("create", "kept", "-f", "-", text=b"FROM base\nSYSTEM last\n")  # and what was left half written goes
        own.sound(orphans=True)
        same(dict(own.layers("kept"))["system"], b"last")
        own.run("rm", "kept")
        own.clear()


def test_a_server_killed_during_uploads():
    data = random.Random(7).randbytes(2 << 20)
    with Own() as own:
        for n in 1 << 16, 1 << 20, len(data) - 1:
            server = own.server()
            s = server.socket()
            s.sendall(f"POST /api/blobs/{digest_of(data)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode())
            s.sendall(data[:n])
            served.until(5 * SLOW, lambda: (own.folder / "blobs").exists() and own.blobs(), "the upload began")
            server.process.kill()
            server.process.communicate()
            s.close()
            assert own.blobs(), "the half of a blob"
            with own.server() as server:
                same(server.ask("HEAD", "/api/blobs/" + digest_of(data))[0], 404)
                same(push(server, b"")[0], 201)
                same(own.blobs(), ["sha256-" + hashlib.sha256(b"").hexdigest()])
                own.clear()


def test_many_at_once():
    """Creating, copying and deleting by several processes and a server: what is named is whole at every moment."""
    with Own(base=MODEL) as own, own.server() as server:
        def work(seed):
            chance = random.Random(seed)
            for i in range(8):
                name = chance.choice("pqr")
                kind = chance.randrange(4)
                with contextlib.suppress(http.client.HTTPException, socket.timeout):
                    if kind == 0:
                        server.ask("POST", "/api/create", {"model": name, "from": "base", "system": str(chance.randrange(3)), "stream": False})
                    elif kind == 1:
                        server.ask("POST", "/api/copy", {"source": name, "destination": chance.choice("pqr")})
                    elif kind == 2:
                        server.ask("DELETE", "/api/delete", {"model": name})
                    else:
                        subprocess.run([VERBATIM, "create", name, "-f", "-"], input=b"FROM theirs\nSYSTEM 1\n",
                                       env={**os.environ, **own.env}, capture_output=True)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        own.sound(orphans=True)
        for name in "pqr":
            server.ask("DELETE", "/api/delete", {"model": name})
        own.clear()


sys.exit(each.run(globals(), sys.argv[2:]))
