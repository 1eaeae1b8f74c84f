"""gpu.py - a device that speaks Vulkan: is it trusted, are its bits ours, and how much of its memory's bandwidth is used?

    make bench-gpu ARGS="--device NVIDIA --bandwidth 936"

Three parts, each a table on standard output:

1. every device with what its driver promises and whether it is qualified;
2. digests: models of all formats, by the CPU and by the device, which must be equal;
3. tokens per second of decoding at the shapes of 1B and 8B models in Q4_0 and Q4_K, the bytes of weights that this reads,
   as a share of the bandwidth that --bandwidth states (GB/s, of the maker's data sheet; without it GB/s are printed), and
   beside it llama.cpp's Vulkan backend, whose llama-bench VB_PEER_LLAMA_VULKAN names.

The engines take turns; the ratio is the median of the rounds' ratios, above 1 verbatim is faster. Models are made
once, of random weights, in build/models (some 12 GB for all). --quick takes tiny ones: does it run? Exit code 1: bits
differ or the device is not qualified.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

PEER = "VB_PEER_LLAMA_VULKAN"
FORMATS = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
SHAPES = ["llama-1b", "llama-8b"]
SPEED_FORMATS = ["Q4_0", "Q4_K"]


class Failed(Exception):
    pass


def run(args, limit=3600):
    done = subprocess.run(args, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=limit)
    if done.returncode != 0:
        raise Failed(f"{' '.join(args)}: exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


class Bench:
    def __init__(self, opts):
        self.opts = opts
        self.peer = os.environ.get(PEER)
        if self.peer and not os.access(self.peer, os.X_OK):
            raise Failed(f"{PEER}: expected the path of an executable llama-bench, found {self.peer}")

    def tool(self, name):
        return os.path.join(self.opts.build, name)

    def made(self, shape, weights):
        folder = os.path.join("build", "models")
        path = os.path.join(folder, f"{shape}-{weights}.gguf")
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(path):
            run([self.tool("tools/mkmodel"), shape, "--format", weights, "-o", path + ".part"])
            os.rename(path + ".part", path)
        return path

    def devices(self):
        """Prints all; returns the one that is measured."""
        said = json.loads(run([self.tool("verbatim"), "devices", "--json"]))
        if not said["devices"]:
            raise Failed(f"no device: {said['none']}")
        print("device  type        MiB      promises                        qualified  name, driver")
        for d in said["devices"]:
            floats = ",".join(name for name, kept in d["floats"].items() if kept) or "nothing"
            print(f"{d['index']:6}  {d['type']:10}  {d['memory_bytes'] >> 20:7}  {floats:30}  "
                  f"{'yes' if d['qualified'] else 'no: ' + d['why']:9}  {d['name']}, {d['driver']}")
        asked = self.opts.device
        found = [d for d in said["devices"] if (str(d["index"]) == asked if asked.isdigit() else asked in d["name"])] \
            if asked else sorted(said["devices"], key=lambda d: d["type"] == "cpu")
        if not found:
            raise Failed(f"expected a device \"{asked}\", found none")
        if not found[0]["qualified"]:
            raise Failed(f"{found[0]['name']}: not qualified: {found[0]['why']}")
        return found[0]

    def digests(self, device):
        """How many models have other bits there. What the device does not take is said, and no difference."""
        worse = 0
        print("\nmodel                     arithmetic  digest")
        for weights in FORMATS:
            model = self.made("tiny", weights)
            for arith in ("int8", "f32"):
                ask = [self.tool("verbatim"), "logits", model, "--json", "--arith", arith, "--prompt", "Once upon a time"]
                with tempfile.TemporaryDirectory() as folder:
                    ask += ["--out", os.path.join(folder, "logits")]
                    here = json.loads(run(ask))["digest"]
                    try:
                        there = json.loads(run(ask + ["--player", "vulkan", "--device", str(device["index"])]))["digest"]
                    except Failed as e:
                        there = str(e).rsplit("verbatim: ", 1)[-1]
                        if "can do every step" not in there:
                            worse += 1
                        print(f"{'tiny ' + weights:24}  {arith:10}  {here}  the device: {there}")
                        continue
                worse += here != there
                print(f"{'tiny ' + weights:24}  {arith:10}  {here}  {'equal' if here == there else 'DIFFERS: ' + there}")
        return worse

    def ours(self, model, device):
        said = json.loads(run([self.tool("bench/measure"), model, "--prompt", "16", "--tokens", str(self.opts.tokens),
                               "--device", str(device["index"])]))
        return said["decode"], said["read_bytes"]

    def theirs(self, model):
        said = json.loads(run([self.peer, "-m", model, "-p", "0", "-n", str(self.opts.tokens), "-r", "1", "-ngl", "99",
                               "-o", "json"] + shlex.split(os.environ.get(PEER + "_ARGS", ""))))
        return said[0]["avg_ts"]

    def speed(self, device):
        print(f"\nmodel                     tokens/s      GB/s{'   share' if self.opts.bandwidth else ''}"
              f"{'   llama.cpp   ratio' if self.peer else ''}")
        for shape in ["tiny"] if self.opts.quick else SHAPES:
            for weights in SPEED_FORMATS:
                model = self.made(shape, weights)
                rounds = []
                for i in range(self.opts.rounds):
                    theirs = self.theirs(model) if self.peer and i % 2 else None
                    ours, read = self.ours(model, device)
                    if self.peer and theirs is None:
                        theirs = self.theirs(model)
                    rounds.append((ours, theirs))
                ours = statistics.median(o for o, _ in rounds)
                line = f"{shape + ' ' + weights:24}  {ours:8.2f}  {ours * read / 1e9:8.1f}"
                if self.opts.bandwidth:
                    line += f"  {ours * read / 1e9 / self.opts.bandwidth:6.1%}"
                if self.peer:
                    line += f"  {statistics.median(t for _, t in rounds):10.2f}  {statistics.median(o / t for o, t in rounds):6.2f}"
                print(line, flush=True)


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build")
    p.add_argument("--device", default="", help="a part of its name, or its number (default: the first that is no CPU)")
    p.add_argument("--bandwidth", type=float, help="GB/s of its memory")
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--quick", action="store_true")
    return p.parse_args()


def main():
    bench = Bench(options())
    device = bench.devices()
    worse = bench.digests(device)
    bench.speed(device)
    if worse:
        raise Failed(f"{worse} models have other bits, or failed, on {device['name']}")


if __name__ == "__main__":
    try:
        main()
    except (Failed, subprocess.TimeoutExpired) as e:
        sys.exit(f"gpu.py: {e}")
