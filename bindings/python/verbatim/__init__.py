"""verbatim - run language models so that the same input gives the same bits.

    import verbatim
    with verbatim.Model("smollm2") as model:
        for piece in model.prompt("Why is the sky blue?", max_tokens=60):
            print(piece, end="", flush=True)
"""
from . import traces
from ._library import (ArgumentError, DiffersError, FormatError, FullError, InputOutputError, NotFoundError, OutOfMemoryError,
                       StoppedError, UnsupportedError, VerbatimError)
from ._model import (Choice, Classification, Generation, Grammar, Model, Sampling, Score, Session, Status, digest, extract_json,
                     machine, version)

__version__ = version()
__all__ = ["ArgumentError", "Choice", "Classification", "DiffersError", "FormatError", "FullError", "Generation", "Grammar",
           "InputOutputError", "Model", "NotFoundError", "OutOfMemoryError", "Sampling", "Score", "Session", "Status", "StoppedError",
           "UnsupportedError", "VerbatimError", "digest", "extract_json", "machine", "traces", "version"]
