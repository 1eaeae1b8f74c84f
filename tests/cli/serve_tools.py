#!/usr/bin/env python3
"""serve_tools.py VERBATIM - tools, thoughts and biases of `verbatim serve`, asked over the wire in all three APIs.

The model is a small random one that gets a chat template of our own; what it "writes" is dictated by a grammar, so that
an answer is known before it is asked for. Ends with "N passed, N failed".
"""
import atexit
import json
import pathlib
import struct
import subprocess
import sys

import each
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
WORK = scratch.folder("tools")

# Tools by name, calls between marks, a thought that is opened if one is asked for.
MARKED = """{%- for t in tools or [] %}+{{ t.function.name }}{% endfor %}
{%- for m in messages %}|{{ m.role }}:{{ m.content }}
{%- for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}#{{ c.id }}</tool_call>{% endfor %}
{%- if m.role == 'tool' %}#{{ m.tool_call_id }}/{{ m.name }}{% endif %}
{%- endfor %}|a:{% if enable_thinking %}<think>{% endif %}{# content.split('</think>') #}"""
PLAIN = "{% for m in messages %}{% if m.role == 'x' %}{{ raise_exception('no x') }}{% endif %}{{ m.role }}:{{ m.content }}|{% endfor %}{% if tools %}{{ tools | length }}{% endif %}"

CONTROL = "{% for m in messages %}{{ m.role }}|{% endfor %}{% if tools %}{{ tools | length }}{% endif %}{# [TOOL_CALLS] [ARGS] #}"


def same(a, b):
    assert a == b, f"expected {b!r}, found {a!r}"


def with_template(source, target, template, control=()):
    """A copy of a GGUF file with one more key, tokenizer.chat_template; `control`: tokens' texts and what control tokens
    they become."""
    data = source.read_bytes()
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def skip(kind, at):
        if kind == 8:
            return at + 8 + struct.unpack_from("<Q", data, at)[0]
        if kind != 9:
            return at + sizes[kind]
        inner, n = struct.unpack_from("<IQ", data, at)
        at += 12
        if inner != 8:
            return at + n * sizes[inner]
        for _ in range(n):
            at = skip(8, at)
        return at

    version, tensors, keys = struct.unpack_from("<IQQ", data, 4)
    at = 24
    for _ in range(keys):
        at = skip(8, at)
        at = skip(struct.unpack_from("<I", data, at)[0], at + 4)
    end = at
    for _ in range(tensors):
        at = skip(8, at)
        dims, = struct.unpack_from("<I", data, at)
        at += 4 + 8 * dims + 12
    weights = data[(at + 31) // 32 * 32:]
    text = template.encode()
    key = b"tokenizer.chat_template"
    head = data[:4] + struct.pack("<IQQ", version, tensors, keys + 1) + data[24:end]
    head += struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(text)) + text + data[end:at]
    for old, new in control:
        head = with_control(head, old, new)
    target.write_bytes(head + bytes(-len(head) % 32) + weights)


def with_control(data, old, new):
    """Renames a token and makes it a control token."""
    count, at = struct.unpack_from("<Q", data, data.index(b"tokenizer.ggml.tokens") + 29)[0], data.index(b"tokenizer.ggml.tokens") + 37
    types = data.index(b"tokenizer.ggml.token_type") + 41
    for i in range(count):
        n, = struct.unpack_from("<Q", data, at)
        if data[at + 8:at + 8 + n].decode() == old:
            assert types > at
            data = data[:types + 4 * i] + struct.pack("<i", 3) + data[types + 4 * i + 4:]
            return data[:at] + struct.pack("<Q", len(new)) + new.encode() + data[at + 8 + n:]
        at += 8 + n
    raise KeyError(old)


def start():
    models = WORK / "models"
    models.mkdir()
    with_template(TINY, models / "marked.gguf", MARKED)
    with_template(TINY, models / "plain.gguf", PLAIN)
    with_template(TINY, models / "control.gguf", CONTROL, [("q", "[TOOL_CALLS]"), ("z", "[ARGS]")])
    (models / "none.gguf").symlink_to(TINY)
    server = served.Server(VERBATIM, models, "--trace-dir", str(WORK / "traces"), env={"HOME": str(WORK), "XDG_CACHE_HOME": str(WORK)})
    atexit.register(server.__exit__, None, None, None)
    return server


SERVER = start()
ask = SERVER.text

ADD = {"type": "function", "function": {"name": "add", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}}}
SUB = {"type": "function", "function": {"name": "sub", "parameters": {
    "type": "object", "properties": {"b": {"enum": [7]}}, "required": ["b"], "additionalProperties": False}}}
HI = [{"role": "user", "content": "hi"}]


def says(text):
    """A grammar whose only text this is."""
    return "root ::= " + json.dumps(text)


def post(path, body, status=200):
    code, _, text = ask("POST", path, {"model": "marked", **body})
    assert code == status, f"{path} {body}: expected {status}, found {code}: {text}"
    return json.loads(text)


def chat(text=None, status=200, **body):
    if text is not None:
        body["grammar"] = says(text)
    return post("/v1/chat/completions", {"messages": HI, "seed": 1, **body}, status)


def message(*args, **body):
    return chat(*args, **body)["choices"][0]["message"]


def lines(path, body):
    code, _, text = ask("POST", path, {"model": "marked", "stream": True, **body})
    assert code == 200, text
    if text.startswith(("data: ", "event: ")):
        data = [e.split("\n")[-1][6:] for e in text[:-2].split("\n\n")]
        return [json.loads(d) for d in data if d != "[DONE]"]
    return [json.loads(line) for line in text.splitlines()]


def calls_of(m):
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in m.get("tool_calls", [])]


CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 5}}\n</tool_call>'


# --- OpenAI's chats ------------------------------------------------------------------------------------------


def test_call():
    whole = chat("I add. " + CALL, tools=[ADD])
    same(whole["choices"][0]["finish_reason"], "tool_calls")
    m = whole["choices"][0]["message"]
    same((m["content"], calls_of(m)), ("I add.", [("add", {"a": 5})]))
    call = m["tool_calls"][0]
    same((sorted(call), call["index"], call["type"], call["id"][:5]), (["function", "id", "index", "type"], 0, "function", "call_"))
    two = message(CALL + CALL, tools=[ADD])
    same([c["index"] for c in two["tool_calls"]], [0, 1])
    assert two["tool_calls"][0]["id"] != two["tool_calls"][1]["id"]
    same(len(message(CALL + CALL, tools=[ADD], parallel_tool_calls=False)["tool_calls"]), 1)


def test_no_call():
    same(message("<tool_call>oh</tool_call>", tools=[ADD]), {"role": "assistant", "content": "<tool_call>oh</tool_call>"})
    same(message(CALL), {"role": "assistant", "content": CALL})
    same(message(CALL, tools=[ADD], tool_choice="none"), {"role": "assistant", "content": CALL})
    same(chat("x", tools=[ADD])["choices"][0]["finish_reason"], "stop")


def test_call_stream():
    pieces = [p["choices"][0] for p in lines("/v1/chat/completions", {"messages": HI, "tools": [ADD], "grammar": says("Yes. " + CALL)})]
    same("".join(p["delta"].get("content", "") for p in pieces), "Yes.")
    calls = [c for p in pieces for c in p["delta"].get("tool_calls", [])]
    same([(c["function"]["name"], c["function"]["arguments"]) for c in calls], [("add", '{"a":5}')])
    same([p["finish_reason"] for p in pieces if p["finish_reason"]], ["tool_calls"])
    same([i for i, p in enumerate(pieces) if "role" in p["delta"]], [0])


def test_choice_required():
    for seed in range(12):
        m = message(tools=[ADD, SUB], tool_choice="required", parallel_tool_calls=False, seed=seed, temperature=1.5)
        (name, arguments), = calls_of(m)
        assert (name == "add" and list(arguments) == ["a"] and isinstance(arguments["a"], int)) or \
            (name, arguments) == ("sub", {"b": 7}), m
        same(m["content"], "")


def test_choices():
    body = {"tools": [ADD], "tool_choice": "required", "parallel_tool_calls": False, "temperature": 1.5, "seed": 4}
    several = [calls_of(c["message"]) for c in chat(n=4, **body)["choices"]]
    same(several[:2], [calls_of(c["message"]) for c in chat(n=2, **body)["choices"]])
    assert all(len(calls) == 1 for calls in several) and several.count(several[0]) < 4, several
    mixed = lines("/v1/chat/completions", {"messages": HI, "n": 3, "stream_options": {"include_usage": True}, **body})
    told = [(p["choices"][0]["index"], calls_of(p["choices"][0]["delta"])) for p in mixed if p["choices"]]
    same([[c for i, calls in told if i == k for c in calls] for k in range(3)], several[:3])


def test_choice_named():
    choice = {"type": "function", "function": {"name": "sub"}}
    for seed in range(4):
        same(calls_of(message(tools=[ADD, SUB], tool_choice=choice, parallel_tool_calls=False, seed=seed)), [("sub", {"b": 7})])
    whole = chat(tools=[SUB], tool_choice="required", parallel_tool_calls=False, model="plain")
    same(calls_of(whole["choices"][0]["message"]), [("sub", {"b": 7})])
    same(whole["choices"][0]["finish_reason"], "tool_calls")
    pieces = lines("/v1/chat/completions", {"messages": HI, "tools": [SUB], "tool_choice": "required", "parallel_tool_calls": False})
    same(sum(len(p["choices"][0]["delta"].get("tool_calls", [])) for p in pieces), 1)


def test_refused():
    wrong = chat(tools=[ADD], model="none", status=400)["error"]
    same((wrong["message"], wrong["type"]), ("registry.ollama.ai/library/none:latest does not support tools", "invalid_request_error"))
    same(chat(reasoning_effort="high", model="none", status=400)["error"]["message"], '"none" does not support thinking')
    chat("x", reasoning_effort="none", model="none")
    chat("x", tools=[ADD], tool_choice="none", model="none")
    for body in ({"tools": 5}, {"tools": [5]}, {"tools": [{}]}, {"tools": [{"type": "retrieval"}]}, {"tool_choice": "required"},
                 {"tools": [{"type": "function", "function": {}}]}, {"tools": [ADD], "tool_choice": "maybe"},
                 {"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "sub"}}}, {"reasoning_effort": "much"},
                 {"tools": [ADD], "tool_choice": 5}, {"parallel_tool_calls": 1},
                 {"tools": [{"type": "function", "function": {"name": "x", "parameters": {"type": "nonsense"}}}], "tool_choice": "required"}):
        same(chat(status=400, **body)["error"]["type"], "invalid_request_error")
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}]
    same(chat(messages=image, status=400)["error"]["message"], '"marked" does not support vision')


def test_control_tokens():
    """Marks that are tokens: written out where calls are looked for, and given as tokens where a call must be made."""
    mark = {str(token("[TOOL_CALLS]", "control")): 100}
    same(message(model="control", logit_bias=mark, max_tokens=2)["content"], "")
    same(message(model="control", logit_bias=mark, max_tokens=2, tools=[SUB])["content"], "[TOOL_CALLS][TOOL_CALLS]")
    named = chat(model="control", tools=[SUB], tool_choice="required", seed=3)
    same(calls_of(named["choices"][0]["message"]), [("sub", {"b": 7})])
    bare = chat(model="control", tools=[SUB], max_tokens=1)
    same(named["usage"]["prompt_tokens"] - bare["usage"]["prompt_tokens"], 2 + len("sub")) # and a blank, as this tokenizer has it
    both = message(model="control", tools=[ADD, SUB], tool_choice="required", seed=3)
    assert calls_of(both)[0][0] in ("add", "sub"), both


def test_calls_that_are_none():
    for calls in ("x", 5, [5], [{}], [{"function": {}}], [{"function": {"name": 5}}], [{"function": {"name": "f", "arguments": 5}}],
                  [{"function": {"name": "f", "arguments": "{"}}], [{"function": {"name": "f", "arguments": "[]"}}]):
        odd = [{"role": "assistant", "content": "", "tool_calls": calls}]
        chat(messages=odd, status=400)
        post("/api/chat", {"messages": odd}, 400)
    for calls in (None, [], [{"function": {"name": "f"}}], [{"function": {"name": "f", "arguments": ""}}]):
        chat("x", messages=[{"role": "assistant", "content": "", "tool_calls": calls}])


def test_template_of_a_store():
    """The same of a model that was made here, with a template in Go's language."""
    template = ("{{ range .Tools }}+{{ .Function.Name }}{{ end }}{{ range .Messages }}|{{ .Role }}:{{ .Content }}{{ range .ToolCalls }}"
                "<tool_call>{{ .Function.Name }}</tool_call>{{ end }}{{ end }}|a:{{ if .Think }}<think>{{ end }}{{/* </think> */}}")
    post("/api/create", {"model": "made", "from": "none", "template": template, "stream": False})
    same(chat("Yes. " + CALL, model="made", tools=[ADD])["choices"][0]["finish_reason"], "tool_calls")
    same(calls_of(message(model="made", tools=[ADD, SUB], tool_choice={"type": "function", "function": {"name": "sub"}},
                          parallel_tool_calls=False)), [("sub", {"b": 7})])
    said = HI + [{"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": {}}}]}]
    same(rendered(said, model="made", tools=[ADD]), "+add|user:hi|assistant:<tool_call>add</tool_call>|a:<think>")
    same(message("<think>Hm.</think>Yes.", model="made")["reasoning"], "Hm.")


def test_template_says_no():
    odd = [{"role": "x", "content": "hi"}]
    assert "no x" in chat(model="plain", messages=odd, status=400)["error"]["message"]
    assert "no x" in post("/api/chat", {"model": "plain", "messages": odd, "_debug_render_only": True}, 400)["error"]


# --- what the model gets ---------------------------------------------------------------------------------------


def rendered(messages, **body):
    return post("/api/chat", {"messages": messages, "_debug_render_only": True, **body})["_debug_info"]["rendered_template"]


def test_prompt():
    same(rendered(HI, tools=[ADD, SUB]), "+add+sub|user:hi|a:<think>")
    same(rendered(HI, think=True), "|user:hi|a:<think>")
    same(rendered(HI, think=False), "|user:hi|a:")
    same(rendered(HI, think=False, model="plain"), "user:hi|")
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    said = HI + [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_name": "add", "content": "6"}]
    same(rendered(said, tools=[ADD], think=False),
         '+add|user:hi|assistant:<tool_call>{"name": "add", "arguments": {"a": 1}}#call_0</tool_call>|tool:6#call_0/add|a:')
    twice = [{"role": "assistant", "tool_calls": [call, call]}, {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]
    assert rendered(twice, think=False).endswith("|tool:1#call_0/add|tool:2#call_1/add|a:")
    openai = HI + [{"role": "assistant", "content": None, "tool_calls": [
        {"id": "x1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        {"id": "x2", "type": "function", "function": {"name": "sub", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "x2", "content": "7"}, {"role": "tool", "tool_call_id": "x1", "content": "6"}]
    code, _, text = ask("POST", "/apply-template", {"model": "marked", "messages": openai, "tools": [ADD, SUB]})
    same(json.loads(text)["prompt"],
         '+add+sub|user:hi|assistant:<tool_call>{"name": "add", "arguments": {"a": 1}}#x1</tool_call>'
         '<tool_call>{"name": "sub", "arguments": {}}#x2</tool_call>|tool:7#x2/sub|tool:6#x1/add|a:')


def test_more_for_the_template():
    def prompt(**body):
        return json.loads(ask("POST", "/apply-template", {"model": "marked", "messages": HI, **body})[2])["prompt"]
    same(prompt(chat_template_kwargs={"enable_thinking": True}), "|user:hi|a:<think>")
    same(prompt(chat_template_kwargs={"enable_thinking": True}, reasoning_effort="none"), "|user:hi|a:")
    chat("x", chat_template_kwargs=5, status=400)


def counted(messages, status=200, **body):
    said = post("/api/chat", {"messages": messages, "stream": False, "think": False, "options": {"num_predict": 1}, **body}, status)
    return said.get("prompt_eval_count")


def test_as_few_messages_go_as_will_do():
    system = [{"role": "system", "content": "s"}]
    for turn in range(6):
        said = [{"role": ("user", "assistant")[i % 2], "content": "x" * (i * 37 % 29 + turn)} for i in range(24)]
        kept = next(k for k in range(24) if ask("POST", "/api/chat", {
            "model": "marked", "messages": system + said[k:], "think": False, "truncate": False, "stream": False,
            "options": {"num_predict": 1}})[0] == 200)
        assert kept > 0
        same(counted(system + said), counted(system + said[kept:], truncate=False))
        counted(system + said[kept - 1:], 400, truncate=False)


def test_results_go_with_their_calls():
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": {"a": "x" * 60}}}]}
    rest = [{"role": "tool", "content": "y" * 20}, {"role": "tool", "content": "y" * 20}, {"role": "user", "content": "hi"}]
    last = [{"role": "user", "content": "z" * 120}]
    same(counted([call] + rest + last), counted(rest[2:] + last))


# --- thoughts --------------------------------------------------------------------------------------------------


def test_thought():
    m = message("<think>\nHm.\n</think>\n\nYes.")
    same((m["content"], m["reasoning"]), ("Yes.", "Hm."))
    same(message("Yes."), {"role": "assistant", "content": "Yes."})
    pieces = [p["choices"][0]["delta"] for p in lines("/v1/chat/completions", {"messages": HI, "grammar": says("<think>A b</think>C")})]
    same("".join(p.get("reasoning", "") for p in pieces), "A b")
    same("".join(p.get("content", "") for p in pieces), "C")
    m = message("<think>Add.</think>" + CALL, tools=[ADD])
    same((m["reasoning"], calls_of(m)), ("Add.", [("add", {"a": 5})]))


def test_opened_thought():
    """The prompt opens a thought; an answer that has to be JSON does without."""
    for effort in ("low", "medium", "high"):
        m = message(reasoning_effort=effort, max_tokens=6)
        same(m["content"], "")
        assert m["reasoning"], m
    five = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": 5}}}
    held, free = chat(reasoning_effort="low", response_format=five), chat(reasoning_effort="low", max_tokens=1)
    same(held["choices"][0]["message"], {"role": "assistant", "content": "5"})
    assert held["usage"]["prompt_tokens"] - free["usage"]["prompt_tokens"] >= len("</think>\n\n")
    assert calls_of(message(reasoning_effort="low", tools=[SUB], tool_choice="required", parallel_tool_calls=False))


# --- Ollama ----------------------------------------------------------------------------------------------------

OPTIONS = {"seed": 1, "num_predict": 40, "temperature": 0}


def test_ollama_call():
    schema = {"type": "object", "properties": {"name": {"const": "add"}, "arguments": {"const": {"a": 2}}}, "required": ["name", "arguments"]}
    body = {"model": "plain", "messages": HI, "tools": [ADD], "format": schema, "options": {"seed": 1}}
    whole = post("/api/chat", {**body, "stream": False})
    m = whole["message"]
    same((m["role"], m["content"], whole["done_reason"]), ("assistant", "", "stop"))
    call, = m["tool_calls"]
    same(call["function"], {"index": 0, "name": "add", "arguments": {"a": 2}})
    streamed = lines("/api/chat", body)
    same([c["function"]["arguments"] for line in streamed for c in line["message"].get("tool_calls", [])], [{"a": 2}])
    same((streamed[-1]["done"], streamed[-1]["message"]), (True, {"role": "assistant", "content": ""}))
    assert all(not line["done"] for line in streamed[:-1])


def test_ollama_thought():
    whole = post("/api/chat", {"messages": HI, "think": True, "stream": False, "options": OPTIONS})
    assert whole["message"]["thinking"] and whole["message"]["content"] == "", whole
    streamed = lines("/api/chat", {"messages": HI, "think": "high", "options": OPTIONS})
    same("".join(line["message"].get("thinking", "") for line in streamed), whole["message"]["thinking"])
    whole = post("/api/generate", {"prompt": "hi", "think": True, "stream": False, "options": OPTIONS})
    assert whole["thinking"] and whole["response"] == "", whole
    assert "thinking" not in post("/api/generate", {"prompt": "hi", "think": False, "stream": False, "options": OPTIONS})


def test_ollama_refused():
    def wrong(path, **body):
        return post(path, {"messages": HI, "prompt": "x", **body}, 400)["error"]
    same(wrong("/api/chat", tools=[ADD], model="none"), "registry.ollama.ai/library/none:latest does not support tools")
    same(wrong("/api/chat", think=True, model="none"), '"none" does not support thinking')
    same(wrong("/api/generate", think="high", model="none"), '"none" does not support thinking')
    same(wrong("/api/generate", images=["aGk="]), '"marked" does not support vision')
    same(wrong("/api/chat", messages=[{"role": "user", "content": "x", "images": ["aGk="]}]), '"marked" does not support vision')
    wrong("/api/chat", think="much")
    wrong("/api/chat", think=5)
    post("/api/chat", {"model": "none", "messages": HI, "think": False, "tools": [], "stream": False, "options": OPTIONS})


# --- responses ---------------------------------------------------------------------------------------------------


def test_responses():
    flat = {"type": "function", "name": "sub", "parameters": SUB["function"]["parameters"]}
    body = {"input": "hi", "tools": [flat], "tool_choice": "required", "parallel_tool_calls": False}
    whole = post("/v1/responses", body)
    call, = whole["output"]
    same((call["type"], call["name"], json.loads(call["arguments"]), call["status"]), ("function_call", "sub", {"b": 7}, "completed"))
    same((whole["tools"], whole["tool_choice"], whole["parallel_tool_calls"]), ([flat], "required", False))
    events = lines("/v1/responses", body)
    same([e["sequence_number"] for e in events], list(range(len(events))))
    same([e["type"][9:] for e in events], ["created", "in_progress", "output_item.added", "function_call_arguments.delta",
                                           "function_call_arguments.done", "output_item.done", "completed"])
    same(json.loads(events[4]["arguments"]), {"b": 7})
    answer = [{"role": "user", "content": "hi"}, {"type": "function_call", "call_id": "c", "name": "sub", "arguments": "{}"},
              {"type": "function_call_output", "call_id": "c", "output": "7"}]
    post("/v1/responses", {"input": answer, "tools": [flat], "max_output_tokens": 2})
    image = [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,aGk="}]}]
    same(post("/v1/responses", {"input": image}, 400)["error"]["message"], '"marked" does not support vision')


def test_responses_thought():
    body = {"input": "hi", "grammar": says("<think>A b</think>Cd")}
    whole = post("/v1/responses", body)
    same([o["type"] for o in whole["output"]], ["reasoning", "message"])
    same(whole["output"][0]["summary"], [{"type": "summary_text", "text": "A b"}])
    same(whole["output"][1]["content"][0]["text"], "Cd")
    assert 0 < whole["usage"]["output_tokens_details"]["reasoning_tokens"] < whole["usage"]["output_tokens"]
    events = lines("/v1/responses", body)
    kinds = [e["type"][9:] for e in events]
    kinds = [k for i, k in enumerate(kinds) if i == 0 or kinds[i - 1] != k]
    same(kinds, ["created", "in_progress", "output_item.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
                 "output_item.done", "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
                 "content_part.done", "output_item.done", "completed"])
    same("".join(e["delta"] for e in events if e["type"].endswith("output_text.delta")), "Cd")
    same([e["output_index"] for e in events if "output_index" in e][-1], 1)


# --- biases -----------------------------------------------------------------------------------------------------


def text_of(**body):
    return post("/v1/completions", {"prompt": "ab", "max_tokens": 4, "temperature": 0, **body})["choices"][0]["text"]


def token(text, model="marked"):
    return json.loads(ask("POST", "/tokenize", {"model": model, "content": text})[2])["tokens"][-1]


def test_bias():
    q = token("q")
    same(text_of(logit_bias={str(q): 100}), "qqqq")
    same(text_of(logit_bias={str(q): -100}), text_of(logit_bias={str(token("z")): -100}))
    same(text_of(logit_bias={}), text_of())
    same(message(logit_bias={str(q): 100}, max_tokens=3)["content"], "qqq")
    assert "ignored" not in chat(logit_bias={str(q): 1}, max_tokens=1)["verbatim"]
    same(post("/v1/completions", {"prompt": "ab", "max_tokens": 9, "grammar": 'root ::= "a" | "q"', "logit_bias": {str(q): 100}})
         ["choices"][0]["text"], "q")
    for wrong in ({"x": 1}, {"-5": 1}, {"05": 1}, {"5 ": 1}, {"": 1}, {"1000000000": 1}, {str(q): 101}, {str(q): "a"}, 5, [1]):
        chat(logit_bias=wrong, status=400)
        post("/v1/completions", {"prompt": "ab", "logit_bias": wrong}, 400)


def test_what_was_said_so_far_is_proved():
    """Biases, calls that had to be made, control tokens that are text: all of it stands in the traces."""
    traces = sorted((WORK / "traces").iterdir())
    assert len(traces) > 20, traces
    kinds = set()
    for trace in traces[::max(1, len(traces) // 30)]:
        done = subprocess.run([VERBATIM, "trace", "verify", trace], capture_output=True,
                              env={"HOME": str(WORK), "XDG_CACHE_HOME": str(WORK), "VERBATIM_MODELS": str(WORK / "models")})
        assert done.returncode == 0, done
    for trace in traces:  # all of them: whether a part of them has a bias is chance
        shown = subprocess.run([VERBATIM, "trace", "show", "--json", trace], capture_output=True).stdout.splitlines()
        kinds |= {(r["kind"], len(r["biases"]) > 0) for r in map(json.loads, shown) if r["record"] == "rules"}
    assert ("gbnf", False) in kinds and any(biased for _, biased in kinds), kinds


sys.exit(each.run(globals(), sys.argv[2:]))
