"""The shared library: where it is, and what a failure of it becomes here."""
from __future__ import annotations

import os
import pathlib
from typing import Any, Mapping, NoReturn, Sequence, TypeVar

from . import _ffi  # made from the public headers when the wheel is built

ffi: Any = _ffi.ffi
_NAME = "libverbatim.so.0"


def _open() -> Any:
    """$VERBATIM_LIBRARY, or the one inside the package, or the system's."""
    inside = pathlib.Path(__file__).parent / "_lib" / _NAME
    named = os.environ.get("VERBATIM_LIBRARY")
    path = named or (str(inside) if inside.exists() else _NAME)
    try:
        return ffi.dlopen(path)
    except OSError as error:
        raise ImportError(f"verbatim: cannot load {path}: {error}") from error


lib = _open()


class VerbatimError(Exception):
    """Something failed. `code` is a vb_status, below 0; `status` is its name."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.status: str = ffi.string(lib.vb_status_name(code)).decode()

    def __reduce__(self) -> Any:
        return type(self), (self.code, str(self)), self.__dict__


class InputOutputError(VerbatimError, OSError):
    """Reading or writing failed."""


class FormatError(VerbatimError, ValueError):
    """A file or text is not what it claims to be."""


class UnsupportedError(VerbatimError, NotImplementedError):
    """Valid, but this build or machine cannot do it."""


class OutOfMemoryError(VerbatimError, MemoryError):
    """There is not enough memory."""


class ArgumentError(VerbatimError, ValueError):
    """A mistake of the caller."""


class FullError(VerbatimError):
    """The context has no room for these tokens."""


class StoppedError(VerbatimError):
    """The call was cancelled."""


class DiffersError(VerbatimError):
    """A comparison found a difference, or a text does not fit."""


class NotFoundError(VerbatimError, LookupError):
    """No such file, model, key or tensor."""


_CLASSES = {-1: InputOutputError, -2: FormatError, -3: UnsupportedError, -4: OutOfMemoryError, -5: ArgumentError, -6: FullError,
            -7: StoppedError, -8: DiffersError, -9: NotFoundError}


class Err:
    """A vb_err to be passed, and to be raised from."""

    def __init__(self) -> None:
        self.c = ffi.new("vb_err *")

    def check(self, status: int) -> int:
        """The status or count if it is one, otherwise its exception."""
        if status >= 0:
            return status
        text = ffi.string(self.c.text).decode("utf-8", "replace") or ffi.string(lib.vb_status_name(status)).decode()
        raise _CLASSES.get(int(status), VerbatimError)(int(status), text)


_Owner = TypeVar("_Owner", bound="Owner")


class Owner:
    """Has something of the library for its own, `_c`, until `close`, the end of a `with`, or until nobody holds it any more."""

    _c: Any = None

    def _free(self, c: Any) -> None:
        raise NotImplementedError

    def _open(self) -> Any:
        if self._c is None:
            raise ArgumentError(-5, f"{type(self).__name__}: expected an open one, found a closed one")
        return self._c

    def close(self) -> None:
        """Gives it back; it cannot be used any more."""
        c, self._c = self._c, None
        if c is not None:
            self._free(c)

    def __enter__(self: _Owner) -> _Owner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__}: cannot be copied or pickled")


def one_of(words: Mapping[Any, int], what: str, word: Any) -> int:
    if word not in words:
        raise ArgumentError(-5, f"{what}: expected one of {', '.join(str(w) for w in words)}, found {word}")
    return words[word]


def text_of(pointer: Any) -> str | None:
    return None if pointer == ffi.NULL else str(ffi.string(pointer).decode("utf-8", "replace"))


def c_text(text: str | None) -> Any:
    """A C string; a NUL inside would cut it."""
    if text is None:
        return ffi.NULL
    data = text.encode()
    if b"\0" in data:
        raise ValueError("expected text without NUL, found one")
    return ffi.new("char[]", data)


def c_texts(what: str, texts: Sequence[str]) -> list[Any]:
    """C strings; a text alone is not taken for a list of its letters."""
    if isinstance(texts, str):
        raise ArgumentError(-5, f"{what}: expected a list of texts, found a text")
    return [c_text(text) for text in texts]
