"""table.py - verbatim, llama.cpp and ik_llama.cpp in turns: one table of tokens/s and ratios. Standard library only.

    table.py --build DIR [--quick] [--csv FILE] [--svg FILE] [--rounds N] [--threads 1,2] [--only speed,depth,sessions]
             [--models A,B] [--prompt N] [--tokens N] [--isa NAME] [--limit SECONDS]

A round starts each engine once, in an order that rotates; a process measures prefill, then decode. A ratio is taken
within a round, and the median of the rounds is printed. With one thread all clocks tell processor time (cpuclock.c).
Peers are named by VB_PEER_LLAMA and VB_PEER_IK, paths of their llama-bench; VB_PEER_LLAMA_ARGS and VB_PEER_IK_ARGS are
added to their arguments.
"""
import argparse
import csv
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import plot  # noqa: E402

OURS, LLAMA, IK = plot.ENGINES
PEERS = {LLAMA: "VB_PEER_LLAMA", IK: "VB_PEER_IK"}


class Failed(Exception):
    pass


def talk(words):
    """How far it is, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + words)
        sys.stderr.flush()


class Bench:
    def __init__(self, opts):
        self.opts = opts
        self.roofs = {}
        self.rows = []  # (section, model, threads, what, engine, tokens/s, ratio, roof)
        self.peers = {name: os.path.abspath(os.environ[var]) for name, var in PEERS.items() if os.environ.get(var)}
        self.away = tempfile.TemporaryDirectory()  # some peers leave a log where they are started
        for name, path in self.peers.items():
            if not os.access(path, os.X_OK):
                raise Failed(f"{PEERS[name]}: expected the path of an executable llama-bench, found {path}")

    def tool(self, name):
        return os.path.abspath(os.path.join(self.opts.build, name))

    def run(self, args, threads):
        """Standard output and error of a program that must succeed."""
        env = dict(os.environ)
        if threads == 1:
            env["LD_PRELOAD"] = self.tool("bench/cpuclock.so")
        try:
            done = subprocess.run(args, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL,
                                  timeout=self.opts.limit, cwd=self.away.name)
        except subprocess.TimeoutExpired:
            raise Failed(f"{os.path.basename(args[0])}: not done after {self.opts.limit} s") from None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise Failed(f"{os.path.basename(args[0])}: exit status {done.returncode}: {last}")
        return done

    # --- one measurement ------------------------------------------------------------------------------------------

    def ours(self, model, threads, **what):
        args = [self.tool("bench/measure"), model, "--threads", str(threads)]
        if self.opts.isa:
            args += ["--isa", self.opts.isa]
        for name, value in what.items():
            args += [f"--{name}", str(value)]
        return json.loads(self.run(args, threads).stdout)

    def peer(self, engine, model, threads, prompt=0, tokens=0, depth=0):
        args = [self.peers[engine], "-m", model, "-t", str(threads), "-r", "1", "-o", "json", "-p", str(prompt)]
        if depth and engine == IK:
            args += ["-n", "0", "-gp", f"{depth},{tokens}"]
        else:
            args += ["-n", str(tokens)] + (["-d", str(depth)] if depth else [])
        args += shlex.split(os.environ.get(PEERS[engine] + "_ARGS", ""))
        out = {}
        for test in json.loads(self.run(args, threads).stdout):
            out["decode" if test["n_gen"] > 0 else "prefill"] = test["avg_ts"]
        return out

    def measure(self, engine, model, threads, **what):
        if engine == OURS:
            return self.ours(model, threads, **what)
        return self.peer(engine, model, threads, **what)

    def interleaved(self, model, threads, rounds, **what):
        """[{engine: figures}] a round. An engine that fails once is left out from then on."""
        engines, out = [OURS] + list(self.peers), []
        for i in range(rounds):
            one = {}
            for k in range(len(engines)):
                engine = engines[(i + k) % len(engines)]
                talk(f"{os.path.basename(model)}, {threads} threads, {what}: round {i + 1} of {rounds}, {engine}")
                try:
                    one[engine] = self.measure(engine, model, threads, **what)
                except Failed as why:
                    if engine == OURS:
                        raise
                    talk("")
                    print(f"  {engine}: {why}")
            engines = [e for e in engines if e in one]
            out.append(one)
        talk("")
        return out

    def roofline(self, threads, model):
        """What the machine can do, not older than a minute."""
        at, top = self.roofs.get((threads, model), (0.0, None))
        if top is not None and time.monotonic() - at < 60:
            return top
        args = [self.tool("bench/roofline"), "--threads", str(threads)] + (["--mib", "64"] if self.opts.quick else [])
        if os.path.getsize(model) > 512 << 20:  # a small file would be read from the cache
            args += ["--file", model]
        top = json.loads(self.run(args, threads).stdout)
        top["reads"] = max(top["anonymous"], top.get("mapped", 0.0))
        self.roofs[threads, model] = (time.monotonic(), top)
        return top

    # --- rows -----------------------------------------------------------------------------------------------------

    def add(self, section, model, threads, what, rounds, key, roof):
        """One row of the table: medians of tokens/s, medians of ratios within a round."""
        cells = []
        name = os.path.basename(model).removesuffix(".gguf")
        for engine in plot.ENGINES:
            got = [r for r in rounds if engine in r and key in r[engine]]
            if not got or (engine != OURS and len(got) < len(rounds)):
                cells.append("-" if engine == OURS else f"{'-':>9} {'':>7}")
                continue
            speed = statistics.median(r[engine][key] for r in got)
            ratio = statistics.median(r[OURS][key] / r[engine][key] for r in got)
            part = roof(speed) if engine == OURS and roof else None
            self.rows.append((section, name, threads, what, engine, speed, ratio, part))
            cells.append(f"{plot.number(speed):>9}" + (f" {ratio:6.2f}x" if engine != OURS else ""))
            if engine == OURS:
                cells[-1] += f" {part:4.0%}" if part is not None else "     "
        print(f"  {name:<24} {threads:>2}  {what:<14}" + " ".join(cells))

    def speed(self, models):
        print(f"\nTokens per second ({self.opts.rounds} rounds, medians; roof: of decode the part of read bandwidth, "
              "of prefill the part of the integer peak)")
        self.heading()
        for model in models:
            for threads in self.opts.threads:
                rounds = self.interleaved(model, threads, self.opts.rounds, prompt=self.opts.prompt,
                                          tokens=self.opts.tokens)
                top, one = self.roofline(threads, model), rounds[0][OURS]
                peak = max(v for k, v in top.items() if k.startswith(("vp", "sdot"))) * 1e9
                macs = one["layer_macs"] + one["head_macs"] / self.opts.prompt
                bytes_a_second = top["reads"] * 1e9
                self.add("speed", model, threads, "decode", rounds, "decode",
                         lambda v, b=one["read_bytes"], most=bytes_a_second: v * b / most)
                self.add("speed", model, threads, f"prefill {self.opts.prompt}", rounds, "prefill",
                         lambda v, m=macs, most=peak: v * m / most)

    def depth(self, model):
        print("\nDecode behind a context (one layer of Llama 3.2 1B's shape and a small head; the part of read "
              "bandwidth counts weights, keys and values)")
        self.heading()
        for threads in self.opts.threads:
            for depth in self.opts.depths:
                if threads < max(self.opts.threads) and depth > 8192:
                    continue  # an evaluation of minutes for the same shape of curve
                n = 1 if self.opts.quick or depth > 8192 else 3
                rounds = self.interleaved(model, threads, n, tokens=self.opts.tokens, depth=depth)
                top, one = self.roofline(threads, model), rounds[0][OURS]
                need = one["read_bytes"] + one["kv_bytes"] * (depth + self.opts.tokens / 2)
                self.add("depth", model, threads, f"behind {depth:,}", rounds, "decode",
                         lambda v, b=need, most=top["reads"] * 1e9: v * b / most)

    def batched(self, engine, model, threads):
        """{sessions: tokens/s} by llama-batched-bench, which lies beside llama-bench."""
        path = os.path.join(os.path.dirname(self.peers[engine]), "llama-batched-bench")
        counts = ",".join(map(str, self.opts.sessions))
        context = max(self.opts.sessions) * (16 + self.opts.tokens)
        done = self.run([path, "-m", model, "-t", str(threads), "-c", str(max(context, 256)), "-npp", "16", "-ntg",
                         str(self.opts.tokens), "-npl", counts], threads)
        out = {}
        for line in (done.stdout + done.stderr).splitlines():
            cells = [c.strip() for c in line.strip("| ").split("|")]
            if len(cells) == 10 and cells[0].isdigit():
                out[int(cells[2])] = float(cells[7])
        return out

    def sessions_round(self, model, threads, engine):
        if engine == OURS:
            return {n: self.ours(model, threads, tokens=self.opts.tokens, depth=16, sessions=n)["decode"]
                    for n in self.opts.sessions}
        return self.batched(engine, model, threads)

    def sessions(self, models):
        print(f"\nSessions decoded together: tokens per second of all ({self.opts.session_rounds} rounds, medians)")
        self.heading()
        for model in models:
            for threads in self.opts.threads:
                rounds = []
                for i in range(self.opts.session_rounds):
                    rounds.append({})
                    for engine in [OURS] + list(self.peers):
                        talk(f"{os.path.basename(model)}, {threads} threads: sessions, round {i + 1}, {engine}")
                        try:
                            rounds[i][engine] = self.sessions_round(model, threads, engine)
                        except (Failed, OSError) as why:
                            if engine == OURS:
                                raise
                            print(f"  {engine}: {why}")
                talk("")
                for n in self.opts.sessions:
                    self.add("sessions", model, threads, f"{n} sessions", rounds, n, None)

    # --- the whole ------------------------------------------------------------------------------------------------

    def heading(self):
        names = [f"{name:>9} {'ratio':>7}" for name in ("llama", "ik_llama")]
        print(f"  {'model':<24} {'th':>2}  {'':<14}{OURS:>9} {'roof':>4} " + " ".join(names))

    def machine(self, model):
        for threads in self.opts.threads:
            top = self.roofline(threads, model)
            peaks = ", ".join(f"{k} {v:.0f}" for k, v in top.items() if k.startswith(("vp", "sdot")))
            mapped = f", {top['mapped']:.1f} mapped" if "mapped" in top else ""
            print(f"{threads} threads: reads GB/s {top['anonymous']:.1f} anonymous{mapped}; GMAC/s {peaks}")

    def system_info(self, model):
        """What the peers say they were built for; which of their programs tells it differs."""
        tries = (("llama-completion", "-p", "a", "-n", "1", "-no-cnv"),
                 ("llama-batched-bench", "-npp", "4", "-ntg", "1", "-npl", "1"))
        for engine, path in self.peers.items():
            lines = []
            for name, *args in tries * 3:  # a program that ends at once may lose lines of its log
                beside = os.path.join(os.path.dirname(path), name)
                if os.access(beside, os.X_OK) and not any("system_info" in line for line in lines):
                    done = self.run([beside, "-m", model, "-c", "256"] + args, 2)
                    lines += (done.stdout + done.stderr).splitlines()
            told = [line.strip(" =") for line in lines if "system_info" in line] or [
                line.strip(" =") for line in lines if "SIMD" in line]
            print(f"{engine}: {told[0] if told else 'no system_info line'}")


def write_csv(path, rows):
    with open(path, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["section", "model", "threads", "what", "engine", "tokens_per_second", "verbatim_ratio", "roof"])
        for *words, speed, ratio, roof in rows:
            out.writerow(words + [f"{speed:.4f}", f"{ratio:.4f}", "" if roof is None else f"{roof:.4f}"])


def series(rows, section, number_of):
    """{(model, threads): {engine: [(x, tokens/s)]}}"""
    out = {}
    for where, model, threads, what, engine, speed, _, _ in rows:
        if where == section:
            out.setdefault((model, threads), {}).setdefault(engine, []).append((number_of(what), speed))
    return out


def write_svg(path, rows):
    speed = {}
    for section, model, threads, what, engine, value, _, _ in rows:
        if section == "speed":
            speed.setdefault(f"{model}, {threads} th, {what.split()[0]}", {})[engine] = value
    panels = []
    for (model, threads), lines in series(rows, "depth", lambda w: int(w.split()[1].replace(",", ""))).items():
        panels.append((f"Decode by context: {model}, threads: {threads}", lines, "tokens of context"))
    for (model, threads), lines in series(rows, "sessions", lambda w: int(w.split()[0])).items():
        panels.append((f"Sessions together: {model}, threads: {threads}", lines, "sessions"))
    with open(path, "w") as f:
        f.write(plot.svg("Tokens per second", list(speed.items()), panels))


def made(bench, name, shape, *args):
    """A model of random weights in build/models, made once."""
    folder = os.path.join(bench.opts.build, "models") if bench.opts.quick else os.path.join("build", "models")
    path = os.path.abspath(os.path.join(folder, name + ".gguf"))
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(path):
        talk("")
        subprocess.run([bench.tool("tools/mkmodel"), shape, *args, "-o", path], check=True)
    return path


def stored(name):
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    folder = os.environ.get("VERBATIM_MODELS") or os.path.join(data, "verbatim", "models")
    path = os.environ.get(name.upper()) or os.path.join(folder, name + ".gguf")
    return [os.path.abspath(path)] if os.path.exists(path) else []


def choose(bench):
    """Models of the three sections."""
    if bench.opts.models:
        models = [os.path.abspath(path) for path in bench.opts.models.split(",")]
        return models, None, models
    tiny = made(bench, "tiny-Q4_0", "tiny", "--format", "Q4_0")
    if bench.opts.quick:
        return [tiny], tiny, [tiny]
    layer = made(bench, "llama-1b-layer-Q4_0", "llama-1b", "--format", "Q4_0", "--layers", "1", "--vocab", tiny)
    big = [made(bench, f"llama-1b-{f}", "llama-1b", "--format", f) for f in ("Q4_0", "Q4_K_M", "Q8_0")]
    small = stored("smollm2") + stored("gemma3")
    return small + big, layer, stored("smollm2") + big[:1]


def options():
    p = argparse.ArgumentParser(description="verbatim beside its peers, interleaved")
    p.add_argument("--build", default="build")
    p.add_argument("--quick", action="store_true", help="a tiny model, three rounds")
    p.add_argument("--csv")
    p.add_argument("--svg")
    p.add_argument("--rounds", type=int)
    p.add_argument("--threads", default="1,2")
    p.add_argument("--only", default="speed,depth,sessions")
    p.add_argument("--models", help="paths, instead of the usual ones")
    p.add_argument("--prompt", type=int)
    p.add_argument("--tokens", type=int)
    p.add_argument("--isa", help="instruction set of verbatim, instead of the best; peers are what they were built for")
    p.add_argument("--limit", type=int, default=900, help="seconds one process may take")
    o = p.parse_args()
    o.threads = [int(t) for t in o.threads.split(",")]
    o.rounds = o.rounds or (3 if o.quick else 9)
    o.session_rounds = 1 if o.quick else min(o.rounds, 3)
    o.prompt = o.prompt or (32 if o.quick else 512)
    o.tokens = o.tokens or (8 if o.quick else 32)
    o.depths = [64, 256] if o.quick else [512, 2048, 8192, 32768, 65536]
    o.sessions = [1, 2] if o.quick else [1, 2, 4, 8, 16]
    return o


def main():
    bench = Bench(options())
    speed, layer, together = choose(bench)
    bench.machine(speed[-1])
    with tempfile.TemporaryDirectory() as folder:
        tiny = os.path.join(folder, "tiny.gguf")
        if bench.peers:
            subprocess.run([bench.tool("tools/mkmodel"), "tiny", "-o", tiny], check=True)
        bench.system_info(tiny)
    if "speed" in bench.opts.only:
        bench.speed(speed)
    if "depth" in bench.opts.only and layer:
        bench.depth(layer)
    if "sessions" in bench.opts.only:
        bench.sessions(together)
    if bench.opts.csv:
        write_csv(bench.opts.csv, bench.rows)
    if bench.opts.svg:
        write_svg(bench.opts.svg, bench.rows)


if __name__ == "__main__":
    try:
        main()
    except (Failed, subprocess.CalledProcessError) as why:
        talk("")
        sys.exit(f"table.py: {why}")
    except KeyboardInterrupt:
        sys.exit(130)
