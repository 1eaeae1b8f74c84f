#!/usr/bin/env python3
"""serve_openai.py VERBATIM [MODEL] - OpenAI's API of `verbatim serve`, asked over the wire.

The recorded exchanges in tests/recordings/api/v1_*.json come from a real Ollama: each request is asked again, and
status, content type, field names and types must be those that were recorded. Ends with "N passed, N failed".
"""
import atexit
import base64
import json
import pathlib
import re
import struct
import sys

import each
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
MODEL = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "tests/golden/llama-gqa/model.gguf").resolve()
WORK = scratch.folder("openai")
M = "smollm2"


def same(a, b):
    assert a == b, f"expected {b!r}, found {a!r}"


def start():
    (WORK / "models").mkdir()
    (WORK / "models" / f"{M}.gguf").symlink_to(MODEL)
    env = {"HOME": str(WORK), "XDG_CACHE_HOME": str(WORK)}
    server = served.Server(VERBATIM, WORK / "models", env=env)
    atexit.register(server.__exit__, None, None, None)
    return server


SERVER = start()
ask = SERVER.text


def post(path, body, status=200):
    code, _, text = ask("POST", path, {"model": M, **body})
    assert code == status, f"{path} {body}: expected {status}, found {code}: {text}"
    return json.loads(text)


def events(path, body):
    """The data of each event; of named ones (name, data)."""
    code, kind, text = ask("POST", path, {"model": M, "stream": True, **body})
    assert code == 200, f"{code}: {text}"
    same(kind, "text/event-stream")
    assert text.endswith("\n\n"), text[-40:]
    out = []
    for event in text[:-2].split("\n\n"):
        lines = event.split("\n")
        assert lines[-1].startswith("data: "), event
        data = lines[-1][6:] if lines[-1] == "data: [DONE]" else json.loads(lines[-1][6:])
        out.append((lines[0][7:], data) if lines[0].startswith("event: ") else data)
    return out


# --- recorded exchanges ------------------------------------------------------------------------------------


def shape(v):
    """Names and types; of a list its first entry. Numbers are one type."""
    if isinstance(v, dict):
        return {k: shape(x) for k, x in v.items()}
    if isinstance(v, list):
        return [shape(v[0])] if v else []
    return "number" if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v).__name__


def shapes(text):
    if not text.startswith("data: "):
        return shape(json.loads(text))
    lines = [x[6:] for x in text.strip().split("\n\n")]
    kinds = [x if x == "[DONE]" else shape(json.loads(x)) for x in lines]
    return [k for i, k in enumerate(kinds) if i == 0 or k != kinds[i - 1]]


def without(v, *keys):
    return {k: x for k, x in v.items() if k not in keys} if isinstance(v, dict) else v


def recorded(path):
    r = json.loads(path.read_text())
    status, kind, text = ask(r["method"], r["path"], r["request"])
    same(status, r["status"])
    same(kind, r["headers"]["Content-Type"])
    if path.stem in ("v1_models", "v1_model"):
        same(without(json.loads(text), "data", "created"), without(json.loads(r["body"]), "data", "created"))
    elif status >= 400:
        same(text, r["body"])
    return shapes(text), shapes(r["body"])


SKIP = ("v1_embeddings",)  # a refusal, where verbatim answers


def test_recordings():
    for path in sorted((ROOT / "tests/recordings/api").glob("v1_*.json")):
        if path.stem in SKIP:
            continue
        try:
            ours, theirs = recorded(path)
        except AssertionError as e:
            raise AssertionError(f"{path.stem}: {e}") from e
        assert ours == theirs, f"{path.stem}: expected {theirs}, found {ours}"


def test_models():
    code, _, text = ask("GET", "/v1/models")
    same(code, 200)
    same([m["id"] for m in json.loads(text)["data"]], [M + ":latest"])
    same(ask("GET", f"/v1/models/{M}:latest")[0], 200)
    same(ask("GET", "/v1/models/../../etc/passwd")[0], 404)


# --- embeddings --------------------------------------------------------------------------------------------


def vectors(body):
    return [d["embedding"] for d in post("/v1/embeddings", body)["data"]]


def test_embeddings():
    a, b = vectors({"input": ["hello", "world"]})
    same(a, vectors({"input": "hello"})[0])
    assert a != b and abs(sum(x * x for x in a) - 1) < 1e-5
    packed = vectors({"input": "hello", "encoding_format": "base64"})[0]
    same(list(struct.unpack(f"<{len(a)}f", base64.b64decode(packed))), [struct.unpack("f", struct.pack("f", x))[0] for x in a])
    short = vectors({"input": "hello", "dimensions": 8})[0]
    assert len(short) == 8 and abs(sum(x * x for x in short) - 1) < 1e-5
    same(vectors({"input": [5, 9, 12]}), vectors({"input": [[5, 9, 12]]}))
    usage = post("/v1/embeddings", {"input": [[5, 9, 12], [7]]})["usage"]
    same((usage["prompt_tokens"], usage["total_tokens"]), (4, 4))


def test_embeddings_refused():
    for body in ({"input": 5}, {"input": []}, {"input": [[]]}, {"input": ["a", 5]}, {"input": [-1]}, {"input": [10**9]}, {},
                 {"input": "a", "encoding_format": "hex"}, {"input": "a", "dimensions": 10**6}, {"input": [5] * 100000}):
        error = post("/v1/embeddings", body, 400)["error"]
        same(error["type"], "invalid_request_error")


# --- chats -------------------------------------------------------------------------------------------------

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]


def chat(**body):
    return post(CHAT, {"messages": HI, "max_tokens": 12, **body})


def text_of(answer, i=0):
    return answer["choices"][i]["message"]["content"]


def streamed(**body):
    """Text of each choice, all log-probabilities, the usage."""
    texts, logprobs, usage = {}, [], None
    told = events(CHAT, {"messages": HI, "max_tokens": 12, **body})
    same(told.pop(), "[DONE]")
    for e in told:
        usage = e.get("usage", usage)
        for c in e["choices"]:
            same("role" in c["delta"], c["index"] not in texts)
            texts[c["index"]] = texts.get(c["index"], "") + c["delta"].get("content", "")
            logprobs += c.get("logprobs", {}).get("content", [])
    return texts, logprobs, usage


def test_chat_streams_what_it_answers():
    for how in ({"temperature": 0}, {"seed": 3}, {"seed": 4, "n": 3}, {"seed": 5, "temperature": 0.7, "logprobs": True}):
        whole = chat(**how)
        texts, logprobs, usage = streamed(**how, stream_options={"include_usage": True})
        same(texts, {c["index"]: c["message"]["content"] for c in whole["choices"]})
        same(usage, whole["usage"])
        same(logprobs, whole["choices"][0].get("logprobs", {}).get("content", []))


def test_chat_seeds():
    first = chat(seed=7, n=4)
    same([c["index"] for c in first["choices"]], [0, 1, 2, 3])
    assert len({text_of(first, i) for i in range(4)}) > 1
    same(text_of(first), text_of(chat(seed=7)))
    same([text_of(first, i) for i in range(4)], [text_of(chat(seed=7, n=4), i) for i in range(4)])
    assert len({text_of(chat()) for _ in range(4)}) > 1


def test_chat_stops():
    whole = text_of(chat(temperature=0, max_tokens=24))
    cut = re.findall("[!-~]{2}", whole)[-1]
    for stop in (cut, [cut], ["\u2603", cut]):
        answer = chat(temperature=0, max_tokens=24, stop=stop)
        same((text_of(answer), answer["choices"][0]["finish_reason"]), (whole[:whole.index(cut)], "stop"))
        same(streamed(temperature=0, max_tokens=24, stop=stop)[0][0], whole[:whole.index(cut)])


def test_chat_limits():
    for how in ({"max_tokens": 5}, {"max_tokens": 50, "max_completion_tokens": 5}):
        answer = chat(temperature=0, **how)
        same((answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]), (5, "length"))
        same(answer["usage"]["total_tokens"], answer["usage"]["prompt_tokens"] + 5)


def test_chat_logprobs():
    content = chat(temperature=0, logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]
    same(len(content), 12)
    for token in content:
        best = token["top_logprobs"]
        same((token["logprob"], token["token"], len(best)), (best[0]["logprob"], best[0]["token"], 3))
        assert 0 > best[0]["logprob"] >= best[1]["logprob"] >= best[2]["logprob"]
        same(bytes(token["bytes"]).decode(errors="replace"), token["token"])


def test_chat_fingerprint():
    first = chat(seed=1)["system_fingerprint"]
    assert first.startswith("vb1-") and len(first) == 37, first
    same(first, chat(seed=2)["system_fingerprint"])


def test_chat_messages():
    parts = [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]
    same(text_of(chat(temperature=0)), text_of(chat(temperature=0, messages=[{"role": "user", "content": parts}])))
    old, new = ([{"role": r, "content": "Be brief."}, *HI] for r in ("system", "developer"))
    same(text_of(chat(temperature=0, messages=old)), text_of(chat(temperature=0, messages=new)))


def test_chat_ignored():
    answer = chat(store=False, user="me", stream_options={"x": 1}, modalities=["text"])
    same(sorted(answer["verbatim"]["ignored"]), ["modalities", "store", "stream_options.x"])
    assert "verbatim" not in chat(tools=[], response_format={"type": "text"})


def test_grammar():
    form = 'root ::= "{" [a-c]{2,5} "}"'
    for c in chat(grammar=form, n=4, seed=1)["choices"]:
        assert re.fullmatch("[{][a-c]{2,5}[}]", c["message"]["content"]) and c["finish_reason"] == "stop", c
    for text in texts_of(complete(prompt=["Hi", "Yo"], grammar=form, n=2, seed=2, temperature=1, max_tokens=30)):
        assert re.fullmatch("[{][a-c]{2,5}[}]", text), text
    for path in (CHAT, LEGACY):
        same(post(path, {"messages": HI, "prompt": "Hi", "grammar": "root ::= ("}, 400)["error"]["type"], "invalid_request_error")


SCHEMA = {"type": "object", "properties": {"a": {"enum": ["x", "yy", 3]}, "b": {"type": "boolean"}},
          "required": ["a", "b"], "additionalProperties": False}


def fits(text):
    value = json.loads(text)
    same(sorted(value), ["a", "b"])
    assert value["a"] in ("x", "yy", 3) and isinstance(value["b"], bool), text


def test_schemas():
    form = {"type": "json_schema", "json_schema": {"name": "p", "schema": SCHEMA, "strict": True}}
    for c in chat(response_format=form, n=4, seed=1, max_tokens=200)["choices"]:
        fits(c["message"]["content"])
        same(c["finish_reason"], "stop")
    fits(streamed(response_format=form, seed=2, max_tokens=200)[0][0])
    fits(output_of(respond(text={"format": {"type": "json_schema", "name": "p", "schema": SCHEMA}}, max_output_tokens=200)))
    free = {**form, "json_schema": {"schema": {**SCHEMA, "not": {"type": "string"}}}}
    same(chat(response_format=free, seed=1, max_tokens=200)["verbatim"]["ignored"], ["schema: not"])
    whole = chat(response_format={"type": "json_object"}, temperature=0, max_tokens=40)["choices"][0]
    assert whole["message"]["content"].startswith("{") and (whole["finish_reason"] == "length" or json.loads(whole["message"]["content"]) == {})
    for bad in ({"type": "json_schema"}, {"type": "json_schema", "json_schema": {"name": "p"}},
                {"type": "json_schema", "json_schema": {"schema": {"type": "nothing"}}}, {"type": "xml"}, "json"):
        post(CHAT, {"messages": HI, "response_format": bad}, 400)


def test_chat_refused():
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
    for body in ({"messages": []}, {"messages": [5]}, {"messages": [{"content": "x"}]}, {"temperature": "hot"}, {"n": 0},
                 {"n": 1000}, {"top_logprobs": 21}, {"stop": 5}, {"stop": ["a"] * 17}, {"max_tokens": "5"}, {"messages": image},
                 {"seed": 1.5}, {"temperature": -1}, {"tools": [{"type": "function", "function": {"name": "f"}}]},
                 {"messages": [{"role": "user", "content": "x " * 100000}]}):
        same(post(CHAT, {"messages": HI, **body}, 400)["error"]["type"], "invalid_request_error")
    for text, message in (("", "missing request body"), ('{"model": ', "unexpected EOF")):
        code, _, answer = ask("POST", CHAT, text)
        same((code, json.loads(answer)["error"]["message"]), (400, message))
    same(post(CHAT, {"messages": HI, "model": str(MODEL)}, 404)["error"]["type"], "not_found_error")
    same(ask("GET", CHAT)[0], 405)


# --- completions -------------------------------------------------------------------------------------------

LEGACY = "/v1/completions"


def complete(**body):
    return post(LEGACY, {"prompt": "Hi", "max_tokens": 8, "temperature": 0, **body})


def texts_of(answer):
    same([c["index"] for c in answer["choices"]], list(range(len(answer["choices"]))))
    return [c["text"] for c in answer["choices"]]


def test_completion_prompts():
    one, two = complete(), complete(prompt="Yo")
    both = complete(prompt=["Hi", "Yo"])
    same(texts_of(both), texts_of(one) + texts_of(two))
    for k in ("prompt_tokens", "completion_tokens", "total_tokens"):
        same(both["usage"][k], one["usage"][k] + two["usage"][k])
    ids = complete(prompt=[1, 5, 9])
    same(texts_of(complete(prompt=[[1, 5, 9], [7]]))[0], texts_of(ids)[0])
    same(ids["usage"]["prompt_tokens"], 3)
    many = complete(prompt=["Hi", "Yo"], n=3, temperature=1, seed=5)
    same(texts_of(many)[3:], texts_of(complete(prompt="Yo", n=3, temperature=1, seed=5)))
    assert len(set(texts_of(many))) > 3


def test_completion_streams():
    for how in ({}, {"prompt": ["Hi", "Yo"], "n": 2, "temperature": 1, "seed": 1}, {"echo": True, "logprobs": 2}):
        whole, texts, tokens = complete(**how), {}, {}
        told = events(LEGACY, {"prompt": "Hi", "max_tokens": 8, "temperature": 0, "stream_options": {"include_usage": True}, **how})
        same(told.pop(), "[DONE]")
        same(told.pop()["usage"], whole["usage"])
        for c in (c for e in told for c in e["choices"]):
            texts[c["index"]] = texts.get(c["index"], "") + c["text"]
            tokens.setdefault(c["index"], []).extend(c.get("logprobs", {}).get("tokens", []))
        same(texts, dict(enumerate(texts_of(whole))))
        same(tokens[0], whole["choices"][0].get("logprobs", {}).get("tokens", []))


def test_completion_logprobs():
    answer = complete(logprobs=3)["choices"][0]
    lp = answer["logprobs"]
    same({k: len(v) for k, v in lp.items()}, {k: 8 for k in ("tokens", "token_logprobs", "top_logprobs", "text_offset")})
    for token, value, top in zip(lp["tokens"], lp["token_logprobs"], lp["top_logprobs"]):
        same((top[token], max(top.values())), (value, value))
    same(list(complete(logprobs=0)["choices"][0]["logprobs"]["top_logprobs"][0].values()), lp["token_logprobs"][:1])


def test_completion_echo():
    ids = [1, 5, 9, 300, 17, 2, 40]
    answer = complete(prompt=ids, echo=True, logprobs=1, max_tokens=1)["choices"][0]
    lp = answer["logprobs"]
    same([len(v) for v in lp.values()], [len(ids) + 1] * 4)
    same((lp["token_logprobs"][0], lp["top_logprobs"][0], lp["text_offset"][0]), (None, None, 0))
    alone = complete(prompt=ids, logprobs=1, max_tokens=1)["choices"][0]
    same(lp["token_logprobs"][-1:], alone["logprobs"]["token_logprobs"])
    assert answer["text"].endswith(alone["text"])
    for n in range(2, len(ids)):  # each one's value is what the tokens before it give it
        cut = complete(prompt=ids[:n], echo=True, logprobs=1, max_tokens=0)["choices"][0]["logprobs"]
        same(cut["token_logprobs"], lp["token_logprobs"][:n])
    only = complete(prompt=ids, echo=True, logprobs=1, max_tokens=0)
    same((only["usage"]["completion_tokens"], only["choices"][0]["logprobs"]["tokens"]), (0, lp["tokens"][:-1]))
    assert texts_of(complete(prompt="Hi there", echo=True))[0].startswith("Hi there")


def test_completion_ending():
    answer = complete(n=16, temperature=100, top_k=0, seed=1, max_tokens=200, logprobs=0)["choices"]
    ended = [c for c in answer if c["finish_reason"] == "stop"]
    assert ended, "expected an answer that ends by itself"
    for c in ended:
        assert c["logprobs"]["tokens"][-1] == "</s>" and "</s>" not in c["text"], c


def test_completion_refused():
    for body in ({"prompt": []}, {"prompt": 5}, {"prompt": [[]]}, {"prompt": [10**9]}, {"prompt": ["a"] * 1000}, {"suffix": "x"},
                 {"logprobs": 21}, {"logprobs": True}, {"temperature": -1}, {"prompt": "x " * 100000}, {"n": 17}):
        same(post(LEGACY, {"prompt": "Hi", **body}, 400)["error"]["type"], "invalid_request_error")
    same(post(LEGACY, {"prompt": "Hi", "model": "nope"}, 404)["error"]["message"], "model 'nope' not found")


# --- responses ---------------------------------------------------------------------------------------------

RESPONSES = "/v1/responses"


def respond(**body):
    return post(RESPONSES, {"input": "Hi", "max_output_tokens": 8, "temperature": 0, **body})


def output_of(answer):
    return answer["output"][0]["content"][0]["text"]


def test_response_input():
    text = output_of(respond())
    same(text, text_of(chat(temperature=0, max_tokens=8)))
    for content in ("Hi", [{"type": "input_text", "text": "Hi"}]):
        same(output_of(respond(input=[{"role": "user", "content": content}])), text)
    brief = output_of(respond(instructions="Be brief."))
    same(brief, output_of(respond(input=[{"type": "message", "role": "developer", "content": "Be brief."}, *HI])))
    same(brief, text_of(chat(temperature=0, max_tokens=8, messages=[{"role": "system", "content": "Be brief."}, *HI])))


def test_response_fields():
    answer = respond(top_p=0.9, metadata={"a": "b"}, instructions="x", store=True)
    same((answer["top_p"], answer["temperature"], answer["metadata"], answer["instructions"]), (0.9, 0, {"a": "b"}, "x"))
    same(answer["verbatim"]["ignored"], ["store"])
    same(answer["usage"]["output_tokens"], 8)
    content = respond(include=["message.output_text.logprobs"], top_logprobs=2)["output"][0]["content"][0]
    same([len(t["top_logprobs"]) for t in content["logprobs"]], [2] * 8)


def test_response_streams():
    for how in ({}, {"include": ["message.output_text.logprobs"], "top_logprobs": 1}):
        whole = respond(**how)
        told = events(RESPONSES, {"input": "Hi", "max_output_tokens": 8, "temperature": 0, **how})
        same([d["sequence_number"] for _, d in told], list(range(len(told))))
        same([n for n, _ in told], [d["type"] for _, d in told])
        names = [n.removeprefix("response.") for n, _ in told if n != "response.output_text.delta"]
        same(names, ["created", "in_progress", "output_item.added", "content_part.added", "output_text.done",
                     "content_part.done", "output_item.done", "completed"])
        deltas = [d for n, d in told if n == "response.output_text.delta"]
        same("".join(d["delta"] for d in deltas), output_of(whole))
        same([x for d in deltas for x in d["logprobs"]], whole["output"][0]["content"][0]["logprobs"])
        same(output_of(told[-1][1]["response"]), output_of(whole))
        same(told[0][1]["response"]["status"], "in_progress")


def test_response_refused():
    for body in ({"input": []}, {"input": 5}, {"input": [{"type": "function_call"}]}, {"previous_response_id": "resp_1"}, {"n": 2},
                 {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, {"metadata": 5},
                 {"text": {"format": {"type": "json_schema"}}}, {"tools": [{"type": "function", "name": "f"}]}, {"include": 5}):
        same(post(RESPONSES, {"input": "Hi", **body}, 400)["error"]["type"], "invalid_request_error")


if __name__ == "__main__":
    sys.exit(each.run(globals()))
