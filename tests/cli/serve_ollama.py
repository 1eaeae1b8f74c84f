#!/usr/bin/env python3
"""serve_ollama.py VERBATIM [MODEL] - Ollama's API of `verbatim serve`, asked over the wire.

The recorded exchanges in tests/recordings/api come from a real Ollama: each request is asked again, and status, content
type, field names and types must be those that were recorded, error texts to the letter. Ends with "N passed, N failed".
"""
import atexit
import concurrent.futures
import datetime
import hashlib
import json
import math
import pathlib
import sys
import time

import each
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests/golden"
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
MODEL = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else GOLDEN / "llama-gqa/model.gguf").resolve()
WORK = scratch.folder("ollama")
M = "smollm2"
STORED = {"num_predict": 7, "stop": ["<|im_end|>", "zzz"], "temperature": 0}
GREEDY = {"temperature": 0, "num_predict": 6, "seed": 1}


def same(a, b):
    assert a == b, f"expected {b!r}, found {a!r}"


def blob(kind, data):
    digest = hashlib.sha256(data).hexdigest()
    (WORK / f"ollama/blobs/sha256-{digest}").write_bytes(data)
    return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


def manifest(name, layers):
    path = WORK / "ollama/manifests" / ("registry" ".ollama.ai") / "library" / name / "latest"
    path.parent.mkdir(parents=True)
    text = json.dumps({"schemaVersion": 2, "layers": layers})
    path.write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def store():
    """An Ollama store with a model without a template, which is rendered as ChatML, as Ollama does it; "terse" is the
    same with a system message and options."""
    (WORK / "ollama/blobs").mkdir(parents=True)
    weights = blob("model", MODEL.read_bytes())
    digest = manifest(M, [weights])
    manifest("terse", [weights, blob("system", b"Be brief."), blob("params", json.dumps(STORED).encode())])
    return digest


def start():
    (WORK / "models").mkdir()
    (WORK / "models" / "gemma3.gguf").symlink_to(GOLDEN / "gemma3/model.gguf")
    (WORK / "models" / "bert.gguf").symlink_to(GOLDEN / "bert-mean/model.gguf")
    env = {"HOME": str(WORK), "XDG_CACHE_HOME": str(WORK), "OLLAMA_MODELS": str(WORK / "ollama")}
    server = served.Server(VERBATIM, WORK / "models", env=env)
    atexit.register(server.__exit__, None, None, None)
    return server


DIGEST = store()
SERVER = start()
ask = SERVER.text


def post(path, body, status=200):
    code, _, text = ask("POST", path, {"model": M, "stream": False, **body})
    assert code == status, f"{path} {body}: expected {status}, found {code}: {text}"
    return json.loads(text)


def generate(prompt, status=200, **fields):
    return post("/api/generate", {"prompt": prompt, "options": GREEDY, **fields}, status)


def lines(path, body):
    code, kind, text = ask("POST", path, {"model": M, **body})
    assert code == 200, f"{code}: {text}"
    same(kind, "application/x-ndjson")
    assert text.endswith("\n"), text[-40:]
    return [json.loads(line) for line in text.splitlines()]


def loaded():
    return {m["name"]: m for m in json.loads(ask("GET", "/api/ps")[2])["models"]}


# --- recorded exchanges ------------------------------------------------------------------------------------


def shape(v):
    """Names and types; of a list its first entry. Numbers are one type."""
    if isinstance(v, dict):
        return {k: shape(x) for k, x in v.items()}
    if isinstance(v, list):
        return [shape(v[0])] if v else []
    return "number" if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v).__name__


def shapes(kind, text):
    if kind.startswith("application/x-ndjson"):
        found = [shape(json.loads(line)) for line in text.splitlines()]
        return [s for i, s in enumerate(found) if i == 0 or s != found[i - 1]]
    return shape(json.loads(text)) if kind.startswith("application/json") else text


# A generative model embeds here, where the recorded server refused.
SKIP = ("embed", "embeddings")


def recorded(path):
    r = json.loads(path.read_text())
    kind, body = r["headers"]["Content-Type"], r["body"]
    if path.stem == "ps":
        for model in ("gemma3", M):
            post("/api/generate", {"model": model})
    if path.stem == "generate_context":  # ids of another vocabulary
        r["request"]["context"] = [i % 300 for i in r["request"]["context"]]
    status, ours, text = ask(r["method"], r["path"], r["request"])
    same(status, r["status"])
    same(ours, kind)
    if path.stem == "show":  # the recording was cut
        theirs = json.loads(body[:body.index(',"model_info"')] + "}")
        for key, value in theirs.items():
            same(shape(json.loads(text)[key]), shape(value))
        return
    if status >= 400:
        same(text, body)
    same(shapes(kind, text), shapes(kind, body))


def test_recordings():
    names = 0
    for path in sorted((ROOT / "tests/recordings/api").glob("*.json")):
        if path.stem in SKIP or path.stem.startswith("v1_"):
            continue
        try:
            recorded(path)
        except AssertionError as e:
            raise AssertionError(f"{path.stem}: {e}") from e
        names += 1
    assert names >= 20, names


# --- answers -----------------------------------------------------------------------------------------------


def test_a_stream_is_the_whole_in_pieces():
    whole = generate("Once", logprobs=True, top_logprobs=3, options={**GREEDY, "num_predict": 20})
    pieces = lines("/api/generate", {"prompt": "Once", "logprobs": True, "top_logprobs": 3,
                                     "options": {**GREEDY, "num_predict": 20}})
    same("".join(p["response"] for p in pieces), whole["response"])
    same([x for p in pieces for x in p.get("logprobs", [])], whole["logprobs"])
    same(pieces[-1]["context"], whole["context"])
    same([p["done"] for p in pieces], [False] * (len(pieces) - 1) + [True])
    same(len(whole["logprobs"]), whole["eval_count"] - (whole["done_reason"] == "stop"))
    for one in whole["logprobs"]:
        same(one["top_logprobs"][0]["logprob"], one["logprob"])
        same(len(one["top_logprobs"]), 3)
        assert one["logprob"] <= 0, one


def test_chat_is_generate():
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Once"}]
    chat = post("/api/chat", {"messages": talk, "options": GREEDY})
    same(chat["message"], {"role": "assistant", "content": generate("Once", system="Be brief.")["response"]})
    pieces = lines("/api/chat", {"messages": talk, "options": GREEDY})
    same("".join(p["message"]["content"] for p in pieces), chat["message"]["content"])


def test_rendered():
    a = generate("Once", system="Be brief.", _debug_render_only=True)
    same(a["_debug_info"]["rendered_template"], "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOnce<|im_end|>\n"
         "<|im_start|>assistant\n")
    same(a["response"], "")
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Once"}]
    b = post("/api/chat", {"messages": talk, "_debug_render_only": True})
    same(b["_debug_info"], a["_debug_info"])
    same(generate("x y", raw=True, _debug_render_only=True)["_debug_info"], {"rendered_template": "x y"})


def test_context_goes_on():
    first = generate("Once")
    second = generate("And then?", context=first["context"])
    n = len(first["context"])
    same(second["context"][:n], first["context"])
    same(second["prompt_eval_count"] + second["eval_count"] - (second["done_reason"] == "stop"), len(second["context"]))
    generate("x", 400, context=[10 ** 6])
    generate("x", 400, context=[-1])
    generate("x", 400, context=["a"])


def test_stop():
    text = generate("Once", options={**GREEDY, "num_predict": 40})["response"]
    stop = text[len(text) // 2:][:2]
    cut = generate("Once", options={**GREEDY, "num_predict": 40, "stop": ["never", stop]})
    same(cut["response"], text[:text.index(stop)])
    same(cut["done_reason"], "stop")
    none = generate("Once", options={**GREEDY, "stop": [text[0]]})
    same((none["response"], len(none["context"])), ("", none["prompt_eval_count"]))


def test_format():
    schema = {"type": "object", "properties": {"b": {"enum": [12, "x"]}, "a": {"type": "boolean"}}, "required": ["b", "a"],
              "additionalProperties": False}
    for options in ({"temperature": 0}, {"temperature": 2, "seed": 3}, {"temperature": 2, "seed": 4}):
        asked = {"format": schema, "options": {**options, "num_predict": 120}}
        a = generate("Once", **asked)
        value = json.loads(a["response"])
        assert list(value) == ["b", "a"] and value["b"] in (12, "x") and isinstance(value["a"], bool), value
        same(a["done_reason"], "stop")
        same("".join(p["response"] for p in lines("/api/generate", {"prompt": "Once", **asked})), a["response"])
        assert "verbatim" not in a, a
    odd = generate("Once", format={"type": "integer", "multipleOf": 3})
    assert "multipleOf" in odd["verbatim"]["ignored"][0], odd
    chat = post("/api/chat", {"messages": [{"role": "user", "content": "Once"}], "format": "json", "options": GREEDY})
    same(chat["message"]["content"].strip()[0], "{")


def test_limits():
    same(generate("Once", options={**GREEDY, "num_predict": 0})["eval_count"], 0)
    room = generate("Once", raw=True, options={"temperature": 0, "num_ctx": 20, "stop": []})
    assert room["prompt_eval_count"] + room["eval_count"] <= 20, room
    generate("word " * 9000, 400)
    generate("word " * 40, 400, options={"num_ctx": 20})
    talk = [{"role": "user", "content": "word " * 30}, {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "Once"}]
    post("/api/chat", {"messages": talk, "truncate": False, "options": {**GREEDY, "num_ctx": 60}}, 400)
    same(post("/api/chat", {"messages": talk, "options": {**GREEDY, "num_ctx": 60}})["done"], True)


def test_seeds():
    hot = {"temperature": 1, "num_predict": 12}
    same(generate("Once", options={**hot, "seed": 7})["context"], generate("Once", options={**hot, "seed": 7})["context"])
    assert len({str(generate("Once", options=hot)["context"]) for _ in range(4)}) > 1


def test_load_beside_each_other():
    asked = [{"prompt": f"Once upon {i % 5}", "options": {"temperature": 1, "seed": i, "num_predict": 10 + i}}
             for i in range(12)]
    alone = [post("/api/generate", a) for a in asked]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        beside = list(pool.map(lambda a: post("/api/generate", a), asked))
    same([b["context"] for b in beside], [a["context"] for a in alone])
    same([b["response"] for b in beside], [a["response"] for a in alone])


# --- what is wrong -----------------------------------------------------------------------------------------


def test_wrong():
    for options in ({"temperature": 1e308}, {"top_p": 2}, {"min_p": -1}, {"num_ctx": -1}, {"repeat_penalty": -3},
                    {"repeat_last_n": -9}, {"top_k": 1e300}, {"frequency_penalty": 1e9}):
        generate("x", 400, options=options)
    for options in ({"seed": "x"}, {"stop": 5}, {"stop": [1]}, {"num_predict": []}, {"top_k": True}):
        generate("x", 500, options=options)
    generate("x", 400, top_logprobs=21, logprobs=True)
    generate("x", 400, raw=True, system="y")
    generate("x", 400, keep_alive="5 parsecs")
    generate("x", 400, options=[])
    generate("x", 400, stream="no")
    generate("x", 400, think=True)
    generate("x", 400, images=["aGk="])
    for form in ("xml", 5, True, [], {"type": "nonsense"}):
        generate("x", 400, format=form)
    for messages in ("x", [1], [{"role": 1}], [{"content": {}}], [{"content": "x", "images": ["aGk="]}]):
        post("/api/chat", {"messages": messages}, 400)
    for body in ("[]", "5", '{"model":', "{} x", '{"model":"smollm2","prompt":"\\ud800"}', " ", "nonsense"):
        same(ask("POST", "/api/generate", body)[0], 400)
    generate("x", options=None, keep_alive=None, stream=False, system=None, format=None, think=None)


def test_names_are_not_paths():
    for name in (str(MODEL), "../models/smollm2", "smollm2.gguf", "/etc/passwd", "..", "a/../b", "x" * 5000, "smollm2:other",
                 "smollm2@sha256:00", ":", "a b", "%2e%2e/smollm2"):
        same(post("/api/generate", {"model": name, "prompt": "x"}, 404)["error"].split("'")[0], "model ")
        post("/api/show", {"model": name}, 404)
        post("/api/embed", {"model": name, "input": "x"}, 404)
    post("/api/generate", {"model": "", "prompt": "x"}, 400)
    for name in (M, M + ":latest", "library/" + M):
        post("/api/generate", {"model": name})


def test_ignored():
    a = generate("x", gadget=1, nothing=None, options={**GREEDY, "num_gpu": 3})
    same(sorted(a["verbatim"]["ignored"]), ["gadget", "options.num_gpu"])
    same(generate("x", options={**GREEDY, "num_ctx": 100000})["verbatim"]["ignored"], ["options.num_ctx"])
    same(post("/api/show", {"verbose": True})["verbatim"], {"ignored": ["verbose"]})
    same(post("/api/embed", {"input": "a", "gadget": 1})["verbatim"], {"ignored": ["gadget"]})
    assert "verbatim" not in generate("x")


# --- models ------------------------------------------------------------------------------------------------


def stays(keep):
    generate("", keep_alive=keep)
    now = datetime.datetime.now(datetime.timezone.utc)
    return (datetime.datetime.fromisoformat(loaded()[M + ":latest"]["expires_at"][:26] + "+00:00") - now).total_seconds()


def test_keep_alive():
    for keep, seconds in (("10m", 600), ("1h30m", 5400), (90, 90), (1.5, 1.5), ("2500ms", 2.5)):
        assert abs(stays(keep) - seconds) < 2, keep
    assert stays(-1) > 1e9 and stays("-1s") > 1e9
    same(generate("", keep_alive=0)["done_reason"], "unload")
    assert M + ":latest" not in loaded()
    generate("x", keep_alive="100ms")
    until = time.monotonic() + 10
    while M + ":latest" in loaded() and time.monotonic() < until:
        time.sleep(0.1)
    assert M + ":latest" not in loaded()
    same(post("/api/chat", {"messages": [], "keep_alive": 0})["done_reason"], "unload")
    post("/api/generate", {"model": "nope", "keep_alive": 0}, 404)


def test_lists():
    models = {m["name"]: m for m in json.loads(ask("GET", "/api/tags")[2])["models"]}
    same(sorted(models), ["bert:latest", "gemma3:latest", M + ":latest", "terse:latest"])
    same(models["bert:latest"]["capabilities"], ["embedding"])
    same(models[M + ":latest"]["capabilities"], ["completion"])
    same(models[M + ":latest"]["digest"], DIGEST)
    same(models["bert:latest"]["digest"], hashlib.sha256((GOLDEN / "bert-mean/model.gguf").read_bytes()).hexdigest())
    same(ask("HEAD", "/api/tags")[0], 200)
    generate("")
    same(loaded()[M + ":latest"]["digest"], DIGEST)


def test_show():
    s = post("/api/show", {"model": "", "name": M})
    meta = s["model_info"]
    same(meta["general.architecture"], "llama")
    assert isinstance(meta["llama.block_count"], int) and meta["tokenizer.ggml.tokens"] is None, meta
    assert isinstance(meta["general.parameter_count"], int), meta
    table = {t["name"]: t for t in s["tensors"]}
    same(table["token_embd.weight"]["shape"], [meta["llama.embedding_length"], meta["llama.vocab_size"]])
    post("/api/show", {"model": ""}, 400)


def test_stored_texts():
    asked = {"model": "terse", "prompt": "Once"}
    a, b = post("/api/generate", asked), post("/api/generate", {**asked, "options": {"num_predict": 5}})
    same(a["context"], post("/api/generate", asked)["context"])
    same((a["eval_count"], b["eval_count"]), (7, 5))
    same(a["response"], generate("Once", system="Be brief.", options={**GREEDY, "num_predict": 7})["response"])
    rendered = post("/api/generate", {**asked, "system": "Be loud.", "_debug_render_only": True})["_debug_info"]
    assert "Be loud." in rendered["rendered_template"] and "Be brief." not in rendered["rendered_template"], rendered
    s = post("/api/show", {"model": "terse"})
    same(s["system"], "Be brief.")
    same(s["parameters"].splitlines()[1:3], ['stop                           "<|im_end|>"',
                                             'stop                           "zzz"'])


# --- embeddings --------------------------------------------------------------------------------------------


def test_embed():
    for model in (M, "bert"):
        both = post("/api/embed", {"model": model, "input": ["one", "two words"]})
        one = post("/api/embed", {"model": model, "input": "one"})
        same(both["embeddings"][0], one["embeddings"][0])
        assert both["prompt_eval_count"] > one["prompt_eval_count"] > 0
        for row in both["embeddings"]:
            assert abs(math.fsum(x * x for x in row) - 1) < 1e-5
        same(post("/api/embeddings", {"model": model, "prompt": "one"}), {"embedding": one["embeddings"][0]})
        short = post("/api/embed", {"model": model, "input": "one", "dimensions": 5})["embeddings"][0]
        same(len(short), 5)
        assert abs(math.fsum(x * x for x in short) - 1) < 1e-5
        assert abs(short[0] / short[1] - one["embeddings"][0][0] / one["embeddings"][0][1]) < 1e-4


def test_embed_edges():
    same(post("/api/embed", {"input": ""})["embeddings"], [])
    same(post("/api/embed", {"input": []})["embeddings"], [])
    same(post("/api/embeddings", {"prompt": ""}), {"embedding": []})
    post("/api/embed", {"input": 5}, 400)
    post("/api/embed", {"input": ["a", 5]}, 400)
    post("/api/embed", {"input": "word " * 9000, "truncate": False}, 400)
    same(len(post("/api/embed", {"input": "word " * 9000})["embeddings"]), 1)
    post("/api/generate", {"model": "bert", "prompt": "x"}, 400)


if __name__ == "__main__":
    sys.exit(each.run(globals()))
