#!/usr/bin/env python3
"""second_driver.py BUILD [COMMAND...] - the same bits on another implementation of Vulkan: SwiftShader, which comes with
Debian's chromium and is no relative of Mesa. Where it is not installed, that is said. With a COMMAND, that is run on it.

It keeps no subnormals, promises no rounding to nearest, has sub-groups of 4, binds at multiples of 256 bytes.
"""
import glob
import json
import os
import pathlib
import subprocess
import sys

import each

VERBATIM = pathlib.Path(sys.argv[1]).resolve() / "verbatim"
MODEL = "tests/golden/quant/q-gemma3-mix-Q4_K_M"
PLACES = ("/usr/lib/chromium", "/usr/lib/chromium-browser", "/usr/lib/*/chromium", "/opt/google/chrome")
FOUND = [path for place in PLACES for path in glob.glob(place + "/vk_swiftshader_icd.json")]
MESA = glob.glob("/usr/share/vulkan/icd.d/lvp_icd*.json")


def call(*args, drivers=FOUND[:1], **env):
    files = ":".join(drivers)
    env = {**os.environ, "VK_ICD_FILENAMES": files, "VK_DRIVER_FILES": files, **env}
    done = subprocess.run([VERBATIM, *args], capture_output=True, env=env, text=True, timeout=300)
    assert done.returncode == 0, f"{args}: exit {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


def logits(*args, **more):
    return call("logits", MODEL + "/model.gguf", "--tokens-file", MODEL + "/tokens.json", "--json", *args, **more)


def test_same_bits():
    """Every step there; a part of the name in any case says which of two devices that is."""
    done = logits("--player", "vulkan", "--device", "swiftSHADER", drivers=MESA[:1] + FOUND[:1])
    assert "SwiftShader" in done["gpu"]["device"] and done["gpu"]["cpu_rows"] == 0, done
    assert done["digest"] == logits()["digest"], done


def test_the_other_of_two():
    if not MESA: raise each.Skip("Mesa's is not installed")
    done = logits("--gpu-layers", "1", "--device", "LLVMpipe", drivers=FOUND[:1] + MESA[:1])
    assert "llvmpipe" in done["gpu"]["device"] and done["digest"] == logits()["digest"], done


def test_the_one_that_works():
    """Nobody says which: a device that cannot be started is left for one that can."""
    if not MESA: raise each.Skip("Mesa's is not installed")
    shim = {"VERBATIM_VULKAN": str(VERBATIM.parent / "tests/shims/vulkan.so"), "VULKAN_SHIM": "discrete,old=SwiftShader"}
    done = logits("--gpu-layers", "1", drivers=FOUND[:1] + MESA[:1], **shim)
    assert done["gpu"] and "llvmpipe" in done["gpu"]["device"], done


def main():
    if not FOUND:
        print(f"SwiftShader is not installed: no vk_swiftshader_icd.json in {', '.join(PLACES)}\n0 passed, 0 failed")
        return 0
    if len(sys.argv) > 2:
        os.environ.update(VK_ICD_FILENAMES=FOUND[0], VK_DRIVER_FILES=FOUND[0])
        os.execvp(sys.argv[2], sys.argv[2:])
    if "loader" not in call("devices", "--json", VERBATIM_VULKAN="/none")["none"]:
        print("built without Vulkan's headers\n0 passed, 0 failed")
        return 0
    return each.run(globals())


if __name__ == "__main__":
    sys.exit(main())
