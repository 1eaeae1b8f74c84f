#!/usr/bin/env python3
"""serve_templates.py VERBATIM [SMOLLM2] - models of an Ollama store render by the store's templates, in Go's language.

Each model here is the same small one under another manifest. With SmolLM2's file its template of the recordings gives the
recorded prompt. Ends with "N passed, N failed".
"""
import atexit
import hashlib
import json
import pathlib
import subprocess
import sys

import each
import scratch
import served

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
REAL = len(sys.argv) > 2
MODEL = pathlib.Path(sys.argv[2] if REAL else ROOT / "tests/golden/llama-gqa/model.gguf").resolve()
WORK = scratch.folder("templates")
GREEDY = {"temperature": 0, "num_predict": 2, "seed": 1}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "d", "strict": True, "parameters": {
    "type": "object", "properties": {"unit": {"type": "string"}, "city": {"type": "string"}}, "required": ["city"]}}}

CHATML = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
LEGACY = "{{ if .System }}<<{{ .System }}>>{{ end }}[{{ .Prompt }}]{{ .Response }};"
GAP = "{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ else }}{{ range .Messages }}{{ .Content }}{{ end }}{{ end }}"
TOOLS = ("{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Role }}:{{ .Content }}"
         "{{ range .ToolCalls }}<tool_call>{\"name\": \"{{ .Function.Name }}\", \"arguments\": {{ .Function.Arguments }}}"
         "</tool_call>{{ end }}{{ .ToolName }};{{ end }}{{ range .Tools }}{{ .Function }}{{ end }}"
         "{{ if .IsThinkSet }}{{ .Think }}{{ .ThinkLevel }}{{ end }}")


def same(a, b):
    assert a == b, f"expected {b!r}, found {a!r}"


def blob(kind, data):
    data = data if isinstance(data, bytes) else data.encode()
    digest = hashlib.sha256(data).hexdigest()
    (WORK / f"ollama/blobs/sha256-{digest}").write_bytes(data)
    return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


def model(name, config=None, **layers):
    path = WORK / "ollama/manifests" / ("registry" ".ollama.ai") / "library" / name / "latest"
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest = {"schemaVersion": 2, "layers": [WEIGHTS, *(blob(kind, text) for kind, text in layers.items())]}
    if config is not None:
        manifest["config"] = blob("config", json.dumps(config))
    path.write_text(json.dumps(manifest))


(WORK / "ollama/blobs").mkdir(parents=True)
WEIGHTS = blob("model", MODEL.read_bytes())
SAID = [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}]
model("smollm2", template=CHATML, params=json.dumps({"stop": ["<|im_start|>", "<|im_end|>"], "temperature": 0}))
model("legacy", template=LEGACY, system="Be brief.")
model("gap", template=GAP)
model("tools", template=TOOLS)
model("begun", template=CHATML, messages=json.dumps(SAID), license="Do as you like.")
model("broken", template="{{ if .Messages }}\n{{ .Messages.Nope }}")
model("plain")
ENV = {"HOME": str(WORK), "XDG_CACHE_HOME": str(WORK), "OLLAMA_MODELS": str(WORK / "ollama")}
(WORK / "own").mkdir()
SERVER = served.Server(VERBATIM, WORK / "own", env=ENV)
atexit.register(SERVER.__exit__, None, None, None)


def post(path, body, status=200):
    code, found = SERVER.json("POST", path, {"stream": False, "options": GREEDY, **body})
    assert code == status, f"{path} {body}: expected {status}, found {code}: {found}"
    return found


def rendered(name, status=200, path="/api/generate", **body):
    found = post(path, {"model": name, "_debug_render_only": True, **body}, status)
    return found["_debug_info"]["rendered_template"] if status == 200 else found["error"]


def chat(name, *messages, **body):
    return rendered(name, path="/api/chat", messages=[dict(zip(("role", "content"), m)) if isinstance(m, tuple) else m
                                                      for m in messages], **body)


def run(*args):
    import os
    done = subprocess.run([VERBATIM, *map(str, args)], env={**os.environ, **ENV, "VERBATIM_MODELS": str(WORK / "own")},
                          capture_output=True, text=True)
    assert done.returncode == 0, f"{args}: {done.returncode}: {done.stderr}"
    return done.stdout


# --- prompts -------------------------------------------------------------------------------------------------


def test_the_stores_template_renders():
    same(chat("smollm2", ("system", "S"), ("user", "Hi")),
         "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    same(rendered("smollm2", prompt="Hi"), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    same(chat("smollm2", ("user", "a"), ("user", "b")), "<|im_start|>user\na\n\nb<|im_end|>\n<|im_start|>assistant\n")


def test_a_template_without_messages_runs_turn_by_turn():
    same(chat("legacy", ("user", "a"), ("assistant", "b"), ("user", "c")), "<<Be brief.>>[a]b;[c]")
    same(chat("legacy", ("system", "S"), ("user", "a")), "<<S>>[a]")
    same(rendered("legacy", prompt="x", system="T"), "<<T>>[x]")


def test_messages_of_the_store_come_first():
    begun = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in SAID)
    end = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    same(rendered("begun", prompt="Hi"), begun + end)
    same(chat("begun", ("system", "S"), ("user", "Hi")), "<|im_start|>system\nS<|im_end|>\n" + begun + end)
    same(rendered("begun", prompt="Hi", context=[1, 2]), end)


def test_a_request_brings_its_template():
    same(rendered("smollm2", prompt="Hi", system="S", template="<{{ .System }}|{{ .Prompt }}>{{ .Response }}x"), "<S|Hi>")
    same(rendered("plain", prompt="Hi", template="{{ range .Messages }}{{ .Role }}={{ .Content }}{{ end }}"), "user=Hi")
    assert "line 1, column 4: expected a function" in rendered("smollm2", 400, prompt="Hi", template="{{ nope }}")
    answer = post("/api/generate", {"model": "smollm2", "prompt": "Hi", "template": "{{ .Prompt }}"})
    raw = post("/api/generate", {"model": "smollm2", "prompt": "Hi", "raw": True})
    same((answer["response"], answer["prompt_eval_count"]), (raw["response"], raw["prompt_eval_count"]))
    same(post("/api/generate", {"model": "smollm2", "prompt": "x", "template": "y", "raw": True}, 400)["error"],
         "raw mode does not support template, system, or context")


def test_a_suffix_where_there_is_a_gap():
    same(rendered("gap", prompt="def f(", suffix="return"), "<PRE>def f(<SUF>return<MID>")
    same(rendered("gap", prompt="def f("), "def f(")
    assert post("/api/generate", {"model": "gap", "prompt": "a", "suffix": "b"})["done"]
    same(post("/api/generate", {"model": "smollm2", "prompt": "a", "suffix": "b"}, 400)["error"],
         "registry" ".ollama.ai/library/smollm2:latest does not support insert")


def test_tools_and_thoughts_reach_the_template():
    call = {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
        {"function": {"name": "weather", "arguments": {"unit": "C", "city": "Bern <3", "n": 3}}}]}
    text = chat("tools", ("user", "u"), call, {"role": "tool", "tool_name": "weather", "content": "rain"}, tools=[WEATHER], think=False)
    same(text, 'user:u;<think>hm</think>assistant:<tool_call>{"name": "weather", "arguments": {"city":"Bern \\u003c3","n":3,"unit":"C"}}'
         '</tool_call>;tool:rainweather;{"name":"weather","description":"d","parameters":{"type":"object","required":["city"],'
         '"properties":{"city":{"type":"string"},"unit":{"type":"string"}}}}false')
    same(chat("tools", ("user", "u"), think="low"), "user:u;truelow")
    same(chat("tools", ("user", "u"), think=True), "user:u;truemedium")


def test_a_broken_template_says_where():
    assert "{{end}}" in rendered("broken", 400, prompt="Hi"), rendered("broken", 400, prompt="Hi")
    post("/api/generate", {"model": "broken", "prompt": "Hi", "raw": True})


def test_a_users_text_is_no_control_token():
    if not REAL:
        raise each.Skip
    inside = post("/api/generate", {"model": "smollm2", "prompt": "<|im_end|>"})["prompt_eval_count"]
    same(inside - post("/api/generate", {"model": "smollm2", "prompt": "x"})["prompt_eval_count"] > 1, True)


def test_the_recorded_prompts():
    if not REAL:
        raise each.Skip
    for name in ("generate_nostream", "chat_nostream"):
        r = json.loads((ROOT / f"tests/recordings/api/{name}.json").read_text())
        theirs = json.loads(r["body"])
        code, ours = SERVER.json(r["method"], r["path"], r["request"])
        same((code, ours["prompt_eval_count"]), (200, theirs["prompt_eval_count"]))
        if "context" in theirs:
            same(ours["context"][:10], theirs["context"][:10])


# --- what is told of it --------------------------------------------------------------------------------------


def capabilities(name):
    listed = {m["name"]: m for m in SERVER.json("GET", "/api/tags")[1]["models"]}
    shown = post("/api/show", {"model": name})["capabilities"]
    same(listed[name + ":latest"]["capabilities"], shown)
    return shown


def test_capabilities_are_the_templates():
    same(capabilities("smollm2"), ["completion"])
    same(capabilities("plain"), ["completion"])
    same(capabilities("gap"), ["completion", "insert"])
    same(capabilities("tools"), ["completion", "tools", "thinking"])
    model("changed", template=GAP)
    same(capabilities("changed"), ["completion", "insert"])
    model("changed", template=CHATML)
    same(capabilities("changed"), ["completion"])


def test_show_has_the_layers():
    found = post("/api/show", {"model": "begun"})
    same((found["template"], found["license"], found["messages"]), (CHATML, "Do as you like.", SAID))
    assert "MESSAGE user \"\"\"1+1\"\"\"" in found["modelfile"] and "LICENSE" in found["modelfile"], found["modelfile"]


def test_the_command_line_uses_it_too():
    found = json.loads(run("show", "legacy", "--json"))["template"]
    same((found["source"], found["sha256"]), ("ollama", hashlib.sha256(LEGACY.encode()).hexdigest()))
    (WORK / "in.json").write_text(json.dumps({"messages": [{"role": "user", "content": "q"}]}))
    same(run("template", "legacy", WORK / "in.json"), "[q]")
    (WORK / "go.json").write_text(json.dumps({"language": "go", "messages": [{"role": "user", "content": "q"}]}))
    (WORK / "t").write_text("{{ range .Messages }}{{ len .Content }}{{ end }}")
    same(run("template", "--template", WORK / "t", WORK / "go.json"), "1")


def test_run_begins_with_the_stores_system_message():
    def tokens(*args):
        return json.loads(run("run", *args, "-n", "1", "--json"))["prompt_tokens"]
    same(tokens("legacy", "Hi"), tokens("legacy", "--system", "Be brief.", "Hi"))
    assert tokens("legacy", "Hi") > tokens("legacy", "--system", "", "Hi")


def test_a_trace_of_it_verifies():
    trace = WORK / "a.trace"
    run("run", "legacy", "-n", "4", "--temp", "0", "--trace", trace, "Hi")
    run("trace", "verify", trace)
    run("trace", "verify", trace, "--model", WORK / "ollama/blobs" / WEIGHTS["digest"].replace(":", "-"))


if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[3:]))
