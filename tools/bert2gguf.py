#!/usr/bin/env python3
"""bert2gguf.py DIR OUT.gguf - a BERT encoder as its makers publish it becomes a GGUF file of family bert.

DIR holds config.json, vocab.txt, model.safetensors (F32) and, where the model is made for sentences, 1_Pooling/config.json.
Nothing is computed: every number is copied as it is. Word pieces are written as other converters do: "##" is taken away,
and what begins a word gets U+2581. Position ids and the pooler, which no embedding uses, are left out.

    file   header | keys and values | tensor infos | data, each tensor at a multiple of 32
"""
import json
import pathlib
import struct
import sys

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
ALIGN = 32
NORMAL, CONTROL = 1, 3
SPECIAL = {"bos": "[CLS]", "eos": "[SEP]", "unknown": "[UNK]", "seperator": "[SEP]", "padding": "[PAD]", "mask": "[MASK]"}

GLOBAL = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def text(s):
    data = s.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, x):
    if kind == STRING:
        return text(x)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<?"}[kind], x)


def entry(key, kind, x):
    return text(key) + struct.pack("<I", kind) + value(kind, x)


def array(key, kind, xs):
    return text(key) + struct.pack("<IIQ", ARRAY, kind, len(xs)) + b"".join(value(kind, x) for x in xs)


def read_tensors(path):
    """Name -> (shape, bytes), and where the bytes begin."""
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(size))
    head.pop("__metadata__", None)
    return head, 8 + size


def new_name(name):
    """The name in GGUF, None for what is left out."""
    name = name.removeprefix("bert.")
    stem, _, end = name.rpartition(".")
    if name in GLOBAL:
        return GLOBAL[name]
    if stem in GLOBAL:
        return f"{GLOBAL[stem]}.{end}"
    if name == "embeddings.position_ids" or name.startswith("pooler."):
        return None
    parts = stem.split(".", 3)
    if parts[:2] == ["encoder", "layer"] and parts[3] in LAYER:
        return f"blk.{parts[2]}.{LAYER[parts[3]]}.{end}"
    sys.exit(f"bert2gguf: tensor {name}: expected one of a BERT encoder, found another")


def pooling(where):
    path = where / "1_Pooling/config.json"
    how = json.loads(path.read_text()) if path.exists() else {}
    if how.get("pooling_mode_cls_token"):
        return 2
    return 1 if how.get("pooling_mode_mean_tokens") else 0


def keys(where, config):
    words = (where / "vocab.txt").read_text(encoding="utf-8").splitlines()
    special = set(SPECIAL.values())
    pieces = [w if w in special else w[2:] if w.startswith("##") else "\u2581" + w for w in words]
    settings = where / "tokenizer_config.json"
    lower = json.loads(settings.read_text()).get("do_lower_case", True) if settings.exists() else True
    out = [entry("general.architecture", STRING, "bert"),
           entry("general.name", STRING, config.get("_name_or_path") or where.name),
           entry("bert.block_count", U32, config["num_hidden_layers"]),
           entry("bert.context_length", U32, config["max_position_embeddings"]),
           entry("bert.embedding_length", U32, config["hidden_size"]),
           entry("bert.feed_forward_length", U32, config["intermediate_size"]),
           entry("bert.attention.head_count", U32, config["num_attention_heads"]),
           entry("bert.attention.layer_norm_epsilon", F32, config["layer_norm_eps"]),
           entry("bert.attention.causal", BOOL, False),
           entry("bert.pooling_type", U32, pooling(where)),
           entry("general.file_type", U32, 0),
           entry("tokenizer.ggml.model", STRING, "bert"),
           entry("tokenizer.ggml.pre", STRING, "jina-v2-en"),
           entry("tokenizer.ggml.token_type_count", U32, config["type_vocab_size"]),
           array("tokenizer.ggml.tokens", STRING, pieces),
           array("tokenizer.ggml.token_type", U32, [CONTROL if w in special else NORMAL for w in words]),
           entry("tokenizer.ggml.add_bos_token", BOOL, True),
           entry("tokenizer.ggml.add_eos_token", BOOL, True),
           entry("tokenizer.ggml.normalizer.lowercase", BOOL, lower)]
    return out + [entry(f"tokenizer.ggml.{k}_token_id", U32, words.index(w)) for k, w in SPECIAL.items()]


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: bert2gguf.py DIR OUT.gguf")
    where = pathlib.Path(sys.argv[1])
    config = json.loads((where / "config.json").read_text())
    if config.get("hidden_act") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        sys.exit(f"bert2gguf: {where}: expected gelu and absolute positions, found something else")
    tensors, base = read_tensors(where / "model.safetensors")
    chosen = [(new, name) for name in tensors if (new := new_name(name)) is not None]
    infos, at = [], 0
    for new, name in chosen:
        t = tensors[name]
        if t["dtype"] != "F32":
            sys.exit(f"bert2gguf: tensor {name}: expected F32, found {t['dtype']}")
        shape = t["shape"][::-1]
        infos.append(text(new) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, at))
        at += (t["data_offsets"][1] - t["data_offsets"][0] + ALIGN - 1) // ALIGN * ALIGN
    entries = keys(where, config)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(entries)) + b"".join(entries + infos)
    with open(where / "model.safetensors", "rb") as source, open(sys.argv[2], "wb") as out:
        out.write(head + bytes(-len(head) % ALIGN))
        for _, name in chosen:
            begin, end = tensors[name]["data_offsets"]
            source.seek(base + begin)
            out.write(source.read(end - begin) + bytes(-(end - begin) % ALIGN))


main()
