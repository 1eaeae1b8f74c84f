"""bench.py - the benchmark's table on a tiny model: every row is there, figures agree between table, CSV and picture.

    bench.py BUILD
"""
import csv
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

build = sys.argv[1]
passed = failed = 0


def check(name, ok, told=""):
    global passed, failed
    passed += bool(ok)
    failed += not ok
    if not ok:
        print(f"bench: {name}: {told}")


def table(*args, **env):
    return subprocess.run([sys.executable, "bench/table.py", "--build", build, "--quick", *args], capture_output=True,
                          text=True, timeout=300, env={**os.environ, "VB_PEER_LLAMA": "", "VB_PEER_IK": "", **env})


with tempfile.TemporaryDirectory() as folder:
    sheet, picture = os.path.join(folder, "t.csv"), os.path.join(folder, "t.svg")
    done = table("--csv", sheet, "--svg", picture)
    check("runs", done.returncode == 0, done.stderr)
    rows = list(csv.DictReader(open(sheet)))
    found = {(r["section"], r["threads"], r["what"]) for r in rows}
    for threads in "12":
        for section, what in (("speed", "decode"), ("speed", "prefill 32"), ("depth", "behind 64"),
                              ("depth", "behind 256"), ("sessions", "1 sessions"), ("sessions", "2 sessions")):
            check(f"{section} {what} {threads}", (section, threads, what) in found, found)
    check("one engine", {r["engine"] for r in rows} == {"verbatim"})
    check("speeds", all(float(r["tokens_per_second"]) > 1 for r in rows), rows)
    check("roofs", all(r["section"] == "sessions" or float(r["roof"]) > 0 for r in rows), rows)
    check("rows", done.stdout.count("tiny-Q4_0") == len(rows), done.stdout)
    tags = [e.tag.split("}")[1] for e in xml.etree.ElementTree.parse(picture).iter()]
    check("bars", tags.count("rect") == 1 + 3 + 4, tags.count("rect"))
    check("lines", tags.count("polyline") == 4, tags.count("polyline"))
done = table(VB_PEER_LLAMA="/none/llama-bench")
check("no such peer", done.returncode == 1 and "VB_PEER_LLAMA" in done.stderr, done.stderr)
done = table("--models", "none.gguf", "--only", "speed")
check("no such model", done.returncode == 1 and "none.gguf" in done.stderr, done.stderr)
done = subprocess.run([os.path.join(build, "bench/measure"), "none.gguf", "--tokens", "1"], capture_output=True, text=True)
check("measure names the model", done.returncode == 1 and "none.gguf" in done.stderr, done.stderr)
with tempfile.TemporaryDirectory() as folder:
    sheet = os.path.join(folder, "s.csv")
    done = subprocess.run([sys.executable, "bench/serve.py", "--build", build, "tests/golden/llama-gqa/model.gguf", "--rounds", "2",
                           "--clients", "3", "--tokens", "6", "--words", "4", "--ctx", "128", "--threads", "1", "--csv", sheet],
                          capture_output=True, text=True, timeout=300, env={**os.environ, "VB_PEER_SERVER": ""})
    check("serves", done.returncode == 0 and "6 of 6 texts" in done.stdout, done.stdout + done.stderr)
    rows = list(csv.DictReader(open(sheet))) if done.returncode == 0 else []
    check("rounds", [r["round"] for r in rows] == ["1", "2"] and all(float(r["tokens/s"]) > 1 for r in rows), rows)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
