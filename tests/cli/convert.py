#!/usr/bin/env python3
"""convert.py VERBATIM [NAME...] - Hugging Face folders to GGUF: every family against what llama.cpp's own converter made of
the same folders, a golden model by way of a folder, formats, threads, and whatever is wrong with a folder said clearly.

tests/convert/make.py makes the folders; tests/convert/expected.json holds keys and tensors as convert_hf_to_gguf.py of
llama-cpp-python 0.3.36 (transformers 4.57.6) wrote them, tokenizers apart.
"""
import array
import collections
import copy
import io
import json
import math
import os
import pathlib
import pickle
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import types
import zipfile

import each
import scratch
from gguf_file import File

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/convert"))
import make  # noqa: E402

VERBATIM = str(pathlib.Path(sys.argv[1]).resolve())
WORK = scratch.folder("convert")
ENV = {**os.environ, "HOME": str(WORK)}
ENCODERS = ("bert", "nomic-bert")
FOLDERS = {f.name: f for f in make.folders()}


def call(*args, **more):
    return subprocess.run([VERBATIM, *map(str, args)], capture_output=True, text=True, env=ENV, timeout=120, **more)


def folder(name):
    if not (WORK / name).exists():
        FOLDERS[name].write(WORK)
    return WORK / name


def converted(source, *args, out=None):
    out = out or WORK / f"{source.name}.gguf"
    done = call("convert", source, "-o", out, "--force", "--json", *args)
    assert done.returncode == 0, f"{source.name}: {done.stderr}"
    return out, json.loads(done.stdout)


def logits(path, tokens, *args):
    out = WORK / "logits.f32"
    done = call("logits", path, "--tokens", ",".join(map(str, tokens)), "-o", out, *args)
    assert done.returncode == 0, done.stderr
    return array.array("f", out.read_bytes())


def difference(name, found, expected):
    """Keys and tensors as the other converter has them; "general" keys but those two are names of its own."""
    keys = {k: v for k, v in found.keys.items() if not k.startswith(("general.", "tokenizer."))}
    keys.update({k: found.keys[k] for k in ("general.architecture", "general.file_type") if k in found.keys})
    if name == "gptneox":  # where it leaves this one out
        del keys["general.file_type"]
    tensors = {n: found.line(n) for n in found.tensors}
    told = [f"{n}: {k}: expected {theirs.get(k)}, found {ours.get(k)}"
            for n, theirs, ours in ((name, expected["keys"], keys), (name, expected["tensors"], tensors))
            for k in sorted({*theirs, *ours}) if theirs.get(k) != ours.get(k)]
    return "; ".join(told)


# --- what is right ----------------------------------------------------------------------------------------------

def test_like_llama_cpp():
    expected = json.loads((ROOT / "tests/convert/expected.json").read_text())
    assert sorted({*FOLDERS} - {*expected}) == ["gptneo"], sorted(FOLDERS)
    for name, theirs in expected.items():
        assert make.digest(folder(name)) == theirs["folder"], f"{name}: make.py makes other folders than it did"
        told = difference(name, File(converted(folder(name))[0]), theirs)
        assert not told, told


def test_every_family():
    """Each family that the engine has; each file of ours is evaluated."""
    known = set()
    for name in FOLDERS:
        path, told = converted(folder(name))
        known.add(told["architecture"])
        if name in ENCODERS:
            done = call("embed", path, "--tokens", "2,7,3", "--json")
            values = json.loads(done.stdout)["embeddings"][0]["embedding"]
        else:
            values = logits(path, [5, 40, 41, 200])
        assert len(set(values)) > 8 and all(map(math.isfinite, values)), name
    families = (ROOT / "src/arch/families.def").read_text()
    assert known == {line.split('"')[1] for line in families.splitlines() if line.startswith("VB_ARCH")}, known


def test_golden_by_way_of_a_folder():
    """GPT-Neo, which the other converter does not know: a golden model's weights under the names of its class, in a folder
    with its class's settings; the logits are those that the class itself computed."""
    source = ROOT / "tests/golden/gptneo"
    golden, k = File(source / "model.gguf"), "gptneo."
    layers, width = golden.keys[k + "block_count"], golden.keys[k + "embedding_length"]
    kinds = ["local" if local else "global" for local in golden.keys[k + "attention.sliding_window_pattern"]]
    f = make.Folder("golden-gptneo", "GPTNeoForCausalLM", vocab=golden.tensors["token_embd.weight"][1][1], model_type="gpt_neo",
                    hidden_size=width, num_heads=golden.keys[k + "attention.head_count"], num_layers=layers, attention_layers=kinds,
                    attention_types=[[kinds, 1]], intermediate_size=golden.keys[k + "feed_forward_length"],
                    max_position_embeddings=golden.keys[k + "context_length"], window_size=golden.keys[k + "attention.sliding_window"],
                    layer_norm_epsilon=golden.keys[k + "attention.layer_norm_epsilon"], tie_word_embeddings=True)
    names = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}
    for i in range(layers):
        for theirs, ours in (("ln_1", "attn_norm"), ("ln_2", "ffn_norm"), ("attn.attention.q_proj", "attn_q"),
                             ("attn.attention.k_proj", "attn_k"), ("attn.attention.v_proj", "attn_v"),
                             ("attn.attention.out_proj", "attn_output"), ("mlp.c_fc", "ffn_up"), ("mlp.c_proj", "ffn_down")):
            names[f"h.{i}.{theirs}"] = f"blk.{i}.{ours}"
    for theirs, ours in names.items():
        for part in (".weight", ".bias"):
            if ours + part in golden.tensors:
                form, shape, _ = golden.tensors[ours + part]
                f.tensors[f"transformer.{theirs}{part}"] = (form, tuple(reversed(shape)), golden.data_of(ours + part))
    f.tensors["lm_head.weight"] = f.tensors["transformer.wte.weight"]  # tied: a copy
    f.write(WORK)
    tokens = json.loads((source / "tokens.json").read_text())
    found = logits(converted(WORK / f.name)[0], tokens, "--arith", "f32")
    expected = array.array("f", (source / "logits.f32").read_bytes())
    assert len(found) == len(expected) > 0
    worst = max(abs(a - b) for a, b in zip(found, expected))
    assert worst < 3e-4, worst


def test_same_bytes():
    """Any number of threads; one file or several of them; and the file of quantize."""
    source = folder("llama")
    path, _ = converted(source)
    whole = WORK / "whole"
    f = FOLDERS["llama"]
    f.shards = 1
    f.write(whole)
    f.shards = 3
    assert converted(whole / "llama", out=WORK / "b.gguf")[0].read_bytes() == path.read_bytes()
    for kind in ("Q8_0", "Q4_K", "F16"):
        one, _ = converted(source, "--type", kind, "--threads", "1", out=WORK / "one.gguf")
        three, _ = converted(source, "--type", kind, "--threads", "3", out=WORK / "three.gguf")
        done = call("quantize", path, WORK / "later.gguf", "--type", kind, "--force")
        assert done.returncode == 0, done.stderr
        assert one.read_bytes() == three.read_bytes() == (WORK / "later.gguf").read_bytes(), kind


def test_types():
    path, told = converted(folder("gpt2"), "--type", "F16", out=WORK / "types.gguf")
    forms = {n: form for n, (form, _, _) in File(path).tensors.items()}
    assert forms["token_embd.weight"] == "F16" and forms["position_embd.weight"] == forms["blk.0.attn_norm.weight"] == "F32"
    assert told["notes"] == []
    path, told = converted(folder("gpt2"), "--type", "Q4_K", "--pure", out=path)
    assert File(path).format("blk.0.ffn_down.weight") == "Q4_K"  # 256 columns
    assert File(path).format("blk.0.ffn_up.weight") == "Q5_0"  # 64
    assert len(told["notes"]) == 1 and "64 columns" in told["notes"][0], told
    path, told = converted(folder("gpt-oss"), "--type", "Q8_0", out=path)
    assert File(path).format("blk.0.ffn_up_exps.weight") == "MXFP4"  # as it came


class Storage:
    """A storage of PyTorch's archives, by the name of its file."""

    def __init__(self, key, n):
        self.key, self.n = key, n


class Tensor:
    def __init__(self, rebuild, *arguments):
        self.rebuild, self.arguments = rebuild, arguments

    def __reduce__(self):
        return self.rebuild, self.arguments


def write_torch(path, tensors):
    """tensors: name -> (kind, shape, bytes), as torch.save writes a state dict: a zip archive with a pickle in it."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    utils._rebuild_tensor_v2 = lambda *a: None
    utils._rebuild_tensor_v2.__module__, utils._rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    for name in ("FloatStorage", "BFloat16Storage", "HalfStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    kinds = {"F32": torch.FloatStorage, "BF16": torch.BFloat16Storage, "F16": torch.HalfStorage}

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, Storage):
                return ("storage", kinds[tensors[names[thing.key]][0]], str(thing.key), "cpu", thing.n)
            return None

    names, state, out = list(tensors), collections.OrderedDict(), io.BytesIO()
    for key, name in enumerate(names):
        shape, n = tensors[name][1], make.elements(tensors[name][1])
        strides = tuple(make.elements(shape[i + 1:]) for i in range(len(shape)))
        state[name] = Tensor(utils._rebuild_tensor_v2, Storage(key, n), 0, shape, strides, False, collections.OrderedDict())
    sys.modules.update({"torch": torch, "torch._utils": utils})
    torch._utils = utils
    Pickler(out, protocol=2).dump(state)
    del sys.modules["torch"], sys.modules["torch._utils"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", out.getvalue())
        archive.writestr("archive/version", "3\n")
        for key, name in enumerate(names):
            archive.writestr(f"archive/data/{key}", tensors[name][2])


def test_torch():
    """PyTorch's file, whole and in two parts, gives the bytes that safetensors gives."""
    expected = converted(folder("qwen2"))[0].read_bytes()
    f = FOLDERS["qwen2"]
    f.write(WORK / "torch")
    path = WORK / "torch" / "qwen2"
    (path / "model.safetensors").unlink()
    write_torch(path / "pytorch_model.bin", f.tensors)
    assert converted(path, out=WORK / "torch.gguf")[0].read_bytes() == expected
    (path / "pytorch_model.bin").unlink()
    names = list(f.tensors)
    for i in (1, 2):
        write_torch(path / f"pytorch_model-{i:05d}-of-00002.bin", {n: f.tensors[n] for n in names[i - 1::2]})
    assert converted(path, out=WORK / "torch.gguf")[0].read_bytes() == expected


def halves(data):
    return struct.unpack(f"<{len(data) // 2}e", data)


def test_mlx():
    """MLX's groups: 4 bits as Q4_1, without loss; 8 bits as halves. The rows of queries and keys change places on the way."""
    f = copy.deepcopy(FOLDERS["llama"])
    f.name, f.kind, f.shards, quants = "mlx", "F16", 1, {}
    f.config["intermediate_size"] = 128
    f.config["quantization"] = {"group_size": 32, "bits": 4, "lm_head": {"group_size": 64, "bits": 8}}
    for name, (_, shape, _) in list(f.tensors.items()):
        shape = tuple(128 if d == 96 else d for d in shape)
        if len(shape) == 1:
            f.add(name, *shape)
            continue
        module, bits, group = name.removesuffix(".weight"), *((8, 64) if "lm_head" in name else (4, 32))
        f.add(name, shape[0], shape[1] * bits // 32, kind="U8")
        quants[name] = make.numbers("U8", shape[0] * shape[1] * bits // 8, name)
        f.tensors[name] = ("U32", (shape[0], shape[1] * bits // 32), quants[name])
        f.add(module + ".scales", shape[0], shape[1] // group)
        f.add(module + ".biases", shape[0], shape[1] // group)
    f.write(WORK)
    path, told = converted(WORK / "mlx")
    assert told["type"] == "Q4_1", told
    packed, plain = File(path), File(converted(WORK / "mlx", "--type", "F32", out=WORK / "plain.gguf")[0])
    for name in packed.tensors:
        if packed.format(name) != "Q4_1":
            continue
        data, floats, values = packed.data_of(name), array.array("f", plain.data_of(name)), []
        for at in range(0, len(data), 20):
            scale, least = halves(data[at:at + 4])
            nibbles = [b & 15 for b in data[at + 4:at + 20]] + [b >> 4 for b in data[at + 4:at + 20]]
            values += [scale * q + least for q in nibbles]
        assert len(values) == len(floats) and all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(values, floats)), name
    name, module = "blk.0.ffn_up.weight", "model.layers.0.mlp.up_proj"
    quant, scales, biases = quants[module + ".weight"], *(halves(f.tensors[f"{module}.{p}"][2]) for p in ("scales", "biases"))
    wanted = [scales[i // 32] * (quant[i // 2] >> i % 2 * 4 & 15) + biases[i // 32] for i in range(2 * len(quant))]
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(wanted, array.array("f", plain.data_of(name))))
    quant, scales, biases = quants["lm_head.weight"], *(halves(f.tensors[f"lm_head.{p}"][2]) for p in ("scales", "biases"))
    wanted = [scales[i // 64] * q + biases[i // 64] for i, q in enumerate(quant)]
    assert packed.format("output.weight") == "F16"
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(wanted, array.array("f", plain.data_of("output.weight"))))


def test_what_a_file_cannot_say():
    _, told = converted(folder("mistral"))
    assert len(told["notes"]) == 1 and "sliding_window: 16 tokens" in told["notes"][0], told
    _, told = converted(folder("gpt-oss"))
    assert len(told["notes"]) == 1 and "truncate" in told["notes"][0], told
    assert converted(folder("gemma2"))[1]["notes"] == []
    for curve, notes in (("silu", 0), ("relu", 1), ("sil", 1)):
        _, told = converted(broken(lambda f: f.config.update(hidden_act=curve)))
        assert len(told["notes"]) == notes and all(curve in n for n in told["notes"]), told


    told = {"qwen3moe": ("norm_topk_prob", False), "olmoe": ("clip_qkv", 8.0), "gpt2": ("scale_attn_by_inverse_layer_idx", True),
            "smollm3": ("no_rope_layers", [1, 0, 1, 0])}
    for name, (setting, value) in told.items():
        notes = converted(broken(lambda f: f.config.update({setting: value}), name))[1]["notes"]
        assert len(notes) == 1 and notes[0].startswith(setting), notes


def test_settings_that_make_keys():
    """Settings that a family's folders seldom have, as transformers understands them."""
    def keys(name, change):
        return File(converted(broken(change, name))[0]).keys

    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
    usual, most = 1 + 0.1 * math.log(4), "rope.scaling.attn_factor"
    for more, wanted in (({"attention_factor": 1.5}, 1.5), ({"mscale": 1.0, "mscale_all_dim": 0.5}, usual / (1 + 0.05 * math.log(4)))):
        made = keys("qwen2-yarn", lambda f: f.config.update(rope_scaling={**yarn, **more}))
        assert math.isclose(made[f"qwen2.{most}"], wanted / usual, rel_tol=1e-6), made
    made = keys("qwen2-yarn", lambda f: f.config.update(rope_scaling={**yarn, "attention_factor": usual}))
    assert f"qwen2.{most}" not in made, made
    for name in ("gemma2", "gemma3"):
        made = keys(name, lambda f: f.config.get("text_config", f.config).update(query_pre_attn_scalar=25))
        assert math.isclose(made[f"{name}.attention.scale"], 0.2, rel_tol=1e-6), made
    kinds = ["sliding_attention", "full_attention"] * 3
    for name, pattern in (("gemma3", kinds), ("gemma2", kinds[1::-1]), ("gpt-oss", kinds[1::-1])):
        made = keys(name, lambda f: f.config.get("text_config", f.config).update(layer_types=pattern))
        assert made[f"{name}.attention.sliding_window_pattern"] == [k == kinds[0] for k in pattern], made
    assert "gemma2.attention.sliding_window_pattern" not in keys("gemma2", lambda f: f.config.update(layer_types=kinds[:2]))
    for name in ("gemma", "gptneox"):
        made = keys(name, lambda f: f.config.update(rope_theta=5e4, rope_scaling={"type": "linear", "factor": 2.0}))
        found = [made[f"{name}.rope.{key}"] for key in ("freq_base", "scaling.type", "scaling.factor")]
        assert found == [5e4, "linear", 2.0], made


def test_heads_of_their_own():
    """Of families whose head is the table of embeddings where nothing is said."""
    for name in ("gpt2", "gptneo", "gemma"):
        def untied(f):
            f.config["tie_word_embeddings"] = False
            f.add("lm_head.weight", f.vocab, make.D)
        made = File(converted(broken(untied, name))[0])
        assert made.line("output.weight").split()[1:] != made.line("token_embd.weight").split()[1:], name
        path = broken(lambda f: untied(f) or f.config.update(tie_word_embeddings=True), name)
        assert "output.weight" not in File(converted(path)[0]).tensors, name


def test_settings_of_single_layers():
    """Gemma 4: what layers without a window have of their own, as newer folders say it."""
    def newer(f):
        text = f.config.get("text_config", f.config)
        own = {"head_dim": text.pop("global_head_dim")}
        if text.get("num_global_key_value_heads"):
            own["num_key_value_heads"] = text.pop("num_global_key_value_heads")
        text["per_layer_config"] = {"5": own}

    for name in ("gemma4-shared", "gemma4-moe"):
        wanted = converted(broken(lambda f: None, name))[0].read_bytes()
        assert converted(broken(newer, name))[0].read_bytes() == wanted, name


def test_unigrams():
    """What a tokenizer.json of unigrams does with spaces and at the end."""
    path = broken(lambda f: None, "llama")
    words = [["<s>", 0], ["</s>", 0], ["<unk>", 0]] + [[w, -i] for i, w in enumerate(("\u2581", "a", "b", "\u2581a"))]
    metaspace, split = {"type": "Metaspace", "prepend_scheme": "always"}, {"type": "WhitespaceSplit"}
    end = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}], "pair": []}
    merge = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
    for steps, normal, post, told in (
            (metaspace, None, None, (True, False, False)), (metaspace, merge, None, (True, True, False)),
            ({"type": "Sequence", "pretokenizers": [split, metaspace]}, None, end, (True, True, True)),
            ({**metaspace, "prepend_scheme": "never"}, None, end, (False, False, True))):
        (path / "tokenizer.json").write_text(json.dumps({
            "model": {"type": "Unigram", "vocab": words, "unk_id": 2}, "added_tokens": [{"id": 1, "content": "</s>", "special": True}],
            "pre_tokenizer": steps, "normalizer": normal, "post_processor": post}))
        keys = File(converted(path)[0]).keys
        found = tuple(keys[f"tokenizer.ggml.{k}"] for k in ("add_space_prefix", "remove_extra_whitespaces", "add_eos_token"))
        assert found == told, (steps, normal, found)


def test_towers_are_left_out():
    _, told = converted(folder("gemma3"))
    assert told["notes"] == ["2 tensors of vision and audio towers are left out"], told


# --- what is wrong ----------------------------------------------------------------------------------------------

def refused(source, *told, code=3):
    out = WORK / "refused.gguf"
    done = call("convert", source, "-o", out)
    assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
    assert all(t in done.stderr for t in told), done.stderr
    assert done.stdout == "" and not out.exists() and not pathlib.Path(f"{out}.part").exists()


def broken(change, name="qwen2"):
    """A copy of a folder's description after change(it)."""
    f = copy.deepcopy(FOLDERS[name])
    change(f)
    shutil.rmtree(WORK / "broken", True)
    f.write(WORK / "broken")
    return WORK / "broken" / name


def test_settings():
    refused(WORK / "nowhere", "nowhere", "expected a folder")
    (WORK / "empty").mkdir(exist_ok=True)
    refused(WORK / "empty", "expected config.json")
    refused(broken(lambda f: f.config.update(architectures=["MambaForCausalLM"])), "found MambaForCausalLM", "llama", "gptneo,")
    refused(broken(lambda f: f.config.pop("architectures")), "architectures")
    refused(broken(lambda f: f.config.pop("hidden_size")), "hidden_size")
    refused(broken(lambda f: f.config.pop("num_hidden_layers")), "num_hidden_layers", "found none")
    refused(broken(lambda f: f.config.update(num_hidden_layers="two")), "num_hidden_layers", "whole number")
    refused(broken(lambda f: f.config.update(num_key_value_heads=0)), "num_key_value_heads")
    refused(broken(lambda f: f.config.update(rope_scaling={"type": "spiral"})), "rope_scaling", "spiral")
    refused(broken(lambda f: f.config.update(rope_scaling={"type": "longrope", "factor": 2.0})), "rope_scaling", "longrope for qwen2")
    refused(broken(lambda f: f.config.update(quantization_config={"quant_method": "gptq"})), "quantization_config", "gptq")
    path = broken(lambda f: None)
    (path / "config.json").write_text("{")
    refused(path, "config.json")
    (path / "config.json").write_text("[" * 3000)
    refused(path, "config.json")


def test_tensors():
    q = "model.layers.1.self_attn.q_proj.weight"

    def reshaped(f):
        kind, shape, data = f.tensors[q]
        f.tensors[q] = (kind, (shape[0] // 2, shape[1] * 2), data)

    def infinite(f):
        kind, shape, data = f.tensors[q]
        f.tensors[q] = (kind, shape, data[:100] + struct.pack("<H", 0x7F80) + data[102:])

    refused(broken(lambda f: f.tensors.pop(q)), q.removeprefix("model."), "found none")
    refused(broken(lambda f: f.add("model.layers.1.self_attn.z_proj.weight", 4)), "z_proj", "expected none of this name", "qwen2")
    refused(broken(lambda f: f.add("model.layers.2.input_layernorm.weight", 64)), "model.layers.2.input_layernorm.weight")
    refused(broken(reshaped), q, "expected the shape [64, 64], found [32, 128]")
    refused(broken(lambda f: f.config.update(hidden_size=80)), "expected the shape [288, 80], found [288, 64]")
    refused(broken(lambda f: f.add(q, 64, 64, kind="U8")), q, "expected F32, F16, BF16 or F64, found U8")
    refused(broken(lambda f: f.add("norm.weight", 64)), "'norm.weight'", "expected one of them, found both")
    refused(broken(lambda f: f.tensors.pop("model.layers.0.mlp.experts.2.up_proj.weight"), "olmoe"), "experts.2.up_proj")
    refused(broken(lambda f: f.tensors.clear()), "embed_tokens")
    done = call("convert", broken(infinite), "-o", WORK / "refused.gguf", "--type", "Q8_0")
    assert done.returncode == 3 and "blk.1.attn_q.weight" in done.stderr, done.stderr
    assert not (WORK / "refused.gguf").exists()


def raw(header, body=b"", length=None):
    """A folder whose safetensors file is just these bytes."""
    path = WORK / "raw" / "qwen2"
    if not path.exists():
        FOLDERS["qwen2"].write(WORK / "raw")
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(head) if length is None else length) + head + body)
    return path


def entry(begin, end, shape=(4,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_safetensors():
    file, most = "model.safetensors", 2 ** 63 - 1
    refused(raw({"a": entry(0, 16), "b": entry(8, 24)}, bytes(24)), file, "'b'", "overlap")
    refused(raw({"a": entry(0, 16), "b": entry(0, 16)}, bytes(16)), file, "overlap")
    refused(raw({"a": entry(0, 16), "b": entry(20, 36)}, bytes(36)), file, "'b'", "gap")
    refused(raw({"a": entry(4, 20)}, bytes(20)), file, "gap")
    refused(raw({"a": entry(0, 16)}, bytes(20)), file, "expected 16 bytes", "found 20")
    refused(raw({"a": entry(0, 16)}, bytes(12)), file, "'a'", "12 bytes there are")
    refused(raw({"a": entry(most - 8, most)}, bytes(16)), file, "'a'")
    refused(raw({"a": entry(16, 0)}, bytes(16)), file, "'a'")
    refused(raw({"a": entry(-16, 0)}, bytes(16)), file, "'a'", "data_offsets")
    refused(raw({"a": entry(0, 2 ** 70)}, bytes(16)), file)
    refused(raw({"a": entry(0, 16, (2 ** 40, 2 ** 40))}, bytes(16)), file, "'a'", "fewer than 2^63")
    refused(raw({"a": entry(0, 16, (2 ** 62, 4))}, bytes(16)), file, "'a'", "fewer than 2^63")
    refused(raw({"a": entry(0, 16, (5,))}, bytes(16)), file, "expected 20 bytes", "found 16")
    refused(raw({"a": entry(0, 16, (1,) * 9)}, bytes(16)), file, "shape")
    refused(raw({"a": entry(0, 16, (-4,))}, bytes(16)), file, "shape")
    refused(raw({"a": entry(0, 16, (4.5,))}, bytes(16)), file, "shape")
    refused(raw({"a": entry(0, 16, dtype="F8_E4M3")}, bytes(16)), file, "F8_E4M3")
    refused(raw({"a": {"dtype": "F32"}}), file, "shape")
    refused(raw({"a": 1}), file, "'a'")
    one = json.dumps(entry(0, 16))
    refused(raw(f'{{"a": {one}, "a": {one}}}'.encode(), bytes(16)), file, "duplicate")
    refused(raw(b"[1]"), file, "JSON object")
    refused(raw(b"{nonsense"), file)
    refused(raw(b'{"a": ' + b"[" * 5000), file)
    refused(raw(b"\xff\xfe{}"), file)
    refused(raw(b"{}", length=2 ** 63), file, "expected at most")
    refused(raw(b"{}", length=3), file, "expected at most 2 bytes, found 3")
    refused(raw(b"", length=0), file)
    path = raw(b"{}")
    (path / file).write_bytes(b"\x02\0\0")
    refused(path, file, "found 3 bytes")


def test_long_header():
    path = raw(b"{}")
    with open(path / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", 100000001))
        f.truncate(100000100)
    refused(path, "header", "expected at most 100000000 bytes, found 100000001")


def test_shards():
    path = broken(lambda f: setattr(f, "shards", 2))
    index = path / "model.safetensors.index.json"
    good = json.loads(index.read_text())

    def with_map(**changes):
        index.write_text(json.dumps({"weight_map": {**good["weight_map"], **changes}}))
        return path

    refused(with_map(extra="model-00001-of-00002.safetensors"), "'extra'", "found nowhere")
    refused(with_map(**{"model.norm.weight": "model-00003-of-00002.safetensors"}), "model-00003-of-00002.safetensors")
    refused(with_map(**{"model.norm.weight": "../other.safetensors"}), "file in this folder", "../other.safetensors")
    wrong = {"model-00001-of-00002.safetensors": "model-00002-of-00002.safetensors"}
    there = good["weight_map"]["model.norm.weight"]
    other = wrong.get(there) or "model-00001-of-00002.safetensors"
    refused(with_map(**{"model.norm.weight": other}), "'model.norm.weight'", f"found {there}")
    del good["weight_map"]["model.norm.weight"]
    refused(with_map(), "'model.norm.weight'", "missing there")
    index.write_text("{}")
    refused(path, "weight_map")
    index.unlink()
    assert call("convert", path, "-o", WORK / "joined.gguf").returncode == 0
    (path / "model-00002-of-00002.safetensors").unlink()
    refused(path, "model-00002-of-00002.safetensors")


def test_mutated():
    """Settings and headers changed at random: an error or a file, never a crash."""
    rng = random.Random(int(os.environ.get("SEED", "1")))
    odd = [0, -1, 1, 3, 7, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 63 - 1, -2 ** 63, 1e-300, 1e300, 0.5, "text", "", None, True, [], [0], {}, {"rope_theta": 0}]
    for _ in range(int(os.environ.get("ROUNDS", "60"))):
        name = rng.choice(list(FOLDERS))
        path = folder(name)
        shutil.rmtree(WORK / "odd", True)
        shutil.copytree(path, WORK / "odd")
        config = json.loads((path / "config.json").read_text())
        for _ in range(rng.choice((1, 1, 2, 5))):
            into = config
            while True:
                key = rng.choice([k for k in into if k != "architectures"])
                if not isinstance(into[key], dict) or not into[key] or rng.random() < 0.2:
                    break
                into = into[key]
            into[key] = rng.choice(odd)
        (WORK / "odd/config.json").write_text(json.dumps(config))
        if rng.random() < 0.3 and (WORK / "odd/model.safetensors").exists():
            data = bytearray((WORK / "odd/model.safetensors").read_bytes())
            head = 8 + int.from_bytes(data[:8], "little")
            for _ in range(3):
                data[rng.randrange(head)] = rng.choice(b'0123456789,[]{}":-\0')
            (WORK / "odd/model.safetensors").write_bytes(data)
        done = call("convert", WORK / "odd", "-o", WORK / "odd.gguf", "--force", *rng.choice(((), ("--type", "Q4_K"))))
        assert done.returncode in (0, 3, 4, 5), f"exit {done.returncode} of {name}: {json.dumps(config)}: {done.stderr}"
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr


# --- what happens to files --------------------------------------------------------------------------------------

def test_files_are_kept():
    out = WORK / "mine.gguf"
    out.write_bytes(b"mine")
    done = call("convert", folder("qwen2"), "-o", out)
    assert done.returncode == 2 and "--force" in done.stderr and out.read_bytes() == b"mine"
    assert call("convert", folder("qwen2")).returncode == 2  # no --out
    assert call("convert", folder("qwen2"), "-o", WORK).returncode == 2  # a folder
    assert call("convert", folder("qwen2"), "-o", WORK / "not/there.gguf").returncode == 4
    assert call("convert", folder("qwen2"), "-o", out, "--type", "Q9").returncode == 2
    assert call("convert", folder("qwen2"), "-o", out, "--force").returncode == 0
    here = WORK / "here.gguf"
    assert call("convert", ".", "-o", here, cwd=folder("qwen2")).returncode == 0
    assert here.read_bytes() == out.read_bytes() and File(here).keys["general.name"] == "qwen2"


def test_full_disk():
    def small():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    out = WORK / "full.gguf"
    for room in (0, 5000, 100000):
        done = call("convert", folder("qwen2"), "-o", out, preexec_fn=small)
        assert done.returncode == 4 and "full.gguf" in done.stderr, done.stderr
        assert not out.exists() and not pathlib.Path(f"{out}.part").exists()


def large():
    """A folder that takes a while to be converted."""
    f = make.Folder("large", "GPTNeoForCausalLM", model_type="gpt_neo", hidden_size=1024, num_heads=16, num_layers=1, vocab=288,
                    max_position_embeddings=8, attention_layers=["global"], window_size=4, layer_norm_epsilon=1e-5)
    make.gpt_outer(f, "transformer.")
    f.tensors = {n: ("F32", tuple(1024 if d == 64 else d for d in s), b"") for n, (_, s, _) in f.tensors.items() if ".h.1." not in n}
    at = "transformer.h.0."
    for name, shape in (("attn.attention.q_proj.weight", (1024, 1024)), ("attn.attention.k_proj.weight", (1024, 1024)),
                        ("attn.attention.v_proj.weight", (1024, 1024)), ("attn.attention.out_proj.weight", (1024, 1024)),
                        ("attn.attention.out_proj.bias", (1024,)), ("mlp.c_fc.weight", (4096, 1024)), ("mlp.c_fc.bias", (4096,)),
                        ("mlp.c_proj.weight", (1024, 4096)), ("mlp.c_proj.bias", (1024,))):
        f.tensors[at + name] = ("F32", shape, b"")
    f.tensors["transformer.wpe.weight"] = ("F32", (8, 1024), b"")
    f.tensors = {n: (k, s, make.numbers(k, make.elements(s), n)) for n, (k, s, _) in f.tensors.items()}
    f.write(WORK)
    return WORK / "large"


def under_way(out):
    """A conversion that has begun to write."""
    running = subprocess.Popen([VERBATIM, "convert", large(), "-o", out, "--type", "IQ4_NL", "-t", "1"], env=ENV,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not pathlib.Path(f"{out}.part").exists() and running.poll() is None:
        time.sleep(0.002)
    return running


def expect_none(out):
    assert not pathlib.Path(f"{out}.part").exists() and not out.exists()
    shutil.rmtree(WORK / "large")


def test_interrupted():
    out = WORK / "late.gguf"
    running = under_way(out)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)
    assert running.returncode == 130 and said[0] == b"", (running.returncode, said)
    expect_none(out)


def test_cut_meanwhile():
    out = WORK / "cut.gguf"
    running = under_way(out)
    os.truncate(WORK / "large/model.safetensors", 4096)
    said = running.communicate(timeout=60)[1].decode()
    assert running.returncode == 4 and "large/model.safetensors: changed while it was in use" in said, (running.returncode, said)
    expect_none(out)


sys.exit(each.run(globals(), sys.argv[2:]))
