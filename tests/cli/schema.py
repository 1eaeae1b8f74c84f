"""schema.py BUILD MODEL [--texts N] - JSON Schemas judged by Python's jsonschema.

Of every schema: texts made by random steps within the mask must validate; and of texts that were changed a little, those
that fit the grammar must be those that validate. Then hostile schemas: refused, and quickly.
Ends with "N passed, N failed".
"""
import ctypes
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import jsonschema

build, model_path = sys.argv[1:3]
texts_wanted = int(sys.argv[sys.argv.index("--texts") + 1]) if "--texts" in sys.argv else 10000
lib = ctypes.CDLL(build + "/libverbatim.so")


class Err(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 504)]


class ModelOpts(ctypes.Structure):
    _fields_ = [("player", ctypes.c_char_p), ("arith", ctypes.c_int), ("isa", ctypes.c_char_p), ("threads", ctypes.c_int),
                ("embeddings", ctypes.c_int), ("vocab_only", ctypes.c_int), ("template_as", ctypes.c_char_p), ("like_ggml", ctypes.c_int)]


lib.vb_grammar_unheld.restype = ctypes.c_char_p
lib.vb_token_bytes.restype = ctypes.c_int64
lib.vb_token_bytes.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
err = Err()
model = ctypes.c_void_p()
opts = ModelOpts(vocab_only=1)
if lib.vb_model_open(ctypes.byref(model), model_path.encode(), ctypes.byref(opts), ctypes.byref(err)) < 0:
    sys.exit(err.text.decode())
pieces = []
while True:
    room = ctypes.create_string_buffer(1024)
    n = lib.vb_token_bytes(model, len(pieces), room, 1024)
    if n < 0:
        break
    pieces.append(room.raw[:n])
VOCAB = len(pieces)


class Grammar:
    def __init__(self, handle):
        self.handle = handle

    @staticmethod
    def of(text):
        handle = ctypes.c_void_p()
        data = text.encode()
        status = lib.vb_grammar_open_schema(ctypes.byref(handle), model, data, ctypes.c_size_t(len(data)), ctypes.byref(err))
        return Grammar(handle) if status == 0 else None

    def fork(self):
        handle = ctypes.c_void_p()
        assert lib.vb_grammar_fork(ctypes.byref(handle), self.handle, None) == 0
        return Grammar(handle)

    def __del__(self):
        lib.vb_grammar_close(self.handle)

    def unheld(self):
        return lib.vb_grammar_unheld(self.handle, 0)

    def allowed(self):
        mask = ctypes.create_string_buffer((VOCAB + 7) // 8)
        assert lib.vb_grammar_mask(self.handle, mask, ctypes.c_size_t(len(mask)), ctypes.byref(err)) == 0, err.text
        bits = int.from_bytes(mask.raw, "little")
        found = []
        while bits:
            low = bits & -bits
            found.append(low.bit_length() - 1)
            bits ^= low
        return found

    def accept(self, token):
        assert lib.vb_grammar_accept(self.handle, token, ctypes.byref(err)) == 0, err.text

    def fits(self, text):
        fork, data = self.fork(), text.encode()
        if lib.vb_grammar_accept_text(fork.handle, data, ctypes.c_size_t(len(data)), None) != 0:
            return False
        return lib.vb_grammar_may_end(fork.handle) == 1


def obj(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


PERSON = obj(name={"type": "string"}, age={"type": "integer", "minimum": 0, "maximum": 150})
TREE = {"$ref": "#/$defs/node", "$defs": {"node": obj(value={"type": "integer"}, children={"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2})}}
SCHEMAS = [
    {"type": "null"}, {"type": "boolean"}, {"type": "integer"}, {"type": "number"}, {"type": "string"}, True, {},
    {"type": ["string", "null"]}, {"type": ["integer", "boolean"]}, {"enum": ["a", 1, None, True, 1.5, [1, {"x": "y"}], "é\n\""]}, {"const": {"a": [1, 2]}},
    {"type": "string", "enum": ["x", 1, "y"]}, {"type": "string", "minLength": 2}, {"type": "string", "maxLength": 3},
    {"type": "string", "minLength": 2, "maxLength": 4}, {"type": "string", "minLength": 3, "maxLength": 3},
    {"type": "array"}, {"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": {"type": "integer"}, "minItems": 2},
    {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, {"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 3},
    {"type": "array", "items": False}, {"type": "array", "maxItems": 0}, {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": {"type": "null"}, "minItems": 1, "maxItems": 4},
    {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 1}, "minItems": 1},
    {"type": "object"}, PERSON, TREE, {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "null"}}, "required": ["b"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "integer"}, "ab": {"type": "string"}, "é": {"type": "null"}}, "additionalProperties": {"type": "boolean"}},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}}, "minProperties": 2, "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}}, "minProperties": 1, "maxProperties": 2, "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 1, "maxProperties": 3},
    {"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"no": False, "yes": {"type": "integer"}}, "additionalProperties": False},
    {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}]}, {"oneOf": [{"type": "null"}, PERSON]},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "additionalProperties": False, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 30}]},
    {"allOf": [obj(a={"type": "integer"}) | {"additionalProperties": True}, {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"]}]},
    {"$ref": "#/definitions/n", "minimum": 5, "definitions": {"n": {"type": "integer", "maximum": 9}}},
    {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"], "additionalProperties": False},
    {"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "pattern": "^(\\d{3}-)?\\d{4}$"}, {"type": "string", "pattern": "ab"},
    {"type": "string", "pattern": "^a|b$"}, {"type": "string", "pattern": "^[^a-c]{1,3}$"}, {"type": "string", "pattern": "^(?:ab?|c*)+$"},
    {"type": "string", "pattern": "^\\w+@\\w+\\.com$"}, {"type": "string", "pattern": "^[\"\\\\/\\n]+$"}, {"type": "string", "pattern": "^.{0,2}\\u00e9$"},
    {"type": "array", "items": PERSON, "minItems": 1, "maxItems": 2}, obj(a=PERSON, b={"type": "array", "items": {"enum": [1, 2]}}),
    obj(**{"quo\"te": {"type": "null"}, "back\\slash": {"type": "null"}, "": {"type": "null"}}),
    {"properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}, "required": ["kind"], "type": "object", "additionalProperties": False},
    {"anyOf": [obj(kind={"const": "circle"}, r={"type": "number", "minimum": 0}), obj(kind={"const": "square"}, side={"type": "integer"})]},
]
# As programs ask for them.
LIST = {"anyOf": [{"type": "null"}, obj(head={"type": "integer"}, tail={"$ref": "#/$defs/list"})]}
SCHEMAS += [
    obj(location={"type": "string", "description": "a city"}, unit={"enum": ["celsius", "fahrenheit"]}),
    obj(title={"type": "string", "maxLength": 8}, when={"type": "string", "format": "date"}, guests={"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2}),
    obj(number={"type": "string", "pattern": "^INV-[0-9]{4}$"}, lines={"type": "array", "items": obj(count={"type": "integer", "minimum": 1}, price={"type": "number", "minimum": 0}), "minItems": 1, "maxItems": 2}),
    obj(answer={"type": "boolean"}, why={"type": ["string", "null"], "maxLength": 12}),
    {"title": "Stars", "description": "how good it is", "default": 3, "examples": [4], "type": "integer", "minimum": 1, "maximum": 5},
    {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "minItems": 1, "maxItems": 3},
    {"type": "array", "items": {"oneOf": [{"const": "on"}, {"const": "off"}]}, "minItems": 2, "maxItems": 2},
    obj(point={"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "items": False, "minItems": 2}),
    {"enum": [{"a": 1}, {"a": 2}, [], ""]}, {"const": "only"}, {"const": None},
    {"$ref": "#/$defs/list", "$defs": {"list": LIST}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}}, "required": ["a"], "additionalProperties": False, "$defs": {"x": {"enum": ["1", 1]}}},
    {"allOf": [{"type": "string"}, {"minLength": 1}, {"maxLength": 2}]},
    {"anyOf": [{"type": "string", "format": "date"}, {"type": "integer", "minimum": 1900, "maximum": 2100}]},
    {"type": "string", "pattern": "^(yes|no|maybe so)$"}, {"type": "string", "pattern": "^[A-Z][a-z]{2,5}( [A-Z][a-z]+)?$"},
    {"type": "string", "pattern": "^-?(0|[1-9][0-9]*)\\.[0-9]{2}$"}, {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"},
    {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}, "required": ["id"], "additionalProperties": {"type": "null"}},
    obj(meta={"type": "object", "additionalProperties": {"type": "string"}}),
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "boolean"}}}, "additionalProperties": False},
]
for low, high in [(0, 9), (1, 100), (-5, 5), (7, 7), (-100, -10), (99, 1001), (-1, 0), (123, 45678), (0, 255), (-128, 127), (1000, 1000000), (10, 10), (95, 105)]:
    SCHEMAS.append({"type": "integer", "minimum": low, "maximum": high})
    SCHEMAS.append({"type": "number", "minimum": low, "maximum": high})
for low in [0, 1, 17, -17, 100, -1000, 10**6]:
    SCHEMAS += [{"type": "integer", "minimum": low}, {"type": "integer", "maximum": low}, {"type": "integer", "exclusiveMinimum": low},
                {"type": "integer", "exclusiveMaximum": low}, {"type": "number", "minimum": low}, {"type": "number", "maximum": low}]
for low, high in [(0.5, 1.5), (0.1, 0.25), (-0.75, 0.125), (1.05, 1.1), (-2.5, -2.25), (0, 0.001), (3.14, 3.15), (9.5, 10.5), (-0.5, -0.5)]:
    SCHEMAS += [{"type": "number", "minimum": low, "maximum": high}, {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high} if low < high else {"const": low},
                {"type": "number", "minimum": low}, {"type": "number", "exclusiveMaximum": high}, {"type": "integer", "minimum": low, "maximum": high + 3}]
for form in ["date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri"]:
    SCHEMAS.append({"type": "string", "format": form})
checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
random.seed(11)


def valid(schema, value):
    return jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(value)


def walk(grammar):
    """A text by random steps; the later, the more it hurries to end. None: it went on too long."""
    g, text = grammar.fork(), b""
    for step in range(400):
        may = g.allowed()
        assert may, "nothing may follow " + repr(text)
        ends = [t for t in may if lib.vb_token_ends(model, t)]
        if ends and (step > 12 or random.random() < 0.3):
            return text.decode()
        may = [t for t in may if t not in ends]
        if not may:
            return text.decode()
        if step > 12 or random.random() < 0.5:
            closing = [t for t in may if pieces[t][:1] in (b'"', b"}", b"]", b",", b":", b"0", b"1")]
            may = closing or may
        token = random.choice(may)
        g.accept(token)
        text += pieces[token]
    return None


OTHERS = [None, True, False, 0, 1, -1, 7, 10, 99, 150, 151, 0.5, -0.25, 3.14, 1.0001, "", "a", "ab", "abc", "é", "x y", "\"", "\n", [], [1], [None, True], {}, {"a": 1},
          {"b": None}, "2023-02-29", "2024-02-29", "12:00:00Z", "1.2.3.4", "256.1.1.1", "::1", "12345", "555-1234"]


def changed(value):
    """The same value with something in it exchanged; members keep their order."""
    pick = random.random()
    if isinstance(value, dict) and value and pick < 0.8:
        key = random.choice(list(value))
        if random.random() < 0.3:
            return {k: v for k, v in value.items() if k != key}
        return {k: changed(v) if k == key else v for k, v in value.items()}
    if isinstance(value, list) and value and pick < 0.8:
        i = random.randrange(len(value))
        return random.choice([value[:i] + value[i + 1:], value + [value[i]], value[:i] + [changed(value[i])] + value[i + 1:]])
    if isinstance(value, bool) or value is None:
        return random.choice(OTHERS)
    if isinstance(value, int) and pick < 0.7:
        return value + random.choice([-1, 1, -10, 10, 100, -100])
    if isinstance(value, float) and pick < 0.7:
        return round(value + random.choice([-1, 1, 0.5, -0.25, 0.001, -0.001]), 4)
    if isinstance(value, str) and pick < 0.7:
        i = random.randrange(len(value) + 1)
        return random.choice([value[:i] + random.choice("abz09-:.@é \"\\\n") + value[i:], value[:i - 1] + value[i:] if i else value, value + value])
    return random.choice(OTHERS)


def plain(value):
    """What grammars and jsonschema read alike: whole numbers are written as such, and none is longer than 16 digits; no
    text ends with a line feed, in front of which Python's $ may stand."""
    if isinstance(value, str):
        return not value.endswith("\n")
    if isinstance(value, float):
        return not value.is_integer() and abs(value) < 1e12 and "e" not in repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 10**16
    if isinstance(value, (list, dict)):
        return all(plain(v) for v in (value.values() if isinstance(value, dict) else value))
    return True


def in_order(schema, value):
    """Objects whose members do not stand in the schema's order are the one thing on which both differ on purpose."""
    return not isinstance(value, dict) or "properties" not in schema or [k for k in schema["properties"] if k in value] + [k for k in value if k not in schema["properties"]] == list(value)


passed = failed = 0
ended = walks = agreed = fitting = 0


def check(ok, *what):
    global passed, failed
    passed += bool(ok)
    failed += not ok
    if not ok:
        print("FAIL", *what)


# Formats that a text must have beyond the one written here, and those where jsonschema asks for less.
LOOSE = {"email", "hostname", "ipv6", "uri", "duration", "time", "date-time"}
per_schema = -(-texts_wanted // len(SCHEMAS))
for schema in SCHEMAS:
    text = json.dumps(schema)
    start = time.process_time()
    grammar = Grammar.of(text)
    took = time.process_time() - start
    if grammar is None:
        check(False, text, err.text.decode())
        continue
    check(took < 0.1, "%.0f ms to read" % (took * 1e3), text)
    made, wrong = [], []
    for _ in range(6):
        walks += 1
        made.append(walk(grammar))
        if made[-1] is None:
            made.pop()
            continue
        ended += 1
        if not valid(schema, json.loads(made[-1])) or not grammar.fits(made[-1]):
            wrong.append(made[-1])
    check(not wrong, text, "made", wrong)
    values, differ = [json.loads(m) for m in made] + OTHERS, []
    loose = isinstance(schema, dict) and schema.get("format") in LOOSE
    for _ in range(per_schema):
        value = random.choice(values)
        for _ in range(random.randrange(3)):
            value = changed(value)
        if not plain(value) or not isinstance(schema, bool) and not in_order(schema, value):
            continue
        written = json.dumps(value, ensure_ascii=False, indent=random.choice([None, None, 1]))
        fits, right = grammar.fits(written), valid(schema, value)
        agreed += fits == right
        fitting += fits
        if fits != right and not (loose and not fits):
            differ.append((written, fits, right))
    check(not differ, text, "fits, is valid:", differ[:3])
print("%d schemas, %d of %d walks ended, %d texts judged alike, of which %d fit" % (len(SCHEMAS), ended, walks, agreed, fitting))
check(ended >= 0.9 * walks, "walks that ended")
check(agreed >= 0.8 * texts_wanted and fitting >= 0.05 * agreed, "texts judged")

HOSTILE = [
    '{"type":"string","pattern":"^+[a-z]$"}', '{"$ref":"#"}', '{"$ref":"#/a","a":{"$ref":"#/b"},"b":{"$ref":"#/a"}}', '{"$ref":"#/nothing"}',
    '{"$ref":"http://example.com/x"}', '{"type":"array","items":{},"minItems":1000000000}', '{"type":"string","maxLength":1000000000}', '{"allOf":[{"$ref":"#"}]}',
    '{"items":' * 3000 + "{}" + "}" * 3000, '{"type":"string","pattern":"' + "(" * 3000 + '"}', '{"type":"string","pattern":"(a{2000}){2001}"}',
    '{"type":"string","pattern":"(?=a)b"}', '{"type":"string","pattern":"a\\\\1"}', '{"type":"string","pattern":"[z-a]"}', '{"type":"string","pattern":"(a"}',
    '{"type":"x"}', '{"type":7}', '[1]', "7", "", "{", '{"anyOf":[]}', '{"anyOf":7}', '{"type":"integer","minimum":5,"maximum":4}', "false", '{"enum":[]}',
    '{"type":"object","properties":{"a":false},"required":["a"]}', '{"type":"integer","minimum":"x"}', '{"type":"string","minLength":-1}', '{"properties":[]}',
    json.dumps({"anyOf": [{"properties": {"a%d" % i: {"type": "integer"}}} for i in range(200)], "oneOf": [{"properties": {"b%d" % i: {}}} for i in range(200)]}),
    json.dumps({"type": "object", "properties": {"p%d" % i: {"type": "string"} for i in range(20000)}}),
    '{"$ref":"#/d/0","d":[' + ",".join('{"allOf":[{"$ref":"#/d/%d"},{"$ref":"#/d/%d"}]}' % (i + 1, i + 1) for i in range(60)) + ',{"type":"null"}]}',
]
for text in HOSTILE:
    start = time.process_time()
    grammar = Grammar.of(text)
    took = time.process_time() - start
    check(grammar is None and took < 0.1, "%.0f ms" % (took * 1e3), "refused" if grammar is None else "accepted", text[:100])
    check(grammar is not None or err.text.startswith((b"schema: ", b"grammar: ")), err.text)
    grammar = None
for text, keyword in [('{"not":{}}', b"not"), ('{"type":"array","uniqueItems":true}', b"uniqueItems"), ('{"type":"string","pattern":"^a","maxLength":3}', b"maxLength with pattern or format"),
                      ('{"type":"integer"}', None)]:
    check(Grammar.of(text).unheld() == keyword, text)
# The command line: bits do not depend on speculation or threads, what a schema does not hold is told, traces are refused.
with tempfile.TemporaryDirectory() as folder:
    def run(*args):
        return subprocess.run([build + "/verbatim", "run", model_path, "--raw", "hello", "-n", "40", *args], capture_output=True, timeout=60)

    def put(name, text):
        path = os.path.join(folder, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    schema = put("schema", json.dumps(obj(a={"type": "integer"}, b={"type": "array", "items": {"enum": ["aa", "ab"]}, "uniqueItems": True})))
    gbnf = put("grammar", 'root ::= ("ab" | "ba"){3} "."')
    for settings in [[], ["--temp", "1", "--seed", "3"], ["--temp", "1", "--top-k", "20"], ["--temp", "0.8", "--repeat-penalty", "1.2"]]:
        answers = {run("--json-schema", schema, *settings, *more).stdout for more in [["--speculate", "off"], ["--speculate", "ngram"], ["--threads", "1"]]}
        check(len(answers) == 1 and answers.pop().startswith(b"{"), settings, answers)
        said = run("--grammar", gbnf, *settings)
        check(said.returncode == 0 and len(said.stdout) == 7 and said.stdout.endswith(b"."), settings, said)
    check(b'"uniqueItems" is not held' in run("--json-schema", schema).stderr, "a note")
    for args in [["--grammar", gbnf, "--json-schema", schema], ["--grammar", "-"], ["--grammar", folder + "/none"],
                 ["--grammar", schema], ["--json-schema", gbnf]]:
        said = run(*args)
        check(said.returncode > 0 and said.stdout == b"" and said.stderr.startswith(b"verbatim: "), args, said)
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
