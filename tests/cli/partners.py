#!/usr/bin/env python3
"""partners.py VERBATIM - `verbatim diff` beside other engines, which a real HTTP server plays from what they once said.

Without a model that speaks: an exchange of a real llama-server with tests/golden/llama-gqa, and everything that can go
wrong on the way. With SMOLLM2=path also the recorded Ollama, live and from its file. Ends with "N passed, N failed".
"""
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import each
import scratch

from partner_server import FAULTS, Exchanges, Ollama, Server

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
TINY = str(ROOT / "tests/golden/llama-gqa/model.gguf")
REAL = os.environ.get("SMOLLM2", "")
WORK = scratch.folder("partners")
ENV = {"PATH": os.environ["PATH"], "HOME": str(WORK), "LANG": "C.UTF-8", "OLLAMA_MODELS": str(WORK / "nowhere")}
ENV.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "LSAN_"))})
OLLAMA = json.loads((ROOT / "tests/recordings/smollm2.json").read_text())
LLAMA = json.loads((ROOT / "tests/recordings/llama-server.json").read_text())
PROMPT = OLLAMA["cases"][0]["request"]["prompt"]


def run(*args, env=None):
    done = subprocess.run([VERBATIM, "diff", *map(str, args)], capture_output=True, env={**ENV, **(env or {})}, timeout=300)
    assert b"\x1b" not in done.stdout + done.stderr, "escape bytes off a terminal"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def refused(code, says, *args):
    found, out, err = run(*args)
    assert found == code, f"{args}: expected exit {code}, found {found}: {err}"
    assert err.startswith("verbatim: ") and err.count("\n") == 1, f"{args}: expected one line, found {err!r}"
    assert says in err, f"{args}: expected {says!r} in {err!r}"
    assert out == "", f"{args}: printed {out!r}"


def compared(*args, **options):
    code, out, err = run("--json", *args, **options)
    assert code in (0, 1), f"{args}: exit {code}: {err}"
    found = json.loads(out)
    assert code == (0 if found["explained"] else 1), (code, found["explained"])
    return found


def ollama(**options):
    return Server(Ollama(OLLAMA, "ab" * 32, **options))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def raw_prompts():
    asked = [e["request"] for e in LLAMA if e["path"] == "/tokenize"]
    templated = {e["body"]["prompt"] for e in LLAMA if e["path"] == "/apply-template"}
    return [a["content"] for a in asked if a["content"] not in templated]


def llama_args(url):
    return "--llama-server", url, "--ours", TINY, "-n", 24, "-c", 128


def test_llama_server():
    server = Server(Exchanges(LLAMA))
    prompts = raw_prompts()
    found = compared(*llama_args(server.url), "--raw", *prompts)
    assert [c["question"] for c in found["cases"]] == prompts
    assert found["compared"] >= 30 and found["agreed"] == found["compared"], (found["compared"], found["agreed"])
    assert {c["verdict"] for c in found["cases"]} == {"same"}
    assert 0 < found["drift"]["median"] < 0.01, found["drift"]  # it rounds otherwise, and not much
    assert [(m, p) for m, p, _ in server.seen] == [("GET", "/props"), ("POST", "/tokenize"), ("POST", "/completion")] * len(prompts)
    bodies = [e["body"] for e in LLAMA if e["path"] == "/completion"]
    assert [c["text"] for c in found["cases"]] == [b["content"] for b in bodies[:len(prompts)]]
    server.close()


def test_llama_server_chat_has_its_template():
    server = Server(Exchanges(LLAMA))
    found = compared(*llama_args(server.url + "/"), "--system", "Be brief.", "Hi")
    assert found["cases"][0]["verdict"] == "template differs", found["cases"][0]
    assert found["agreed"] == found["compared"] >= 15  # their rendering was read all the same
    server.close()


def test_our_text_stands_beside_theirs():
    server = Server(Exchanges(LLAMA))
    code, out, err = run(*llama_args(server.url), "--raw", raw_prompts()[0])
    assert code in (0, 1) and err == "", err
    assert f"  prompt  {raw_prompts()[0]}\n" in out and "\n  ours    the same\n" in out, out
    server.close()


def test_page():
    server, page = Server(Exchanges(LLAMA)), WORK / "page.html"
    code, out, err = run(*llama_args(server.url), "--html", page, "--raw", raw_prompts()[0])
    assert code in (0, 1) and err == "", err
    text = page.read_text()
    assert text.lower().startswith("<!doctype html>"), text[:80]
    assert "llama-server" in text and raw_prompts()[0] in text
    server.close()


def test_proxies_are_not_asked_about_this_machine():
    server = Server(Exchanges(LLAMA))
    dead = f"http://127.0.0.1:{free_port()}"
    compared(*llama_args(server.url[len("http://"):]), "--raw", raw_prompts()[0], env={"http_proxy": dead, "ALL_PROXY": dead})
    server.close()


def test_nobody_there():
    nowhere = f"http://127.0.0.1:{free_port()}"
    refused(6, "connect", "--ollama", nowhere, "--model", "recorded", "Hi")
    refused(6, "connect", *llama_args(nowhere), "Hi")
    refused(6, "resolve host", "--ollama", "http://no.such.host.invalid", "--model", "recorded", "Hi")


def test_model_that_it_does_not_have():
    server = ollama()
    refused(6, "/api/show: status 404: model 'nope' not found", "--ollama", server.url, "--model", "nope", "Hi")
    server.close()


SAYS = {"broken": "expected JSON", "cut": "", "half": "", "early": "expected", "late-error": "", "silent": "too slow",
        "busy": "status 503: server busy, please try again.  maximum pending requests exceeded",
        "wrong-type": "expected", "plain": "status 500: Internal Server Error", "garbage-show": "expected JSON"}


def test_faults_of_ollama():
    server = ollama()
    for fault in FAULTS:
        says = {"early": '"done"', "late-error": "it says: an error was encountered"}.get(fault, SAYS[fault])
        refused(6, says, "--ollama", f"{server.url}/{fault}", "--model", "recorded", "--timeout", 1, "--raw", PROMPT)
    server.close()


def test_faults_of_llama_server():
    server = Server(Exchanges(LLAMA))
    for fault in FAULTS:
        refused(6, SAYS[fault], *llama_args(f"{server.url}/{fault}"), "--timeout", 1, "--raw", raw_prompts()[0])
    server.close()


def test_recordings_that_are_none():
    for name, text, code, says in [("empty", "", 3, "line 1"), ("list", "[1]", 3, "expected a recording"),
                                   ("none", '{"cases": []}', 3, "found none"), ("odd", '{"cases": [7]}', 3, "case 0"),
                                   ("other", '{"path": "/api/tags", "request": {}, "body": "{}"}', 3, "/api/tags"),
                                   ("refusal", '{"path": "/api/generate", "request": {"prompt": "x", "raw": true}, '
                                    '"body": "{\\"error\\": \\"no such model\\"}"}', 3, "no such model")]:
        (WORK / name).write_text(text)
        refused(code, says, "--recording", WORK / name, "--ours", TINY)
    refused(3, "absent", "--recording", WORK / "absent", "--ours", TINY)


def test_without_libcurl():
    if CURL:
        raise each.Skip
    refused(3, "built without libcurl", "--ollama", "http://127.0.0.1:1", "--model", "m", "Hi")


def test_usage():
    refused(2, "found 0 arguments", )
    refused(2, "found 2", "--ollama", "http://x", "--llama-server", "http://x", "Hi")
    refused(2, "expected a PROMPT", "--ollama", "http://x", "--model", "m")
    refused(2, "expected --model", "--ollama", "http://x", "Hi")
    refused(2, "expected no PROMPT", "--recording", "x", "Hi")
    refused(2, "--timeout", "--ollama", "http://x", "--model", "m", "--timeout", "0", "Hi")


def test_ollama_live_is_as_recorded():
    if not os.path.isfile(REAL):
        raise each.Skip
    raw = [c for c in OLLAMA["cases"] if c["request"].get("raw")][:2]
    sha256 = hashlib.sha256(pathlib.Path(REAL).read_bytes()).hexdigest()
    server = Server(Ollama(OLLAMA, sha256))
    few = WORK / "few.json"
    few.write_text(json.dumps({**OLLAMA, "cases": raw}))
    live = compared("--ollama", server.url, "--model", "recorded", "--ours", REAL, "--raw", *[c["request"]["prompt"] for c in raw])
    file = compared("--recording", few, "--ours", REAL)
    assert live["cases"] == file["cases"] and live["drift"] == file["drift"]
    assert live["explained"] and live["agreed"] >= 0.9 * live["compared"] > 80
    server.close()


def test_other_weights_are_named():
    if not os.path.isfile(REAL):
        raise each.Skip
    server = ollama()  # says that its weights have another digest
    found = compared("--ollama", server.url, "--model", "recorded", "--ours", REAL, "--raw", PROMPT)
    assert "model" in found["cases"][0]["verdict"], found["cases"][0]
    server.close()


def test_chat_of_ollama():
    if not os.path.isfile(REAL):
        raise each.Skip
    chat = next(c for c in OLLAMA["cases"] if c["endpoint"] == "/api/chat" and len(c["request"]["messages"]) == 1)
    server = Server(Ollama(OLLAMA, hashlib.sha256(pathlib.Path(REAL).read_bytes()).hexdigest()))
    found = compared("--ollama", server.url, "--model", "recorded", "--ours", REAL, chat["request"]["messages"][0]["content"])
    assert found["cases"][0]["text"] == chat["response"]["message"]["content"]
    assert found["explained"], found["cases"][0]["why"]
    server.close()


CURL = "built without libcurl" not in run("--ollama", "http://127.0.0.1:1", "--model", "m", "Hi")[2]
OFFLINE = ("test_without_libcurl", "test_usage", "test_recordings_that_are_none")


def main():
    if not CURL:
        print("built without libcurl: what asks a live engine is left out")
    return each.run(globals(), sys.argv[2:], lambda name: CURL or name in OFFLINE)


if __name__ == "__main__":
    sys.exit(main())
