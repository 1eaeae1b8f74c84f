#!/usr/bin/env python3
"""serve_page.py VERBATIM MODEL [NAME] - the server's page, used by a headless Chromium as a person would.

MODEL should take a while for an answer (a deep tiny one does), so that a stream can be watched and stopped. What the page
shows is compared with what the server answers to the same request. Screenshots stay in the folder of VERBATIM, as
serve-page-*.png; with SMOLLM2 in the environment they show a real conversation.
"""
import atexit
import base64
import hashlib
import html.parser
import json
import math
import os
import pathlib
import re
import sys

import chromium
import each
import registry
import scratch

from served import Server, store, stretch, until

VERBATIM, MODEL = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
SHOTS = pathlib.Path(VERBATIM).parent
WORK = scratch.folder("serve-page")
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
SMOLLM2 = os.environ.get("SMOLLM2", "")
SLOW = stretch(VERBATIM)
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BROWSER = None
SETTINGS = {"seed": 7, "temperature": 1, "max_completion_tokens": 40}


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def serve(models, *options):
    """`models` as the store of an Ollama: a model without a template of its own is talked to in ChatML there."""
    return Server(VERBATIM, WORK / "own", "--threads", "1", *options, env={"OLLAMA_MODELS": str(models)})


def start(models, *options):
    server = serve(models, *options)
    atexit.register(server.__exit__, None, None, None)
    return server


(WORK / "own").mkdir()
MODELS = store(WORK / "models", {"m": MODEL, "other": GOLDEN / "gemma3/model.gguf"})
SERVER = start(MODELS, "--ctx", "4096")
ADDRESS = f"http://127.0.0.1:{SERVER.port}/"


# --- the page in a browser -------------------------------------------------------------------------------------

def tab(settings=None, address=ADDRESS, panel=False, **how):
    """The page as a new visitor sees it, with these settings."""
    global BROWSER
    if not chromium.program():
        raise each.Skip
    if BROWSER is None:
        BROWSER = chromium.Browser()
        atexit.register(BROWSER.__exit__)
    page = BROWSER.open(address, **how)
    state = {"verbatim.settings": {**SETTINGS, **(settings or {})}, "verbatim.model": "m:latest", "verbatim.panel": panel}
    page.value("localStorage.clear()")
    for key, value in state.items():
        page.value(f"localStorage.setItem({json.dumps(key)}, {json.dumps(json.dumps(value))})")
    page.load()
    wait(page, "chosenModel() === 'm:latest'")
    return page


def wait(page, condition, seconds=20):
    until(seconds * SLOW, lambda: page.value(f"Boolean({condition})"), condition)
    page.settle()


def clean(page, but=""):
    """Nothing asked for but of this server, nothing complained about; and then it is closed."""
    page.settle()
    origin = page.address[:page.address.index("/", 8)]
    same([r for r in page.requests if not r.startswith((origin + "/", "data:"))], [])
    same([c for c in page.complaints if not (but and but in c)], [])
    page.close()


LAST = "path()[path().length - 1]"


def question(page, text, end="done"):
    page.value("byId('question').focus()")
    page.type(text)
    page.key("Enter")
    if end:
        wait(page, f"path().length > 0 && {LAST}.role === 'assistant' && {LAST}.state === '{end}'")
        page.settle()


def answer(page):
    """The last answer as the page has it."""
    return page.value(f"(a => ({{...a, above: null, below: null, view: null}}))({LAST})")


def shown(page, what=".said"):
    return page.value(f"[...document.querySelectorAll('#thread {what}')].map(e => e.textContent)")


def chat(text, asked, **more):
    """What the server says to it when it is asked without the page."""
    body = {"model": "m:latest", "messages": [{"role": "user", "content": text}], "logprobs": True, "top_logprobs": 10,
            "return_token_ids": True, **asked, **more}
    status, got = SERVER.json("POST", "/v1/chat/completions", body)
    assert status == 200, got
    return got


def press(page, label, where="#thread"):
    there = f"[...document.querySelectorAll('{where} button')].filter(b => b.textContent === '{label}').pop()"
    wait(page, there)
    page.point(*page.middle(there), click=True)


def cell(i):
    return f"[...document.querySelectorAll('.tokens')].pop().childNodes[{i}]"


# --- what is sent ----------------------------------------------------------------------------------------------

class Checker(html.parser.HTMLParser):
    """Every element that is opened is closed, in order; nothing names an address; no handler stands in the markup."""
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.labels = [], [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("style", "src", "action"), f"<{tag} {name}>"
            assert name != "href" or value.startswith("data:"), f"<{tag} href={value}>"
            self.ids += [value] if name == "id" else []
            self.labels += [value] if name == "for" else []
        if tag not in ("meta", "link", "input", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


def test_who_gets_it():
    """A browser gets the page, every other program Ollama's greeting."""
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        status, got, text = SERVER.ask("GET", "/", headers=headers)
        same((status, got["Content-Type"], text), (200, "text/plain; charset=utf-8", b"Ollama is running"))
    status, got, text = SERVER.ask("GET", "/", headers=HTML)
    same((status, got["Content-Type"]), (200, "text/html; charset=utf-8"))
    assert text.startswith(b"<!doctype html>") and text.rstrip().endswith(b"</html>")
    status, got, nothing = SERVER.ask("HEAD", "/", headers=HTML)
    same((status, int(got["Content-Length"]), nothing), (200, len(text), b""))
    same(SERVER.ask("POST", "/", headers=HTML)[0], 405)


def test_policy():
    """The policy allows what stands there, by its digest, and asking this server; nothing else."""
    _, headers, text = SERVER.ask("GET", "/", headers=HTML)
    policy = dict(rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";"))
    for name in ("style", "script"):
        body = re.search(f"<{name}>(.*?)</{name}>".encode(), text, re.S).group(1)
        same(policy.pop(f"{name}-src"), f"'sha256-{base64.b64encode(hashlib.sha256(body).digest()).decode()}'")
    same(policy, {"default-src": "'none'", "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
                  "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'"})
    same([headers[n] for n in ("X-Content-Type-Options", "Referrer-Policy", "Cache-Control")], ["nosniff", "no-referrer", "no-cache"])
    checker = Checker()
    checker.feed(text.decode())
    same(checker.open, [])
    same(len(checker.ids), len(set(checker.ids)))
    same([i for i in checker.labels if i not in checker.ids], [])
    same(text.count(b"<script"), 1)


def test_policy_holds():
    """What a page might be made to do, it may not: foreign code, foreign addresses, markup from text."""
    page = tab()
    same(page.value("document.body.appendChild(Object.assign(document.createElement('p'), {textContent: '<b>x</b>'})).children.length"), 0)
    for attempt in ("document.body.innerHTML = '<b>x</b>'", "document.write('x')", "document.body.setAttribute('onclick', 'tell(1)')",
                    "Object.assign(document.createElement('script'), {text: 'tell(1)'})"):
        assert page.value(f"(() => {{ try {{ {attempt}; return false; }} catch {{ return true; }} }})()"), attempt
    same(page.value("fetch('http://127.0.0.1:1/').then(() => 'asked', e => 'refused')"), "refused")
    assert page.complaints, "the browser told what it refused"
    page.close()


# --- the API below it ------------------------------------------------------------------------------------------

def test_ids():
    """return_token_ids: the ids of prompt and answer, of every choice, in chats and completions, whole and streamed."""
    asked = {"seed": 3, "max_tokens": 12, "temperature": 1}
    got = chat("Hello", asked)
    prompt, choice = got["prompt_token_ids"], got["choices"][0]
    ids = [entry["id"] for entry in choice["logprobs"]["content"]]
    same(choice["token_ids"], ids)
    assert ids and len(prompt) == got["usage"]["prompt_tokens"]
    assert all(isinstance(t["id"], int) for entry in choice["logprobs"]["content"] for t in entry["top_logprobs"])
    plain = chat("Hello", asked, return_token_ids=False)
    assert "prompt_token_ids" not in plain and "token_ids" not in plain["choices"][0]
    assert all("id" not in entry for entry in plain["choices"][0]["logprobs"]["content"])
    body = {"model": "m", "prompt": prompt, "logprobs": 10, "return_token_ids": True, **asked}
    status, whole = SERVER.json("POST", "/v1/completions", body)
    same(status, 200)
    same(whole["choices"][0]["token_ids"], ids)
    same(whole["choices"][0]["logprobs"]["content"], choice["logprobs"]["content"])
    for path, request in (("/v1/completions", body), ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Hello"}],
                                                                               "return_token_ids": True, **asked})):
        pieces = [json.loads(line[6:]) for line in SERVER.text("POST", path, {**request, "stream": True})[2].split("\n\n")
                  if line.startswith("data: {")]
        same([i for p in pieces for c in p["choices"] for i in c.get("token_ids", [])], ids)
        if "chat" in path:
            same([p["prompt_token_ids"] for p in pieces if "prompt_token_ids" in p], [prompt])


# --- chatting --------------------------------------------------------------------------------------------------

def test_stream():
    """An answer grows while it is shown, and is the one that the server gives without the page."""
    page = tab({"max_completion_tokens": 1500})
    same(page.value("getComputedStyle(byId('welcome')).display"), "block")
    page.shot(SHOTS / "serve-page-welcome.png")
    question(page, "Tell me of the sea.", end=None)
    wait(page, f"path().length === 2 && {LAST}.tokens.length > 3")
    lengths = []
    while True:
        state, n, *hidden = page.value(f"[{LAST}.state, {LAST}.tokens.length, byId('send').hidden, byId('stop').hidden]")
        if state != "streaming":
            break
        lengths.append(n)
        same(hidden, [True, False])
    assert len(set(lengths)) > 3, lengths
    wait(page, f"{LAST}.state === 'done'")
    page.settle()
    asked = answer(page)["asked"]
    same({k: asked[k] for k in ("seed", "temperature", "max_completion_tokens")}, {"seed": 7, "temperature": 1, "max_completion_tokens": 1500})
    alone = chat("Tell me of the sea.", asked)
    same(answer(page)["text"], alone["choices"][0]["message"]["content"])
    same([t["id"] for t in answer(page)["tokens"]], alone["choices"][0]["token_ids"])
    same(shown(page)[0], "Tell me of the sea.")
    same(page.value("[byId('send').hidden, byId('stop').hidden]"), [False, True])
    same(page.value("getComputedStyle(byId('welcome')).display"), "none")
    assert "seed 7" in page.value("document.querySelector('.info summary').textContent")
    clean(page)


def test_second_question():
    """The model is given the whole conversation, and the system's text before it."""
    page = tab({"system": "Be brief.", "max_completion_tokens": 12})
    question(page, "One")
    first = answer(page)["text"]
    question(page, "Two")
    messages = [("system", "Be brief."), ("user", "One")] + [("assistant", first)] * (first != "") + [("user", "Two")]
    body = {"model": "m:latest", "messages": [{"role": r, "content": c} for r, c in messages], "return_token_ids": True, "seed": 7,
            **{k: v for k, v in answer(page)["asked"].items()}}
    got = SERVER.json("POST", "/v1/chat/completions", body)[1]
    same(answer(page)["prompt"], got["prompt_token_ids"])
    same(answer(page)["text"], got["choices"][0]["message"]["content"])
    page.point(*page.middle("[...document.querySelectorAll('.info summary')].pop()"), click=True)
    wait(page, "[...document.querySelectorAll('.given-text')].pop().textContent !== ''")
    rendered = SERVER.json("POST", "/apply-template", {"model": "m:latest", "messages": body["messages"]})[1]["prompt"]
    same(shown(page, ".given-text")[1].removeprefix("<|begin_of_text|>"), rendered)
    page.shot(SHOTS / "serve-page-details.png")
    clean(page)


def test_stop():
    """Escape ends an answer at once; what there is stays, the server's slot is free, and the page goes on."""
    page = tab({"max_completion_tokens": None})
    for how in ("key", "button"):
        question(page, "Tell me everything.", end=None)
        wait(page, f"path().length > 0 && {LAST}.role === 'assistant' && {LAST}.state === 'streaming' && {LAST}.tokens.length > 8")
        if how == "key":
            page.key("Escape")
        else:
            page.point(*page.middle("byId('stop')"), click=True)
        wait(page, f"{LAST}.state === 'stopped'", 5)
        until(1 * SLOW, lambda: not any(s["is_processing"] for s in SERVER.json("GET", "/slots")[1]), "the slot is free")
        n = page.value(f"{LAST}.tokens.length")
        assert 8 < n < 4000, n
        page.settle()
        same(page.value(f"{LAST}.tokens.length"), n)
        assert "stopped" in page.value("[...document.querySelectorAll('.info summary')].pop().textContent")
        same(page.value("[byId('send').hidden, byId('stop').hidden]"), [False, True])
    clean(page)


def test_go_on():
    """An answer that was cut goes on as if it had not been: the same tokens as one that was not."""
    page = tab({"max_completion_tokens": 10})
    question(page, "Count.")
    if answer(page)["reason"] != "length":
        raise each.Skip
    page.value(f"{LAST}.asked.max_completion_tokens = 15")
    press(page, "Go on")
    wait(page, f"{LAST}.tokens.length === 25 && {LAST}.state === 'done'")
    press(page, "Same bits?")
    wait(page, f"{LAST}.check && {LAST}.check.state === 'same'")
    wait(page, f"{LAST}.tokens.length === 25 && {LAST}.state === 'done'")
    whole = chat("Count.", {**answer(page)["asked"], "max_completion_tokens": 25})
    same([t["id"] for t in answer(page)["tokens"]], whole["choices"][0]["token_ids"])
    same(readable(answer(page)["text"]), readable(whole["choices"][0]["message"]["content"]))
    clean(page)


# --- tokens ----------------------------------------------------------------------------------------------------

def readable(text):
    """Bytes that are no text are told by one mark or by several, as it comes."""
    return re.sub("\ufffd+", "\ufffd", text)


def unlikely(p):
    return sum(p < step for step in (0.9, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01))


def test_tokens():
    """Every token is there, coloured by its probability; hovering tells what else might have stood there."""
    page = tab()
    question(page, "Hello")
    press(page, "Tokens")
    tokens = answer(page)["tokens"]
    same(page.value("document.querySelector('.tokens').childNodes.length"), len(tokens))
    steps = page.value("[...document.querySelector('.tokens').childNodes].map(c => Number(/\\bq(\\d)/.exec(c.className)[1]))")
    same(steps, [unlikely(math.exp(t["logprob"])) for t in tokens])
    assert len(set(steps)) > 1
    told = chat("Hello", answer(page)["asked"])["choices"][0]["logprobs"]["content"]
    same(page.value("byId('peek').hidden"), True)
    for i in (0, 5, len(tokens) - 1):
        page.point(*page.middle(cell(i)))
        rows = page.value("[...document.querySelectorAll('#peek .choice')].map(r => [r.querySelector('.p').textContent, r.title, r.className])")
        expected = sorted({t["id"]: t["logprob"] for t in told[i]["top_logprobs"] + [told[i]]}.items(), key=lambda t: -t[1])
        expected = [t for n, t in enumerate(expected) if n < 5 or t[0] == told[i]["id"] or math.exp(t[1]) >= 0.001]
        same([re.match(r"token (\d+)", row[1]).group(1) for row in rows], [str(t[0]) for t in expected])
        for row, (ident, logprob) in zip(rows, expected):
            p = math.exp(logprob)
            assert row[0].startswith("<") or abs(float(row[0].split()[0]) / 100 - p) < 6e-4, (row, p)
            same("taken" in row[2], ident == told[i]["id"])
    page.shot(SHOTS / "serve-page-tokens.png")
    page.point(5, 300)
    wait(page, "byId('peek').hidden", 3)
    clean(page)


def test_branch():
    """From a token on in another way: what stood before stays, what follows is what the model says to these very tokens."""
    page = tab()
    question(page, "Once upon a time")
    press(page, "Tokens")
    first = answer(page)
    page.point(*page.middle(cell(6)))
    page.point(*page.middle("document.querySelectorAll('#peek .choice:not(.taken)')[1]"), click=True)
    wait(page, f"{LAST}.from === 6 && {LAST}.state === 'done'")
    page.settle()
    other = answer(page)
    ids = [t["id"] for t in other["tokens"]]
    same(ids[:6], [t["id"] for t in first["tokens"][:6]])
    ranked = sorted(first["tokens"][6]["top"], key=lambda c: -c["logprob"])
    same(ids[6], [c["id"] for c in ranked if c["id"] != first["tokens"][6]["id"]][1])
    most = other["asked"].pop("max_completion_tokens")
    status, alone = SERVER.json("POST", "/v1/completions", {"model": "m", **other["asked"], "max_tokens": most, "return_token_ids": True,
                                                            "prompt": first["prompt"] + ids[:7]})
    same(status, 200)
    same(ids[7:], alone["choices"][0]["token_ids"])
    assert readable(other["text"]).endswith(readable(alone["choices"][0]["text"])) and len(ids) > 8
    same(page.value("document.querySelectorAll('.t.turned').length"), 1)
    same(shown(page, ".versions span"), ["2 of 2"])
    page.shot(SHOTS / "serve-page-branch.png")
    press(page, "‹")
    same(answer(page)["tokens"], first["tokens"])
    same(shown(page, ".versions span"), ["1 of 2"])
    clean(page)


def test_branch_with_keys():
    """Arrows walk over the tokens, a digit chooses; the choice that was taken anyway leads to the same answer."""
    page = tab()
    question(page, "Keys")
    page.value("document.activeElement.blur()")
    page.key("t")
    same(page.value("document.activeElement === " + cell(0)), True)
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", -1), ("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2)):
        page.key(key)
        place %= len(answer(page)["tokens"])
        assert page.value("document.activeElement === " + cell(place)), (key, place)
        same(page.value("byId('peek').hidden"), False)
    first = answer(page)
    rank = page.value("[...document.querySelectorAll('#peek .choice')].findIndex(r => r.classList.contains('taken'))")
    if rank > 8:
        raise each.Skip
    page.key(str(rank + 1))
    wait(page, f"{LAST}.from === 2 && {LAST}.state === 'done'")
    again = answer(page)["tokens"]
    same([t["id"] for t in again[:len(first["tokens"])]], [t["id"] for t in first["tokens"]])
    same([t["logprob"] for t in again[3:len(first["tokens"])]], [t["logprob"] for t in first["tokens"][3:]])
    page.value(cell(4) + ".focus()")
    page.key("Enter")
    same(page.value("document.activeElement.className.includes('choice')"), True)
    page.key("ArrowDown")
    page.key("Enter")
    wait(page, f"{LAST}.from === 4 && {LAST}.state === 'done'")
    same(shown(page, ".versions span"), ["3 of 3"])
    clean(page)


def test_same_bits():
    """Asked again every token and probability is the same; where one is not, that is said."""
    page = tab({"seed": None})
    question(page, "Hello")
    press(page, "Same bits?")
    wait(page, f"{LAST}.check && {LAST}.check.state !== 'asking'")
    page.settle()
    n = len(answer(page)["tokens"])
    assert shown(page, ".check")[0].startswith(f"the same bits: {n} tokens"), shown(page, ".check")
    digest = chat("Hello", answer(page)["asked"], verbatim={"logits_digest": True})["verbatim"]["logits_digest"]
    assert shown(page, ".check")[0].endswith(f"(digest {digest})") and digest in shown(page, ".info dl")[0], shown(page, ".check")
    page.value(f"{LAST}.told.logits_digest = '00'")
    press(page, "Same bits?")
    wait(page, f"{LAST}.check.state === 'differs'")
    page.settle()
    same(shown(page, ".check"), ["differs in its logits"])
    page.value(f"{LAST}.tokens[3].logprob += 1e-6")
    press(page, "Same bits?")
    wait(page, f"{LAST}.check.state === 'differs'")
    page.settle()
    same(shown(page, ".check"), ["differs at token 4"])
    clean(page)


def test_thinking():
    """Thoughts stand apart, open while there is nothing else; ways from within them are taken apart again."""
    page = tab({"max_completion_tokens": 4})
    question(page, "Hello")
    entry = "{id: 1, bytes: [...new TextEncoder().encode(t)], logprob: -1, top_logprobs: []}"
    feed = (f"a => pieces => {{ for (const [kind, t] of pieces) take(a, {{choices: [{{delta: {{[kind]: t}}, logprobs: {{content: [{entry}]}}}}]}});"
            " return [a.thinking, a.text]; }")
    fresh = f"Object.assign({LAST}, {{text: '', tokens: [], ends: false, reason: null, state: 'streaming'}})"
    same(page.value(f"({feed})({fresh})([['reasoning', 'Let me'], ['reasoning', ' see']])"), ["Let me see", ""])
    page.value(f"update({LAST})")
    page.settle()
    same(page.value("[document.querySelector('.thinking').hidden, document.querySelector('.thinking').open]"), [False, True])
    same(page.value(f"({feed})({LAST})([['content', 'Blue.']])"), ["Let me see", "Blue."])
    page.value(f"update({LAST})")
    page.settle()
    same(page.value("document.querySelector('.thinking').open"), False)
    same(shown(page, ".md.said"), ["Blue."])
    split = ("(thinks => pieces => splitThinking({ends: false, thinks, tokens: pieces.map(p => ({bytes: [...new TextEncoder().encode(p)]}))}))"
             "(%s)(%s)")
    for thinks, tokens, expected in ((False, ["<think>", "\nA", "\n</think>", "\n\nB"], ["A", "B"]), (False, ["<think>", "A"], ["A", ""]),
                                     (True, ["A", "</think>", " B"], ["A", "B"]), (True, ["A"], ["A", ""]), (False, ["A", "B"], ["", "AB"])):
        same(page.value(split % (json.dumps(thinks), json.dumps(tokens))), expected)
    clean(page)


# --- settings, models, counts ----------------------------------------------------------------------------------

def test_settings():
    """What is set is what is asked, and is still set tomorrow."""
    page = tab(panel=True)
    page.value("byId('set-temperature').focus()")
    page.value("byId('set-temperature').select()")
    page.type("0.3")
    page.key("Tab")
    same(page.value("[settings.temperature, document.querySelector('[type=range]').value, sampling().temperature]"), [0.3, "0.3", 0.3])
    page.value("(r => { r.value = 1.5; r.dispatchEvent(new Event('input')); })(document.querySelector('[type=range]'))")
    same(page.value("[settings.temperature, byId('set-temperature').value]"), [1.5, "1.5"])
    for wrong in ("9", "-1", ""):
        page.value(f"(n => {{ n.value = '{wrong}'; n.dispatchEvent(new Event('change')); }})(byId('set-temperature'))")
        same(page.value("settings.temperature"), 0.7)
    page.value("(n => { n.value = '5'; n.dispatchEvent(new Event('change')); })(byId('set-max_completion_tokens'))")
    page.value("byId('system').focus()")
    page.type("Be kind.")
    page.load()
    same(page.value("[settings.temperature, settings.max_completion_tokens, settings.seed, byId('system').value]"), [0.7, 5, 7, "Be kind."])
    wait(page, "chosenModel() === 'm:latest'")
    question(page, "Hi")
    assert len(answer(page)["tokens"]) <= 5
    same({k: v for k, v in answer(page)["asked"].items() if k in ("temperature", "max_completion_tokens", "seed")},
         {"temperature": 0.7, "max_completion_tokens": 5, "seed": 7})
    same(page.value("messagesUpTo(path()[0])[0]"), {"role": "system", "content": "Be kind."})
    page.point(*page.middle("byId('reset')"), click=True)
    same(page.value("[settings.max_completion_tokens, settings.seed, settings.system]"), [None, None, ""])
    clean(page)


def test_seeds():
    """A seed makes the answer; without one it is another each time, and told."""
    page = tab({"seed": None})
    question(page, "Hello")
    first = answer(page)
    press(page, "Again")
    wait(page, f"{LAST}.above.below.length === 2 && {LAST}.state === 'done'")
    assert answer(page)["asked"]["seed"] != first["asked"]["seed"] and answer(page)["text"] != first["text"]
    page.value(f"settings.seed = {first['asked']['seed']}")
    press(page, "Again")
    wait(page, f"{LAST}.above.below.length === 3 && {LAST}.state === 'done'")
    same(answer(page)["text"], first["text"])
    clean(page)


def test_models():
    """The picker has what the server has; what is chosen is loaded, what is not needed can go."""
    page = tab(panel=True)
    names = page.value("[...byId('model').options].map(o => o.value)")
    same(sorted(names), ["m:latest", "other:latest"])
    question(page, "Hello")
    wait(page, "byId('model').querySelector('optgroup').label === 'in memory' && server.loading === null")
    assert "in memory" in page.value("byId('model-line').textContent")
    seen = ("window.seen = []; new MutationObserver(all => seen.push(...all.map(r => r.oldValue)))"
            ".observe(byId('load'), {attributeFilter: ['hidden'], attributeOldValue: true})")
    until(20 * SLOW, lambda: any(r.endswith("/events") for r in page.requests) or page.settle(), "the page listens")
    page.value(f"{seen}; byId('model').value = 'other:latest'; byId('model').dispatchEvent(new Event('change'))")
    wait(page, "server.loaded.has('other:latest') && server.loading === null")
    assert None in page.value("window.seen"), "a bar was to be seen while it was loaded"
    same(page.value("byId('load').hidden"), True)
    told = "[byId('load').hidden, byId('load').hasAttribute('value'), byId('load').value, byId('model-line').textContent.startsWith('reading big')]"
    for state, progress, expected in (("loading", 0, [False, False, 0, True]), ("loading", 0.25, [False, True, 0.25, True]),
                                      ("ready", 1, [True, True, 0.25, False])):
        event = {"event": "status", "data": {"state": state, "model": "big:latest", "progress": progress}}
        same(page.value(f"(heard({json.dumps(event)}), {told})"), expected)
    same(sorted(m["name"] for m in SERVER.json("GET", "/api/ps")[1]["models"]), ["m:latest", "other:latest"])
    row = "[...document.querySelectorAll('#loaded button')].find(b => b.title.includes('other'))"
    page.point(*page.middle(row), click=True)
    wait(page, "!server.loaded.has('other:latest')")
    same([m["name"] for m in SERVER.json("GET", "/api/ps")[1]["models"]], ["m:latest"])
    clean(page)


def test_get():
    """A model from a registry, with a bar; stopped and gone on with, and chosen when it is there. What fails is told."""
    (WORK / "gets").mkdir()
    data = (GOLDEN / "llama-gqa/model.gguf").read_bytes()
    with registry.Registry() as there, Server(VERBATIM, WORK / "gets", "--threads", "1") as server:
        there.put("models/new", "latest", [("model", data)])
        name = f"{there.host}/models/new"
        if not chromium.program():
            raise each.Skip
        tab().close()
        page = BROWSER.open(f"http://127.0.0.1:{server.port}/")
        wait(page, "!byId('nothing').hidden")
        page.value("localStorage.clear()")
        for asked, told in ((f"127.0.0.1:{registry.free_port()}/models/none", "connect"), ("no/such/name/at/all", "")):
            page.value(f"get({json.dumps(asked)})")
            same(page.value("[byId('get-line').className, byId('get-go').hidden, byId('get-stop').hidden]"), ["bad", False, True])
            assert told in page.value("byId('get-line').textContent"), page.value("byId('get-line').textContent")
        with registry.Way(there.port, down=len(data) // 2, stall=True) as way:
            page.value("byId('get-name').select()")
            page.type(f"{way.host}/models/new")
            page.key("Enter")
            wait(page, "getting !== null && byId('get-line').textContent.includes(' of ')")
            same(page.value("[document.body.classList.contains('panel'), byId('get-go').hidden, byId('get-stop').hidden]"), [True, True, False])
            same(page.value("(oneStep('x', {status: 'pulling', total: 4000, completed: 1000}), [byId('get-bar').value, byId('get-line').textContent])"),
                 [0.25, "x: 1.0 kB of 4.0 kB"])
            page.shot(SHOTS / "serve-page-get.png")
            until(20 * SLOW, lambda: any(p.stat().st_size >= len(data) // 4 for p in (WORK / "gets/blobs").glob("*-partial*")), "half of it")
            page.point(*page.middle("byId('get-stop')"), click=True)
            wait(page, "byId('get-line').textContent.includes('what has come is kept')")
        assert list((WORK / "gets/blobs").glob("*-partial*")), "what has come is kept"
        page.value(f"get({json.dumps(name)})")
        same(page.value("byId('get-line').textContent"), f"{name} is here")
        same(page.value("[chosenModel(), byId('nothing').hidden]"), [f"{name}:latest", True])
        page.value("settings.max_completion_tokens = 4")
        question(page, "Hello")
        clean(page, but="400")


def test_counts():
    """The panel's counts are the server's, and they move."""
    def written():
        return int(float(re.search(r"^llamacpp:tokens_predicted_total (\S+)$", SERVER.text("GET", "/metrics")[2], re.M).group(1)))
    page = tab({"max_completion_tokens": None}, panel=True)
    wait(page, "counts.last !== null")
    before = written()
    question(page, "Tell me of the sea.", end=None)
    wait(page, f"path().length === 2 && {LAST}.tokens.length > 20")
    assert written() > before and page.value(f"{LAST}.state") == "streaming", "counts grow with the answer"
    wait(page, "counts.rates.some(r => r > 0)")
    page.key("Escape")
    wait(page, f"{LAST}.state === 'stopped'")
    until(1 * SLOW, lambda: not any(s["is_processing"] for s in SERVER.json("GET", "/slots")[1]), "the slot is free")
    page.value("readMetrics()")
    assert page.value("byId('m-tokens').textContent").startswith(f"{written():,} written"), written()
    assert re.match(r"[\d.]+ (ms|s), p95 [\d.]+ (ms|s)$", page.value("byId('m-first').textContent"))
    assert page.value("byId('curve').querySelector('.line').getAttribute('d').length") > 10
    page.shot(SHOTS / "serve-page-panel.png")
    clean(page)


def test_kept():
    """The conversation is still there after a reload, with its tokens; a new one begins empty."""
    page = tab()
    question(page, "Remember")
    first = answer(page)
    page.load()
    wait(page, "chosenModel() === 'm:latest'")
    same(answer(page)["tokens"], first["tokens"])
    same(shown(page)[0], "Remember")
    press(page, "Same bits?")
    wait(page, f"{LAST}.check && {LAST}.check.state === 'same'")
    page.point(*page.middle("byId('new')"), click=True)
    wait(page, "path().length === 0")
    page.load()
    same(page.value("path().length"), 0)
    clean(page)


def test_little_room():
    """Where the browser has no room for all, the words are kept, and the tokens of the newest answers."""
    page = tab()
    for text in ("One", "Two", "Three"):
        question(page, text)
    size = page.value(f"JSON.stringify(packed({LAST}, new Set([{LAST}]))).length")
    page.value(f"""(() => {{ localStorage.removeItem('verbatim.talk');
        let n = 5300000; /* Chromium gives 5 Mi characters */
        for (;;) try {{ localStorage.setItem('full', 'x'.repeat(n)); break; }} catch {{ n -= {size // 2}; }}
        localStorage.setItem('full', 'x'.repeat(n - {size * 2})); keepTalk(); }})()""")
    words = page.value("path().map(n => n.text)")
    page.load()
    wait(page, "chosenModel() === 'm:latest'")
    same(page.value("path().map(n => n.text)"), words)
    same(page.value("path().filter(n => n.role === 'assistant').map(n => n.tokens.length > 0)"), [False, False, True])
    page.value("localStorage.clear()")
    clean(page)


def test_edit():
    """A question in other words stands beside the old one, which is not lost."""
    page = tab({"max_completion_tokens": 8})
    question(page, "Old words")
    press(page, "Edit")
    page.value("document.querySelector('.edit textarea').value = 'New words'")
    press(page, "Ask")
    wait(page, f"path()[0].text === 'New words' && {LAST}.state === 'done'")
    same(shown(page, ".message.user .versions span"), ["2 of 2"])
    press(page, "‹", "#thread .message.user")
    same(shown(page)[0], "Old words")
    clean(page)


# --- text that is not trusted, doors, faults -------------------------------------------------------------------

def markdown(page, text):
    return page.value(f"(e => {{ showMarkdown(e, {json.dumps(text)}); return e.outerHTML.replace(/^<div>|<.div>$/g, ''); }})(document.createElement('div'))")


def test_markdown():
    page = tab()
    for text, expected in (
            ("A *b* **c** `d<e`", "<p>A <em>b</em> <strong>c</strong> <code>d&lt;e</code></p>"),
            ("# T\n\nx\ny", "<h3>T</h3><p>x<br>y</p>"),
            ("- a\n- b\n  - c\n\n3. d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><ol start=\"3\"><li>d</li></ol>"),
            ("> q\n\n---", "<blockquote><p>q</p></blockquote><hr>"),
            ("snake_case_name 2*3*4", "<p>snake_case_name 2<em>3</em>4</p>"),
            ("1 * 2 * 3", "<p>1 * 2 * 3</p>"),
            ("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>"),
            ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
            ("\\*no\\*", "<p>*no*</p>")):
        same(markdown(page, text), expected)
    assert 'href="http://a.b/c"' in markdown(page, "[x](http://a.b/c)") and 'rel="noopener noreferrer"' in markdown(page, "[x](http://a.b/c)")
    table = markdown(page, "| a | b |\n|---|--:|\n| 1 | `2` |")
    assert '<th class="right">b</th>' in table and '<td class="right"><code>2</code></td>' in table, table
    open_fence = markdown(page, "```c\nint x;\n\n# no title")
    assert open_fence.endswith("<code>int x;\n\n# no title</code></pre></figure>"), open_fence
    whole = "# A\n\n- b\n- c\n\n```py\nd = 1\n```\n\n| e | f |\n|---|---|\n| g | h |\n\n> i\n\nj **k** l"
    grown = page.value(f"(e => {{ const t = {json.dumps(whole)}; for (let i = 1; i <= t.length; i++) showMarkdown(e, t.slice(0, i));"
                       " return e.innerHTML; })(document.createElement('div'))")
    same(grown, markdown(page, whole))
    took = page.value("(t => { const from = performance.now(); for (const x of t) showMarkdown(document.createElement('div'), x.repeat(20000));"
                      " return performance.now() - from; })(['*', '[', '`', '_a ', '> ', '- ', '|', '**a', '[a](', '\\n\\n', '# ', '<a '])")
    assert took < 4000 * SLOW, f"{took} ms"
    clean(page)


def test_key():
    """A server with keys: the page asks for one, once; a wrong one is asked for again."""
    keys = WORK / "keys"
    keys.write_text("0123456789abcdef\n")
    with serve(MODELS, "--api-key-file", str(keys)) as server:
        address = f"http://127.0.0.1:{server.port}/"
        if not chromium.program():
            raise each.Skip
        tab().close()
        page = BROWSER.open(address)
        wait(page, "byId('key-dialog').open")
        press(page, "Leave it", "#key-dialog")
        page.value("new Promise(done => setTimeout(done, 2500))")
        same(page.value("byId('key-dialog').open"), False)
        page.value("byId('question').focus()")
        page.type("Hello")
        page.key("Enter")
        for word in ("wrong-wrong-wrong", "0123456789abcdef"):
            wait(page, "byId('key-dialog').open")
            page.shot(SHOTS / "serve-page-key.png")
            page.value("byId('key').focus()")
            page.type(word)
            page.key("Enter")
        wait(page, "chosenModel() !== ''")
        same(page.value("byId('key-dialog').open"), False)
        page.value("settings.max_completion_tokens = 5")
        question(page, "Hello")
        clean(page, but="401")


def test_faults():
    """What the server refuses is said where the answer would stand, and the page goes on."""
    page = tab()
    question(page, "word " * 5000, end="failed")
    assert "context" in shown(page, ".error")[0], shown(page, ".error")
    page.value("newTalk()")
    wait(page, "path().length === 0")
    question(page, "Hello")
    same(shown(page, ".error"), [""])
    clean(page, but="400")


def test_server_gone():
    server = serve(MODELS)
    page = tab(address=f"http://127.0.0.1:{server.port}/")
    server.__exit__(None, None, None)
    question(page, "Hello", end="failed")
    same(shown(page, ".error"), ["The server does not answer. Is it still running?"])
    wait(page, "byId('model-line').textContent === 'the server does not answer'", 10)
    clean(page, but="Failed to load resource")


def test_nothing_there():
    """Without a model the page says what to do."""
    (WORK / "empty").mkdir()
    if not chromium.program():
        raise each.Skip
    with serve(WORK / "empty") as server:
        tab().close()
        page = BROWSER.open(f"http://127.0.0.1:{server.port}/")
        wait(page, "!byId('nothing').hidden")
        page.shot(SHOTS / "serve-page-nothing.png")
        clean(page)


def test_small_and_dark():
    """On a telephone nothing is wider than the screen; the panel lies over the rest."""
    page = tab(width=390, height=844, dark=True)
    question(page, "Hello")
    page.shot(SHOTS / "serve-page-small.png")
    same(page.value("document.documentElement.scrollWidth"), 390)
    press(page, "Settings", "header")
    same(page.value("getComputedStyle(byId('panel')).position"), "fixed")
    clean(page)


def test_contrast():
    """Words can be read: at least 4.5 to 1 against what lies behind them, in light and dark."""
    ratio = """(a => { const lum = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; });
      return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
      const p = document.createElement('p'); document.body.append(p);
      const at = v => { p.style.color = `var(${v})`; return lum(getComputedStyle(p).color); };
      const out = a.map(([f, b]) => { const [x, y] = [at(f), at(b)].sort((m, n) => n - m); return (x + .05) / (y + .05); }); p.remove(); return out; })"""
    pairs = [["--ink", "--paper"], ["--soft", "--paper"], ["--soft", "--card"], ["--ink", "--a-back"], ["--a", "--card"], ["--on-a", "--a"],
             ["--bad", "--paper"], ["--good", "--paper"]] + [["--ink", f"--q{i}"] for i in range(1, 8)]
    for dark in (False, True):
        page = tab(dark=dark)
        for pair, found in zip(pairs, page.value(f"{ratio}({json.dumps(pairs)})")):
            assert found >= 4.5, (dark, pair, found)
        clean(page)


def test_pictures():
    """A real conversation, to be looked at."""
    if not os.path.isfile(SMOLLM2):
        raise each.Skip
    folder = store(WORK / "real", {"m": SMOLLM2})
    with Server(VERBATIM, folder) as server:
        for dark in (False, True):
            page = tab({"max_completion_tokens": 160, "temperature": 0.7}, address=f"http://127.0.0.1:{server.port}/", panel=True, dark=dark)
            question(page, "Explain what a hash function is, with an example in Python.")
            page.shot(SHOTS / f"serve-page-real-{'dark' if dark else 'light'}.png")
            press(page, "Tokens")
            page.point(*page.middle(cell("24")))
            page.shot(SHOTS / f"serve-page-real-tokens-{'dark' if dark else 'light'}.png")
            clean(page)


if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[3:]))
