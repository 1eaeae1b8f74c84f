#!/usr/bin/env python3
"""easy.py VERBATIM - labels and extracted JSON on the command line; with SMOLLM2=path also what a model makes of them."""
import array
import json
import math
import os
import pathlib
import subprocess
import sys

import each
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
TINY = str(ROOT / "tests/golden/llama-gqa/model.gguf")
REAL = os.environ.get("SMOLLM2", "")
WORK = scratch.folder("easy")
SCHEMA = {"type": "object", "properties": {"name": {"enum": ["Ann", "Bob"]}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
          "required": ["name", "age"], "additionalProperties": False}
(WORK / "schema.json").write_text(json.dumps(SCHEMA))


def run(code, *args, stdin=""):
    done = subprocess.run([VERBATIM, *map(str, args)], input=stdin.encode(), capture_output=True, timeout=120)
    assert done.returncode == code, f"{args}: expected exit {code}, found {done.returncode}: {done.stdout} {done.stderr}"
    return done


def out(*args, **options):
    return run(0, *args, **options).stdout.decode()


def same(a, b):
    assert a == b, f"expected {b!r}, found {a!r}"


# --- labels ------------------------------------------------------------------------------------------------------

def test_a_label_is_printed():
    label = out("classify", TINY, "--labels", "good, bad,so so", "hello").strip()
    assert label in ("good", "bad", "so so"), label
    same(out("classify", TINY, "--labels", "good, bad,so so", "-", stdin="hello\n").strip(), label)


def test_scores_are_the_same_everywhere():
    args = ("classify", TINY, "--labels", "good,bad,so so", "hello", "--json")
    value = json.loads(out(*args))
    same([s["label"] for s in value["scores"]], ["good", "bad", "so so"])
    same(value["label"], max(value["scores"], key=lambda s: s["mean"])["label"])
    assert abs(sum(s["probability"] for s in value["scores"]) - 1) < 1e-9
    for s in value["scores"]:
        assert s["sum"] < 0 and abs(s["mean"] - s["sum"] / s["tokens"]) < 1e-12, s
    total = sum(math.exp(s["mean"]) for s in value["scores"])
    for s in value["scores"]:
        assert abs(s["probability"] - math.exp(s["mean"]) / total) < 1e-9, s
    for how in (("-t", "3"), ("--isa", "portable"), ("--player", "oracle")):
        same(json.loads(out(*args, *how)), value)
    by_sum = json.loads(out(*args, "--by", "sum"))
    same(by_sum["label"], max(value["scores"], key=lambda s: s["sum"])["label"])
    same([s["sum"] for s in by_sum["scores"]], [s["sum"] for s in value["scores"]])


def test_a_label_scores_as_its_log_probabilities():
    """Beside `logits`: the sum over the label's tokens behind the prompt, by a softmax of our own in binary64."""
    prompt, label = "Once upon a time", "good"
    ids = json.loads(out("tokenize", TINY, prompt, "--add-special"))
    line, both = (json.loads(out("tokenize", TINY, text)) for text in ("\n", "\n" + label))
    same(both[:len(line)], line)
    wanted = both[len(line):]
    out("logits", TINY, "--tokens", ",".join(map(str, ids + wanted)), "--out", WORK / "logits.f32")
    data = array.array("f", (WORK / "logits.f32").read_bytes())
    vocab = len(data) // len(ids + wanted)
    total = 0.0
    for i, token in enumerate(wanted):
        row = data[(len(ids) - 1 + i) * vocab:(len(ids) + i) * vocab]
        top = max(row)
        total += row[token] - top - math.log(sum(math.exp(x - top) for x in row))
    score = json.loads(out("classify", TINY, "--raw", "--labels", label + ",x", prompt, "--json"))["scores"][0]
    same(score["tokens"], len(wanted))
    assert abs(score["sum"] - total) < 1e-4, (score, total)


def test_labels_score_the_same_in_any_order():
    labels = ["good", "good news", "so so", "bad", "größe"]
    for how in ((), ("--raw",), ("--by", "sum")):
        found = []
        for turn in range(len(labels)):
            said = json.loads(out("classify", TINY, "--labels", ",".join(labels[turn:] + labels[:turn]), "hello", "--json", *how))
            found.append((said["label"], sorted((s["label"], s["sum"], s["probability"]) for s in said["scores"])))
        same(found, found[:1] * len(labels))


def test_classify_says_what_is_wrong():
    for args, says in ((("classify", TINY, "x"), b"--labels: expected"), (("classify", TINY, "x", "--labels", "a"), b"at least 2 labels"),
                       (("classify", TINY, "x", "--labels", "a,a"), b"'a' twice"), (("classify", TINY, "x", "--labels", "a,"), b"label 1"),
                       (("classify", TINY, "x", "--labels", "a,b", "--raw", "--system", "s"), b"--raw"),
                       (("classify", TINY, "x", "--labels", "a,b", "--by", "max"), b"mean|sum")):
        assert says in run(2, *args).stderr, args
    run(3, "classify", WORK / "absent.gguf", "x", "--labels", "a,b")
    assert b"NUL" in run(2, "classify", TINY, "-", "--labels", "a,b", stdin="a\0b").stderr
    assert b"encoder" in run(3, "classify", ROOT / "tests/golden/bert-mean/model.gguf", "x", "--labels", "a,b").stderr


# --- JSON --------------------------------------------------------------------------------------------------------

def test_extracted_json_fits():
    for seed in range(5):
        args = ("extract", TINY, "--schema", WORK / "schema.json", "--temp", "2", "-s", seed, "-c", "800", "Ann is 7.")
        value = json.loads(out(*args))
        assert set(value) == {"name", "age"} and value["name"] in ("Ann", "Bob") and 0 <= value["age"] <= 99, value
        whole = json.loads(out(*args, "--json"))
        same((whole["value"], whole["repairs"]), (value, []))


def test_what_was_cut_is_refused():
    done = run(1, "extract", TINY, "--schema", WORK / "schema.json", "-n", "2", "-c", "800", "Ann is 7.")
    assert b"ends after 2 tokens" in done.stderr and not done.stdout, done


def test_an_answer_is_repaired_or_refused():
    text = "Of course!\n```json\n{name: 'Ann', 'age': 7,\n```\nAnything else?"
    same(json.loads(out("extract", "--schema", WORK / "schema.json", "--from", "-", stdin='{"name": "Ann", "age": 7}')), {"name": "Ann", "age": 7})
    done = json.loads(out("extract", "--schema", WORK / "schema.json", "--from", "-", "--json", stdin=text.replace("7,\n", "7,\n}\n")))
    same(done, {"value": {"name": "Ann", "age": 7}, "repairs": ["prose", "commas", "quotes"]})
    done = json.loads(out("extract", "--schema", WORK / "schema.json", "--from", "-", "--json", stdin='{"name": "Ann", "age": 7'))
    same(done["repairs"], ["closed"])
    (WORK / "answer.txt").write_text('{"name": "Ann", "age": "old"}')
    assert b'$.age: expected an integer, found "old"' in run(1, "extract", "--schema", WORK / "schema.json", "--from", WORK / "answer.txt").stderr


def test_extract_says_what_is_wrong():
    run(2, "extract", TINY, "x")
    run(2, "extract", "--schema", WORK / "schema.json")
    run(2, "extract", TINY, "--schema", WORK / "schema.json")
    run(2, "extract", TINY, "x", "--schema", "-")
    run(2, "extract", TINY, "x", "--schema", WORK / "schema.json", "--from", "-")
    (WORK / "broken.json").write_text("{")
    assert b"schema: expected JSON" in run(3, "extract", TINY, "x", "--schema", WORK / "broken.json").stderr
    assert b"schema: expected JSON" in run(3, "extract", "--from", "-", "--schema", WORK / "broken.json", stdin="{}").stderr
    run(3, "extract", TINY, "x", "--schema", WORK / "absent.json")


def test_a_model_that_speaks_finds_facts():
    if not os.path.isfile(REAL):
        raise each.Skip
    schema = WORK / "person.json"
    schema.write_text(json.dumps({"type": "object", "properties": {k: {"type": t, **({"maxLength": 20} if t == "string" else {})} for k, t in
                                  (("name", "string"), ("age", "integer"), ("city", "string"))}, "required": ["name", "age", "city"]}))
    value = json.loads(out("extract", REAL, "--schema", schema, "-n", "80", "Anna, who is 34 years old, lives in Bern."))
    same(value, {"name": "Anna", "age": 34, "city": "Bern"})
    same(out("classify", REAL, "--labels", "positive,negative,neutral", "I love this little machine, it works wonderfully.").strip(), "positive")


def main():
    code = each.run(globals(), sys.argv[2:])
    subprocess.run(["rm", "-rf", WORK])
    return code


if __name__ == "__main__":
    sys.exit(main())
