#!/usr/bin/env python3
"""make.py - tiny Hugging Face folders of every family, the same bytes on every machine: make.py DIR [NAME...]

Weights are random bytes below an exponent that keeps them small; settings are those that real folders have, with sizes
of a toy. expected.json beside this file says what llama.cpp's own converter makes of each folder (tests/cli/convert.py).
"""
import hashlib
import json
import os
import random
import struct
import sys

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1}
HIGH = {"F32": 0x3D, "BF16": 0x3D, "F16": 0x2C}  # the byte with sign and exponent: numbers from 1/32 to 1/4


def numbers(kind, n, seed):
    """n random numbers of a kind as bytes."""
    rng = random.Random(seed)
    if kind == "U8":
        return rng.randbytes(n)
    size = BYTES[kind]
    data = bytearray(rng.randbytes(n * size))
    signs = rng.randbytes(n)
    data[size - 1::size] = bytes(HIGH[kind] | (s & 0x80) for s in signs)
    return bytes(data)


def elements(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def write_safetensors(path, tensors):
    """tensors: name -> (kind, shape, bytes)."""
    header, at = {}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + b"".join(t[2] for t in tensors.values()))


# --- tokenizers ------------------------------------------------------------------------------------------------

def byte_alphabet():
    """GPT-2's characters for bytes."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, extra = {}, 0
    for b in range(256):
        table[b] = chr(b) if b in plain else chr(256 + extra)
        extra += b not in plain
    return table


def bpe_tokenizer(size):
    table = byte_alphabet()
    space = table[32]
    pairs = [("t", "h"), ("th", "e"), (space, "the"), (space, "a"), ("i", "n"), ("o", "n"), ("e", "r"), (space, "on")]
    tokens = ["<|endoftext|>"] + [table[b] for b in range(256)] + [a + b for a, b in pairs]
    tokens += [f"<|pad{i}|>" for i in range(size - len(tokens))]
    added = [{"id": i, "content": t, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False} for i, t in enumerate(tokens) if t.startswith("<|")]
    ids = {t: i for i, t in enumerate(tokens)}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "post_processor": None, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": ids,
                      "merges": [f"{a} {b}" for a, b in pairs]}}


def wordpiece_tokenizer(size):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(c) for c in range(33, 127)]
    tokens += ["##" + chr(c) for c in range(97, 123)]
    tokens += [f"w{i}" for i in range(size - len(tokens))]
    added = [{"id": i, "content": t, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False} for i, t in enumerate(tokens[:5])]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                           "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing",
                               "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                          {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                               "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
                               "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                                                  "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": {t: i for i, t in enumerate(tokens)}}}


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, wire, body):
    return varint(number << 3 | wire) + (varint(len(body)) + body if wire == 2 else body)


def sentencepiece_model(size):
    """A model of BPE kind: control tokens, bytes, then pieces whose scores fall."""
    pieces = [("<pad>", 3), ("<eos>", 3), ("<bos>", 3), ("<unk>", 2)] + [(f"<0x{b:02X}>", 6) for b in range(256)]
    words = ["\u2581", "t", "h", "e", "a", "th", "the", "\u2581the", "\u2581a"]
    pieces += [(w, 1) for w in words]
    pieces += [(f"piece{i}", 1) for i in range(size - len(pieces))]
    out = b""
    for i, (text, kind) in enumerate(pieces):
        score = -float(i) if kind == 1 else 0.0
        out += field(1, 2, field(1, 2, text.encode()) + field(2, 5, struct.pack("<f", score)) + field(3, 0, varint(kind)))
    trainer = field(3, 0, varint(2)) + field(4, 0, varint(size)) + field(35, 0, varint(1))
    trainer += field(40, 0, varint(3)) + field(41, 0, varint(2)) + field(42, 0, varint(1)) + field(43, 0, varint(0))
    return out + field(2, 2, trainer) + field(3, 2, field(1, 2, b"identity") + field(3, 0, varint(0)))


# --- folders ---------------------------------------------------------------------------------------------------

class Folder:
    """Settings and tensors, collected and then written."""

    def __init__(self, name, class_name, kind="F32", tokens="bpe", vocab=288, **config):
        self.name, self.kind, self.tokens, self.vocab, self.shards = name, kind, tokens, vocab, 1
        self.config = {"architectures": [class_name], "vocab_size": vocab, **config}
        self.tensors = {}

    def add(self, name, *shape, kind=None):
        kind = kind or self.kind
        self.tensors[name] = (kind, shape, numbers(kind, elements(shape), f"{self.name} {name}"))

    def norms(self, d, *names):
        for name in names:
            self.add(name + ".weight", d)

    def linear(self, name, rows, cols, bias=False):
        self.add(name + ".weight", rows, cols)
        if bias:
            self.add(name + ".bias", rows)

    def write(self, where):
        folder = os.path.join(where, self.name)
        os.makedirs(folder, exist_ok=True)
        self.write_weights(folder)
        files = {"config.json": json.dumps(self.config, indent=2)}
        if self.tokens == "spm":
            with open(os.path.join(folder, "tokenizer.model"), "wb") as f:
                f.write(sentencepiece_model(self.vocab))
            files["tokenizer_config.json"] = json.dumps({"tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>",
                                                         "eos_token": "<eos>", "add_bos_token": True})
        else:
            made = wordpiece_tokenizer(self.vocab) if self.tokens == "wordpiece" else bpe_tokenizer(self.vocab)
            files["tokenizer.json"] = json.dumps(made, ensure_ascii=False)
            kind = "BertTokenizer" if self.tokens == "wordpiece" else "PreTrainedTokenizerFast"
            files["tokenizer_config.json"] = json.dumps({"tokenizer_class": kind})
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)

    def write_weights(self, folder):
        if self.shards == 1:
            write_safetensors(os.path.join(folder, "model.safetensors"), self.tensors)
            return
        names, places = list(self.tensors), {}
        for i in range(self.shards):
            file = f"model-{i + 1:05d}-of-{self.shards:05d}.safetensors"
            part = names[i::self.shards]
            places.update({n: file for n in part})
            write_safetensors(os.path.join(folder, file), {n: self.tensors[n] for n in part})
        with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
            json.dump({"metadata": {}, "weight_map": places}, f)


D, H, KV, HEAD, FF, LAYERS = 64, 4, 2, 16, 96, 2
SIZES = {"hidden_size": D, "intermediate_size": FF, "num_hidden_layers": LAYERS, "num_attention_heads": H,
         "num_key_value_heads": KV, "max_position_embeddings": 128, "rms_norm_eps": 1e-6}


def outer(f, prefix="model.", tied=False, head="lm_head"):
    f.add(prefix + "embed_tokens.weight", f.vocab, D)
    f.add(prefix + "norm.weight", D)
    if not tied:
        f.add(head + ".weight", f.vocab, D)
    f.config["tie_word_embeddings"] = tied


def attention(f, at, bias=False, out_bias=False, head=HEAD, q=None, kv=None):
    q, kv = q or H * head, kv or KV * head
    f.linear(at + "q_proj", q, D, bias)
    f.linear(at + "k_proj", kv, D, bias)
    f.linear(at + "v_proj", kv, D, bias)
    f.linear(at + "o_proj", D, H * head, out_bias)


def gated(f, at, ff=FF):
    f.linear(at + "gate_proj", ff, D)
    f.linear(at + "up_proj", ff, D)
    f.linear(at + "down_proj", D, ff)


def llama_like(name, class_name, kind="F32", tied=False, bias=False, out_bias=False, head=HEAD, qk=None, **config):
    """Norm, attention, norm, gated feed-forward; qk: widths of norms on queries and keys."""
    f = Folder(name, class_name, kind, **{**SIZES, **config})
    outer(f, tied=tied)
    for i in range(f.config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        f.norms(D, at + "input_layernorm", at + "post_attention_layernorm")
        attention(f, at + "self_attn.", bias, out_bias, head)
        if qk:
            f.add(at + "self_attn.q_norm.weight", qk[0])
            f.add(at + "self_attn.k_norm.weight", qk[1])
        gated(f, at + "mlp.")
    return f


def routed(f, at, experts=4, ff=32):
    f.linear(at + "gate", experts, D)
    for e in range(experts):
        gated(f, f"{at}experts.{e}.", ff)


def make_llama():
    f = llama_like("llama", "LlamaForCausalLM", "BF16", model_type="llama", rope_theta=50000.0)
    f.shards = 3
    yield f
    yield llama_like("llama-f16-linear", "LlamaForCausalLM", "F16", tied=True, bias=True, out_bias=True, model_type="llama",
                     attention_bias=True, rope_scaling={"type": "linear", "factor": 2.0}, rope_theta=10000.0)
    yield llama_like("llama3", "LlamaForCausalLM", "F32", model_type="llama", rope_theta=500000.0, head_dim=HEAD,
                     rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                   "original_max_position_embeddings": 64})
    yield llama_like("mistral", "MistralForCausalLM", "BF16", head=24, head_dim=24, model_type="mistral", sliding_window=16,
                     rope_theta=10000.0)
    f = Folder("mixtral", "MixtralForCausalLM", "BF16", model_type="mixtral", num_local_experts=4, num_experts_per_tok=2,
               rope_theta=1e6, **SIZES)
    outer(f)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        f.norms(D, at + "input_layernorm", at + "post_attention_layernorm")
        attention(f, at + "self_attn.")
        f.linear(at + "block_sparse_moe.gate", 4, D)
        for e in range(4):
            f.linear(f"{at}block_sparse_moe.experts.{e}.w1", FF, D)
            f.linear(f"{at}block_sparse_moe.experts.{e}.w2", D, FF)
            f.linear(f"{at}block_sparse_moe.experts.{e}.w3", FF, D)
    yield f


def make_llama_relatives():
    yield llama_like("granite", "GraniteForCausalLM", "BF16", tied=True, model_type="granite", rope_theta=10000.0,
                     attention_multiplier=0.125, embedding_multiplier=12.0, residual_multiplier=0.22, logits_scaling=8.0)
    yield llama_like("smollm3", "SmolLM3ForCausalLM", "BF16", tied=True, model_type="smollm3", rope_theta=2e6,
                     num_hidden_layers=4, no_rope_layers=[1, 1, 1, 0], no_rope_layer_interval=4)
    yield llama_like("qwen2", "Qwen2ForCausalLM", "BF16", tied=True, bias=True, model_type="qwen2", rope_theta=1e6)
    yield llama_like("qwen2-yarn", "Qwen2ForCausalLM", "BF16", bias=True, model_type="qwen2", rope_theta=1e6,
                     rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32})
    yield llama_like("qwen3", "Qwen3ForCausalLM", "BF16", head=32, qk=(32, 32), head_dim=32, model_type="qwen3", rope_theta=1e6)
    f = Folder("qwen3moe", "Qwen3MoeForCausalLM", "BF16", model_type="qwen3_moe", num_experts=4, num_experts_per_tok=2,
               moe_intermediate_size=32, head_dim=HEAD, rope_theta=1e6, norm_topk_prob=True, **SIZES)
    outer(f)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        f.norms(D, at + "input_layernorm", at + "post_attention_layernorm")
        attention(f, at + "self_attn.")
        f.norms(HEAD, at + "self_attn.q_norm", at + "self_attn.k_norm")
        routed(f, at + "mlp.")
    yield f
    f = Folder("olmoe", "OlmoeForCausalLM", "BF16", model_type="olmoe", num_experts=4, num_experts_per_tok=2,
               rope_theta=10000.0, **{**SIZES, "num_key_value_heads": H, "intermediate_size": 32, "rms_norm_eps": 1e-5})
    outer(f)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        f.norms(D, at + "input_layernorm", at + "post_attention_layernorm")
        attention(f, at + "self_attn.", kv=D)
        f.norms(D, at + "self_attn.q_norm", at + "self_attn.k_norm")
        routed(f, at + "mlp.")
    yield f


def make_post_norms():
    for name, class_name, more in (("olmo2", "Olmo2ForCausalLM", {"model_type": "olmo2", "rope_theta": 500000.0}),
                                   ("olmo3", "Olmo3ForCausalLM", {"model_type": "olmo3", "sliding_window": 16, "rope_theta": 500000.0,
                                                                  "layer_types": ["sliding_attention", "full_attention"]})):
        f = Folder(name, class_name, "BF16", **{**SIZES, "num_key_value_heads": H, **more})
        outer(f)
        for i in range(LAYERS):
            at = f"model.layers.{i}."
            f.norms(D, at + "post_attention_layernorm", at + "post_feedforward_layernorm")
            attention(f, at + "self_attn.", kv=D)
            f.norms(D, at + "self_attn.q_norm", at + "self_attn.k_norm")
            gated(f, at + "mlp.")
        yield f


def make_phi3():
    long = {"max_position_embeddings": 256, "original_max_position_embeddings": 64,
            "rope_scaling": {"type": "longrope", "short_factor": [1.0 + i / 8 for i in range(HEAD // 2)],
                             "long_factor": [2.0 + i / 4 for i in range(HEAD // 2)]}}
    for name, more in (("phi3", {"original_max_position_embeddings": 128, "sliding_window": 16}), ("phi3-long", long)):
        f = Folder(name, "Phi3ForCausalLM", "BF16", model_type="phi3", **{**SIZES, "rope_theta": 10000.0, "pad_token_id": 0, **more})
        outer(f)
        for i in range(LAYERS):
            at = f"model.layers.{i}."
            f.norms(D, at + "input_layernorm", at + "post_attention_layernorm")
            f.linear(at + "self_attn.qkv_proj", (H + 2 * KV) * HEAD, D)
            f.linear(at + "self_attn.o_proj", D, D)
            f.linear(at + "mlp.gate_up_proj", 2 * FF, D)
            f.linear(at + "mlp.down_proj", D, FF)
        yield f


def make_gpts():
    f = Folder("gpt2", "GPT2LMHeadModel", "F32", model_type="gpt2", n_embd=D, n_head=H, n_layer=LAYERS, n_positions=128, n_ctx=128,
               n_inner=None, layer_norm_epsilon=1e-5, tie_word_embeddings=True)
    gpt_outer(f, "")
    for i in range(LAYERS):
        at = f"h.{i}."
        f.add(at + "attn.c_attn.weight", D, 3 * D)
        f.add(at + "attn.c_attn.bias", 3 * D)
        f.add(at + "attn.c_proj.weight", D, D)
        f.add(at + "attn.c_proj.bias", D)
        f.add(at + "mlp.c_fc.weight", D, 4 * D)
        f.add(at + "mlp.c_fc.bias", 4 * D)
        f.add(at + "mlp.c_proj.weight", 4 * D, D)
        f.add(at + "mlp.c_proj.bias", D)
    yield f
    f = Folder("gptneo", "GPTNeoForCausalLM", "F32", model_type="gpt_neo", hidden_size=D, num_heads=H, num_layers=LAYERS,
               max_position_embeddings=128, intermediate_size=None, layer_norm_epsilon=1e-5, window_size=16,
               attention_types=[[["global", "local"], 1]], tie_word_embeddings=True)
    gpt_outer(f, "transformer.")
    for i in range(LAYERS):
        at = f"transformer.h.{i}."
        f.add(at + "attn.attention.bias", 1, 1, 8, 8)
        for part in "qkv":
            f.linear(f"{at}attn.attention.{part}_proj", D, D)
        f.linear(at + "attn.attention.out_proj", D, D, True)
        f.linear(at + "mlp.c_fc", 4 * D, D, True)
        f.linear(at + "mlp.c_proj", D, 4 * D, True)
    yield f
    f = Folder("gptneox", "GPTNeoXForCausalLM", "F16", model_type="gpt_neox", hidden_size=D, num_attention_heads=H, num_hidden_layers=LAYERS,
               intermediate_size=FF, max_position_embeddings=128, layer_norm_eps=1e-5, rotary_pct=0.25, rotary_emb_base=10000,
               use_parallel_residual=True, tie_word_embeddings=False)
    f.add("gpt_neox.embed_in.weight", f.vocab, D)
    f.add("embed_out.weight", f.vocab, D)
    f.linear("gpt_neox.final_layer_norm", D, 1)
    f.tensors["gpt_neox.final_layer_norm.weight"] = ("F16", (D,), numbers("F16", D, "neox norm"))
    f.add("gpt_neox.final_layer_norm.bias", D)
    for i in range(LAYERS):
        at = f"gpt_neox.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            f.add(f"{at}{norm}.weight", D)
            f.add(f"{at}{norm}.bias", D)
        f.linear(at + "attention.query_key_value", 3 * D, D, True)
        f.linear(at + "attention.dense", D, D, True)
        f.linear(at + "mlp.dense_h_to_4h", FF, D, True)
        f.linear(at + "mlp.dense_4h_to_h", D, FF, True)
    yield f


def gpt_outer(f, prefix):
    f.add(prefix + "wte.weight", f.vocab, D)
    f.add(prefix + "wpe.weight", 128, D)
    for name in ["ln_f"] + [f"h.{i}.ln_{n}" for i in range(LAYERS) for n in (1, 2)]:
        f.add(f"{prefix}{name}.weight", D)
        f.add(f"{prefix}{name}.bias", D)


def make_starcoder2():
    f = Folder("starcoder2", "Starcoder2ForCausalLM", "BF16", model_type="starcoder2", norm_epsilon=1e-5, rope_theta=100000.0,
               use_bias=True, sliding_window=None, **{k: v for k, v in SIZES.items() if k != "rms_norm_eps"})
    outer(f, tied=True)
    f.add("model.norm.bias", D)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            f.add(f"{at}{norm}.weight", D)
            f.add(f"{at}{norm}.bias", D)
        attention(f, at + "self_attn.", True, True)
        f.linear(at + "mlp.c_fc", FF, D, True)
        f.linear(at + "mlp.c_proj", D, FF, True)
    yield f


def make_encoders():
    f = Folder("bert", "BertModel", "F32", "wordpiece", model_type="bert", hidden_size=D, intermediate_size=FF, num_hidden_layers=LAYERS,
               num_attention_heads=H, max_position_embeddings=128, layer_norm_eps=1e-12, type_vocab_size=2)
    for part, rows in (("word", f.vocab), ("position", 128), ("token_type", 2)):
        f.add(f"bert.embeddings.{part}_embeddings.weight", rows, D)
    f.add("bert.embeddings.LayerNorm.gamma", D)
    f.add("bert.embeddings.LayerNorm.beta", D)
    f.linear("bert.pooler.dense", D, D, True)
    for i in range(LAYERS):
        at = f"bert.encoder.layer.{i}."
        for part in ("query", "key", "value"):
            f.linear(f"{at}attention.self.{part}", D, D, True)
        f.linear(at + "attention.output.dense", D, D, True)
        f.linear(at + "intermediate.dense", FF, D, True)
        f.linear(at + "output.dense", D, FF, True)
        for norm in ("attention.output", "output"):
            f.add(f"{at}{norm}.LayerNorm.weight", D)
            f.add(f"{at}{norm}.LayerNorm.bias", D)
    yield f
    f = Folder("nomic-bert", "NomicBertModel", "F32", "wordpiece", model_type="nomic_bert", n_embd=D, n_inner=FF, n_layer=LAYERS, n_head=H,
               n_positions=8192, layer_norm_epsilon=1e-12, rotary_emb_base=1000, rotary_emb_fraction=1.0, type_vocab_size=2,
               activation_function="swiglu", causal=False, qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False,
               prenorm=False, rotary_emb_interleaved=False, rotary_emb_scale_base=None, max_trained_positions=2048)
    f.add("embeddings.word_embeddings.weight", f.vocab, D)
    f.add("embeddings.token_type_embeddings.weight", 2, D)
    for name in ["emb_ln"] + [f"encoder.layers.{i}.norm{n}" for i in range(LAYERS) for n in (1, 2)]:
        f.add(name + ".weight", D)
        f.add(name + ".bias", D)
    for i in range(LAYERS):
        at = f"encoder.layers.{i}."
        f.linear(at + "attn.Wqkv", 3 * D, D)
        f.linear(at + "attn.out_proj", D, D)
        f.linear(at + "mlp.fc11", FF, D)
        f.linear(at + "mlp.fc12", FF, D)
        f.linear(at + "mlp.fc2", D, FF)
    yield f


def gemma_layer(f, at, norms, head=HEAD, qk=False):
    f.norms(D, *(at + n for n in norms))
    attention(f, at + "self_attn.", head=head)
    if qk:
        f.norms(head, at + "self_attn.q_norm", at + "self_attn.k_norm")
    gated(f, at + "mlp.")


FOUR = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")


def make_gemmas():
    f = Folder("gemma", "GemmaForCausalLM", "BF16", "spm", model_type="gemma", head_dim=HEAD, rope_theta=10000.0, **SIZES)
    outer(f, tied=True)
    for i in range(LAYERS):
        gemma_layer(f, f"model.layers.{i}.", FOUR[:2])
    yield f
    f = Folder("gemma2", "Gemma2ForCausalLM", "BF16", "spm", model_type="gemma2", head_dim=HEAD, rope_theta=10000.0, sliding_window=16,
               query_pre_attn_scalar=HEAD, attn_logit_softcapping=50.0, final_logit_softcapping=30.0, **SIZES)
    outer(f, tied=True)
    for i in range(LAYERS):
        gemma_layer(f, f"model.layers.{i}.", FOUR)
    yield f
    f = Folder("gemma3", "Gemma3ForConditionalGeneration", "BF16", "spm", model_type="gemma3", text_config={
        **SIZES, "model_type": "gemma3_text", "head_dim": HEAD, "sliding_window": 16, "num_hidden_layers": 6, "vocab_size": 288,
        "rope_theta": 1e6, "rope_local_base_freq": 10000.0, "query_pre_attn_scalar": HEAD,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}})
    outer(f, "language_model.model.", tied=True)
    for i in range(6):
        gemma_layer(f, f"language_model.model.layers.{i}.", FOUR, qk=True)
    f.add("vision_tower.vision_model.embeddings.patch_embedding.bias", 8)
    f.add("multi_modal_projector.mm_soft_emb_norm.weight", 8)
    yield f


def gemma4(name, shared, wide, kv_global, per_layer, experts):
    """Layers: local, local, global, local, global; the last `shared` read keys and values of earlier ones."""
    kinds = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    f = Folder(name, "Gemma4ForConditionalGeneration", "BF16", "bpe", model_type="gemma4", text_config={
        **SIZES, "model_type": "gemma4_text", "num_hidden_layers": 5, "layer_types": kinds, "head_dim": HEAD, "global_head_dim": 32,
        "num_kv_shared_layers": shared, "use_double_wide_mlp": wide, "num_global_key_value_heads": kv_global, "vocab_size": 288,
        "hidden_size_per_layer_input": per_layer, "vocab_size_per_layer_input": 288, "sliding_window": 16,
        "final_logit_softcapping": 30.0, "attention_k_eq_v": kv_global is not None, "enable_moe_block": experts > 0,
        "num_experts": experts or None, "top_k_experts": 2 if experts else None, "moe_intermediate_size": 32 if experts else None,
        "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6}}})
    p = "model.language_model."
    outer(f, p, tied=True)
    if per_layer:
        f.add(p + "embed_tokens_per_layer.weight", 288, 5 * per_layer)
        f.add(p + "per_layer_model_projection.weight", 5 * per_layer, D)
        f.add(p + "per_layer_projection_norm.weight", per_layer)
    for i, kind in enumerate(kinds):
        gemma4_layer(f, f"{p}layers.{i}.", kind, i >= 5 - shared, wide, kv_global)
        if per_layer:
            f.linear(f"{p}layers.{i}.per_layer_input_gate", per_layer, D)
            f.linear(f"{p}layers.{i}.per_layer_projection", D, per_layer)
            f.add(f"{p}layers.{i}.post_per_layer_input_norm.weight", D)
        f.add(f"{p}layers.{i}.layer_scalar", 1)
        if experts:
            gemma4_experts(f, f"{p}layers.{i}.", experts)
    return f


def gemma4_layer(f, at, kind, shared, wide, kv_global):
    head = HEAD if kind == "sliding_attention" else 32
    kv = kv_global if kind == "full_attention" and kv_global else KV
    f.norms(D, *(at + n for n in FOUR))
    f.linear(at + "self_attn.q_proj", H * head, D)
    f.add(at + "self_attn.q_norm.weight", head)
    if not shared:
        f.linear(at + "self_attn.k_proj", kv * head, D)
        f.add(at + "self_attn.k_norm.weight", head)
    if not shared and not (kv_global and kind == "full_attention"):
        f.linear(at + "self_attn.v_proj", kv * head, D)
    f.linear(at + "self_attn.o_proj", D, H * head)
    gated(f, at + "mlp.", 2 * FF if shared and wide else FF)


def gemma4_experts(f, at, experts):
    f.linear(at + "router.proj", experts, D)
    f.add(at + "router.scale", D)
    f.add(at + "router.per_expert_scale", experts)
    f.add(at + "experts.gate_up_proj", experts, 64, D)
    f.add(at + "experts.down_proj", experts, D, 32)
    f.norms(D, at + "pre_feedforward_layernorm_2", at + "post_feedforward_layernorm_1", at + "post_feedforward_layernorm_2")


def make_gemma4():
    yield gemma4("gemma4-shared", 2, True, None, 16, 0)
    yield gemma4("gemma4-moe", 0, False, 1, 0, 4)


def make_gpt_oss():
    for name, packed in (("gpt-oss", True), ("gpt-oss-bf16", False)):
        f = Folder(name, "GptOssForCausalLM", "BF16", model_type="gpt_oss", head_dim=HEAD, num_local_experts=4, num_experts_per_tok=2,
                   sliding_window=16, rope_theta=150000.0, layer_types=["sliding_attention", "full_attention"],
                   rope_scaling={"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
                                 "original_max_position_embeddings": 64}, **{**SIZES, "intermediate_size": 64})
        if packed:
            f.config["quantization_config"] = {"quant_method": "mxfp4"}
        outer(f)
        for i in range(LAYERS):
            gpt_oss_layer(f, f"model.layers.{i}.", packed, 4, 64)
        yield f


def gpt_oss_layer(f, at, packed, experts, ff):
    f.norms(D, at + "input_layernorm", at + "post_attention_layernorm")
    attention(f, at + "self_attn.", True, True)
    f.add(at + "self_attn.sinks", H)
    f.linear(at + "mlp.router", experts, D, True)
    e = at + "mlp.experts."
    for part, rows, cols in (("gate_up_proj", 2 * ff, D), ("down_proj", D, ff)):
        if packed:
            f.add(f"{e}{part}_blocks", experts, rows, cols // 32, 16, kind="U8")
            scales = bytes(118 + b % 4 for b in numbers("U8", experts * rows * cols // 32, f"{f.name} {e}{part} scales"))
            f.tensors[f"{e}{part}_scales"] = ("U8", (experts, rows, cols // 32), scales)
        else:
            f.add(e + part, experts, cols, rows)
        f.add(f"{e}{part}_bias", experts, rows)


def make_qwen35():
    for name, class_name, routed_ffn in (("qwen35", "Qwen3_5ForConditionalGeneration", False),
                                         ("qwen35moe", "Qwen3_5MoeForConditionalGeneration", True)):
        text = {**SIZES, "num_hidden_layers": 4, "head_dim": HEAD, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 8,
                "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_value_head_dim": 8, "full_attention_interval": 4,
                "layer_types": ["linear_attention"] * 3 + ["full_attention"], "mtp_num_hidden_layers": 1, "vocab_size": 288,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25,
                                    "mrope_section": [1, 1, 0], "mrope_interleaved": True}}
        if routed_ffn:
            text.update(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32)
            del text["intermediate_size"]
        kind = "qwen3_5_moe" if routed_ffn else "qwen3_5"
        f = Folder(name, class_name, "BF16", model_type=kind, text_config={"model_type": kind + "_text", **text})
        outer(f, "model.language_model.")
        for i in range(4):
            qwen35_layer(f, f"model.language_model.layers.{i}.", i == 3, routed_ffn)
        qwen35_layer(f, "mtp.layers.0.", True, routed_ffn)
        f.add("mtp.fc.weight", D, 2 * D)
        f.norms(D, "mtp.norm", "mtp.pre_fc_norm_embedding", "mtp.pre_fc_norm_hidden")
        f.add("model.visual.patch_embed.proj.bias", 8)
        yield f


def qwen35_layer(f, at, full, routed_ffn):
    f.norms(D, at + "input_layernorm", at + "post_attention_layernorm")
    if full:
        attention(f, at + "self_attn.", q=2 * H * HEAD)
        f.norms(HEAD, at + "self_attn.q_norm", at + "self_attn.k_norm")
    else:
        a, keys, values = at + "linear_attn.", 2 * 8, 4 * 8
        f.linear(a + "in_proj_qkv", 2 * keys + values, D)
        f.linear(a + "in_proj_z", values, D)
        f.linear(a + "in_proj_b", 4, D)
        f.linear(a + "in_proj_a", 4, D)
        f.add(a + "conv1d.weight", 2 * keys + values, 1, 4)
        f.add(a + "A_log", 4)
        f.add(a + "dt_bias", 4)
        f.add(a + "norm.weight", 8)
        f.linear(a + "out_proj", D, values)
    if not routed_ffn:
        gated(f, at + "mlp.")
        return
    f.linear(at + "mlp.gate", 4, D)
    f.add(at + "mlp.experts.gate_up_proj", 4, 64, D)
    f.add(at + "mlp.experts.down_proj", 4, D, 32)
    gated(f, at + "mlp.shared_expert.", 32)
    f.linear(at + "mlp.shared_expert_gate", 1, D)


MAKERS = (make_llama, make_llama_relatives, make_post_norms, make_phi3, make_gpts, make_starcoder2, make_encoders, make_gemmas,
          make_gemma4, make_gpt_oss, make_qwen35)


def folders():
    for maker in MAKERS:
        yield from maker()


def digest(folder):
    """Of all that is in a folder, to see that expected.json speaks of these bytes."""
    h = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            h.update(name.encode() + b"\0" + hashlib.sha256(f.read()).digest())
    return h.hexdigest()[:16]


if __name__ == "__main__":
    for made in folders():
        if not sys.argv[2:] or made.name in sys.argv[2:]:
            made.write(sys.argv[1])
