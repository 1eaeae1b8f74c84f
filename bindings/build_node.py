#!/usr/bin/env python3
"""build_node.py LIBRARY OUT - the folder of the Node package: its sources, abi.json, the library and all it needs."""
import json
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "python")]
import build_wheel  # noqa: E402
import declarations  # noqa: E402


def main() -> None:
    library, out = map(pathlib.Path, sys.argv[1:3])
    shutil.rmtree(out, ignore_errors=True)
    (out / "lib").mkdir(parents=True)
    for path in (HERE / "node").iterdir():
        if path.is_file():
            shutil.copy(path, out)
    shutil.copy(HERE.parent / "LICENSE", out)
    shutil.copy(library, out / "lib" / "libverbatim.so.0")
    for path in build_wheel.needed(library):
        shutil.copy(path, out / "lib")
    (out / "abi.json").write_text(json.dumps(declarations.table()) + "\n")


if __name__ == "__main__":
    main()
