#!/usr/bin/env python3
"""gpu_layers.py VERBATIM SHIM - what --gpu-layers, --gpu-budget, --gpu-verify and --player vulkan mean: which layers a device
has, who computed how much, what is said, and with which exit code. Where there is no device, what is said of that.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

import each

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM, SHIM = (str(pathlib.Path(arg).resolve()) for arg in sys.argv[1:3])
GEMMA = ROOT / "tests/golden/quant/q-gemma3-mix-Q4_K_M/model.gguf"  # 6 layers
TOKENS = ["--tokens", "2,10,20,30,40"]
DEVICE = ["--device", "llvmpipe"]


def run(*args, code=0, shim=None, loader=None):
    environment = dict(os.environ)
    if shim is not None:
        environment |= {"VERBATIM_VULKAN": SHIM, "VULKAN_SHIM": shim}
    if loader is not None:
        environment["VERBATIM_VULKAN"] = loader
    done = subprocess.run([VERBATIM, *map(str, args)], capture_output=True, env=environment, text=True, errors="replace")
    assert done.returncode == code, (args, done)
    return done.stdout, done.stderr


def logits(*options, **how):
    out, said = run("logits", GEMMA, *TOKENS, "--json", *options, **how)
    return json.loads(out), said


ALONE = logits()[0]
HAS_DEVICE = logits("--gpu-layers", "1", *DEVICE)[0]["gpu"] is not None


def test_texts_that_name_no_layers():
    for text in "", "x", "5-3", "0-6", "6-6", "1,", ",1", "1-", "output,", "1 2", "-1", "all,1", "99999999999999999999":
        _, said = run("logits", GEMMA, *TOKENS, "--gpu-layers=" + text, code=2)
        assert "layers from 0 to 5" in said and f'"{text}"' in said, said


def test_texts_that_ask_for_no_device():
    for option, value in ("--device", "0"), ("--gpu-verify", "1"), ("--gpu-budget", "5"):
        _, said = run("logits", GEMMA, *TOKENS, option, value, code=2)
        assert "expected --gpu-layers or --player vulkan" in said and said.count("\n") == 1, said


def test_without_a_device():
    assert ALONE["gpu"] is None
    found, said = logits("--gpu-layers", "all", loader="/nowhere/lib.so")
    assert found == ALONE and said.count("\n") == 1 and "the CPU computes all layers" in said, said
    _, said = run("logits", GEMMA, *TOKENS, "--player", "vulkan", code=3, loader="/nowhere/lib.so")
    assert said.count("\n") == 1 and "/nowhere/lib.so" in said, said
    assert logits("--gpu-layers", "0", loader="/nowhere/lib.so") == (ALONE, "")
    run("logits", GEMMA, *TOKENS, "--player", "oracle", "--gpu-layers", "1", code=3)


def test_which_layers():
    if not HAS_DEVICE:
        raise each.Skip
    _, said = logits("--gpu-layers", "all", "--device", "4294967296")  # not the first one, 2^32 further
    assert 'expected a device "4294967296"' in said, said
    for text, layers, parts in [("all", 6, "layers 0-5, the input and the output"), ("2", 2, "layers 4-5 and the output"),
                                ("77", 6, "layers 0-5 and the output"), ("0-1,4", 3, "layers 0-1, 4"),
                                ("3-3,output", 1, "layers 3 and the output"), ("output", 0, "the output")]:
        found, said = logits("--gpu-layers", text, *DEVICE)
        gpu = found["gpu"]
        assert found["digest"] == ALONE["digest"] and gpu["layers"] == layers, (text, found)
        assert re.search(rf": {parts}: weights [\d.]+ MB", said), (text, said)
        sections = layers + ("input" in parts) + ("output" in parts)
        assert (gpu["rows"], gpu["cpu_rows"]) == (5 * sections, 5 * (8 - sections)), (text, gpu)


def test_player_vulkan_takes_all():
    if not HAS_DEVICE:
        raise each.Skip
    found, _ = logits("--player", "vulkan")
    assert found["digest"] == ALONE["digest"] and found["gpu"]["cpu_rows"] == 0, found
    _, said = run("logits", ROOT / "tests/golden/qwen35/model.gguf", "--tokens", "1", "--player", "vulkan", code=3)
    assert "found none of" in said, said


def test_a_budget_is_kept():
    if not HAS_DEVICE:
        raise each.Skip
    found, said = logits("--gpu-layers", "auto", "--gpu-budget", "2", *DEVICE, shim="noimport")
    assert found["digest"] == ALONE["digest"] and 0 < found["gpu"]["layers"] < 6, found
    assert found["gpu"]["bytes"] <= 2 << 20 and "the CPU computes the rest" in said, (found, said)
    found, _ = logits("--gpu-layers", "all", *DEVICE, shim="discrete")  # what weights were copied through has been given back
    assert found["digest"] == ALONE["digest"] and found["gpu"]["bytes"] < 14 << 20, found


def test_a_server_says_what_a_device_holds():
    if not HAS_DEVICE:
        raise each.Skip
    with tempfile.TemporaryDirectory() as folder:
        settings = {"VERBATIM_MODELS": folder, "OLLAMA_MODELS": folder + "/none", "HOME": folder, "VULKAN_SHIM": "noimport"}
        env = os.environ | settings | {"VERBATIM_VULKAN": SHIM}
        modelfile = pathlib.Path(folder, "Modelfile")
        modelfile.write_text(f"FROM {GEMMA}\n")
        subprocess.run([VERBATIM, "create", "m", "-f", modelfile], env=env, check=True, capture_output=True)
        for options, least in ([], 0), (["--gpu-layers", "all", *DEVICE], 1 << 20):
            with subprocess.Popen([VERBATIM, "serve", "--port", "0", *options], env=env, stderr=subprocess.PIPE, text=True) as server:
                url = re.search(r"http://[\d.:]+", server.stderr.readline())[0]
                body = {"model": "m", "prompt": "a", "raw": True, "stream": False, "options": {"num_predict": 2}}
                request = urllib.request.Request(url + "/api/generate", json.dumps(body).encode())
                urllib.request.urlopen(request, timeout=100).read()
                held = json.load(urllib.request.urlopen(url + "/api/ps", timeout=20))["models"][0]
                server.terminate()
                server.communicate(timeout=60)
            assert server.returncode == 0 and least <= held["size_vram"] <= held["size"], held
            assert (held["size_vram"] > 0) == (least > 0), held


def test_a_wrong_number_is_found():
    if not HAS_DEVICE:
        raise each.Skip
    found, _ = logits("--gpu-layers", "all", "--gpu-verify", "1", *DEVICE)
    assert found["digest"] == ALONE["digest"] and found["gpu"]["cpu_rows"] == 0, found
    seen = 0
    for dispatch in 90, 120, 150:
        done = subprocess.run([VERBATIM, "logits", GEMMA, *TOKENS, "--gpu-layers", "all", "--gpu-verify", "1", *DEVICE],
                              capture_output=True, text=True,
                              env=os.environ | {"VERBATIM_VULKAN": SHIM, "VULKAN_SHIM": f"spoil={dispatch}:1"})
        assert done.returncode in (0, 1), done
        if done.returncode == 1:
            assert re.search(r"llvmpipe.*: step \w+ \(.*layer -?\d+\) at position \d: .*expected .*, found", done.stderr), done
            seen += 1
    assert seen > 0



if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[3:]))
