#!/usr/bin/env python3
"""pull.py VERBATIM [NAME...] | VERBATIM --kills N - models from and to a registry: a real one, over ways that break, with layers
that lie. With --kills: downloads that are killed N times, at any instant."""
import atexit
import json
import os
import pathlib
import pty
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time

import each
import registry
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
SLOW = served.stretch(VERBATIM)
WORK = scratch.folder("pull")
TINY = (ROOT / "tests/golden/llama-gqa/model.gguf").read_bytes()
BIG = bytes(range(256)) * 8192 + os.urandom(2 << 20)  # 4 MiB
SYSTEM = b"Be brief."
REGISTRY = None


def there():
    """The registry that all tests share; started by the first one that wants it."""
    global REGISTRY
    if REGISTRY is None:
        REGISTRY = registry.Registry()
        atexit.register(REGISTRY.__exit__)
    return REGISTRY


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


class Store:
    """A folder of our own, and the commands on it."""
    made = 0

    def __init__(self):
        Store.made += 1
        self.folder = WORK / f"store{Store.made}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("VERBATIM_", "OLLAMA_"))}
        self.env.update(VERBATIM_MODELS=str(self.folder), OLLAMA_MODELS="/nonexistent", HOME=str(WORK))

    def start(self, *args, **options):
        return subprocess.Popen([VERBATIM, *args], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                **options)

    def run(self, *args, code=0, says=""):
        p = self.start(*args)
        out, talk = p.communicate(timeout=60 * SLOW)
        assert p.returncode == code, f"{args}: expected exit {code}, found {p.returncode}: {talk}"
        assert says in talk, f"{args}: expected {says!r} in {talk!r}"
        return out

    def lines(self, *args, **more):
        return [json.loads(line) for line in self.run(*args, "--json", **more).splitlines()]

    def blobs(self):
        return {p.name: p for p in (self.folder / "blobs").iterdir()} if (self.folder / "blobs").is_dir() else {}

    def manifest(self, host, repository, tag):
        path = self.folder / "manifests" / host / repository / tag
        return path.read_bytes() if path.exists() else None

    def holds(self, host, repository, tag, text, layers):
        """The manifest to the byte, all its blobs, and nothing besides."""
        same(self.manifest(host, repository, tag), text)
        named = json.loads(text)
        digests = {named["config"]["digest"], *(layer["digest"] for layer in named["layers"])}
        left = {name for name in self.blobs() if not name.startswith(".")}
        same(left, {d.replace(":", "-") for d in digests})
        for _, data in layers:
            same(self.blobs()[registry.digest_of(data).replace(":", "-")].read_bytes(), data)


def statuses(lines):
    """What was told, each once in a row."""
    found = [line["status"] for line in lines]
    return [s for i, s in enumerate(found) if i == 0 or s != found[i - 1]]


def put(name, layers, lie=None):
    return there().put(f"models/{name}", "latest", layers, lie)


def short(data):
    return registry.digest_of(data)[7:19]


def partial(data):
    return registry.digest_of(data).replace(":", "-") + "-partial"


# --- a way that never gets further: half a minute, while the other tests run ---------------------------------------------

HOPELESS = None


def test_a_hopeless_one_begins():
    global HOPELESS
    put("big", [("model", BIG)])
    way = registry.Way(there().port, down=100_000)
    atexit.register(way.__exit__)
    store = Store()
    p = store.start("pull", f"{way.host}/models/big")
    until_partial(store, BIG, 50_000)
    way.down = 0
    HOPELESS = p, time.monotonic()


# --- pull ------------------------------------------------------------------------------------------------------------

def test_a_model_arrives():
    layers = [("model", TINY), ("system", SYSTEM), ("params", b'{"temperature":0}')]
    text, store = put("tiny", layers), Store()
    name = f"{there().host}/models/tiny"
    lines = store.lines("pull", name)
    store.holds(there().host, "models/tiny", "latest", text, layers)
    config = json.loads(text)["config"]["digest"][7:19]
    same(statuses(lines), ["pulling manifest", *(f"pulling {short(data)}" for _, data in layers), f"pulling {config}",
                           "verifying sha256 digest", "writing manifest", "success"])
    for line in lines:
        if "digest" in line:
            assert line["status"] == "pulling " + line["digest"][7:19] and 0 <= line.get("completed", 0) <= line["total"], line
    same([line.get("completed") for line in lines if line.get("total") == len(TINY)][-1], len(TINY))
    assert f"{name}:latest" in store.run("list")
    assert store.run("run", name, "--raw", "-n4", "ab")
    same(statuses(store.lines("pull", name)), statuses(lines))
    with registry.Way(there().port) as way:  # again: only the manifest is fetched
        again = Store()
        again.run("pull", f"{way.host}/models/tiny:latest")
        fetched = way.carried_down
        again.run("pull", f"{way.host}/models/tiny")
        assert way.carried_down - fetched < 3000, way.carried_down - fetched


def test_what_is_replaced_goes():
    store, name = Store(), f"{there().host}/models/replaced"
    put("replaced", [("model", TINY), ("system", SYSTEM)])
    store.run("pull", name)
    text = put("replaced", [("model", TINY), ("system", b"Be long.")])
    assert "removing unused layers" in statuses(store.lines("pull", name))
    store.holds(there().host, "models/replaced", "latest", text, [("model", TINY), ("system", b"Be long.")])


def test_a_cut_connection_goes_on():
    text, store = put("big", [("model", BIG)]), Store()
    with registry.Way(there().port, down=700_000) as way:
        lines = store.lines("pull", f"{way.host}/models/big")
        store.holds(way.host, "models/big", "latest", text, [("model", BIG)])
        assert way.connections >= len(BIG) // 700_000, way.connections
        assert way.carried_down < len(BIG) * 1.02 + 20_000, way.carried_down
        done = [line.get("completed", 0) for line in lines if line.get("total") == len(BIG)]
        same(done, sorted(done))


def test_a_connection_that_is_reset_goes_on():
    text, store = put("big", [("model", BIG)]), Store()
    with registry.Way(there().port, down=2_500_000, reset=True) as way:
        store.run("pull", f"{way.host}/models/big")
        store.holds(way.host, "models/big", "latest", text, [("model", BIG)])
        assert way.connections > 1, way.connections


def test_without_ranges_it_begins_again():
    text, store = put("big", [("model", BIG)]), Store()
    asked = []

    def edit(data):
        """Nobody hears of ranges, and the third request for the layer is let through."""
        asked.extend(line for line in data.splitlines() if registry.digest_of(BIG).encode() in line)
        way.down = None if len(asked) >= 3 else way.down
        return data.replace(b"\r\nRange: ", b"\r\nX-None: ")

    with registry.Way(there().port, down=1_500_000, edit=edit) as way:
        store.run("pull", f"{way.host}/models/big")
        store.holds(way.host, "models/big", "latest", text, [("model", BIG)])
        assert way.carried_down > len(BIG) + 1_000_000, way.carried_down


def test_bytes_from_another_place():
    put("big", [("model", BIG)])
    with registry.Way(there().port, down=700_000, edit=lambda d: re.sub(rb"(Range: bytes=)\d\d", rb"\g<1>11", d)) as way:
        Store().run("pull", f"{way.host}/models/big", code=3, says=", found byte 11")


def until_partial(store, data, least):
    def grown():
        return partial(data) in store.blobs() and store.blobs()[partial(data)].stat().st_size >= least
    served.until(20 * SLOW, grown, "a partial download")


def interrupted(sign, code):
    text, store = put("big", [("model", BIG)]), Store()
    with registry.Way(there().port, down=2_000_000, stall=True) as way:
        p = store.start("pull", f"{way.host}/models/big")
        until_partial(store, BIG, 1_500_000)
        begin = time.monotonic()
        p.send_signal(sign)
        _, talk = p.communicate(timeout=20)
        same(p.returncode, code)
        assert time.monotonic() - begin < 3 * SLOW, "stopping took long"
        same(store.manifest(way.host, "models/big", "latest"), None)
        have = store.blobs()[partial(BIG)].stat().st_size
        assert 1_500_000 <= have <= 2_000_000, have
        same(store.blobs()[partial(BIG)].read_bytes(), BIG[:have])
        way.stall, way.down, carried = False, None, way.carried_down
        lines = store.lines("pull", f"{way.host}/models/big")
        same([line.get("completed") for line in lines if line.get("total") == len(BIG)][0], have)
        assert way.carried_down - carried < len(BIG) - have + 20_000
        store.holds(way.host, "models/big", "latest", text, [("model", BIG)])
    return talk


def test_interrupted_by_a_person():
    assert "goes on from here" in interrupted(signal.SIGINT, 130)


def test_killed():
    interrupted(signal.SIGKILL, -9)


def test_a_layer_that_is_another():
    """The registry's own disk has one wrong byte."""
    data = os.urandom(300_000)
    text, store = put("lying", [("model", data)]), Store()
    path = there().file_of(registry.digest_of(data))
    path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    store.run("pull", f"{there().host}/models/lying", code=1, says="digest mismatch, file must be downloaded again")
    same((store.manifest(there().host, "models/lying", "latest"), "lying" in store.run("list")), (None, False))
    assert not [n for n in store.blobs() if not n.startswith(".") and short(data) in n], store.blobs()
    path.write_bytes(data)
    store.run("pull", f"{there().host}/models/lying")
    store.holds(there().host, "models/lying", "latest", text, [("model", data)])


def test_a_partial_file_that_is_another():
    """What lies there from an earlier attempt is proven too."""
    store = Store()
    put("big", [("model", BIG)])
    (store.folder / "blobs").mkdir(parents=True)
    (store.folder / "blobs" / partial(BIG)).write_bytes(b"x" * 1000)
    store.run("pull", f"{there().host}/models/big", code=1, says="digest mismatch")
    store.run("pull", f"{there().host}/models/big")
    (store.folder / "blobs" / registry.digest_of(BIG).replace(":", "-")).unlink()
    (store.folder / "blobs" / partial(BIG)).write_bytes(BIG + b"more than there is")
    store.run("pull", f"{there().host}/models/big")


def test_sizes_that_lie():
    data = os.urandom(50_000)
    for size, code, says in ((len(data) - 1, 3, "expected 49999 bytes, found more"), (-5, 3, "expected mediaType, digest and size"),
                             (len(data) + 1, 3, "expected more than 50000 bytes, found no more"), (0, 1, "digest mismatch")):
        put("sized", [("model", data)], lambda m: m["layers"][0].update(size=size))
        store = Store()
        store.run("pull", f"{there().host}/models/sized", code=code, says=says)
        same(store.manifest(there().host, "models/sized", "latest"), None)


def test_room_on_the_disk():
    put("huge", [("model", TINY)], lambda m: m["layers"][0].update(size=10 ** 15))
    store = Store()
    with registry.Way(there().port) as way:
        store.run("pull", f"{way.host}/models/huge", code=4, says="expected room for 909.5 TiB, found ")
        assert way.carried_down < 3000, "nothing is fetched"
    put("huge", [("model", TINY), ("system", SYSTEM)],
        lambda m: [layer.update(size=2 ** 63 - 1) for layer in [m["config"], *m["layers"]]])
    Store().run("pull", f"{there().host}/models/huge", code=3)


def test_what_another_store_has():
    layers = [("model", BIG), ("system", SYSTEM)]
    text, theirs = put("known", layers), Store()
    theirs.run("pull", f"{there().host}/models/known")
    blob = theirs.blobs()[registry.digest_of(BIG).replace(":", "-")]
    for damaged in (False, True):
        if damaged:
            blob.write_bytes(BIG[:-1] + b"?")
        store = Store()
        store.env["OLLAMA_MODELS"] = str(theirs.folder)
        with registry.Way(there().port) as way:
            lines = store.lines("pull", f"{way.host}/models/known")
            store.holds(way.host, "models/known", "latest", text, layers)
            assert (way.carried_down > len(BIG)) == damaged, way.carried_down
        assert f"pulling {short(BIG)}" in statuses(lines)
    same(blob.read_bytes(), BIG[:-1] + b"?")


def test_a_disk_that_fails():
    text, store = put("big", [("model", BIG)]), Store()
    p = store.start("pull", f"{there().host}/models/big", restore_signals=False,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)))
    _, talk = p.communicate(timeout=60)
    same((p.returncode, "File too large" in talk), (4, True))
    have = store.blobs()[partial(BIG)].stat().st_size
    same((have, store.blobs()[partial(BIG)].read_bytes()), (1_000_000, BIG[:1_000_000]))
    store.run("list", says="1 download is not complete, 976.6 KiB so far")
    same([line.get("completed") for line in store.lines("pull", f"{there().host}/models/big") if "digest" in line][0], have)
    store.holds(there().host, "models/big", "latest", text, [("model", BIG)])


def test_what_is_not_there():
    store = Store()
    begin = time.monotonic()
    store.run("pull", f"{there().host}/models/none", code=3, says="pull model manifest: file does not exist")
    store.run("pull", f"127.0.0.1:{registry.free_port()}/models/none", code=6, says="pull model manifest: ")
    for name in ("../x", "a/b/c/d", "-x", "x:y:z", "", "x\n", "127.0.0.1:1/../x", "a" * 90, "x@sha256:12"):
        store.run("pull", "--", name, code=2, says="invalid model name")
    for host in ("models.example", "127.0.0.1.models.example", "127.models.example:80", "localhost.models.example", "128.0.0.1"):
        store.run("pull", f"http://{host}/x/y", code=2, says="insecure protocol http")
    assert time.monotonic() - begin < 10 * SLOW
    same(store.blobs(), {})


def test_manifests_that_are_none():
    for i, lie in enumerate((lambda m: m["layers"][0].update(digest="sha256:../../../etc/passwd"),
                             lambda m: m.update(layers=[m["layers"][0]] * 100))):
        store = Store()
        there().put("models/odd", "latest", [("model", TINY)])
        path, = (there().folder / "data/docker/registry/v2/repositories/models/odd/_manifests/tags/latest/current").glob("link")
        manifest = json.loads(there().file_of(path.read_text()).read_bytes())
        lie(manifest)
        text = json.dumps(manifest).encode()  # as a registry that is not to be trusted would give it
        kept = there().file_of(path.read_text())
        old = kept.read_bytes()
        kept.write_bytes(text)
        try:
            store.run("pull", f"{there().host}/models/odd", code=3)
        finally:
            kept.write_bytes(old)
        same((i, [n for n in store.blobs() if not n.startswith(".")]), (i, []))


def test_a_registry_without_end():
    """What is not a blob has a limit, whatever a registry sends; redirects too."""
    store = Store()
    with registry.Endless() as endless:
        begin = time.monotonic()
        store.run("pull", f"127.0.0.1:{endless.port}/models/manifest", code=3, says="expected at most 1048576 bytes, found more")
        assert endless.sent < 16 << 20, endless.sent
        store.run("pull", f"127.0.0.1:{endless.port}/models/around", code=6, says="redirects")
        store.run("pull", f"127.0.0.1:{endless.port}/models/file", code=6, says="pull model manifest: ")
        assert time.monotonic() - begin < 5 * SLOW
    same(store.blobs(), {})


def test_two_at_once():
    text, store = put("big", [("model", BIG)]), Store()
    with registry.Way(there().port, down=2_000_000, stall=True) as way:
        name = f"{way.host}/models/big"
        first = store.start("pull", name)
        until_partial(store, BIG, 1_000_000)
        second = store.start("pull", name, "--json")
        time.sleep(0.5)
        same((first.poll(), second.poll()), (None, None))
        way.stall, way.down = False, None
        first.kill()  # the second one takes over
        out, talk = second.communicate(timeout=30 * SLOW)
        same(second.returncode, 0)
        first.communicate()
        assert way.carried_down < len(BIG) + 60_000, way.carried_down
        store.holds(way.host, "models/big", "latest", text, [("model", BIG)])


def test_a_bar_on_a_terminal():
    put("big", [("model", BIG)])
    store = Store()
    main, side = pty.openpty()
    p = subprocess.Popen([VERBATIM, "pull", f"{there().host}/models/big"], env=store.env, stdout=side, stderr=side)
    os.close(side)
    said = b""
    while select.select([main], [], [], 20)[0]:
        try:
            said += os.read(main, 65536)
        except OSError:
            break
    same(p.wait(), 0)
    text = said.decode()
    assert "100 %  [########################]" in text and "4.0 MiB, to fetch 4.0 MiB; " in text, text
    assert "\033[K" in text


def test_a_name_that_a_file_has():
    store = Store()
    store.folder.mkdir()
    (store.folder / "tiny.gguf").write_bytes(TINY)
    store.run("pull", "tiny", code=2, says="expected a name that is free, found the file tiny.gguf")


def test_blobs_that_lie_elsewhere():
    """A registry may send its clients elsewhere for blobs. A token is not for that place."""
    tokens = registry.Tokens(WORK)
    layers = [("model", TINY), ("system", SYSTEM)]
    with registry.Registry(tokens.auth) as guarded, registry.Elsewhere(there().port) as elsewhere:
        put("elsewhere", layers)
        source = Store()
        source.run("pull", f"{there().host}/models/elsewhere")
        (source.folder / "manifests" / there().host).rename(source.folder / "manifests" / guarded.host)
        source.run("push", f"{guarded.host}/models/elsewhere")
        with registry.Way(guarded.port) as way:
            way.sends_to = f"http://localhost:{elsewhere.port}"
            store = Store()
            store.run("pull", f"{way.host}/models/elsewhere")
            pushed = source.manifest(guarded.host, "models/elsewhere", "latest")
            same(json.loads(store.manifest(way.host, "models/elsewhere", "latest")), json.loads(pushed))
            for _, data in layers:
                same(store.blobs()[registry.digest_of(data).replace(":", "-")].read_bytes(), data)
        same((len(elsewhere.asked), [h for _, h in elsewhere.asked if "authorization" in h]), (3, []))
    tokens.close()


def test_https_unless_told_otherwise():
    """0.0.0.0 is this machine, too, but not by one of the names that are known to be."""
    name = "0.0.0.0"
    with registry.Registry() as plain, registry.Registry(tls=True) as secret:
        plain.put("models/tiny", "latest", [("model", TINY)])
        store = Store()
        store.run("pull", f"{name}:{plain.port}/models/tiny", code=6, says="pull model manifest: ")
        store.run("pull", f"{name}:{secret.port}/models/tiny", code=6, says="certificate")
        store.run("pull", "--insecure", f"{name}:{plain.port}/models/tiny")
        store.run("pull", "--insecure", f"http://{name}:{plain.port}/models/tiny")
        store.run("pull", f"http://{name}:{plain.port}/models/tiny", code=2, says="insecure protocol http")


# --- tokens ----------------------------------------------------------------------------------------------------------

def test_a_registry_that_wants_tokens():
    there()
    tokens = registry.Tokens(WORK)
    layers = [("model", TINY), ("system", SYSTEM)]
    with registry.Registry(tokens.auth) as guarded:
        source, store = Store(), Store()
        put("tokens", layers)
        source.run("pull", f"{there().host}/models/tokens")
        moved = source.folder / "manifests" / guarded.host / "models/tokens"
        moved.mkdir(parents=True)
        (source.folder / "manifests" / there().host / "models/tokens/latest").rename(moved / "latest")
        source.run("push", f"{guarded.host}/models/tokens")
        same((tokens.asked[0]["service"], tokens.asked[0]["authorization"]), (["models here"], None))
        (WORK / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
        try:  # the password is for the realm, the token for the registry
            Store().run("pull", f"{guarded.host}/models/tokens")
        finally:
            (WORK / ".netrc").unlink()
        same(tokens.asked[-1]["authorization"], "Basic bWU6c2VjcmV0")
        assert any("push" in scope for asked in tokens.asked for scope in asked["scope"]), tokens.asked
        store.run("pull", f"{guarded.host}/models/tokens")
        same(store.blobs().keys() >= {registry.digest_of(d).replace(":", "-") for _, d in layers}, True)
        tokens.silent = True
        Store().run("pull", f"{guarded.host}/models/tokens", code=3, says="unauthorized: access denied")
    tokens.close()
    for realm in ("http://localhost:", "http://127.0.0.1:80@localhost:", "https://127.0.0.1:", "http://127.0.0.11:"):
        with registry.Registry(tokens.auth.replace("http://127.0.0.1:", realm)) as guarded:
            Store().run("pull", f"{guarded.host}/models/tokens", code=3, says="unauthorized: expected a token's realm at")


def test_a_registry_that_wants_a_password():
    """~/.netrc is a person's: the commands use it, a server does not."""
    layers, passwords = [("model", TINY), ("system", SYSTEM)], WORK / "htpasswd"
    passwords.write_text("me:$2b$04$abcdefghijklmnopqrstuu1FO8wRuXCtH/w.DX2gERbVtHjF.63Sm\n")
    with registry.Registry(f"auth:\n  htpasswd: {{realm: here, path: {passwords}}}\n") as guarded:
        source, store = stored("passwords", guarded.host, layers), Store()
        name, netrc = f"{guarded.host}/models/passwords", WORK / ".netrc"
        source.run("push", name, code=3, says="unauthorized: access denied")
        netrc.write_text('machine 127.0.0.1 login me password "another one"\n')
        source.run("push", name, code=3, says="unauthorized: access denied")
        netrc.write_text('machine 127.0.0.1 login me password "secret of this test"\n')
        try:
            source.run("push", name)
            store.run("pull", name)
            with served.Server(VERBATIM, Store().folder, env={"HOME": str(WORK)}) as s:
                same(s.json("POST", "/api/pull", {"model": name, "stream": False}),
                     (400, {"error": "pull model manifest: unauthorized: access denied"}))
        finally:
            netrc.unlink()
    same(store.blobs().keys() >= {registry.digest_of(d).replace(":", "-") for _, d in layers}, True)


# --- push ------------------------------------------------------------------------------------------------------------

def stored(name, host, layers):
    """A store that holds the model, from the shared registry, under the name of another host."""
    put(name, layers)
    store = Store()
    store.run("pull", f"{there().host}/models/{name}")
    (store.folder / "manifests" / there().host).rename(store.folder / "manifests" / host)
    return store


def test_push():
    layers = [("model", TINY), ("template", b"{{ .Prompt }}"), ("license", b"free\n" * 1000)]
    with registry.Registry() as other:
        store = stored("pushed", other.host, layers)
        lines = store.lines("push", f"{other.host}/models/pushed")
        text, blobs = other.get("models/pushed", "latest")
        config = json.loads(text)["config"]["digest"]
        same(json.loads(text)["layers"], json.loads(store.manifest(other.host, "models/pushed", "latest"))["layers"])
        for _, data in layers:
            same(blobs[registry.digest_of(data)], data)
        same(statuses(lines), ["retrieving manifest", *(f"pushing {short(d)}" for _, d in layers), f"pushing {config[7:19]}",
                               "pushing manifest", "success"])
        with registry.Way(other.port) as way:
            (store.folder / "manifests" / other.host).rename(store.folder / "manifests" / way.host)
            store.run("push", f"{way.host}/models/pushed")
            assert way.carried_up < 6000, "what is there is not sent again"
        back = Store()
        back.run("pull", f"{other.host}/models/pushed")
        back.holds(other.host, "models/pushed", "latest", text, layers)
        store.run("push", f"{other.host}/models/unknown", code=3, says="not found")
        (store.folder / "tiny.gguf").write_bytes(TINY)
        store.run("push", "tiny", code=3, says="expected a model with a manifest, found a file")


def test_push_from_a_store_that_is_read_only():
    layers = [("model", TINY), ("system", SYSTEM)]
    with registry.Registry() as other:
        store, own = stored("foreign", other.host, layers), Store()
        path = store.folder / "manifests" / other.host / "models/foreign/latest"
        manifest = json.loads(path.read_bytes())
        manifest["layers"][0]["from"] = "/home/somebody/secret.gguf"
        path.write_text(json.dumps(manifest))
        before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in store.folder.rglob("*")}
        own.env["OLLAMA_MODELS"] = str(store.folder)
        own.run("push", f"{other.host}/models/foreign")
        text, blobs = other.get("models/foreign", "latest")
        same((blobs[registry.digest_of(TINY)], b"somebody" in text), (TINY, False))
        same({p: (p.stat().st_mtime_ns, p.stat().st_size) for p in store.folder.rglob("*")}, before)


def test_a_push_over_a_way_that_breaks():
    def edit(data):
        way.up = None if way.connections >= 4 else way.up
        return data

    with registry.Registry() as other, registry.Way(other.port, up=1_500_000, edit=edit) as way:
        store = stored("upward", way.host, [("model", BIG)])
        store.run("push", f"{way.host}/models/upward")
        same(other.get("models/upward", "latest")[1][registry.digest_of(BIG)], BIG)
        assert way.connections >= 4


# --- the server ------------------------------------------------------------------------------------------------------

def stream(server, path, body):
    status, headers, text = server.ask("POST", path, body)
    return status, headers["Content-Type"], [json.loads(line) for line in text.decode().splitlines()]


def test_the_server_pulls_and_pushes():
    layers = [("model", TINY), ("system", SYSTEM)]
    text, store = put("served", layers), Store()
    name = f"{there().host}/models/served"
    with served.Server(VERBATIM, store.folder) as s:
        status, kind, lines = stream(s, "/api/pull", {"model": name, "nonsense": 1})
        same((status, kind), (200, "application/x-ndjson"))
        same(statuses(lines)[:2], ["pulling manifest", f"pulling {short(TINY)}"])
        same(lines[-1], {"status": "success", "verbatim": {"ignored": ["nonsense"]}})
        store.holds(there().host, "models/served", "latest", text, layers)
        same([m["name"] for m in s.json("GET", "/api/tags")[1]["models"]], [f"{name}:latest"])
        same(s.json("POST", "/api/generate", {"model": name, "prompt": "ab", "raw": True, "stream": False,
                                              "options": {"num_predict": 2}})[0], 200)
        same(s.json("POST", "/api/pull", {"name": name, "stream": False}), (200, {"status": "success"}))
        same(statuses(stream(s, "/api/push", {"model": name})[2])[-2:], ["pushing manifest", "success"])
        status, kind, lines = stream(s, "/api/pull", {"model": f"{there().host}/models/none"})
        same((status, lines), (200, [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]))
        same(s.json("POST", "/api/pull", {"model": f"{there().host}/models/none", "stream": False}),
             (404, {"error": "pull model manifest: file does not exist"}))
        same(s.json("POST", "/api/pull", {"model": f"localhost:{registry.free_port()}/models/none", "stream": False})[0], 424)
        status, _, lines = stream(s, "/api/push", {"model": f"{there().host}/models/none"})
        same(statuses(lines[:2]), ["retrieving manifest", "couldn't retrieve manifest"])
        assert "error" in lines[-1]
        for body, error in (({}, "invalid model name"), ({"model": "../x"}, "invalid model name"),
                            ({"model": 5}, "cannot unmarshal"), ({"model": "x" * 5000}, "invalid model name"),
                            ({"model": name, "insecure": "yes"}, "cannot unmarshal")):
            status, said = s.json("POST", "/api/pull", body)
            same((status, error in said["error"]), (400, True))
        same(s.json("POST", "/api/push", {}), (400, {"error": "model is required"}))
        same(s.json("POST", "/api/pull", b""), (400, {"error": "missing request body"}))


def test_the_server_ends_what_nobody_waits_for():
    put("big", [("model", BIG)])
    store = Store()
    with registry.Way(there().port, down=2_000_000, stall=True) as way:
        body = json.dumps({"model": f"{way.host}/models/big"}).encode()
        request = (b"POST /api/pull HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
        with served.Server(VERBATIM, store.folder) as s:
            idle = s.descriptors()
            c = s.socket()
            c.sendall(request)
            until_partial(store, BIG, 1_500_000)
            ready = s.json("GET", "/ready")[1]
            same((ready["state"], 0 <= ready["progress"] < 0.5), ("downloading", True))
            assert s.descriptors() > idle
            c.close()
            served.until(10 * SLOW, lambda: s.descriptors() <= idle, "the end of a download that nobody waits for")
            same(s.json("GET", "/ready")[1]["state"], "idle")
            assert partial(BIG) in store.blobs()
            c = s.socket()
            c.sendall(request)
            time.sleep(0.5)
            begin = time.monotonic()
            s.process.send_signal(signal.SIGTERM)
            assert b'{"error":' in b"".join(iter(lambda: c.recv(65536), b""))
            same(s.process.wait(10 * SLOW), 0)
            assert time.monotonic() - begin < 4 * SLOW, "the server's end waits for no download"


def test_too_many_at_once():
    put("big", [("model", BIG)])
    store = Store()
    with registry.Way(there().port, down=100_000, stall=True) as way, served.Server(VERBATIM, store.folder) as s:
        body = json.dumps({"model": f"{way.host}/models/big"}).encode()
        request = (b"POST /api/pull HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
        crowd = [s.socket() for _ in range(8)]
        for c in crowd:
            c.sendall(request)
        served.until(10 * SLOW, lambda: way.connections >= 8, "eight downloads")
        status, headers, text = s.ask("POST", "/api/pull", {"model": f"{way.host}/models/big"})
        same((status, headers["Retry-After"]), (503, "1"))
        for c in crowd:
            c.close()
        def room():
            return s.ask("POST", "/api/pull", {"model": f"{there().host}/models/none", "stream": False})[0] == 404
        served.until(5 * SLOW, room, "room for another one")


# --- ps and stop -----------------------------------------------------------------------------------------------------

def test_ps_and_stop():
    store, keys = Store(), WORK / "keys"
    keys.write_text("# one\na-key-of-this-test 1\n")
    served.store(store.folder, {"tiny": ROOT / "tests/golden/llama-gqa/model.gguf"})
    with served.Server(VERBATIM, store.folder, "--api-key-file", str(keys)) as s:
        where = ("--port", str(s.port), "--api-key-file", str(keys))
        store.run("ps", *where, says="holds no model")
        key = {"Authorization": "Bearer a-key-of-this-test"}
        same(s.ask("POST", "/api/generate", {"model": "tiny"}, key)[0], 200)
        line = store.run("ps", *where).splitlines()[1].split()
        same((line[0], line[-1]), ("tiny:latest", "min"))
        same(json.loads(store.run("ps", *where, "--json"))["models"][0]["name"], "tiny:latest")
        store.run("stop", "tiny", *where)
        store.run("ps", *where, says="holds no model")
        same(s.ask("POST", "/api/generate", {"model": "tiny", "keep_alive": -1}, key)[0], 200)
        assert store.run("ps", *where).splitlines()[1].endswith("for ever")
        store.run("stop", "none", *where, code=3, says="model 'none' not found")
        store.run("ps", "--port", str(s.port), code=6, says="unauthorized")
        store.env["OLLAMA_HOST"] = f"127.0.0.1:{s.port}"
        store.run("ps", "--api-key-file", str(keys))
        del store.env["OLLAMA_HOST"]
    store.run("ps", "--port", str(registry.free_port()), code=6, says="no server at 127.0.0.1:")
    path = str(WORK / "ps.sock")
    with served.Server(VERBATIM, store.folder, "--unix", path) as s:
        store.run("ps", "--unix", path, says="holds no model")


def kills(n):
    """Whenever it is killed: no model before all of it is there, no byte that is not the registry's, and none fetched twice."""
    text, store, rng, whole = put("big", [("model", BIG), ("system", SYSTEM)]), Store(), random.Random(1), 0
    with registry.Way(there().port, edit=lambda data: time.sleep(0.005) or data) as way:
        name = f"{way.host}/models/big"
        for i in range(n):
            p = store.start("pull", name)
            time.sleep(rng.random() * 0.12 * SLOW)
            p.kill()
            p.communicate()
            blobs, manifest = store.blobs(), store.manifest(way.host, "models/big", "latest")
            assert manifest in (None, text), f"kill {i}: {manifest}"
            if partial(BIG) in blobs:
                have = blobs[partial(BIG)].read_bytes()
                assert have == BIG[:len(have)], f"kill {i}: {len(have)} bytes are others"
            if manifest:
                store.run("pull", name)
                store.holds(way.host, "models/big", "latest", text, [("model", BIG), ("system", SYSTEM)])
                whole += 1
                shutil.rmtree(store.folder)
        assert way.carried_down < (whole + 1) * (len(BIG) + 20_000) + n * 400_000, (whole, way.carried_down)
    print(f"killed {n} times, {whole} models were whole")
    print(f"{n} passed, 0 failed")


def test_the_hopeless_one_ends():
    p, begin = HOPELESS
    _, talk = p.communicate(timeout=90)
    same((p.returncode, "max retries exceeded" in talk), (6, True))
    assert 25 < time.monotonic() - begin, "seven attempts with growing pauses"


if __name__ == "__main__":
    if sys.argv[2:3] == ["--kills"]:
        sys.exit(kills(int(sys.argv[3])))
    sys.exit(each.run(globals(), sys.argv[2:]))
