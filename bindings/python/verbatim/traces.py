"""Recordings: made, compared, replayed, proved."""
from __future__ import annotations

import dataclasses
import os
from typing import Any

from ._library import DiffersError, Err, Owner, c_text, ffi, lib, text_of
from ._model import GREEDY, Sampling, Session


@dataclasses.dataclass(frozen=True)
class Difference:
    """Where two recordings part: `record` 0 is the header, then one a token."""

    record: int
    position: int
    field: str
    a: str
    b: str


@dataclasses.dataclass(frozen=True)
class Verified:
    """A proved trace: how many tokens were given, chosen, and computed again; its digest; who signed it, if that was asked."""

    given: int
    chosen: int
    checked: int
    ended: bool
    digest: str


class TraceDiffers(DiffersError):
    """A trace is not what it says, or not what another is; `difference` says where."""

    difference: Difference


def _differs(diff: Any, error: DiffersError) -> TraceDiffers:
    raised = TraceDiffers(error.code, str(error))
    raised.difference = Difference(diff.record, diff.position, text_of(diff.field) or "", text_of(diff.a) or "", text_of(diff.b) or "")
    return raised


class Trace(Owner):
    """Records what a session chooses from now on, into a new file. For tokens that are chosen by hand: `add` each one before it is
    evaluated. `Model.generate(trace=path)` does all of it."""

    def __init__(self, path: str | os.PathLike[str], session: Session, *, sampling: Sampling = GREEDY, top: int = 0,
                 prompt: str | None = None) -> None:
        self._session = session
        said = c_text(prompt)
        out, err = ffi.new("vb_trace **"), Err()
        opts = ffi.new("vb_trace_opts *", {"top": top, "sampling": sampling._c(), "prompt": said})
        err.check(lib.vb_trace_open(out, c_text(os.fspath(path)), session._open(), opts, err.c))
        self._c = out[0]

    def add(self, token: int) -> None:
        err = Err()
        err.check(lib.vb_trace_add(self._open(), self._session._open(), token, err.c))

    @property
    def digest(self) -> str:
        """The last link of its chain."""
        out = ffi.new("uint8_t[32]")
        lib.vb_trace_digest(self._open(), out)
        return bytes(out).hex()

    def _free(self, c: Any) -> None:
        err = Err()
        err.check(lib.vb_trace_close(c, err.c))


def diff(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Difference | None:
    """The first difference of two traces; None: they are equal."""
    out, err = ffi.new("vb_diff *"), Err()
    try:
        err.check(lib.vb_trace_diff(c_text(os.fspath(a)), c_text(os.fspath(b)), out, err.c))
    except DiffersError as error:
        return _differs(out, error).difference
    return None


def replay(path: str | os.PathLike[str], *, model: str | None = None, threads: int = 0, isa: str | None = None) -> int:
    """Runs a trace again and compares every bit; returns the number of records. TraceDiffers if one differs."""
    out, err = ffi.new("vb_diff *"), Err()
    keep = c_text(isa)
    opts = ffi.new("vb_model_opts *", {"threads": threads, "isa": keep})
    try:
        err.check(lib.vb_trace_replay(c_text(os.fspath(path)), c_text(model), opts, out, err.c))
    except DiffersError as error:
        raise _differs(out, error) from None
    return int(out.records)


def verify(path: str | os.PathLike[str], *, model: str | None = None, sample: int = 0, seed: int = 0,
           signer: bytes | None = None) -> Verified:
    """Proves a trace by computing it again, without trust in who recorded it. TraceDiffers if it is not true."""
    out, err = ffi.new("vb_verified *"), Err()
    if signer is not None and len(signer) != 32:
        raise ValueError(f"signer: expected 32 bytes, found {len(signer)}")
    named, key = c_text(model), ffi.new("uint8_t[]", signer) if signer is not None else ffi.NULL
    how = ffi.new("vb_trace_verify_opts *", {"model": named, "sample": sample, "seed": seed, "signer": key})
    try:
        err.check(lib.vb_trace_verify(c_text(os.fspath(path)), how, ffi.NULL, out, err.c))
    except DiffersError as error:
        raise _differs(out.diff, error) from None
    return Verified(out.given, out.chosen, out.checked, bool(out.ended), bytes(out.digest).hex())


__all__ = ["Difference", "Trace", "TraceDiffers", "Verified", "diff", "replay", "verify"]
