#!/usr/bin/env python3
"""parity.py VERBATIM MODEL RECORDING [--planted] - the certificate of a model beside a recorded Ollama.

Held: our best token is theirs at 96 % of positions, every difference has a verdict, none is unexplained, the drift is
that of moved last bits. With --planted, recordings with one thing changed: each must get its own verdict.
"""
import copy
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import scratch

from partner_server import Exchanges, Ollama, Server

VERBATIM, MODEL, RECORDING = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2], sys.argv[3]
WORK = scratch.folder("parity")
done = {"passed": 0, "failed": 0}


def hold(name, truth, found=""):
    done["passed" if truth else "failed"] += 1
    if not truth:
        print(f"FAIL {name}: {str(found)[:600]}")


def parity(*args):
    ran = subprocess.run([VERBATIM, "parity", MODEL, *map(str, args)], capture_output=True, env=os.environ)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


def certificate(cases, name):
    path = WORK / f"{name}.json"
    path.write_text(json.dumps({"ollama_version": "0", "model": "m", "cases": cases}))
    code, out, said = parity("--recording", path, "--json")
    hold(f"{name}: JSON", code in (0, 1), f"exit {code}: {said}")
    return code, json.loads(out) if code in (0, 1) else None


def whole(cases):
    page = WORK / "page.html"
    code, out, said = parity("--recording", RECORDING, "--json", "--html", page)
    hold("exit code", code == 0, f"{code}: {said}")
    if code not in (0, 1):
        return
    found = json.loads(out)
    drift, envelope = found["drift"], found["envelope"]
    print(f"{RECORDING}: {found['compared']} tokens, best the same at {100 * found['agreed'] / found['compared']:.2f} %; drift "
          f"median {drift['median']:.4f}, 95 % {drift['p95']:.4f}; last bits moved: {envelope['drift']['median']:.4f}, "
          f"{envelope['drift']['p95']:.4f}; {found['gaps']} gaps, limit {found['limit']:.3f}; {found['verdicts']}")
    hold("best token", found["agreed"] >= 0.96 * found["compared"], found["agreed"])
    hold("all answers", found["answers"] == len(cases) == len(found["cases"]), found["answers"])
    hold("explained", found["explained"] and found["gaps_unexplained"] == 0 and found["verdicts"]["unexplained"] == 0,
         [case["why"] for case in found["cases"] if case["verdict"] == "unexplained"])
    hold("drift no larger than llama.cpp's from itself, with the moved bits beside it",
         drift["median"] <= 0.025 and drift["p95"] <= 0.17 and found["drift_holds"], drift)
    hold("envelope measured", envelope["drift"]["tokens"] >= 300 and envelope["drift"]["p95"] > 0.01, envelope)
    for case, recorded in zip(found["cases"], cases):
        entries = len(recorded["response"]["logprobs"])
        hold("every token read", len(case["tokens"]) == entries, (case["question"], entries))
        hold("same: nothing differs", (case["verdict"] != "same") or (case["first"] == -1 and case["why"] == ""), case["why"])
        hold("different: why", case["verdict"] == "same" or case["why"] != "", case["verdict"])
        apart = [t for t in case["tokens"] if t["compared"] and t["top"][0]["id"] != t["id"]]
        hold("gaps stand where the best token differs", all(t["gap"] > 0 for t in apart) and len(apart) == case["compared"] - case["agreed"])
    text = page.read_text()
    hold("page", text.startswith("<!") and "verbatim" in text and "rounding" in text, text[:200])


def verdicts_of(cases):
    """One run judges all planted cases: name -> (case, verdict, position or None)."""
    raw = next(c for c in cases if "prompt" in c["request"] and len(c["response"]["logprobs"]) == 48)

    def changed(change):
        case = copy.deepcopy(raw)
        change(case["request"], case["response"])
        return case

    def another_count(_, response):
        response["prompt_eval_count"] += 1

    def shifted(_, response):
        entry = response["logprobs"][20]
        entry["logprob"] = entry["top_logprobs"][0]["logprob"] = -0.01
        entry["top_logprobs"] = [entry["top_logprobs"][0], *[{**t, "logprob": -30.0} for t in entry["top_logprobs"][1:]]]

    def swapped(_, response):
        # Their second best token stands in the answer, as a sampler would have drawn it; nothing behind it is left.
        entries = response["logprobs"][:21]
        last = entries[20]
        second = last["top_logprobs"][1]
        entries[20] = {**last, "token": second["token"], "bytes": second["bytes"], "logprob": second["logprob"]}
        response["logprobs"] = entries
        response["eval_count"] = 21

    def ended(_, response):
        response["logprobs"] = response["logprobs"][:12]
        response["response"] = "".join(e["token"] for e in response["logprobs"])
        response["done_reason"], response["eval_count"] = "stop", 13

    def short(_, response):
        response["logprobs"] = response["logprobs"][:12]
        response["response"] = "".join(e["token"] for e in response["logprobs"])
        response["done_reason"], response["eval_count"] = "length", 12

    def foreign(_, response):
        entry = response["logprobs"][5]
        entry["token"] = "\x01\x02"
        entry["bytes"] = [255, 254, 253]

    return {
        "as it is": (raw, ("same", "rounding"), None),
        "another count": (changed(another_count), ("tokenizer differs",), None),
        "drawn": (changed(swapped), ("sampler or option differs",), 20),
        "ended early": (changed(ended), ("stop condition", "rounding"), None),
        "short": (changed(short), ("stop condition", "rounding"), None),
        "foreign bytes": (changed(foreign), ("tokenizer differs",), 5),
        "far off": (changed(shifted), None, None),
    }


def planted(cases):
    wanted = verdicts_of(cases)
    _, found = certificate([case for case, _, _ in wanted.values()], "planted")
    for (name, (_, verdicts, at)), case in zip(wanted.items(), found["cases"] if found else []):
        if verdicts:
            hold(name, case["verdict"] in verdicts and at in (None, case["at"]), (case["verdict"], case["at"], case["why"]))
    # A numeric fault: every log-probability of theirs halved is no rounding, whatever the tokens say.
    wrong = copy.deepcopy(cases[:1])
    for entry in wrong[0]["response"]["logprobs"]:
        entry["logprob"] *= 0.5
        for top in entry["top_logprobs"]:
            top["logprob"] *= 0.5
    code, found = certificate(wrong, "halved")
    hold("halved: exit 1", code == 1 and not found["explained"] and not found["drift_holds"], (code, found and found["drift"]))
    # A gap beyond the envelope: theirs prefers its token by far where ours prefers another one.
    apart = None
    for case in cases:
        _, one = certificate([case], "one") if apart is None else (0, None)
        if one and one["cases"][0]["first"] >= 0 and one["cases"][0]["tokens"][one["cases"][0]["first"]]["compared"]:
            apart = copy.deepcopy(case), one["cases"][0]["first"]
    case, at = apart
    entry = case["response"]["logprobs"][at]
    for top in entry["top_logprobs"][1:]:
        top["logprob"] = -25.0
    code, found = certificate([case], "gap")
    hold("gap: unexplained, exit 1", code == 1 and found["cases"][0]["verdict"] == "unexplained" and found["cases"][0]["at"] == at,
         (code, found and found["cases"][0]["why"]))
    case["request"]["options"]["mirostat"] = 2
    code, found = certificate([case], "unknown")
    hold("unknown option is blamed", code == 0 or found["cases"][0]["verdict"] == "sampler or option differs", found["cases"][0]["why"])


def live(cases):
    """The same answers from a real HTTP server, once with the model's own digest, once with another one."""
    asked = [c["request"]["prompt"] for c in cases if c["request"].get("raw") and "\n" not in c["request"]["prompt"]][:3]
    questions = WORK / "questions.txt"
    questions.write_text("\n".join(asked) + "\n\n")
    own = hashlib.sha256(pathlib.Path(MODEL).read_bytes()).hexdigest()
    for sha256, verdicts in (own, {"same", "rounding"}), ("ab" * 32, {"model blob differs"}):
        server = Server(Ollama({"cases": cases}, sha256))
        code, out, said = parity("--ollama", server.url, "--model", "recorded", "--raw", "-n", 48, "-c", 2048, "--prompts", questions, "--json")
        server.close()
        if code == 3 and "libcurl" in said:
            print("live: built without libcurl")
            return
        hold("live: exit 0", code == 0, f"{code}: {said}")
        found = json.loads(out)["cases"] if code == 0 else []
        hold("live: the questions", [c["question"] for c in found] == asked, [c["question"] for c in found])
        hold("live: verdicts", {c["verdict"] for c in found} <= verdicts and found, [(c["verdict"], c["why"]) for c in found])
    server = Server(Ollama({"cases": cases}, own))
    code, _, said = parity("--ollama", server.url, "--model", "absent")
    hold("live: no such model", code == 6 and said.count("\n") == 1 and "absent" in said, (code, said))
    server.close()
    code, _, said = parity("--ollama", server.url, "--model", "recorded")
    hold("live: nobody there", code == 6 and said.count("\n") == 1, (code, said))


def contributions():
    """A tiny model beside a recorded llama-server, and what the oracle says of each difference to ggml."""
    exchanges = json.loads(pathlib.Path("tests/recordings/llama-server.json").read_text())
    templated = {e["body"]["prompt"] for e in exchanges if e["path"] == "/apply-template"}
    asked = [e["request"]["content"] for e in exchanges if e["path"] == "/tokenize" and e["request"]["content"] not in templated]
    (WORK / "tiny.txt").write_text("\n".join(asked))
    server = Server(Exchanges(exchanges))
    done = subprocess.run([VERBATIM, "parity", "tests/golden/llama-gqa/model.gguf", "--llama-server", server.url, "--raw", "-n", "24",
                           "-c", "128", "--prompts", WORK / "tiny.txt", "--contributions", "--json"], capture_output=True)
    server.close()
    if b"libcurl" in done.stderr:
        return
    hold("llama-server: exit 0", done.returncode == 0, (done.returncode, done.stderr))
    found = json.loads(done.stdout) if done.returncode == 0 else {"contributions": []}
    parts = {part["difference"]: part["drift"]["most"] for part in found["contributions"]}
    hold("contributions", list(parts) == ["attention", "scales", "gelu", "activations", "rope", "all of them"], parts)
    hold("contributions: f16 moves numbers", parts.get("attention", 0) > 0 and parts.get("all of them", 0) > 0, parts)
    hold("contributions: no gelu in this model", parts.get("gelu") == 0, parts)


def lines():
    code, out, said = parity("--recording", RECORDING)
    hold("lines", code == 0 and re.search(r"^verdict +explained$", out, re.M) and "\033" not in out and said == "", out[-400:] + said)


def usage():
    code, _, said = parity()
    hold("no partner", code == 2 and "--recording" in said, said)
    code, _, said = parity("--recording", WORK / "absent.json")
    hold("no file", code in (3, 4) and "absent.json" in said, said)


def main():
    cases = json.loads(pathlib.Path(RECORDING).read_text())["cases"]
    if "--planted" in sys.argv:
        usage()
        planted(cases)
        live(cases)
        contributions()
        lines()
    else:
        whole(cases)
    print(f"{done['passed']} passed, {done['failed']} failed")
    return 1 if done["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
