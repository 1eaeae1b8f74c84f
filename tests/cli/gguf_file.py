"""gguf_file.py - a reader of GGUF files for tests, which shares nothing with the one under test."""
import hashlib
import pathlib
import struct

NAMES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
         13: "Q5_K", 14: "Q6_K", 20: "IQ4_NL", 23: "IQ4_XS", 30: "BF16", 39: "MXFP4"}
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
BLOCKS = {"F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "MXFP4": (32, 17), "Q8_0": (32, 34), "Q4_1": (32, 20)}


class File:
    """Keys and tensors of a GGUF file: name -> (format, shape, offset in the file)."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        self.at = 8
        assert self.data[:4] == b"GGUF"
        tensors, keys = self.take("Q"), self.take("Q")
        self.keys = {}
        for _ in range(keys):
            name = self.text()
            self.keys[name] = self.value(self.take("I"))
        self.keys_end = self.at
        found = []
        for _ in range(tensors):
            name = self.text()
            shape = [self.take("Q") for _ in range(self.take("I"))]
            found.append((name, NAMES[self.take("I")], shape, self.take("Q")))
        base = (self.at + 31) // 32 * 32
        self.tensors = {name: (form, shape, base + offset) for name, form, shape, offset in found}

    def take(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)[0]
        self.at += struct.calcsize("<" + form)
        return value

    def text(self):
        n = self.take("Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            item, n = self.take("I"), self.take("Q")
            return [self.value(item) for _ in range(n)]
        return self.take(NUMBERS[kind])

    def format(self, name):
        return self.tensors[name][0]

    def data_of(self, name):
        form, shape, at = self.tensors[name]
        n = 1
        for d in shape:
            n *= d
        return self.data[at:at + n // BLOCKS[form][0] * BLOCKS[form][1]]

    def line(self, name):
        """"F32 64x32 <digest>" """
        form, shape, _ = self.tensors[name]
        return f"{form} {'x'.join(map(str, shape))} {hashlib.sha256(self.data_of(name)).hexdigest()[:16]}"
