#!/usr/bin/env python3
"""devices.py BUILD [NAME...] - `verbatim devices`: a device that computes our bits is qualified, one that computes a single
operation otherwise is refused and the operation named, and a machine without one is told so.

tests/shims/vulkan.c stands between the program and the real loader and has each shader changed on its way to the driver.
"""
import json
import os
import pathlib
import subprocess
import sys

import each
import scratch

BUILD = pathlib.Path(sys.argv[1]).resolve()
VERBATIM, SHIM = BUILD / "verbatim", BUILD / "tests/shims/vulkan.so"
WORK = scratch.folder("devices")
# What the driver keeps until the process ends is its own; the shim keeps its library there, so that it can be told.
SUPPRESSED = WORK / "leaks"
SUPPRESSED.write_text("leak:libvulkan\nleak:libLLVM\nleak:libdrm\n")
ENV = {**os.environ, "XDG_CACHE_HOME": str(WORK), "LSAN_OPTIONS": f"suppressions={SUPPRESSED}:print_suppressions=0"}
if b"__asan" in VERBATIM.read_bytes(): ENV["VERBATIM_VULKAN"] = str(SHIM)

# What the device does otherwise, and all that is refused for it.
LIES = {
    "operation=129:131": "x + y",  # sums are differences
    "operation=131:129": "x - y",
    "operation=133:129": "x * y",
    "operation=111:112": "int to float",  # of unsigned ones
    "operation=194:195": "square root by integers",  # shifts that keep the sign
    "operation=132:128": "a sum of products",
    "operation=134:135": "softcap",  # divisions of signed ones
    "operation=239:237": None,  # nobody asks for the largest: nothing changes
    "operation=237:239": "the first that is not finite",
    "constant=21800000:21800001": "guard",
    "constant=33800000:33800001": "from half",
    "constant=477ff000:477fe000": "to half at edges",
    "constant=4b400000:4b400001": "round",
    "constant=7ef311c7:7ef311c6": "recip",
    "constant=3e2aaaaa:3e2aaaab": "exp",
    "constant=42200000:42200001": "exp",
    "constant=3d372713:3d372714": "gelu_tanh",
    "constant=3eaaaaab:3eaaaabb": "tanh",
    "constant=3e4cceac:3e4ccead": "log",
    "constant=41a00000:41000000": "softplus",
    "constant=3de71742:3de71743": "erf",
    "constant=7d:7e": "division by integers",
}


def devices(*args, code=0, **env):
    done = subprocess.run([VERBATIM, "devices", *args], capture_output=True, env={**ENV, **env}, text=True)
    assert done.returncode == code and "Sanitizer" not in done.stderr, f"exit {done.returncode}: {done.stderr}"
    return done


def listed(**env):
    return json.loads(devices("--json", **env).stdout)


def some():
    if b"vkGetInstanceProcAddr" not in SHIM.read_bytes(): raise each.Skip("built without Vulkan's headers")
    found = listed()["devices"]
    if not found: raise each.Skip("no device")
    return found


def lied(shim):
    return listed(VERBATIM_VULKAN=str(SHIM), VULKAN_SHIM=shim)["devices"]


def test_no_loader():
    found = listed(VERBATIM_VULKAN="/none/libvulkan.so")
    if "this build has no Vulkan" in found["none"]: raise each.Skip("built without Vulkan's headers")
    assert found["devices"] == [] and "/none/libvulkan.so" in found["none"], found
    done = devices(VERBATIM_VULKAN="/none/libvulkan.so")
    assert done.stdout == "" and done.stderr.count("\n") == 1 and "/none/libvulkan.so" in done.stderr, done.stderr


def test_no_driver():
    some()
    done = devices(VK_ICD_FILENAMES="/none.json", VK_DRIVER_FILES="/none.json")
    assert done.stdout == "" and done.stderr.count("\n") == 1 and "no driver" in done.stderr, done.stderr


def test_list():
    found = some()
    assert [d["index"] for d in found] == list(range(len(found))), found
    for d in found:
        assert d["name"] and d["driver"] and d["memory_bytes"] > 0, d
        assert d["type"] in ("discrete", "integrated", "virtual", "cpu", "other"), d
        assert d["qualified"] == (d["why"] is None), d
    lines = devices().stdout.splitlines()
    assert len(lines) == 1 + len(found) and all(d["name"] in line for d, line in zip(found, lines[1:])), lines


def test_honest():
    """Devices of processors are known to compute as processors do; others are for people to look at."""
    for d in some(): assert d["qualified"] or d["type"] != "cpu", d


def test_shim_changes_nothing():
    before = [{**d, "free_bytes": None} for d in some()]
    assert before == [{**d, "free_bytes": None} for d in lied("")]


def look_for_lies(lies):
    for d in some():
        if not d["qualified"]: raise each.Skip("a device is refused as it is")
    for shim in lies:
        for d in lied(shim):
            if LIES[shim] is None:
                assert d["qualified"], (shim, d)
                continue
            assert not d["qualified"] and f"it does not compute {LIES[shim]} as" in d["why"], (shim, d["why"])


def test_some_lies(): look_for_lies(["operation=133:129", "constant=3e2aaaaa:3e2aaaab"])


def test_all_lies(): look_for_lies(LIES)


def test_floats():
    """What the driver does not promise is not asked, and is said; what it promises has to be so."""
    for d in some():
        if d["type"] != "cpu": raise each.Skip("the host's modes are not the device's")
    for d in lied("norte,nozeros"): assert d["qualified"] and not any(d["floats"].values()), d
    for d in lied("ftz"): assert d["qualified"] and not d["floats"]["subnormals"], d
    for d in lied("subnormals"): assert d["qualified"] and d["floats"]["subnormals"], d
    for d in lied("subnormals,ftz"): assert "does not compute x + y at edges as" in (d["why"] or ""), d


def test_doctor():
    found = some()
    done = subprocess.run([VERBATIM, "doctor", "--json"], capture_output=True, env=ENV, text=True, check=True)
    assert [d["name"] for d in json.loads(done.stdout)["devices"]] == [d["name"] for d in found]


sys.exit(each.run(globals(), sys.argv[2:]))
