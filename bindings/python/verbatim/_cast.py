"""Characters that say the same line in every replay."""
from __future__ import annotations

import dataclasses
import json
from typing import Any, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from ._library import Err, Owner, c_text, ffi, lib, text_of

_ENDS = ("sentence", "line", "regex", "length", "token", "grammar", "fallback")


@dataclasses.dataclass(frozen=True)
class Key:
    """All that is random about a line follows from this. `entity` is a number, or a name that stands for one."""

    world: int = 0
    entity: int | str = 0
    tick: int = 0
    draw: int = 0

    def _c(self) -> Any:
        number = self.entity if isinstance(self.entity, int) else entity_id(self.entity)
        return {"world": self.world, "entity": number, "tick": self.tick, "draw": self.draw}


@dataclasses.dataclass(frozen=True)
class Line:
    """`end`: "sentence", "line", "regex", "length", "token", "grammar" or "fallback"."""

    key: Key
    persona: str | None
    text: str
    end: str
    attempts: int
    prompt_tokens: int
    tokens: int
    baked: bool


def entity_id(name: str) -> int:
    data = name.encode()
    return int(lib.vb_entity_id(data, len(data)))


def line_words(key: Key, n: int) -> npt.NDArray[np.uint32]:
    """The random words of a line's positions 0 to n - 1."""
    out = np.empty(n, np.uint32)
    lib.vb_line_words(ffi.new("vb_line_key *", key._c()), ffi.from_buffer("uint32_t[]", out, require_writable=True), n)
    return out


class Cast(Owner):
    """A model with personas. `description` is JSON (or a dict) as docs/DIALOGUE.md has it; None: one villager on "tales-1m"."""

    def __init__(self, description: Mapping[str, Any] | str | None = None, *, threads: int = 0) -> None:
        text = description if description is None or isinstance(description, str) else json.dumps(description)
        data = None if text is None else text.encode()
        out, err = ffi.new("vb_cast **"), Err()
        how = ffi.new("vb_model_opts *", {"threads": threads})
        err.check(lib.vb_cast_open_json(out, ffi.NULL if data is None else data, len(data or b""), how, err.c))
        self._c = out[0]

    def _request(self, key: Key, text: str | None, persona: str | None, facts: Mapping[str, str] | None) -> tuple[Any, Any]:
        rows = [(c_text(name), c_text(value)) for name, value in (facts or {}).items()]
        keep = [rows, ffi.new("vb_fact[]", rows), c_text(text), c_text(persona)]
        return ffi.new("vb_line_request *", {"key": key._c(), "persona": keep[3], "text": keep[2], "facts": keep[1],
                                             "n_facts": len(rows)}), keep

    def _line(self, c: Any) -> Line:
        text = ffi.unpack(c.text, c.len).decode("utf-8", "replace")
        if c.failed:
            err = Err()
            err.c.text = text.encode()[:500]
            err.check(c.failed)
        k = c.key
        return Line(Key(k.world, k.entity, k.tick, k.draw), text_of(c.persona), text, _ENDS[c.end], c.attempts, c.prompt_tokens,
                    c.tokens, bool(c.baked))

    def say(self, key: Key, text: str | None = None, *, persona: str | None = None, facts: Mapping[str, str] | None = None) -> Line:
        """One line, now."""
        request, _keep = self._request(key, text, persona, facts)
        out, err = ffi.new("vb_line *"), Err()
        err.check(lib.vb_cast_say(self._open(), request, out, err.c))
        return self._line(out)

    def request(self, key: Key, text: str | None = None, *, persona: str | None = None, facts: Mapping[str, str] | None = None) -> None:
        """Asks for a line that `step` will speak."""
        request, _keep = self._request(key, text, persona, facts)
        err = Err()
        err.check(lib.vb_cast_request(self._open(), request, err.c))

    def step(self, *, max_tokens: int = 0, milliseconds: float = 0) -> int:
        """Speaks for all that wait, until so many tokens or so much time; returns how many lines are not finished."""
        err = Err()
        deadline = lib.vb_cast_now() + int(milliseconds * 1e6) if milliseconds > 0 else 0
        return int(err.check(lib.vb_cast_step(self._open(), max_tokens, deadline, err.c)))

    def collect(self) -> Iterator[Line]:
        """The lines that are finished."""
        out = ffi.new("vb_line *")
        while lib.vb_cast_collect(self._open(), out):
            yield self._line(out)

    def cancel(self, key: Key) -> bool:
        return bool(lib.vb_cast_cancel(self._open(), ffi.new("vb_line_key *", key._c())))

    def remember(self, entity: int | str, tick: int, text: str) -> None:
        """Adds to what an entity remembers by itself."""
        data, err = text.encode(), Err()
        err.check(lib.vb_cast_remember(self._open(), Key(entity=entity)._c()["entity"], tick, data, len(data), err.c))

    def forget(self, entity: int | str) -> None:
        lib.vb_cast_forget(self._open(), Key(entity=entity)._c()["entity"])

    def save(self) -> bytes:
        """All that waits, is half spoken, finished or remembered."""
        err = Err()
        n = err.check(lib.vb_cast_save(self._open(), ffi.NULL, 0, err.c))
        buf = ffi.new("char[]", n + 1)
        n = err.check(lib.vb_cast_save(self._open(), buf, n, err.c))
        return bytes(ffi.buffer(buf, n))

    def restore(self, saved: bytes) -> None:
        err = Err()
        err.check(lib.vb_cast_restore(self._open(), saved, len(saved), err.c))

    @property
    def digest(self) -> str:
        """Of all that decides what lines say."""
        out, err = ffi.new("uint8_t[32]"), Err()
        err.check(lib.vb_cast_digest(self._open(), out, err.c))
        return bytes(out).hex()

    def _free(self, c: Any) -> None:
        lib.vb_cast_close(c)


__all__ = ["Cast", "Key", "Line", "entity_id", "line_words"]
