"""scratch.py - a folder for what a test file makes; it is gone when the process ends."""
import atexit
import pathlib
import shutil
import tempfile


def folder(name):
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"verbatim-{name}-"))
    atexit.register(shutil.rmtree, path, True)
    return path
