#!/usr/bin/env python3
"""build_wheel.py LIBRARY OUT - a wheel that carries the shared library and all it needs beyond the C library.

Nothing is compiled where it is installed: cffi reads the declarations (declarations.py), which become a module here, and opens the
library at run time. The libraries that ours needs lie beside it and are found by its run path, $ORIGIN. The same inputs give the
same bytes.
"""
import base64
import hashlib
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

import cffi

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import declarations  # noqa: E402

SYSTEM = re.compile(r"(linux-vdso|ld-linux.*|libc|libm|libpthread|libdl|librt|libgcc_s)(-[\d.]+)?\.so(\.\d+)?$")


def interface() -> bytes:
    ffi = cffi.FFI()
    ffi.cdef(declarations.plain())
    ffi.set_source("verbatim._ffi", None)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "_ffi.py"
        ffi.emit_python_code(str(path))
        return path.read_bytes()


def needed(library: pathlib.Path) -> list[pathlib.Path]:
    """What the dynamic linker would load besides, without the system's own."""
    lines = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for line in lines:
        name, _, rest = line.strip().partition(" => ")
        if rest.startswith("not found"):
            sys.exit(f"build_wheel.py: {name}: expected a library, found none")
        if rest and not SYSTEM.match(name):
            found.append(pathlib.Path(rest.split(" ")[0]))
    return sorted(found)


def contents(library: pathlib.Path, version: str) -> dict[str, bytes]:
    files = {f"verbatim/{p.name}": p.read_bytes() for p in sorted((HERE / "verbatim").iterdir()) if p.suffix in (".py", ".typed")}
    files["verbatim/_ffi.py"] = interface()
    files["verbatim/_lib/libverbatim.so.0"] = library.read_bytes()
    for path in needed(library):
        files[f"verbatim/_lib/{path.name}"] = path.read_bytes()
    info = f"verbatim-{version}.dist-info"
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: verbatim\nVersion: {version}\nSummary: Runs language models so that the same input gives the "
        "same bits\nLicense: Apache-2.0\nRequires-Python: >=3.9\nRequires-Dist: cffi>=1.15\nRequires-Dist: numpy>=1.21\n"
        "Description-Content-Type: text/markdown\n\n" + (HERE / "README.md").read_text()).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: verbatim\nRoot-Is-Purelib: false\nTag: {tag()}\n".encode()
    files[f"{info}/LICENSE"] = (HERE.parent.parent / "LICENSE").read_bytes()
    return files


def tag() -> str:
    return "py3-none-" + re.sub(r"[-.]", "_", sysconfig.get_platform())


def write(path: pathlib.Path, files: dict[str, bytes], record: str) -> None:
    rows = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            sum_ = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={sum_},{len(data)}\n")
            wheel.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
        wheel.writestr(zipfile.ZipInfo(record, (2026, 1, 1, 0, 0, 0)), "".join(rows) + f"{record},,\n", zipfile.ZIP_DEFLATED)


def main() -> None:
    library, out = map(pathlib.Path, sys.argv[1:3])
    version = re.search(r'#define VB_VERSION "(.*)"', (declarations.INCLUDE / "verbatim.h").read_text())[1]
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"verbatim-{version}-{tag()}.whl"
    unfinished = path.with_suffix(".part")
    write(unfinished, contents(library, version), f"verbatim-{version}.dist-info/RECORD")
    unfinished.rename(path)
    print(path)


if __name__ == "__main__":
    main()
