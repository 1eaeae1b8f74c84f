"""models.py - models made and cut by the tools: the same bytes each time; bad input is named.

    models.py VERBATIM MKMODEL CUTLAYERS
"""
import hashlib
import os
import subprocess
import sys
import tempfile

verbatim, mkmodel, cutlayers = sys.argv[1:4]
passed = failed = 0


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=120)


def check(name, ok, told=""):
    global passed, failed
    passed += bool(ok)
    failed += not ok
    if not ok:
        print(f"models: {name}: {told}")


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def digest(path, *args):
    done = run(verbatim, "logits", path, "--tokens", "5,9,300,17,2,2,940", *args)
    check(f"logits of {path} {args}", done.returncode == 0, done.stderr)
    return done.stdout


def layers(path):
    done = run(verbatim, "show", path)
    return next((line.split()[1] for line in done.stdout.splitlines() if line.startswith("shape")), done.stderr)


def make(path, shape, *args):
    done = run(mkmodel, shape, *args, "-o", path)
    check(f"mkmodel {shape} {args}", done.returncode == 0 and done.stderr == "", done.stderr)
    return path


def refused(name, told, *args):
    done = run(*args)
    check(name, done.returncode in (1, 2) and told in done.stderr and not os.path.exists("out.gguf.part"),
          f"{done.returncode} {done.stderr}")


def models():
    for shape in ("tiny", "tiny-gemma3", "tiny-moe", "tiny-gemma4", "tiny-phi3", "tiny-qwen35"):
        for form in ("Q4_K_M", "Q5_K_M", "Q4_0", "Q8_0", "Q4_1", "MXFP4", "IQ4_XS", "BF16", "F32"):
            path = make("a.gguf", shape, "--format", form)
            first, bits = sha256(path), digest(path)
            check(f"{shape} {form}: cpu and oracle", bits == digest(path, "--player", "oracle"))
            check(f"{shape} {form}: again", sha256(make("b.gguf", shape, "--format", form)) == first)
            other = make("b.gguf", shape, "--format", form, "--seed", "2")
            check(f"{shape} {form}: another seed", digest(other) != bits)


def ropes():
    path = make("a.gguf", "tiny-phi3", "--format", "F32")
    few, many = digest(path, "--ctx", "64"), digest(path, "--ctx", "65")
    check("a long session has other rope factors", few != many)
    check("long sessions: one rope", many == digest(path, "--ctx", "4096"))
    check("short sessions: one rope", few == digest(path, "--ctx", "7"))
    check("cpu and oracle, long", many == digest(path, "--ctx", "65", "--player", "oracle"))


def cuts():
    whole = make("a.gguf", "tiny-gemma3", "--vocab", make("b.gguf", "tiny"))
    for keep in (1, 4, 7):
        done = run(cutlayers, whole, "--keep", str(keep), "-o", "cut.gguf")
        check(f"keep {keep}", done.returncode == 0 and done.stderr == "", done.stderr)
        check(f"keep {keep}: layers", layers("cut.gguf") == str(keep), layers("cut.gguf"))
        check(f"keep {keep}: all or fewer", (digest("cut.gguf") == digest(whole)) == (keep == 7))
        shorter = make("b.gguf", "tiny-gemma3", "--format", "F32", "--layers", str(keep))
        run(cutlayers, make("c.gguf", "tiny-gemma3", "--format", "F32"), "--keep", str(keep), "-o", "cut.gguf")
        check(f"keep {keep}: as if made so", digest("cut.gguf") == digest(shorter))


def refusals():
    good = make("a.gguf", "tiny")
    data = open(good, "rb").read()
    for size in (0, 3, 20, 200, 5000, 60000, len(data) - 1):
        open("bad.gguf", "wb").write(data[:size])
        refused(f"cut at byte {size}", "bad.gguf: ", cutlayers, "bad.gguf", "--keep", "1", "-o", "out.gguf")
    refused("too many layers", "expected 1 to 3 layers, found 4", cutlayers, good, "--keep", "4", "-o", "out.gguf")
    refused("no layers", "usage", cutlayers, good, "--keep", "0", "-o", "out.gguf")
    refused("no folder", "none/out.gguf: cannot be written", cutlayers, good, "--keep", "1", "-o", "none/out.gguf")
    refused("a folder", "expected a regular file", cutlayers, good, "--keep", "1", "-o", ".")
    refused("no such model", "none.gguf", cutlayers, "none.gguf", "--keep", "1", "-o", "out.gguf")
    refused("no such shape", "none: no such shape", mkmodel, "none", "-o", "out.gguf")
    refused("no such format", "found Q9_9", mkmodel, "tiny", "--format", "Q9_9", "-o", "out.gguf")
    refused("a strange option", "usage", mkmodel, "tiny", "--none", "1", "-o", "out.gguf")
    refused("layers of nothing", "--layers: expected 1 to 1000", mkmodel, "tiny", "--layers", "0", "-o", "out.gguf")
    refused("a damaged vocabulary", "bad.gguf: ", mkmodel, "tiny", "--vocab", "bad.gguf", "-o", "out.gguf")
    check("nothing is left behind", not os.path.exists("out.gguf"))


verbatim, mkmodel, cutlayers = map(os.path.abspath, (verbatim, mkmodel, cutlayers))
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    models()
    ropes()
    cuts()
    refusals()
    os.chdir("/")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
