#!/usr/bin/env python3
"""gpu.py BUILD [NAME...] - devices that are not there, fail, lie, or are made fun of: the answer's bits are the same, or
there is a clean error; nothing crashes, hangs, leaks or is wrong in silence. With names, those tests that hold one.

Between the program and the Vulkan loader stands tests/shims/vulkan.c; VULKAN_SHIM says what it does, and it reports what
it saw. Each planted mistake has a test that sees it, so that the tests that see nothing are worth something.
"""
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

import each
import scratch

BUILD = pathlib.Path(sys.argv[1]).resolve()
VERBATIM, KERNELS, SHIM = BUILD / "verbatim", BUILD / "tests/gpukernels", BUILD / "tests/shims/vulkan.so"
WORK = scratch.folder("gpu")
MODEL = pathlib.Path("tests/golden/quant/q-llama-Q4_0")
# How many places of a kind are tried: calls that fail, results that are wrong.
POINTS = int(os.environ.get("POINTS", "200"))
# What the driver and the layer keep until the process ends is theirs.
SUPPRESSED = WORK / "leaks"
SUPPRESSED.write_text("".join(f"leak:{module}\n" for module in ("libvulkan", "libVkLayer", "libLLVM", "libdrm")))
CODES = ("lost", "device_memory", "host_memory", "timeout", "init")
SANITIZER = re.compile(r"Sanitizer|runtime error:")


class Done:
    """How a program ended, and what the shim saw of it."""
    count = 0

    def __init__(self, args, shim, env, seconds):
        Done.count += 1
        report = WORK / f"report{Done.count}"
        env = {**os.environ, "HOME": str(WORK), "VERBATIM_VULKAN": str(SHIM), "VULKAN_SHIM": shim,
               "VULKAN_SHIM_REPORT": str(report), "LP_NUM_THREADS": "2",
               "LSAN_OPTIONS": f"suppressions={SUPPRESSED}:print_suppressions=0", **env}
        done = subprocess.run([str(a) for a in args], capture_output=True, env=env, timeout=seconds, text=True)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.numbers, self.calls, self.live, self.messages = {}, {}, {}, []
        for line in report.read_text(errors="replace").splitlines() if report.exists() else ():
            kind, _, rest = line.partition(" ")
            if kind == "message":
                self.messages.append(rest)
            elif kind in ("call", "live"):
                name, number = rest.split()
                (self.calls if kind == "call" else self.live)[name] = int(number)
            else:
                self.numbers[kind] = int(rest)
        report.unlink(missing_ok=True)
        assert self.code >= 0 and not SANITIZER.search(self.err), f"{shim}: exit {self.code}: {self.err[-3000:]}"

    def __str__(self):
        return f"exit {self.code}; {self.out[-300:]}; {self.err[-800:]}; {self.numbers} {self.live} {self.messages[:3]}"

    def told(self):
        """What it said besides how much memory it takes."""
        return [line for line in self.err.splitlines() if not line.startswith("verbatim: note: ")]

    def digest(self):
        assert self.code == 0, self
        return json.loads(self.out)["digest"]

    def is_clean(self):
        """Nothing is alive, and nobody has complained."""
        assert not self.live and not self.messages, self
        return self


def call(*args, shim="", env=None, seconds=300):
    return Done(args, shim, env or {}, seconds)


def logits(*args, model=MODEL, **more):
    return call(VERBATIM, "logits", model / "model.gguf", "--tokens-file", model / "tokens.json", "--json", *args, **more)


def need_headers():
    if b"vkGetInstanceProcAddr" not in SHIM.read_bytes():
        raise each.Skip("built without Vulkan's headers")


@functools.lru_cache
def missing():
    """Why there is no device to ask; None: there is one."""
    return None if logits("--player", "vulkan").code != 3 else "no device"


def need_device():
    need_headers()
    if missing():
        raise each.Skip(missing())


DIGESTS = {}


def expected(model=MODEL, *args):
    """The digest that the CPU alone computes."""
    key = (model, *args)
    if key not in DIGESTS:
        DIGESTS[key] = logits(*args, model=model, env={"VERBATIM_VULKAN": "/none"}).digest()
    return DIGESTS[key]


def says(done, *words):
    lines = done.told()
    assert len(lines) == 1 and all(w in lines[0] for w in words), done


# --- not there

def is_away(words, **more):
    must, may = logits("--player", "vulkan", **more), logits("--gpu-layers", "all", **more)
    assert must.code == 3, must
    says(must, *words)
    assert may.digest() == expected(), may
    says(may, *words)


def test_no_loader():
    need_headers()
    is_away(("no Vulkan loader", "/none/libvulkan.so"), env={"VERBATIM_VULKAN": "/none/libvulkan.so"})


def test_no_driver():
    need_device()
    is_away(("driver",), env={"VK_ICD_FILENAMES": "/dev/null", "VK_DRIVER_FILES": "/dev/null"})


def test_nobody_asks():
    """Without an option nothing of Vulkan is loaded."""
    done = logits()
    assert done.digest() == expected() and not done.numbers and done.err == "", done


def test_kernels_without_a_device():
    need_headers()
    done = call(KERNELS, env={"VERBATIM_VULKAN": "/none/libvulkan.so"})
    assert done.code == 0 and "no device" in done.out + done.err, done


# --- what the validation layer says

def kernels(*words, **more):
    return call(KERNELS, *words, seconds=600, **more)


def test_kernels_are_valid():
    need_device()
    done = kernels("--rounds", str(1 + POINTS // 20), shim="validate").is_clean()
    assert done.code == 0 and done.numbers["dispatches"] > 100, done


def is_seen(shim, word):
    need_device()
    done = logits("--player", "vulkan", shim="validate," + shim)
    assert done.numbers["planted"] > 0, done
    assert any(word in m for m in done.messages), done


def test_whole_runs_are_valid():
    need_device()
    for more in ((), ("--batch", "1"), ("--arith", "f32", "--kv", "f16")):
        done = logits("--player", "vulkan", *more, shim="validate").is_clean()
        assert done.digest() == expected(MODEL, *more[2 * (more[:1] == ("--batch",)):]), done


def test_missing_barriers_are_seen():
    is_seen("nobarrier", "SYNC-HAZARD")


def test_wide_range_is_seen():
    is_seen("wide=4", "VUID-VkDescriptorBufferInfo-range")


def test_leaked_buffer_is_seen():
    is_seen("leak=2", "VUID-vkDestroyDevice-device-00378")
    assert logits("--player", "vulkan", shim="leak=2").live == {"Buffer": 1}


# --- calls that fail

def survives(shim, *args, codes=(0, 3, 5)):
    """The same bits, or a clean error; nothing is left alive unless the device never came to rest."""
    done = logits(*args, shim=shim)
    assert done.code in codes, f"{shim}: {done}"
    if done.code == 0:
        assert done.digest() == expected(), f"{shim}: {done}"
    else:
        says(done, "gpu: ")
    if "timeout+" not in shim:
        done.is_clean()
    return done


def points(n, many):
    """About so many whole numbers from 1 to n, each once, the first and the last among them."""
    return sorted({1 + round(i * (n - 1) / max(many - 1, 1)) for i in range(many)})


def test_core_faults():
    """The room's core by itself: every call of its tests fails once, each time in the next way."""
    need_device()
    clean = kernels("--rounds", "2", "core").is_clean()
    for i, at in enumerate(points(clean.numbers["fallible"], POINTS)):
        done = kernels("--rounds", "2", "core", shim=f"fail={at}:{CODES[i % len(CODES)]}").is_clean()
        assert done.numbers["faults"] == 1 and done.code in (0, 1), f"{at}: {done}"


def test_faults_anywhere():
    """--gpu-layers: whatever fails, the answer is there, and one line says what."""
    need_device()
    clean = logits("--gpu-layers", "all", "--device", "0").is_clean()
    assert clean.digest() == expected() and clean.numbers["submissions"] > 0, clean
    met = 0
    for i, at in enumerate(points(clean.numbers["fallible"], POINTS)):
        done = survives(f"fail={at}:{CODES[i % len(CODES)]}", "--gpu-layers", "all", "--device", "0", codes=(0,))
        assert len(done.told()) <= 1, f"{at}: {done}"
        met += done.numbers["faults"]
    assert met >= POINTS * 9 // 10, met


def test_faults_of_each_call():
    """--player vulkan: each function fails at its first, its second and its last call, once and for ever."""
    need_device()
    clean = logits("--player", "vulkan").is_clean()
    shims = [f"fail={name}@{at}:{CODES[(at + len(name)) % len(CODES)]}" for name, n in clean.calls.items()
             for at in sorted({1, min(2, n), n})]
    shims += [f"fail={name}@{n}:device_memory+" for name, n in clean.calls.items()]
    for i in points(len(shims), POINTS):
        survives(shims[i - 1], "--player", "vulkan")


def test_lost_on_the_way():
    """A device that is lost between tokens: the rest of the answer is computed here."""
    need_device()
    for shim in ("fail=vkQueueSubmit@9:lost", "fail=vkWaitSemaphores@7:lost", "fail=vkWaitSemaphores@5:timeout"):
        done = survives(shim, "--gpu-layers", "all", "--device", "0", "--batch", "1", codes=(0,))
        assert done.numbers["faults"] > 0, done
        says(done, "gpu: ", "vk")


def test_hangs():
    """A device that never comes to rest: nothing of it is touched, and the program ends."""
    need_device()
    done = survives("fail=vkWaitSemaphores@5:timeout+", "--gpu-layers", "all", "--device", "0", "--batch", "1", codes=(0,))
    says(done, "not finished in time")


# --- results that are wrong

def dispatches(many, *args):
    """About so many of those that a run records behind the device's qualification."""
    first = call(VERBATIM, "devices").numbers["dispatches"]
    last = logits("--player", "vulkan", *args).numbers["dispatches"]
    assert last > first > 0, (first, last)
    return [first + at for at in points(last - first, many)]


def test_verify_names_what_differs():
    need_device()
    found, name = 0, json.loads(logits("--player", "vulkan").out)["gpu"]["device"]
    for at in dispatches(4 + POINTS // 10, "--gpu-verify", "1"):
        done = logits("--player", "vulkan", "--gpu-verify", "1", shim=f"spoil={at}:3")
        if not done.numbers["planted"]:
            continue
        found += done.code == 1
        if done.code == 1:
            says(done, name, "step ", "position ", "element ")
        else:
            assert done.digest() == expected(), done
    assert found >= 2, found


def test_wrong_results_unverified():
    """The same mistake without --gpu-verify changes the answer: what is found above was there."""
    need_device()
    outcomes = {logits("--player", "vulkan", shim=f"spoil={at}:3").digest() for at in dispatches(3)}
    assert outcomes - {expected()}, outcomes


def test_qualification_refuses():
    """A constant of c_exp that is one off: the device is refused, and the operation named."""
    need_device()
    done = logits("--player", "vulkan", shim="constant=3e2aaaaa:3e2aaaab")
    assert done.numbers["planted"] > 0 and done.code == 3, done
    says(done, "exp")
    assert logits("--gpu-layers", "all", "--device", "0", shim="constant=3e2aaaaa:3e2aaaab").digest() == expected()


# --- other devices

def is_same(shim, model=MODEL, *args, how=("--gpu-layers", "all", "--device", "0")):
    need_device()
    done = logits(*how, *args, model=model, shim=shim).is_clean()
    assert done.digest() == expected(model, *args), f"{shim}: {done}"
    return done


def test_discrete():
    """Memory of its own that the host does not see: everything is carried there and back."""
    assert is_same("discrete").numbers["submissions"] > 0
    assert is_same("discrete,budget=100000000,validate").numbers["submissions"] > 0


def test_no_import():
    assert is_same("noimport").numbers["submissions"] > 0


def test_alignment():
    assert is_same("align=256,noimport").numbers["submissions"] > 0
    assert is_same("align=256").numbers["submissions"] > 0


def test_small_ranges():
    """Windows of rows, where a matrix is larger than what a shader may see."""
    need_device()
    args = (VERBATIM, "logits", "data/tales-1m.gguf", "--tokens", "464,2068,7586,21831", "--json")
    done = call(*args, "--gpu-layers", "all", "--device", "0", shim="range=270000,align=64").is_clean()
    assert done.digest() == call(*args).digest() and done.numbers["submissions"] > 0 and not done.told(), done


def test_little_memory():
    """What does not fit stays on the CPU."""
    whole = is_same("discrete").numbers["peak"]
    for part in (0.02, 0.3, 0.6, 0.9):
        done = is_same(f"discrete,heap={int(whole * part)}")
        assert len(done.told()) <= 1, done
    is_same(f"discrete,heap={whole * 2},budget={whole // 3}")


def test_no_dot_product():
    assert is_same("nodot").numbers["submissions"] > 0


def test_no_rounding_mode():
    """Not guaranteed but observed: it is qualified, or refused."""
    is_same("norte")


def test_no_subnormals():
    """F32 and BF16 matrices and keys and values as f32 stay on the CPU; all else may go."""
    for name in ("llama-f16", "quant/q-llama-BF16", "quant/q-llama-Q4_0", "gptneo"):
        is_same("nosubnormals", pathlib.Path("tests/golden", name))
    is_same("nosubnormals", MODEL, "--arith", "f32")
    must = logits("--player", "vulkan", model=pathlib.Path("tests/golden/quant/q-llama-BF16"), shim="nosubnormals")
    assert must.code == 3, must


def test_threads_that_flush():
    """The driver's threads keep no subnormals: no result depends on it."""
    for name in ("llama-gqa", "llama-f16", "gemma3", "quant/q-llama-Q4_K"):
        is_same("nosubnormals,ftz", pathlib.Path("tests/golden", name))


# --- again and again

def test_one_digest():
    need_device()
    rounds = min(100, 1 + POINTS // 2)
    assert {logits("--player", "vulkan", "--batch", str(1 + i % 7)).digest() for i in range(rounds)} == {expected()}


def test_resubmissions():
    """A token at a time: what was recorded once is submitted again and again, and the digest is the CPU's."""
    need_device()
    wanted, done, submitted = min(10000, 20 * POINTS), [], 0
    tokens = WORK / "tokens.json"
    tokens.write_text(json.dumps([7 + 101 * i % 300 for i in range(min(wanted, 250))]))
    args = (VERBATIM, "logits", MODEL / "model.gguf", "--tokens-file", tokens, "--json")
    while submitted < wanted:
        done.append(call(*args, "--player", "vulkan", "--batch", "1", seconds=600).is_clean())
        submitted += done[-1].numbers["submissions"]
    assert {d.digest() for d in done} == {call(*args).digest()}, done[0]
    assert done[0].numbers["submissions"] > 10 * done[0].calls["vkEndCommandBuffer"], done[0]


if __name__ == "__main__":
    sys.exit(each.run(globals(), sys.argv[2:]))
