#!/usr/bin/env python3
"""family.py VERBATIM - traces proved, gone back into and branched, as a user does it."""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

import each
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
TINY = str(ROOT / "tests/golden/llama-gqa/model.gguf")
WORK = scratch.folder("family")


def run(code, *args):
    done = subprocess.run([VERBATIM, *map(str, args)], capture_output=True, cwd=WORK, timeout=120)
    assert done.returncode == code, f"{args}: expected exit {code}, found {done.returncode}: {done.stdout} {done.stderr}"
    return done


def parsed(code, *args):
    return json.loads(run(code, *args, "--json").stdout)


def recorded(name, *options):
    path = WORK / name
    if not path.exists():
        run(0, "run", TINY, "--raw", "--trace", path, *(options or ("-n30", "--temp", "0.9", "-s7")), "Hello")
    return path


def ids(path):
    lines = [json.loads(line) for line in run(0, "trace", "show", path, "--json").stdout.splitlines()]
    return [(line["record"], line["id"]) for line in lines if line["record"] in ("given", "chosen")]


def same(a, b):
    assert a == b, f"expected {b!r}, found {a!r}"


# --- proofs ------------------------------------------------------------------------------------------------------

def test_an_honest_trace_is_verified():
    for options in ((), ("-n20",), ("-n30", "--temp", "0.8", "--top-k", "20", "--repeat-penalty", "1.2"),
                    ("-n12", "--kv", "f32", "--arith", "f32"), ("-n12", "--taps", "layers"), ("-n9", "-c", "12")):
        path = recorded("honest%d.trace" % len(" ".join(options)), *options)
        for how in ((), ("--sample", "3"), ("-t", "3", "--isa", "portable"), ("--player", "oracle")):
            value = parsed(0, "trace", "verify", path, *how)
            same((value["verified"], value["format"], value["ended"]), (True, 2, True))
            same(value["checked"], 3 if how[:1] == ("--sample",) else value["chosen"])


def test_what_a_grammar_holds_is_proved_and_branched():
    grammar, schema = WORK / "g.gbnf", WORK / "s.json"
    grammar.write_text('root ::= ([a-z]+ " "){3} [0-9]+ "."')
    schema.write_text('{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}')
    plain = recorded("unheld.trace", "-n30", "-s7")
    for i, options in enumerate((("--grammar", grammar), ("--json-schema", schema), ("--grammar", grammar, "--taps", "layers"))):
        path = recorded("held%d.trace" % i, "-n20", "--temp", "0.9", "-s7", *options)
        for how in ((), ("--sample", "2"), ("-t", "3", "--isa", "portable"), ("--player", "oracle")):
            same(parsed(0, "trace", "verify", path, *how)["format"], 3)
        same(parsed(0, "trace", "replay", path)["equal"], True)
        assert b"held to" in run(0, "trace", "show", path).stdout
        same(parsed(1, "trace", "diff", path, plain)["field"], "temperature")
    run(0, "trace", "branch", WORK / "held0.trace", "--at", "12", "-s9", "-n9", "-o", WORK / "held-b.trace")
    same(parsed(0, "trace", "verify", WORK / "held-b.trace")["format"], 3)
    assert b"may stand" in run(2, "trace", "branch", WORK / "held0.trace", "--at", "12", "--text", "???", "-o",
                               WORK / "none.trace").stderr
    same((WORK / "none.trace").exists(), False)


def test_what_was_cut_is_verified_as_far_as_it_goes():
    whole = recorded("a.trace").read_bytes()
    cut = WORK / "cut.trace"
    cut.write_bytes(whole[:len(whole) * 3 // 4])
    value = parsed(0, "trace", "verify", cut)
    same((value["verified"], value["ended"]), (True, False))
    assert b"no end record" in run(0, "trace", "verify", cut).stdout


def test_old_traces_are_verified():
    found = sorted((ROOT / "tests/traces").glob("*/*.trace"))
    assert found, "no fixtures"
    seen = set()
    for path in found:
        model = [m for m in ROOT.glob("tests/golden/*/model.gguf")
                 if hashlib.sha256(m.read_bytes()).digest() == path.read_bytes()[32 + 12 + 8:][:32]]
        if model:
            value = parsed(0, "trace", "verify", path, "--model", model[0])
            seen.add(value["format"])
            run(0, "trace", "replay", path, "--model", model[0])
    same(seen, {1, 2, 3})


def rechained(data):
    """The same records with links that fit: what a forger writes."""
    out, at = bytearray(data[:32]), 32
    while at < len(data):
        n, kind = struct.unpack_from("<II", data, at)
        body = data[at:at + 12 + n]
        link = hashlib.sha256(out[-32:] + body).digest()
        if kind == 5:
            before = bytes(out[-32:])
            body = body[:-32]
            out += body + hashlib.sha256(before + body).digest() + before
        else:
            out += body + link
        at += 12 + n + 32
    return bytes(out)


def test_a_forgery_is_told_with_its_place():
    data = recorded("a.trace").read_bytes()
    same(rechained(data), data)
    forged = WORK / "forged.trace"
    seed = 32 + 12 + 184
    for at, field, record in ((seed, "proof", None), (seed - 36, "id", None)):
        changed = bytearray(data)
        changed[at + (2 if field == "id" else 0)] ^= 0x40
        forged.write_bytes(rechained(bytes(changed)))
        value = parsed(1, "trace", "verify", forged)
        assert not value["verified"] and value["diff"]["field"] in ("proof", "id"), value
        assert b"differs" in run(1, "trace", "verify", forged).stdout
        run(1, "trace", "verify", forged, "--sample", "1")


def test_what_cannot_be_known_is_said():
    path = recorded("a.trace")
    run(3, "trace", "verify", ROOT / "README.md")
    run(3, "trace", "verify", WORK / "absent.trace")
    run(3, "trace", "verify", path, "--model", WORK / "absent.gguf")
    value = parsed(1, "trace", "verify", path, "--model", ROOT / "tests/golden/gemma3/model.gguf")
    same(value["diff"]["field"], "model")
    data = bytearray(path.read_bytes())
    data[32 + 12] = 9
    (WORK / "version.trace").write_bytes(rechained(bytes(data)))
    assert b"arithmetic version" in run(3, "trace", "verify", WORK / "version.trace").stderr
    run(2, "trace", "verify", path, "--sample", "0")


def test_a_signer_is_asked_for():
    path = WORK / "signed.trace"
    for key in ("one.key", "two.key"):
        run(0, "trace", "keygen", WORK / key)
    run(1, "trace", "verify", recorded("a.trace"), "--signer", WORK / "one.key.pub")
    run(0, "run", TINY, "--raw", "-n5", "--trace", path, "--sign", WORK / "one.key", "Hello")
    value = parsed(0, "trace", "verify", path, "--signer", WORK / "one.key.pub")
    run(0, "trace", "verify", path, "--signer", value["signer"])
    same(parsed(1, "trace", "verify", path, "--signer", WORK / "two.key.pub")["diff"]["field"], "signer")


# --- going back ---------------------------------------------------------------------------------------------------

def test_replay_stops_where_it_is_told():
    path = recorded("a.trace")
    whole, part = parsed(0, "trace", "replay", path), parsed(0, "trace", "replay", path, "--to", "12")
    same((whole["records"], part["records"]), (1 + len(ids(path)), 13))
    run(2, "trace", "replay", path, "--to", "4000")


def test_a_branch_without_a_change_is_the_same_again():
    path = recorded("a.trace")
    parsed(0, "trace", "branch", path, "--at", "15", "-o", WORK / "again.trace", "-n20")
    same([i for _, i in ids(WORK / "again.trace")], [i for _, i in ids(path)])
    same([kind for kind, _ in ids(WORK / "again.trace")][:16], ["given"] * 15 + ["chosen"])


def test_branches_go_another_way():
    path = recorded("a.trace")
    ours = [i for _, i in ids(path)]
    value = parsed(0, "trace", "branch", path, "--at", "12", "--token", "77", "-n8", "-o", WORK / "token.trace")
    same((value["at"], value["given_tokens"], value["evaluated_tokens"], value["tokens"]), (12, 13, 20, 8))
    same([i for _, i in ids(WORK / "token.trace")][:13], ours[:12] + [77])
    value = parsed(0, "trace", "branch", path, "--at", "12", "--text", " abc", "-n4", "-o", WORK / "text.trace")
    assert value["given_tokens"] > 13
    run(0, "trace", "branch", path, "--at", "12", "--seed", "8", "-n9", "--taps", "layers", "-o", WORK / "seed.trace")
    run(0, "trace", "branch", path, "--at", "12", "--temp", "0", "-n9", "-t2", "--isa", "portable", "-o", WORK / "cold.trace")
    run(0, "trace", "branch", WORK / "token.trace", "--at", "15", "--token", "5", "-n3", "-o", WORK / "deep.trace")
    for name in ("token", "text", "seed", "cold", "deep"):
        run(0, "trace", "verify", WORK / (name + ".trace"))
        run(0, "trace", "replay", WORK / (name + ".trace"))


def test_a_branch_needs_a_place():
    path = recorded("a.trace")
    run(2, "trace", "branch", path)
    run(2, "trace", "branch", path, "--at", "0")
    run(2, "trace", "branch", path, "--at", "4000")
    run(2, "trace", "branch", path, "--at", "9", "--token", "5", "--text", "x")
    run(2, "trace", "branch", path, "--at", "9", "--speculate", "draft")
    run(2, "trace", "branch", path, "--at", "9", "--token", "100000")
    run(1, "trace", "branch", path, "--at", "9", "--model", ROOT / "tests/golden/gemma3/model.gguf")
    run(4, "trace", "branch", path, "--at", "9", "-n1", "-o", path)


def test_a_branch_names_itself():
    path = recorded("named.trace")
    for name in ("named-9.trace", "named-9.2.trace"):
        run(0, "trace", "branch", path, "--at", "9", "-n2", "-s3")
        assert (WORK / name).exists(), name


def test_a_cache_makes_coming_back_cheap():
    path = recorded("long.trace", "-n300", "--temp", "0.9", "-s3")
    evaluated = [parsed(0, "trace", "branch", path, "--at", "190", "-n1", "--cache", WORK / "kv", "-o",
                        WORK / f"cached{i}.trace")["evaluated_tokens"] for i in range(2)]
    assert evaluated[0] >= 190 and evaluated[1] < 10, evaluated
    same((WORK / "cached0.trace").read_bytes()[32:300], (WORK / "cached1.trace").read_bytes()[32:300])
    assert any((WORK / "kv").iterdir()), "nothing was kept"


def test_the_family_is_shown():
    folder = WORK / "family"
    folder.mkdir()
    run(0, "trace", "keygen", WORK / "family.key")
    run(0, "run", TINY, "--raw", "-n30", "--temp", "0.9", "--taps", "layers", "--sign", WORK / "family.key", "--trace",
        folder / "z.trace", "Hello")
    run(0, "trace", "branch", folder / "z.trace", "--at", "20", "--token", "7", "-n9", "-o", folder / "b.trace")
    run(0, "trace", "branch", folder / "z.trace", "--at", "10", "--token", "7", "-n9", "-o", folder / "y.trace")
    run(0, "trace", "branch", folder / "b.trace", "--at", "25", "--token", "8", "-n3", "-o", folder / "a.trace")
    end = str(len(ids(folder / "a.trace")))
    run(0, "trace", "branch", folder / "a.trace", "--at", end, "--token", "8", "-n3", "-o", folder / "c.trace")
    (folder / "notes.txt").write_text("no trace")
    found = [(pathlib.Path(v["path"]).name, v["depth"], v["at"], v["parent"] and pathlib.Path(v["parent"]).name)
             for v in parsed(0, "trace", "tree", folder)]
    same(found, [("z.trace", 0, 0, None), ("y.trace", 1, 10, "z.trace"), ("b.trace", 1, 20, "z.trace"), ("a.trace", 2, 25, "b.trace"),
                 ("c.trace", 3, int(end), "a.trace")])
    alone = parsed(0, "trace", "tree", folder / "a.trace")[0]
    assert alone["parent"] is None and len(alone["parent_link"]) == 64
    assert b"not among these" in run(0, "trace", "tree", folder / "a.trace").stdout
    same(len(run(0, "trace", "tree", folder).stdout.splitlines()), 5)
    value = parsed(3, "trace", "tree", folder, ROOT / "README.md")
    assert "error" in value[-1] and len(value) == 6, value


def main():
    code = each.run(globals(), sys.argv[2:])
    subprocess.run(["rm", "-rf", WORK])
    return code


if __name__ == "__main__":
    sys.exit(main())
