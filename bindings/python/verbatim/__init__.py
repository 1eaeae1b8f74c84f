"""verbatim - run language models so that the same input gives the same bits.

    import verbatim
    with verbatim.Model("smollm2") as model:
        for piece in model.prompt("Why is the sky blue?", max_tokens=60):
            print(piece, end="", flush=True)
"""
from . import traces
from ._cast import Cast, Key, Line, entity_id, line_words
from ._library import (ArgumentError, DiffersError, FormatError, FullError, InputOutputError, NotFoundError, OutOfMemoryError,
                       StoppedError, UnsupportedError, VerbatimError)
from ._model import (Choice, Classification, Generation, Grammar, Model, Sampling, Score, Session, Status, digest, extract_json,
                     machine, version)

__version__ = version()
__all__ = ["ArgumentError", "Cast", "Choice", "Classification", "DiffersError", "FormatError", "FullError", "Generation", "Grammar",
           "InputOutputError", "Key", "Line", "Model", "NotFoundError", "OutOfMemoryError", "Sampling", "Score", "Session", "Status", "StoppedError",
           "UnsupportedError", "VerbatimError", "digest", "entity_id", "extract_json", "line_words", "machine", "traces", "version"]
