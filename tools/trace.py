#!/usr/bin/env python3
"""trace.py FILE - reads a trace by verbatim-trace(5) alone, proves it and prints what `verbatim trace export` does.

Needs Python and, for a signature, the command openssl. Exit codes: 0 whole or cut (said), 3 damaged or no trace."""
import hashlib, json, math, struct, subprocess, sys, tempfile

FLOATS = ("temperature", "top_p", "min_p", "typical", "repeat", "presence", "frequency")
TEXTS = ("verbatim", "player", "isa", "cpu", "model_path", "model_name", "model_arch", "prompt")
HEADER, GIVEN, CHOSEN, END, INFORMATION, TAP, SIGNATURE, RULES = range(1, 9)


def text(data):
    out = data.decode(errors="surrogateescape")
    return {"bytes": data.hex()} if any("\ud800" <= c <= "\udfff" for c in out) else out


def number(bits):
    value = struct.unpack("<f", struct.pack("<I", bits))[0]
    return {"value": value if math.isfinite(value) else None, "bits": f"{bits:08x}"}


def header(p, version):
    arithmetic, mode = struct.unpack_from("<2i", p)
    context, kv, top, *floats, top_k, last, seed, stream = struct.unpack_from("<3i7I2i2Q", p, 136)
    names = ("model", "plan", "tokenizer", "template")
    digests = {name: p[8 + 32 * i:40 + 32 * i].hex() for i, name in enumerate(names)}
    h = {"record": "header", "format": version, "arithmetic_version": arithmetic, "arithmetic": ("int8", "f32")[mode],
         **digests, "context": context, "kv": (None, "f16", "f32", "q8_0")[kv], "top": top,
         **dict(zip(FLOATS, map(number, floats))), "top_k": top_k, "repeat_last": last, "seed": str(seed),
         "stream": str(stream)}
    if version >= 2:
        at, taps = struct.unpack_from("<2i", p, 232)
        h |= {"parent": p[200:232].hex(), "parent_at": at, "taps": ("none", "layers", "all")[taps]}
    return h


def information(p):
    out, at = {"created": str(struct.unpack_from("<Q", p)[0]), "threads": struct.unpack_from("<i", p, 8)[0]}, 12
    for name in TEXTS:
        n = struct.unpack_from("<I", p, at)[0]
        out[name], at = text(p[at + 4:at + 4 + n]), at + 4 + n
    return out


def token(p, version, chosen):
    (position, ident, m, k), at = struct.unpack_from("<4i", p), 48 if version >= 2 else 32
    name = {"record": "chosen" if chosen else "given", "position": position, "id": ident}
    top = [number(bits) | {"id": i} for i, bits in struct.iter_unpack("<iI", p[at:at + 8 * k])]
    digests = {"logits": p[16:32].hex()} | ({"proof": p[32:48].hex()} if version >= 2 else {})
    return name | {"text": text(p[at + 8 * k:at + 8 * k + m])} | (digests | {"top": top} if chosen else {})


def tap(p):
    at, layer, width, m = struct.unpack_from("<4i", p)
    bits = "".join(f"{b:08x}" for b in struct.unpack_from(f"<{width}I", p, 16 + m))
    return {"record": "tap", "position": at, "layer": layer, "name": text(p[16:16 + m]), "width": width, "bits": bits}


def rules(p):
    at, kind, n = struct.unpack_from("<3i", p)
    biases = [number(bits) | {"id": i} for i, bits in struct.iter_unpack("<iI", p[12:12 + 8 * n])]
    return {"record": "rules", "from": at, "kind": ("none", "gbnf", "schema")[kind], "biases": biases,
            "text": text(p[12 + 8 * n:])}


def signature(p, message):
    with tempfile.TemporaryDirectory() as at:
        key = bytes.fromhex("302a300506032b6570032100") + p[:32]
        for name, data in ("key", key), ("in", message), ("sign", p[32:]):
            open(f"{at}/{name}", "wb").write(data)
        subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin", "-inkey", f"{at}/key",
                        "-in", f"{at}/in", "-sigfile", f"{at}/sign"], check=True, stdout=subprocess.DEVNULL)
    return {"record": "signature", "key": p[:32].hex(), "signature": p[32:].hex()}


def records(data):
    """Each record as it would be exported; ValueError where the file is not what its digests say."""
    version, at, out, tokens, seal = struct.unpack_from("<I", data, 8)[0], 32, {}, 0, b""
    if data[:8] != b"vbtrace\n" or version not in (1, 2, 3) or any(data[12:32]):
        raise ValueError("expected a trace of version 1, 2 or 3")
    while at + 12 <= len(data):
        n, kind, before = *struct.unpack_from("<II", data, at), data[at - 32:at]
        end = at + 12 + n - 32 * (kind == INFORMATION)  # that record ends in a seal and passes the link on
        p, link = data[at + 12:end], data[at + 12 + n:at + 44 + n]
        digest = hashlib.sha256(data[at - 32:end]).digest()
        if hashlib.sha256(data[at:at + 8]).digest()[:4] != data[at + 8:at + 12] or (len(link) == 32 and (
                digest != data[end:end + 32] or (kind == INFORMATION and link != before))):
            raise ValueError(f"damaged at byte {at}")
        if len(link) < 32: break
        at, tokens, seal = at + 44 + n, tokens + (kind in (GIVEN, CHOSEN)), digest if kind == INFORMATION else seal
        out = (header(p, version) if kind == HEADER else out | information(p) if kind == INFORMATION else
               token(p, version, kind == CHOSEN) if kind in (GIVEN, CHOSEN) else tap(p) if kind == TAP else
               signature(p, before + seal) if kind == SIGNATURE else rules(p) if kind == RULES else dict(
               record="end", tokens=tokens, digest=before.hex(), reason=("closed", "end token", "context full")[p[0]]))
        if kind != HEADER: yield out
    if out.get("record") not in ("end", "signature") or at < len(data):
        yield {"record": "cut", "dropped_bytes": len(data) - at, "tokens": tokens, "digest": data[at - 32:at].hex()}


if __name__ == "__main__":
    try:
        for record in records(open(sys.argv[1], "rb").read()):
            print(json.dumps(record))
    except (ValueError, IndexError, struct.error, subprocess.CalledProcessError) as error:
        sys.exit(print(f"trace.py: {sys.argv[1]}: {error}", file=sys.stderr) or 3)
