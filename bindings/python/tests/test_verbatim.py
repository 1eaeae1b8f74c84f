"""The package as its users meet it, on tiny models of the project and the one inside the library."""
import copy
import gc
import json
import os
import pathlib
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import verbatim
from verbatim import traces
from verbatim._library import ffi, lib

ROOT = pathlib.Path(__file__).resolve().parents[3]
CASE = ROOT / "tests/golden/llama-gqa"
TINY = str(CASE / "model.gguf")
PERSON = {"type": "object", "properties": {"name": {"enum": ["Ann", "Bob"]}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
          "required": ["name", "age"], "additionalProperties": False}


@pytest.fixture
def model():
    with verbatim.Model(TINY, threads=1, context=1000) as m:
        yield m


@pytest.fixture(scope="module")
def tales():
    with verbatim.Model("tales-1m") as m:
        yield m


# --- the interface itself ----------------------------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_every_struct_is_as_large_as_in_c(tmp_path):
    sys.path.insert(0, str(ROOT / "bindings"))
    import declarations
    names = re.findall(r"typedef struct \{[^{}]*\} (\w+);", declarations.plain())
    assert len(names) > 20
    source = "#include <stdio.h>\n#include <stddef.h>\n" + "".join(f'#include "{h.name}"\n' for h in (ROOT / "include").glob("*.h"))
    source += "int main(void) {\n"
    for name in names:
        source += f'printf("{name} %zu\\n", sizeof({name}));\n'
        for field, _ in ffi.typeof(name).fields:
            source += f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));\n'
    (tmp_path / "sizes.c").write_text(source + "return 0; }\n")
    subprocess.run(["cc", f"-I{ROOT / 'include'}", "-o", tmp_path / "sizes", tmp_path / "sizes.c"], check=True)
    for line in subprocess.run([tmp_path / "sizes"], capture_output=True, text=True).stdout.splitlines():
        what, size = line.split()
        name, _, field = what.partition(".")
        assert int(size) == (ffi.offsetof(name, field) if field else ffi.sizeof(name)), what


def test_version_and_machine():
    assert verbatim.__version__ == verbatim.version() and "portable" in verbatim.machine()["isas"]


def test_errors_have_codes_and_classes():
    with pytest.raises(verbatim.NotFoundError) as caught:
        verbatim.Model("absent.gguf")
    assert caught.value.code == -9 and "absent.gguf" in str(caught.value) and isinstance(caught.value, LookupError)
    with pytest.raises(verbatim.FormatError):
        verbatim.Model(str(ROOT / "README.md"))
    with pytest.raises(ValueError):
        verbatim.Model(TINY, player="nobody")
    with pytest.raises(TypeError, match="warmth"):
        verbatim.Model(TINY).generate("x", warmth=1)


# --- text and numbers --------------------------------------------------------------------------------------------

def test_tokens_and_text(model):
    ids = model.tokenize("Once upon a time", add_special=True)
    assert ids[0] == model.info["bos"] and model.detokenize(ids[1:]).strip() == "Once upon a time"
    assert model.detokenize_bytes(model.tokenize("é")).decode().strip() == "é"


@pytest.mark.parametrize("family", ["llama-gqa", "gemma3", "qwen2", "gptneo"])
def test_logits_are_those_of_transformers(family):
    case = ROOT / "tests/golden" / family
    ids, meta = json.loads((case / "tokens.json").read_text()), json.loads((case / "meta.json").read_text())
    expected = np.fromfile(case / "logits.f32", np.float32).reshape(len(ids), -1)
    with verbatim.Model(case / "model.gguf", arith="f32", kv="f32") as model, model.session(kv="f32") as session:
        assert np.abs(session.eval(ids, want=len(ids)) - expected).max() <= meta["tolerance"]


def test_logits_as_arrays(model):
    golden = json.loads((CASE / "tokens.json").read_text())
    ids = golden["tokens"] if isinstance(golden, dict) else golden
    with model.session() as s:
        rows = s.eval(ids, want=len(ids))
        assert rows.dtype == np.float32 and rows.shape == (len(ids), model.info["vocab"])
        assert np.array_equal(rows[-1], s.logits)
        assert s.logits.argmax() == s.sample() == s.top(1)[0].id
        view, copy = s.logits_view(), s.logits
        assert not view.flags.writeable and np.array_equal(view, copy)
        s.eval([5])
        assert not np.array_equal(s.logits_view(), copy)
        s.rewind(len(ids) - 1)
        s.eval(ids[-1:])
        assert np.array_equal(s.logits, copy) and s.digest == verbatim.digest(copy)
        assert s.tokens == ids and len(s) == len(ids) and s.stats["evaluated"] >= len(ids)


def test_forks_go_their_own_way(model):
    with model.session() as a:
        a.sync([1, 17, 42])
        b = a.fork()
        a.eval([9])
        b.eval([8])
        assert a.tokens == [1, 17, 42, 9] and b.tokens == [1, 17, 42, 8] and a.digest != b.digest
        b.sync([1, 17, 42, 9])
        assert a.digest == b.digest
    with pytest.raises(verbatim.ArgumentError):
        model.session().logits_view()


def test_digest_is_that_of_the_command_line(model):
    import hashlib
    assert verbatim.digest(b"") == "99aa06d3014798d86001c324468d497f" and len(model.fingerprint) > 30
    assert model.sha256 == hashlib.sha256(pathlib.Path(TINY).read_bytes()).hexdigest()


@pytest.mark.skipif("VERBATIM" not in os.environ, reason="no command line")
def test_rows_have_the_digest_that_the_command_line_prints(tales):
    ids = tales.tokenize("Once upon a time", add_special=True)
    with tales.session() as s:
        rows = s.eval(ids, want=len(ids))
    out = subprocess.run([os.environ["VERBATIM"], "logits", "tales-1m", "--prompt", "Once upon a time"], capture_output=True, text=True, check=True)
    assert out.stdout.split()[0] == verbatim.digest(rows)


# --- answers -----------------------------------------------------------------------------------------------------

def test_a_stream_is_the_answer_by_hand(model):
    how = verbatim.Sampling(temperature=0.9, seed=5, top_k=20)
    pieces = list(model.generate("Once upon", sampling=how, max_tokens=12))
    whole = model.generate("Once upon", sampling=how, max_tokens=12)
    assert whole.read() == "".join(pieces) and whole.tokens == 12 and whole.end == "length"
    with model.session() as s:
        s.sync(model.tokenize("Once upon", add_special=True, parse_special=True))
        ids = []
        for _ in range(12):
            ids.append(s.sample(how))
            s.eval(ids[-1:])
    assert model.detokenize(ids) == whole.text
    assert model.generate("Once upon", temperature=0.9, seed=6, top_k=20, max_tokens=12).read() != whole.text


def test_tales_are_told(tales):
    prompt = 'A man was asked "Where is the treasure?". He smiled and said, "'
    told = tales.generate(prompt, max_tokens=40, temperature=0.9, top_k=40, seed=7, stops=["."])
    assert 5 < len(told.read()) < 300 and "." not in told.text
    again = tales.generate(prompt, max_tokens=40, temperature=0.9, top_k=40, seed=7, stops=["."])
    assert again.read() == told.text and again.known_tokens > 10


def test_prompts_and_chats(model):
    one = model.prompt("Hello", max_tokens=6).read()
    assert model.chat([{"role": "user", "content": "Hello"}], max_tokens=6).read() == one
    assert model.prompt("Hello", system="Be kind.", max_tokens=6).read() == \
        model.chat([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}], max_tokens=6).read()
    assert model.chat_ids([{"role": "user", "content": "Hello"}])


def test_without_a_template_there_is_a_plain_form(tales):
    assert tales.prompt("Once", system="A tale.", max_tokens=8).read() == tales.generate("A tale.\n\nOnce", max_tokens=8).read()
    with pytest.raises(verbatim.VerbatimError, match="no chat template"):
        tales.chat([{"role": "user", "content": "Hello"}]).read()


def test_leaving_a_stream_ends_it(model):
    for _ in model.generate("Once upon", temperature=1):
        break
    with model.generate("Once upon", temperature=1) as answer:
        next(answer)
    assert model.generate("Once upon", max_tokens=2).read() is not None  # nothing runs any more


def test_one_answer_at_a_time(slow):
    first = slow.generate(LONG)
    while slow.status.state != "generating":
        time.sleep(0.001)
    with pytest.raises(verbatim.ArgumentError, match="one call at a time"):
        slow.classify("x", ["a", "b"])
    first.close()


def test_cancel_reaches_a_long_prompt():
    with verbatim.Model(TINY, player="oracle", threads=1, context=24000) as model:
        answer = model.generate("abcdefgh " * 2500)
        time.sleep(0.05)
        begin = time.monotonic()
        threading.Thread(target=answer.cancel).start()
        with pytest.raises(verbatim.StoppedError):
            answer.read()
        assert time.monotonic() - begin < 2
        assert model.generate("abc", max_tokens=2).read() is not None


def test_other_threads_go_on():
    with verbatim.Model(TINY, player="oracle", threads=1, context=24000) as model:
        answer, turns, begin = model.generate("abcdefgh " * 40, max_tokens=1), 0, time.monotonic()
        while not answer._call.finished:
            turns += 1
            time.sleep(0)
        assert turns > 100 * (time.monotonic() - begin) > 0
        answer.read()


def test_status_is_told():
    seen = []
    model = verbatim.Model(TINY, on_status=lambda s: seen.append((s.state, s.progress)) and None)
    assert seen[0] == ("loading", 0.0) and seen[-1] == ("ready", 1.0) and model.status.state == "ready"
    seen.clear()
    later = []
    leave = model.on_status(later.append)
    model.generate("x", max_tokens=1).read()
    assert [s for s, _ in seen] == ["generating", "ready"] == [s.state for s in later]
    leave()
    with pytest.raises(verbatim.ArgumentError):
        model.generate("x", max_tokens=-1).read()
    assert model.status.state == "error" and "max_tokens" in model.status.text and len(later) == 2
    model.close()
    assert seen[-1][0] == "idle"
    with pytest.raises(verbatim.StoppedError):
        verbatim.Model(TINY, on_status=lambda s: True)
    with pytest.raises(verbatim.ArgumentError):
        model.tokenize("x")


# --- form --------------------------------------------------------------------------------------------------------

def test_labels(model):
    found = model.classify("hello", ["good", "bad", "so so"])
    assert found.label == max(found.scores, key=lambda s: s.mean).label and abs(sum(s.probability for s in found.scores) - 1) < 1e-12
    raw = model.classify("Once upon", ["good", "bad"], raw=True, by_sum=True)
    assert raw.label == max(raw.scores, key=lambda s: s.sum).label
    with pytest.raises(verbatim.ArgumentError, match="at least 2"):
        model.classify("hello", ["good"])


def test_json(model):
    for seed in range(5):
        value = model.extract("Ann is 7.", PERSON, temperature=2, seed=seed)
        assert set(value) == {"name", "age"} and 0 <= value["age"] <= 99
    with pytest.raises(verbatim.DiffersError, match="ends after 2 tokens"):
        model.extract("Ann is 7.", PERSON, max_tokens=2)
    assert verbatim.extract_json("Sure: {name: 'Ann', \"age\": 7,}!", PERSON) == ({"name": "Ann", "age": 7}, ["prose", "commas", "quotes"])
    with pytest.raises(verbatim.DiffersError, match=r"\$\.age: expected an integer"):
        verbatim.extract_json('{"name": "Ann", "age": "7"}', PERSON)


def test_grammars(model):
    with verbatim.Grammar(model, gbnf='root ::= "a" [0-9]{2}') as g:
        assert not g.may_end and g.mask().any() and g.mask().shape == (model.info["vocab"],)
        assert [bool(x) for x in g.mask()[:300]] == [g.allows(i) for i in range(300)]
        fork = g.fork()
        fork.accept_text("a1")
        with pytest.raises(verbatim.ArgumentError):
            fork.accept_text("x")
        fork.accept_text("2")
        assert fork.may_end and not g.may_end
        text = model.generate("x", grammar=g, temperature=1, seed=3, max_tokens=20).read()
        assert len(text) == 3 and text[0] == "a" and text[1:].isdigit()
    assert verbatim.Grammar(model, schema={"type": "number", "multipleOf": 3}).unheld == ["multipleOf"]


# --- embeddings --------------------------------------------------------------------------------------------------

def test_embeddings():
    with verbatim.Model(str(ROOT / "tests/golden/bert-mean/model.gguf")) as model:
        rows = model.embed(["one text", "another one"], normalize=True)
        assert rows.shape == (2, model.info["width"]) and np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert np.array_equal(model.embed("one text", normalize=True), rows[0])
        assert model.embed("one text", pooling="none").ndim == 2
    with verbatim.Model(TINY) as model:
        assert model.embed("one text").shape == (model.info["width"],)


# --- recordings --------------------------------------------------------------------------------------------------

def test_traces(model, tmp_path):
    a, b, c = (tmp_path / name for name in ("a.trace", "b.trace", "c.trace"))
    text = model.generate("Once upon", temperature=0.9, seed=4, max_tokens=8, trace=a).read()
    model.generate("Once upon", temperature=0.9, seed=4, max_tokens=8, trace=b).read()
    model.generate("Once upon", temperature=0.9, seed=5, max_tokens=8, trace=c).read()
    assert traces.diff(a, b) is None and traces.diff(a, c).record == 0
    proved = traces.verify(a)
    assert (proved.chosen, proved.checked, proved.ended) == (8, 8, True) and traces.replay(a, threads=2, isa="portable") > 8
    with pytest.raises(verbatim.InputOutputError):
        model.generate("Once upon", max_tokens=1, trace=a).read()
    data = bytearray(a.read_bytes())
    data[-60] ^= 1
    c.write_bytes(data)
    with pytest.raises(verbatim.VerbatimError):
        traces.verify(c)
    hand, how = tmp_path / "hand.trace", verbatim.Sampling(temperature=0.9, seed=4)
    with model.session() as s:
        s.sync(model.tokenize("Once upon", add_special=True, parse_special=True))
        with traces.Trace(hand, s, sampling=how) as trace:
            ids = []
            for _ in range(8):
                ids.append(s.sample(how))
                trace.add(ids[-1])
                s.eval(ids[-1:])
            assert len(trace.digest) == 64
    assert model.detokenize(ids, special=False) == text and traces.verify(hand).chosen == 8


# --- characters --------------------------------------------------------------------------------------------------

KEYS = [verbatim.Key(world=7, entity=name, tick=tick, draw=draw) for name in ("Anna", "Otto", 5) for tick in (1, 2) for draw in (0, 1)]


def test_a_line_is_the_same_in_any_order():
    with verbatim.Cast() as cast:
        said = {key: cast.say(key, "Where is the treasure?") for key in KEYS}
        assert len({line.text for line in said.values()}) > len(KEYS) // 2
        for line in said.values():
            assert line.persona and line.attempts >= 1 and line.tokens > 0 and line.end in ("sentence", "fallback")
        for key in reversed(KEYS):
            cast.request(key, "Where is the treasure?")
        steps, collected = 0, []
        while cast.step(max_tokens=5):
            steps += 1
            collected += cast.collect()
        collected += cast.collect()
        assert steps > 10 and {(k.key.entity, k.key.tick, k.key.draw): k.text for k in collected} == \
            {(line.key.entity, line.key.tick, line.key.draw): line.text for line in said.values()}
    command = os.environ.get("VERBATIM")
    if command:
        out = subprocess.run([command, "say", "--seed", "7", "--entity", "Anna", "--tick", "1", "Where is the treasure?"],
                             capture_output=True, text=True, check=True).stdout
        assert out.strip() == said[KEYS[0]].text


def test_a_saved_cast_goes_on():
    with verbatim.Cast(threads=1) as one, verbatim.Cast(threads=2) as two:
        assert one.digest == two.digest
        whole = one.say(KEYS[0], "Is there bread?").text
        one.request(KEYS[0], "Is there bread?")
        assert one.step(max_tokens=3, milliseconds=1000) == 1
        two.restore(one.save())
        while two.step():
            pass
        assert [line.text for line in two.collect()] == [whole]
        assert one.cancel(KEYS[0]) and not one.cancel(KEYS[0])


def test_casts_of_our_own():
    persona = {"name": "baker", "prompt": "It was ${weather}. The baker said, \"", "stop": "sentence", "max_tokens": 30,
               "sampling": {"temperature": 0.9, "top_k": 40}}
    with verbatim.Cast({"personas": [persona]}) as cast:
        assert cast.say(KEYS[0], facts={"weather": "raining"}).persona == "baker"
        with pytest.raises(verbatim.VerbatimError, match="weather"):
            cast.say(KEYS[0])
    persona.update(prompt="${memory} The baker said, \"", memory_tokens=40)
    with verbatim.Cast({"personas": [persona]}) as cast:
        empty = cast.say(verbatim.Key(7, "Anna", 5))
        cast.remember("Anna", 5, "Otto the miller was here and wept.")
        full = cast.say(verbatim.Key(7, "Anna", 6))
        assert full.prompt_tokens > empty.prompt_tokens
        cast.forget("Anna")
        assert cast.say(verbatim.Key(7, "Anna", 7)).prompt_tokens == empty.prompt_tokens
    with pytest.raises(verbatim.FormatError):
        verbatim.Cast("{")


def test_random_words_follow_from_the_key():
    words = [tuple(verbatim.line_words(key, 64)) for key in KEYS]
    assert len(set(words)) == len(KEYS) and words[0] == tuple(verbatim.line_words(KEYS[0], 64))
    assert verbatim.entity_id("Anna") == verbatim.Key(entity="Anna")._c()["entity"]


# --- memory ------------------------------------------------------------------------------------------------------

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="no /proc")
def test_nothing_is_left_behind():
    def round_():
        model = verbatim.Model(TINY, threads=1, on_status=lambda s: None)
        with model.session() as s:
            s.eval([1, 2, 3], want=3)
            s.fork().eval([4])
        verbatim.Grammar(model, schema=PERSON).fork()
        for _ in model.generate("x", max_tokens=5):
            break
        model.classify("x", ["a", "b"])
        model.embed("x")

    for _ in range(15):
        round_()
    gc.collect()
    before = resident()
    for _ in range(60):
        round_()
    gc.collect()
    assert resident() - before < 8 << 20


def test_a_model_closes_what_was_opened_of_it():
    model = verbatim.Model(TINY)
    session, grammar = model.session(), verbatim.Grammar(model)
    model.close()
    assert session._c is None and grammar._c is None
    session.close()


# --- mistakes that must not end the process ----------------------------------------------------------------------

def test_closed_ones_say_so():
    model, cast = verbatim.Model(TINY), verbatim.Cast()
    session, grammar = model.session(), verbatim.Grammar(model)
    model.close()
    cast.close()
    for use in (lambda: session.eval([1]), lambda: session.tokens, session.fork, lambda: session.logits, lambda: grammar.may_end,
                lambda: model.generate("x"), lambda: model.info, cast.step, cast.save, lambda: cast.digest):
        with pytest.raises(verbatim.ArgumentError, match="expected an open one, found a closed one"):
            use()


def test_what_owns_memory_is_not_copied(model):
    for one in (model, model.session(), verbatim.Grammar(model), model.generate("x", max_tokens=1)):
        for way in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                way(one)


def test_failures_go_between_processes():
    error = pickle.loads(pickle.dumps(verbatim.FullError(-6, "no room")))
    assert isinstance(error, verbatim.FullError) and (error.code, error.status, str(error)) == (-6, "context full", "no room")


def test_words_that_are_none(model):
    for use in (lambda: verbatim.Model(TINY, arith="f64"), lambda: model.session(kv="q2"), lambda: model.embed("x", pooling="max")):
        with pytest.raises(ValueError, match="expected one of"):
            use()
    for use in (lambda: model.classify("x", "ab"), lambda: model.generate("x", stops="ab")):
        with pytest.raises(ValueError, match="expected a list of texts"):
            use()


LONG = "abcdefgh " * 1000


@pytest.fixture
def slow():
    with verbatim.Model(TINY, player="oracle", threads=1, context=24000) as m:
        yield m


def test_closing_ends_all_that_runs(slow):
    failed = []

    def classify():
        try:
            slow.classify(LONG, ["a", "b"])
        except verbatim.StoppedError as error:
            failed.append(error)

    thread = threading.Thread(target=classify)
    thread.start()
    while slow.status.state != "generating":
        time.sleep(0.001)
    with pytest.raises(verbatim.ArgumentError, match="one call at a time"):
        slow.generate("x").read()
    slow.close()
    thread.join()
    assert failed


def test_a_grammar_that_is_used_is_closed(slow):
    with verbatim.Grammar(slow) as grammar:
        answer = slow.generate(LONG, grammar=grammar)
    with pytest.raises(StopIteration):
        next(answer)
    assert slow.generate("x", max_tokens=1).read() is not None


@pytest.fixture
def interruptible():
    """Who is started behind a shell's & ignores Ctrl-C, and Python leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_what_is_waited_for(slow, interruptible):
    for wait in (lambda: slow.generate(LONG).read(), lambda: slow.classify(LONG, ["a", "b"])):
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert slow.generate("x", max_tokens=1).read() is not None


def test_listeners_fail_loudly(model):
    def broken(status):
        raise RuntimeError("broken listener")

    with pytest.raises(RuntimeError, match="broken listener"):
        verbatim.Model(TINY, on_status=broken)
    leave = model.on_status(broken)
    with pytest.raises(RuntimeError, match="broken listener"):
        model.generate("x", max_tokens=1).read()
    leave()
    leave = model.on_status(lambda status: model.close() if status.state == "generating" else None)
    with pytest.raises(verbatim.ArgumentError, match="outside of its listeners"):
        model.generate("x", max_tokens=1).read()
    leave()


def test_a_view_keeps_its_session(model):
    session = model.session()
    session.eval([1, 2, 3])
    view, alive = session.logits_view(), weakref.ref(session)
    del session
    gc.collect()
    assert alive() is not None
    del view
    gc.collect()
    assert alive() is None
