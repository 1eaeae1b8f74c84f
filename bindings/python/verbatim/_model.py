"""Models and sessions: tokens, logits, choices, embeddings."""
from __future__ import annotations

import dataclasses
import json
import os
import queue
import threading
import weakref
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ._library import Err, ArgumentError, Owner, StoppedError, VerbatimError, c_text, c_texts, ffi, lib, one_of, text_of

Floats = npt.NDArray[np.float32]

_ARITH = {"int8": 0, "f32": 1}
_KV = {"default": 0, "f16": 1, "f32": 2, "q8_0": 3}
_POOLING = {None: 0, "none": 1, "mean": 2, "cls": 3, "last": 4}
_ENDS = ("none", "token", "stop", "length", "context", "callback")
_REPAIRS = ("prose", "commas", "quotes", "words", "comments", "escapes", "closed")


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How a token is chosen: a pure function of logits, these settings and the position. All zero is greedy."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 0.0
    min_p: float = 0.0
    typical: float = 0.0
    repeat: float = 0.0
    presence: float = 0.0
    frequency: float = 0.0
    repeat_last: int = 0
    seed: int = 0
    stream: int = 0

    def _c(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


GREEDY = Sampling()


@dataclasses.dataclass(frozen=True)
class Status:
    """state: "idle", "loading", "ready", "generating" or "error"; progress of loading; text of an error."""

    state: str
    progress: float
    text: str


@dataclasses.dataclass(frozen=True)
class Score:
    label: str
    tokens: int
    sum: float
    mean: float
    probability: float


@dataclasses.dataclass(frozen=True)
class Classification:
    label: str
    scores: list[Score]


@dataclasses.dataclass(frozen=True)
class Choice:
    id: int
    logit: float
    logprob: float


def _encode(model: Any, text: str, flags: int) -> list[int]:
    data, err = text.encode(), Err()
    room = len(data) + 8
    while True:
        ids = ffi.new("vb_token[]", room)
        n = err.check(lib.vb_tokenize(model, data, len(data), flags, ids, room, err.c))
        if n <= room:
            return list(ffi.unpack(ids, n))
        room = n


class Model(Owner):
    """A model, and a session of its own for generate, prompt, chat, extract and classify, which run one at a time.

    `name` is a path of a GGUF file, a name in a local store, or "tales-1m", the model inside the library. `on_status` hears of
    every change of state and of loading's progress; while it loads, returning True ends that with StoppedError.
    """

    def __init__(self, name: str | os.PathLike[str], *, player: str | None = None, arith: str = "int8", isa: str | None = None,
                 threads: int = 0, template_as: str | None = None, context: int = 0, kv: str = "default", batch: int = 0,
                 cache: str | None = None, lazy: bool = False, on_status: Callable[[Status], Any] | None = None) -> None:
        self._name = os.fspath(name)
        self._listeners: list[Callable[[Status], Any]] = [on_status] if on_status else []
        self._status = [Status("idle", 0.0, "")]
        self._failures: list[BaseException] = []
        self._calls: set[_Call] = set()
        self._embedder: Any = None
        self._lock, self._embedding = threading.Lock(), threading.Lock()
        self._children: weakref.WeakSet[Any] = weakref.WeakSet()
        keep = [c_text(t) for t in (player, isa, template_as, cache)]
        self._opts = {"player": keep[0], "arith": one_of(_ARITH, "arith", arith), "isa": keep[1], "threads": threads,
                      "template_as": keep[2]}
        self._callback = _status_callback(self._listeners, self._status, self._failures)
        opts = ffi.new("vb_easy_opts *", {"model": self._opts, "lazy": lazy, "on_status": self._callback, "session":
                                          {"context": context, "kv": one_of(_KV, "kv", kv), "batch": batch, "cache": keep[3]}})
        out, err = ffi.new("vb_easy **"), Err()
        status = lib.vb_easy_open(out, c_text(self._name), opts, err.c)
        if self._failures:
            raise self._failures.pop()
        err.check(status)
        self._c = out[0]

    # --- lifetime ---

    def close(self) -> None:
        """Ends what runs and gives everything back, its sessions and grammars too. Not out of a listener."""
        if any(call.thread is threading.current_thread() for call in self._calls):
            raise ArgumentError(-5, "Model: expected to be closed outside of its listeners")
        with self._embedding, self._lock:  # nothing begins any more
            c, self._c = self._c, None
        if c is not None:
            self._free(c)

    def _free(self, c: Any) -> None:
        for call in list(self._calls):
            call.finish()
        for child in list(self._children):
            child.close()
        if self._embedder is not None:
            lib.vb_session_close(self._embedder[1])
            lib.vb_model_close(self._embedder[0])
        lib.vb_easy_close(c)

    def __del__(self) -> None:
        if self._c is not None:
            self.close()

    def _model(self) -> Any:
        return lib.vb_easy_model(self._open())

    # --- what it is ---

    @property
    def status(self) -> Status:
        return self._status[0]

    def on_status(self, listener: Callable[[Status], Any]) -> Callable[[], None]:
        """Calls `listener` at each change from now on; what it returns takes it away again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    @property
    def info(self) -> dict[str, Any]:
        """What vb_model_describe says, by the names that it has there."""
        info = ffi.new("vb_model_info *")
        lib.vb_model_describe(self._model(), info)
        return {name: _plain(getattr(info, name)) for name, _ in ffi.typeof("vb_model_info").fields}

    @property
    def memory_bytes(self) -> int:
        """Memory besides the weights that the model's own session takes."""
        return int(lib.vb_easy_bytes(self._open()))

    @property
    def sha256(self) -> str:
        """Of the model's bytes."""
        out, err = ffi.new("uint8_t[32]"), Err()
        err.check(lib.vb_model_sha256(self._model(), out, err.c))
        return bytes(out).hex()

    @property
    def fingerprint(self) -> str:
        """What decides the bits of an answer, in short."""
        buf, err = ffi.new("char[128]"), Err()
        n = err.check(lib.vb_model_fingerprint(self._model(), buf, 128, err.c))
        return str(ffi.unpack(buf, n).decode())

    # --- text ---

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        return _encode(self._model(), text, (1 if add_special else 0) | (2 if parse_special else 0))

    def detokenize_bytes(self, ids: Sequence[int], *, special: bool = True) -> bytes:
        tokens, err = ffi.new("vb_token[]", list(ids)), Err()
        n = err.check(lib.vb_detokenize(self._model(), tokens, len(ids), special, ffi.NULL, 0, err.c))
        buf = ffi.new("char[]", n + 1)
        err.check(lib.vb_detokenize(self._model(), tokens, len(ids), special, buf, n, err.c))
        return bytes(ffi.buffer(buf, n))

    def detokenize(self, ids: Sequence[int], *, special: bool = True) -> str:
        """U+FFFD stands for bytes that are no whole character."""
        return self.detokenize_bytes(ids, special=special).decode("utf-8", "replace")

    def chat_ids(self, messages: Iterable[Mapping[str, str]]) -> list[int]:
        """Messages ({"role", "content"}) through the chat template."""
        c, n, _keep = _messages(messages)
        err = Err()
        count = err.check(lib.vb_chat_encode(self._model(), c, n, ffi.NULL, 0, err.c))
        ids = ffi.new("vb_token[]", count + 1)
        err.check(lib.vb_chat_encode(self._model(), c, n, ids, count, err.c))
        return list(ffi.unpack(ids, count))

    # --- answers ---

    def generate(self, prompt: str, **how: Any) -> Generation:
        """Goes on behind the prompt as it is. Keywords: max_tokens, sampling (or temperature, top_k, seed, ...), stops, grammar,
        trace (a file that records the answer)."""
        return Generation(self, "generate", (c_text(prompt),), how)

    def prompt(self, text: str, *, system: str | None = None, **how: Any) -> Generation:
        """Answers a user's text through the chat template. Keywords as for generate."""
        return Generation(self, "prompt", (c_text(text),), {**how, "system": system})

    def chat(self, messages: Iterable[Mapping[str, str]], **how: Any) -> Generation:
        """Answers a conversation: messages with "role" and "content"."""
        listed, n, keep = _messages(messages)
        return Generation(self, "chat", (listed, n), how, keep)

    def extract(self, text: str, schema: Mapping[str, Any] | str, **how: Any) -> Any:
        """What the text says, as a value that fits the JSON Schema. DiffersError if that cannot be had."""
        wanted = schema if isinstance(schema, str) else json.dumps(schema)
        return json.loads(Generation(self, "extract", (c_text(text), c_text(wanted)), how).read())

    def classify(self, text: str, labels: Sequence[str], *, system: str | None = None, raw: bool = False,
                 by_sum: bool = False) -> Classification:
        """Which label fits the text, by the log-probabilities of the labels as answers."""
        names = c_texts("labels", labels)
        listed, said = ffi.new("const char *[]", names), c_text(system)
        how = ffi.new("vb_easy_labels *", {"labels": listed, "n": len(names), "system": said, "raw": raw, "by_sum": by_sum})
        scores = ffi.new("vb_easy_score[]", len(names))
        best = _Call(self).run("classify", c_text(text), how, scores).wait()
        return Classification(labels[best], [Score(label, s.tokens, s.sum, s.mean, s.probability) for label, s in zip(labels, scores)])

    def cancel(self) -> bool:
        """Ends what runs, from any thread: it raises StoppedError. False: nothing runs."""
        return bool(lib.vb_easy_cancel(self._open()))

    # --- embeddings ---

    def embed(self, texts: str | Sequence[str], *, pooling: str | None = None, normalize: bool = False) -> Floats:
        """A row for each text (for a single text a row alone); pooling "none": not more than one text, a row for each token."""
        single = isinstance(texts, str)
        listed = [texts] if isinstance(texts, str) else list(texts)
        if pooling == "none" and len(listed) != 1:
            raise ValueError("pooling none: expected one text, found " + str(len(listed)))
        with self._embedding:
            rows = [self._embed_one(text, pooling, normalize) for text in listed]
        return rows[0] if single else np.stack(rows) if rows else np.zeros((0, self.info["width"]), np.float32)

    def _embed_one(self, text: str, pooling: str | None, normalize: bool) -> Floats:
        err, kind = Err(), one_of(_POOLING, "pooling", pooling)
        model, session = self._embedding_session()
        ids = _encode(model, text, 1)
        width = self.info["width"]
        out = np.empty((len(ids), width) if pooling == "none" else (width,), np.float32)
        err.check(lib.vb_session_embed(session, ffi.new("vb_token[]", ids), len(ids), kind, normalize,
                                       ffi.from_buffer("float[]", out, require_writable=True), err.c))
        return out

    def _embedding_session(self) -> Any:
        """A second opening of the same file whose plan ends at the norm; the weights are mapped, not read again."""
        self._open()
        if self._embedder is None:
            model, session, err = ffi.new("vb_model **"), ffi.new("vb_session **"), Err()
            opts = ffi.new("vb_model_opts *", {**self._opts, "embeddings": 1})
            err.check(lib.vb_model_open(model, c_text(self._name), opts, err.c))
            status = lib.vb_session_open(session, model[0], ffi.NULL, err.c)
            if status < 0:
                lib.vb_model_close(model[0])
                err.check(status)
            self._embedder = (model[0], session[0])
        return self._embedder

    def session(self, *, context: int = 0, kv: str = "default", batch: int = 0, cache: str | None = None) -> Session:
        """A row of tokens of its own, for those who choose by themselves."""
        return Session(self, context=context, kv=kv, batch=batch, cache=cache)


def _plain(value: Any) -> Any:
    if not isinstance(value, ffi.CData):
        return value
    kind = ffi.typeof(value)
    if kind.kind == "array":
        return bytes(value).hex()
    return text_of(value)


def _status_callback(listeners: list[Callable[[Status], Any]], latest: list[Status], failures: list[BaseException]) -> Any:
    """Knows the lists alone, not the model: so that a model nobody holds is collected. What a listener raises, the call raises."""

    def changed(_: Any, status: Any) -> int:
        name = ffi.string(lib.vb_easy_state_name(status.state)).decode()
        latest[0] = Status(name, status.progress, text_of(status.text) or "")
        return int(any([bool(listener(latest[0])) for listener in list(listeners)]))

    def failed(_: Any, error: BaseException, __: Any) -> None:
        failures.append(error)

    return ffi.callback("int(void *, const vb_easy_status *)", changed, error=1, onerror=failed)


def _messages(messages: Iterable[Mapping[str, str]]) -> tuple[Any, int, Any]:
    keep = [(c_text(m["role"]), c_text(m["content"])) for m in messages]
    return ffi.new("vb_message[]", keep), len(keep), keep


_SAMPLING = {f.name for f in dataclasses.fields(Sampling)}


class _Call:
    """A call on a thread of its own. It knows nobody who reads it: so that an answer that nobody reads is collected, and ended."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.error: BaseException | None = None
        self.left = self.finished = False
        self.result = 0
        self.keep: Any = None
        self.grammar: Grammar | None = None

    def run(self, kind: str, *arguments: Any) -> _Call:
        self.thread = threading.Thread(target=self._run, args=(getattr(lib, "vb_easy_" + kind), arguments), name="verbatim", daemon=True)
        with self.model._lock:
            self.easy = self.model._open()
            self.model._calls.add(self)
            self.thread.start()
        return self

    def _run(self, function: Any, arguments: Any) -> None:
        err = Err()
        try:
            self.result = err.check(function(self.easy, *arguments, err.c))
            if self.model._failures:
                raise self.model._failures.pop()
        except BaseException as error:  # handed to whoever reads
            self.error = error
        self.finished = True
        self.model._calls.discard(self)
        self.pieces.put(None)

    def on_text(self, _: Any, text: Any, length: int) -> int:
        self.pieces.put(ffi.unpack(text, length).decode("utf-8", "replace"))
        return 1 if self.left else 0

    def wait(self) -> int:
        """Of a call without text: until it has ended."""
        self.next()
        if self.error is not None:
            raise self.error
        return self.result

    def next(self) -> str | None:
        """The next piece, None at the end. Whoever is interrupted here, by Ctrl-C, ends the call."""
        try:
            return self.pieces.get()
        except BaseException:
            self.finish()
            raise

    def cancel(self) -> None:
        while not self.finished and not lib.vb_easy_cancel(self.easy):
            self.thread.join(0.001)  # the thread has not come to the call yet

    def finish(self) -> None:
        """Ends it now; a listener of its own can only ask for that."""
        self.left = True
        if threading.current_thread() is not self.thread:
            self.cancel()
            self.thread.join()


def _settings(kind: str, call: _Call, how: dict[str, Any]) -> tuple[Any, Any]:
    sampling = how.pop("sampling", GREEDY)
    changed = {k: how.pop(k) for k in list(how) if k in _SAMPLING}
    stops = c_texts("stops", how.pop("stops", ()))
    grammar, trace, system = how.pop("grammar", None), how.pop("trace", None), how.pop("system", None)
    max_tokens = how.pop("max_tokens", 0)
    if how:
        raise TypeError(f"{kind}() got an unexpected keyword argument {next(iter(how))!r}")
    callback = ffi.callback("int(void *, const char *, size_t)", call.on_text, error=1)
    keep = [stops, ffi.new("const char *[]", stops), c_text(system), c_text(os.fspath(trace) if trace else None), callback]
    return ffi.new("vb_easy_how *", {
        "sampling": dataclasses.replace(sampling, **changed)._c(), "max_tokens": max_tokens, "stops": keep[1], "n_stops": len(stops),
        "system": keep[2], "trace": keep[3], "grammar": grammar._open() if grammar else ffi.NULL, "on_text": callback}), keep


class Generation(Owner, Iterator[str]):
    """An answer while it comes: an iterator over its pieces. The model computes on a thread of its own, ahead of whoever reads.

    Leaving it early (`close`, the end of a `with`, dropping it) cancels it. Once it has been read, `end` says why it ended ("token",
    "stop", "length", "context"), and `tokens`, `prompt_tokens` and `known_tokens` count.
    """

    def __init__(self, model: Model, kind: str, subject: tuple[Any, ...], how: Mapping[str, Any], keep: Any = None) -> None:
        call = _Call(model)
        self._answer = ffi.new("vb_easy_answer *")
        settings, kept = _settings(kind, call, dict(how))
        call.keep, call.grammar = (keep, kept), how.get("grammar")
        self._c = self._call = call.run(kind, *subject, settings, self._answer)
        self.text: str = ""

    @property
    def end(self) -> str | None:
        return _ENDS[self._answer.end] if self._call.finished else None

    @property
    def tokens(self) -> int:
        return int(self._answer.tokens)

    @property
    def prompt_tokens(self) -> int:
        return int(self._answer.prompt_tokens)

    @property
    def known_tokens(self) -> int:
        return int(self._answer.known_tokens)

    def __iter__(self) -> Generation:
        return self

    def __next__(self) -> str:
        call = self._call
        piece = call.next()
        if piece is None:
            call.pieces.put(None)  # for whoever asks again
            call.thread.join()
            error, call.error = call.error, None
            if error is not None and not (call.left and isinstance(error, StoppedError)):
                raise error
            raise StopIteration
        self.text += piece
        return piece

    def read(self) -> str:
        """The whole answer, when it is complete."""
        for _ in self:
            pass
        return self.text

    def cancel(self) -> None:
        """Ends it soon, from any thread; whoever reads gets StoppedError."""
        self._call.cancel()

    def close(self) -> None:
        """Ends it now, if it has not ended; what came of it can still be read."""
        super().close()

    def _free(self, c: Any) -> None:
        c.finish()


class Grammar(Owner):
    """What may be written: `gbnf` text, a JSON Schema, or any JSON object. Moved on by what it accepts; `fork` copies its place."""

    def __init__(self, model: Model, *, gbnf: str | None = None, schema: Mapping[str, Any] | str | None = None) -> None:
        self._model = model
        out, err = ffi.new("vb_grammar **"), Err()
        if gbnf is not None:
            data = gbnf.encode()
            err.check(lib.vb_grammar_open_gbnf(out, model._model(), data, len(data), err.c))
        elif schema is not None:
            data = (schema if isinstance(schema, str) else json.dumps(schema)).encode()
            err.check(lib.vb_grammar_open_schema(out, model._model(), data, len(data), err.c))
        else:
            err.check(lib.vb_grammar_open_json(out, model._model(), err.c))
        self._c = out[0]
        model._children.add(self)

    def fork(self) -> Grammar:
        other, out, err = Grammar.__new__(Grammar), ffi.new("vb_grammar **"), Err()
        other._model = self._model
        err.check(lib.vb_grammar_fork(out, self._open(), err.c))
        other._c = out[0]
        self._model._children.add(other)
        return other

    def accept(self, token: int) -> None:
        err = Err()
        err.check(lib.vb_grammar_accept(self._open(), token, err.c))

    def accept_text(self, text: str) -> None:
        data, err = text.encode(), Err()
        err.check(lib.vb_grammar_accept_text(self._open(), data, len(data), err.c))

    def allows(self, token: int) -> bool:
        err = Err()
        return bool(err.check(lib.vb_grammar_allows(self._open(), token, err.c)))

    @property
    def may_end(self) -> bool:
        return bool(lib.vb_grammar_may_end(self._open()))

    @property
    def unheld(self) -> list[str]:
        """Keywords of the schema that are not held."""
        found: list[str] = []
        while (word := text_of(lib.vb_grammar_unheld(self._open(), len(found)))) is not None:
            found.append(word)
        return found

    def mask(self) -> npt.NDArray[np.bool_]:
        """Which tokens may stand here."""
        vocab, err = self._model.info["vocab"], Err()
        out = np.zeros((vocab + 7) // 8, np.uint8)
        err.check(lib.vb_grammar_mask(self._open(), ffi.from_buffer("uint8_t[]", out, require_writable=True), out.size, err.c))
        return np.unpackbits(out, bitorder="little")[:vocab].astype(np.bool_)

    def _free(self, c: Any) -> None:
        for call in list(self._model._calls):
            if call.grammar is self:
                call.finish()
        lib.vb_grammar_close(c)


class Session(Owner):
    """One growing row of tokens and its state; one thread at a time."""

    def __init__(self, model: Model, *, context: int = 0, kv: str = "default", batch: int = 0, cache: str | None = None) -> None:
        self._model = model
        kept = c_text(cache)
        opts = ffi.new("vb_session_opts *", {"context": context, "kv": one_of(_KV, "kv", kv), "batch": batch, "cache": kept})
        out, err = ffi.new("vb_session **"), Err()
        err.check(lib.vb_session_open(out, model._model(), opts, err.c))
        self._c = out[0]
        model._children.add(self)

    @property
    def model(self) -> Model:
        return self._model

    @property
    def tokens(self) -> list[int]:
        n = ffi.new("int *")
        ids = lib.vb_session_tokens(self._open(), n)
        return list(ffi.unpack(ids, n[0])) if n[0] else []

    def __len__(self) -> int:
        return len(self.tokens)

    def eval(self, ids: Sequence[int], *, want: int = 0) -> Floats | None:
        """Appends tokens and evaluates them. With `want` the logits of the last `want` of them, a row each."""
        if not 0 <= want <= len(ids):
            raise ValueError(f"want: expected 0 to {len(ids)}, found {want}")
        tokens, err = ffi.new("vb_token[]", list(ids)), Err()
        rows = np.empty((want, self._model.info["vocab"]), np.float32) if want else None
        work = ffi.new("vb_work *", {"session": self._open(), "ids": tokens, "n": len(ids), "want": want, "logits":
                                     ffi.from_buffer("float[]", rows, require_writable=True) if rows is not None else ffi.NULL})
        err.check(lib.vb_eval(work, 1, err.c))
        return rows

    def sync(self, ids: Sequence[int]) -> None:
        """Becomes exactly these tokens: keeps the common beginning, evaluates what is new."""
        tokens, err = ffi.new("vb_token[]", list(ids)), Err()
        err.check(lib.vb_session_sync(self._open(), tokens, len(ids), err.c))

    def rewind(self, n: int) -> None:
        err = Err()
        err.check(lib.vb_session_rewind(self._open(), n, err.c))

    def fork(self) -> Session:
        other, out, err = Session.__new__(Session), ffi.new("vb_session **"), Err()
        other._model = self._model
        err.check(lib.vb_session_fork(out, self._open(), err.c))
        other._c = out[0]
        self._model._children.add(other)
        return other

    def logits_view(self) -> Floats:
        """The last token's logits where they lie, read only: valid until the next eval, sync, rewind or close, and garbage
        afterwards. No copy is made."""
        n = ffi.new("int *")
        data = lib.vb_session_logits(self._open(), n)
        if data == ffi.NULL:
            raise ArgumentError(-5, "logits: expected an evaluated token, found none")
        data = ffi.gc(data, lambda _, session=self: None)  # the session is not collected before the view is
        view: Floats = np.frombuffer(ffi.buffer(data, n[0] * 4), np.float32)
        view.flags.writeable = False
        return view

    @property
    def logits(self) -> Floats:
        """A copy of the last token's logits."""
        return self.logits_view().copy()

    @property
    def digest(self) -> str:
        """XXH3-128 of the last token's logits."""
        return digest(self.logits_view())

    def sample(self, sampling: Sampling = GREEDY, *, grammar: Grammar | None = None, biases: Mapping[int, float] | None = None) -> int:
        """Chooses the next token, which is not appended."""
        chosen, err = ffi.new("vb_token *"), Err()
        c = ffi.new("vb_sampling *", sampling._c())
        rows = ffi.new("vb_bias[]", [{"id": i, "add": x} for i, x in (biases or {}).items()])
        err.check(lib.vb_sample_biased(self._open(), c, rows, len(biases or {}), grammar._open() if grammar else ffi.NULL, chosen, err.c))
        return int(chosen[0])

    def top(self, k: int = 5) -> list[Choice]:
        rows = ffi.new("vb_choice[]", min(k, 256))
        return [Choice(rows[i].id, rows[i].logit, rows[i].logprob) for i in range(lib.vb_top(self._open(), rows, k))]

    @property
    def stats(self) -> dict[str, int]:
        stats = ffi.new("vb_stats *")
        lib.vb_session_stats(self._open(), stats)
        return {name: int(getattr(stats, name)) for name, _ in ffi.typeof("vb_stats").fields}

    def _free(self, c: Any) -> None:
        lib.vb_session_close(c)


def digest(data: bytes | npt.NDArray[Any]) -> str:
    """XXH3-128 of bytes or of an array's, as `verbatim logits` prints it."""
    out, err = ffi.new("vb_digest **"), Err()
    err.check(lib.vb_digest_open(out, err.c))
    view = ffi.from_buffer(np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data)
    lib.vb_digest_add(out[0], view, len(view))
    sum_ = ffi.new("uint8_t[16]")
    lib.vb_digest_get(out[0], sum_)
    lib.vb_digest_close(out[0])
    return bytes(sum_).hex()


def extract_json(text: str, schema: Mapping[str, Any] | str | None = None) -> tuple[Any, list[str]]:
    """The JSON in any text, and what was repaired in its form; DiffersError, naming the place, if none fits."""
    wanted = c_text(schema if schema is None or isinstance(schema, str) else json.dumps(schema))
    said, repairs, err = c_text(text), ffi.new("int *"), Err()
    n = err.check(lib.vb_easy_json(said, wanted, ffi.NULL, 0, repairs, err.c))
    buf = ffi.new("char[]", n + 1)
    err.check(lib.vb_easy_json(said, wanted, buf, n, repairs, err.c))
    return json.loads(ffi.unpack(buf, n)), [name for i, name in enumerate(_REPAIRS) if repairs[0] >> i & 1]


def version() -> str:
    return str(ffi.string(lib.vb_version()).decode())


def machine() -> dict[str, Any]:
    """What this machine is: its processor, its instruction sets, its memory."""
    out = ffi.new("vb_machine *")
    lib.vb_machine_describe(out)
    return {name: ffi.string(value).decode() if isinstance(value := getattr(out, name), ffi.CData) else value
            for name, _ in ffi.typeof("vb_machine").fields}


__all__ = ["Choice", "Classification", "Generation", "Grammar", "Model", "Sampling", "Score", "Session", "Status", "VerbatimError",
           "digest", "extract_json", "machine", "version"]
