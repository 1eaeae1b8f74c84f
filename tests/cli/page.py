#!/usr/bin/env python3
"""page.py VERBATIM PAGES [NAME] - the pages of --html, looked at by a headless Chromium.

PAGES writes pages of known contents (tests/page.c). Screenshots stay beside it, as page-*.png. Every test_* function is
a test; without a Chromium those that need one are skipped, and said to be. Ends with "N passed, N failed".
"""
import base64
import hashlib
import html.parser
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import traceback

import chromium
import scratch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERBATIM, PAGES = (str(pathlib.Path(p).resolve()) for p in sys.argv[1:3])
SHOTS = pathlib.Path(PAGES).parent
WORK = scratch.folder("page")
TINY = ROOT / "tests/golden/llama-gqa/model.gguf"
BROWSER = None


class Skip(Exception):
    pass


def same(a, b):
    assert a == b, f"expected {a!r}, found {b!r}"


def sample(kind):
    path = WORK / f"{kind}.html"
    if not path.exists():
        subprocess.run([PAGES, kind, path], check=True)
    return path


def data_of(path):
    text = pathlib.Path(path).read_text()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))


def verbatim(*args, code=0):
    done = subprocess.run([VERBATIM, *map(str, args)], capture_output=True, env={**os.environ, "HOME": str(WORK)}, check=False)
    assert done.returncode == code, f"{args}: exit {done.returncode}: {done.stderr.decode()}"
    return done.stdout


def tab(path, **how):
    global BROWSER
    if not chromium.program():
        raise Skip("no Chromium")
    BROWSER = BROWSER or chromium.Browser()
    return BROWSER.open(path, **how)


def clean(page):
    """Nothing asked for but the page itself, nothing complained about; and then it is closed."""
    page.settle()
    same([page.address], [r for r in page.requests if not r.startswith("data:")])
    same([], page.complaints)
    same(0, page.value("performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length"))
    page.close()


def panel(page):
    return page.value("document.getElementById('detail').innerText")


def cell(i, case=0):
    return f"document.querySelectorAll('.case')[{case}].querySelectorAll('.streams .c')[{i}]"


def at(page):
    """Where the keyboard stands."""
    return page.value("[...document.querySelectorAll('.streams .c')].indexOf(document.activeElement)")


def float_of(bits):
    return struct.unpack(">f", bytes.fromhex(bits))[0]


def expect_choices(page, token):
    told = panel(page)
    for ident, bits, logprob, text in token[6]:
        assert bits in told, f"bits {bits} not told: {told}"
        decimal = [word for word in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", told)
                   if struct.pack(">f", float(word)).hex() == bits]
        assert decimal, f"no decimal that is {bits} ({float_of(bits)}): {told}"
        assert (text if text is not None else f"#{ident}").strip() in told


# --- without a browser ----------------------------------------------------------------------------------------

class Checker(html.parser.HTMLParser):
    """Every element that is opened is closed, in order; nothing names an address."""
    void = {"meta", "link", "br", "img"}
    known = set("html head meta title style link body main header section article details summary p h1 h2 h3 small b i span"
                " a kbd ul li table thead tbody tr th td figure figcaption div svg path rect text output aside script".split())

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids = [], {}, []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        assert tag in self.known or tag == "title", f"unexpected <{tag}>"
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}>: an attribute twice"
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("style", "src"), f"<{tag} {name}>"
            assert name != "href" or value.startswith("#") or value == "data:,", f"<{tag} href={value}>"
            if name == "id":
                self.ids.append(value)
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


def test_markup():
    for kind in ("ten", "hostile", "noise", "cases", "bare"):
        checker = Checker()
        checker.feed(sample(kind).read_text())
        checker.close()
        same([], checker.open)
        same(2, checker.tags["script"])
        same(1, checker.tags["style"])
        same(len(checker.ids), len(set(checker.ids)))
        text = sample(kind).read_bytes()
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", text), "a control character"


def test_policy():
    """The digests in the policy are those of what stands there."""
    text = sample("ten").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    for name in ("style", "script"):
        body = re.search(rf"<{name}>(.*?)</{name}>", text, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy, policy
    assert policy.startswith("default-src 'none';")


def test_unwritable():
    done = subprocess.run([PAGES, "ten", WORK / "no" / "page.html"], capture_output=True, check=False)
    assert done.returncode == 1 and b"No such file" in done.stderr, done.stderr
    if pathlib.Path("/dev/full").exists():
        done = subprocess.run([PAGES, "many", "/dev/full"], capture_output=True, check=False)
        assert done.returncode == 1 and b"No space" in done.stderr, done.stderr


# --- what a page holds ----------------------------------------------------------------------------------------

def test_streams():
    data = data_of(sample("ten"))["cases"][0]
    page = tab(sample("ten"))
    same("grid", page.value("getComputedStyle(document.body).display"))
    same(10, page.value("document.querySelectorAll('.streams .c').length"))
    for s in (0, 1):
        texts = page.value(f"[...document.querySelectorAll('.streams .c')].map(c => c.children[{s}].textContent)")
        same([token[2] for token in data["streams"][s]["tokens"]], texts)
    same("Why is the sky <i>blue</i>?", page.value("document.querySelector('h1').textContent"))
    same("rounding", page.value("document.querySelector('.chip').textContent"))
    page.shot(SHOTS / "page-ten.png")
    clean(page)


def test_colours():
    """The less likely a token, the stronger its colour."""
    page = tab(sample("many"))
    data = data_of(sample("many"))["cases"][0]["streams"][0]["tokens"][:400]
    classes = page.value("[...document.querySelectorAll('.streams .c')].slice(0, 400).map(c => c.children[0].className)")
    steps = {}
    for token, name in zip(data, classes):
        step = int((re.search(r"\bq(\d)", name) or [0, 0])[1])
        if token[3] is not None:
            steps.setdefault(step, []).append(token[3])
    assert len(steps) >= 3
    for low, high in zip(sorted(steps), sorted(steps)[1:]):
        assert min(steps[low]) >= max(steps[high]), f"colours {low} and {high} overlap"
    same(1, page.value("new Set([...document.querySelectorAll('.c .t.q3')].map(t => getComputedStyle(t).backgroundColor)).size"))
    clean(page)


def test_first_difference():
    page = tab(sample("ten"))
    same([7], page.value("[...document.querySelectorAll('.streams .c')].flatMap((c, i) => c.matches('.first') ? [i] : [])"))
    same('"first difference"', page.value("getComputedStyle(document.querySelector('.first'), '::before').content"))
    same([7, 8, 9], page.value("[...document.querySelectorAll('.streams .c')].flatMap((c, i) => c.querySelector('.x') ? [i] : [])"))
    page.key("d")
    same(7, at(page))
    page.key("Home")
    same(0, at(page))
    x, y = page.middle("document.querySelector('aside button')")
    page.point(x, y, click=True)
    same(7, at(page))
    clean(page)


def test_hover():
    data = data_of(sample("ten"))["cases"][0]
    page = tab(sample("ten"))
    for i in (4, 7):
        page.point(*page.middle(cell(i)))
        assert f"position {i}" in panel(page)
        for s in (0, 1):
            expect_choices(page, data["streams"][s]["tokens"][i])
    page.point(*page.middle(cell(4)), click=True)
    same(4, at(page))
    page.point(*page.middle(cell(5)))
    assert "position 5" in panel(page)
    page.point(5, 5)
    assert "position 4" in panel(page), "what was clicked is kept"
    clean(page)


def test_keyboard():
    page = tab(sample("many"))
    page.settle()
    assert page.value("((f, s) => f.top > s.top && f.bottom < s.bottom)(document.querySelector('.first').getBoundingClientRect(),"
                      " document.querySelector('.streams').getBoundingClientRect())"), "opens where the two part"
    page.value(cell(0) + ".focus()")
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 9999), ("ArrowRight", 9999),
                       ("d", 7000), ("n", 7001), ("p", 7000), ("Home", 0), ("ArrowLeft", 0)):
        page.key(key)
        same((key, place), (key, at(page)))
        assert page.value("(b => b.top >= 0 && b.bottom <= innerHeight)(document.activeElement.getBoundingClientRect())"), key
        assert f"position {place}" in panel(page)
    page.key("ArrowDown")
    down = at(page)
    assert 0 < down < 40, down
    page.key("ArrowUp")
    assert at(page) < 4, at(page)
    same(1, page.value("document.querySelectorAll('.streams .c[tabindex]').length"))
    clean(page)


def test_plots():
    page = tab(sample("ten"))
    same(2, page.value("document.querySelectorAll('svg.margin, svg.drift').length"))
    same(7, page.value("(document.querySelector('svg.margin .dot.s0').getAttribute('d').match(/h0/g) || []).length"))
    data = data_of(sample("ten"))
    same((0.013, 0.05), (data["limit"], data["margin"]))
    same(5, page.value("[...document.querySelectorAll('svg.drift .stem')].map(p => (p.getAttribute('d').match(/V/g) || []).length)"
                       ".reduce((a, b) => a + b)"))
    for name in ("margin", "drift"):
        same(2, page.value(f"[...document.querySelectorAll('svg.{name} .parted, svg.{name} .limit')].length"))
        x, y = page.middle(f"document.querySelector('svg.{name}')")
        page.point(x, y)
        assert "position 5" in panel(page), panel(page)
        same("M550 0", page.value(f"document.querySelector('svg.{name} .cursor').getAttribute('d').split('V')[0]"))
    page.point(x, y, click=True)
    same(5, at(page))
    clean(page)


def test_map():
    data = data_of(sample("ten"))["cases"][0]["heat"]
    page = tab(sample("ten"), height=1600)
    same((32, 10, 10), (data["layers"], data["positions"], data["columns"]))
    box = page.value("(e => { const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height] })(document.querySelector('svg.heat'))")
    page.point(box[0] + box[2] * 0.85, box[1] + box[3] * 20.5 / 32)
    told = page.value("document.querySelector('.reading').textContent")
    match = re.fullmatch(r"layer 20, position 8: largest ([\d.e-]+), rms ([\d.e-]+)", told)
    assert match, told
    assert abs(float(match[1]) / data["largest"][20 * 10 + 8] - 1) < 1e-3
    assert abs(float(match[2]) / data["rms"][20 * 10 + 8] - 1) < 1e-3
    same(32, page.value("document.querySelectorAll('.case figure table tbody tr').length"))
    same(0, page.value("[...document.querySelectorAll('svg.heat rect')].filter(r => r.getAttribute('y') < 5).length"))
    clean(page)


def test_hostile():
    data = data_of(sample("hostile"))["cases"][0]
    page = tab(sample("hostile"))
    same(2, page.value("document.scripts.length"))
    same(0, page.value("document.querySelectorAll('img, iframe, object, embed, video, form, input').length"))
    same("<script>alert(1)</script>", page.value(cell(0) + ".children[0].textContent"))
    for i in range(0, 40, 3):
        page.point(*page.middle(cell(i)))
        assert f"position {i}" in panel(page)
        same(data["streams"][0]["tokens"][i][2], page.value(cell(i) + ".children[0].textContent"))
    for text, shown in (("\\x1b[31m", 6), ("\\xff\\xfe", 7), ("\\xe2\\x96", 8), ("⟨U+202E⟩desrever", 9), ("\\u003c", 10), ("⇥\\x0d↵", 12)):
        same(text, page.value(cell(shown) + ".children[0].textContent"))
    page.shot(SHOTS / "page-hostile.png")
    clean(page)


def test_noise():
    """Whatever the bytes: text in, the same text out, in the cells and in the data."""
    data = data_of(sample("noise"))["cases"][0]["streams"]
    page = tab(sample("noise"))
    for s in (0, 1):
        texts = page.value(f"[...document.querySelectorAll('.streams .c')].map(c => c.children[{s}].textContent)")
        same(4000, len(texts))
        same([token[2] for token in data[s]["tokens"]], texts)
    clean(page)


def test_open_margins():
    """Tokens whose margin lies within the envelope are marked, in the plot, in the panel, and for the keyboard."""
    data = data_of(sample("many"))
    low = [min(s["tokens"][i][4] for s in data["cases"][0]["streams"] if s["tokens"][i][4] is not None) <= data["margin"]
           if data["cases"][0]["streams"][0]["tokens"][i][4] is not None else False for i in range(7000)]
    first = low.index(True)
    page = tab(sample("many"))
    page.value(cell(0) + ".focus()")
    page.key("n")
    same(first, at(page))
    assert "open, within the envelope" in panel(page)
    assert page.value("document.querySelector('svg.margin .dot.low').getAttribute('d').length") > 0
    clean(page)


def test_many():
    page = tab(sample("many"))
    same(10000, page.value("document.querySelectorAll('.streams .c').length"))
    took = page.value("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert took < 15000, f"{took} ms until it was there"
    marks = page.value("[...document.querySelectorAll('svg.field path, svg.field rect')].length")
    assert marks < 9000, f"{marks} marks in plots"
    page.shot(SHOTS / "page-many.png")
    clean(page)


def test_cases():
    page = tab(sample("cases"))
    same(12, page.value("document.querySelectorAll('.overview tbody tr').length"))
    same(12, page.value("document.querySelectorAll('details.case').length"))
    same(False, page.value("document.getElementById('case0').open"))
    page.point(*page.middle("document.querySelector('.overview a')"), click=True)
    same(True, page.value("document.getElementById('case0').open"))
    same(["same", "rounding", "rounding", "same", "rounding", "rounding", "same", "unexplained", "rounding", "same", "rounding", "rounding"],
         page.value("[...document.querySelectorAll('.overview .chip')].map(c => c.textContent)"))
    page.point(*page.middle(cell(20, 1)))
    assert "position 20" in panel(page)
    page.shot(SHOTS / "page-cases.png")
    clean(page)


def test_bare():
    page = tab(sample("bare"))
    same(2, page.value("document.querySelectorAll('.streams .c').length"))
    page.point(*page.middle(cell(0)))
    assert "position 0" in panel(page)
    page.key("Tab")
    page.key("ArrowRight")
    clean(page)


LUMINANCE = """(() => {
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const bright = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number); return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
  const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.endsWith(', 0)')) return c; } };
  return [...document.querySelectorAll('.legend .t, .chip, .facts td, .names b, summary, figcaption, .g, aside th, h1')].map(e => {
    const a = bright(getComputedStyle(e).color), b = bright(back(e));
    return [e.className + ' ' + e.textContent.slice(0, 20), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; });
})()"""


def test_light_and_dark():
    seen = []
    for dark in (False, True):
        page = tab(sample("ten"), dark=dark)
        seen.append(page.value("getComputedStyle(document.body).backgroundColor"))
        faint = [found for found in page.value(LUMINANCE) if found[1] < 4.5]
        same([], faint)
        page.shot(SHOTS / ("page-dark.png" if dark else "page-light.png"), whole=True)
        clean(page)
    assert seen[0] != seen[1]


def test_narrow():
    page = tab(sample("ten"), width=420, height=800)
    assert page.value("document.documentElement.scrollWidth") <= 420, "wider than the screen"
    page.point(*page.middle(cell(4)), click=True)
    assert "position 4" in panel(page)
    assert page.value("(b => b.bottom <= innerHeight + 1 && b.height > 100)(document.querySelector('aside').getBoundingClientRect())")
    page.shot(SHOTS / "page-narrow.png")
    clean(page)


# --- real traces ----------------------------------------------------------------------------------------------

def traced(name, *args):
    path = WORK / name
    if not path.exists():
        verbatim("run", TINY, "--raw", "the sky", "-n", 24, "--trace", path, *args)
    return path


def test_show():
    trace, out = traced("a.trace"), WORK / "show.html"
    same(b"", verbatim("trace", "show", trace, "--html", out))
    lines = [json.loads(line) for line in verbatim("trace", "show", "--json", trace).splitlines()]
    records = [line for line in lines if line["record"] in ("given", "chosen")]
    data = data_of(out)["cases"][0]
    same([r["id"] for r in records], [t[0] for t in data["streams"][0]["tokens"]])
    for record, token in zip(records, data["streams"][0]["tokens"]):
        same([[k["id"], k["bits"]] for k in record.get("top", [])], [choice[:2] for choice in token[6]])
    page = tab(out)
    chosen = next(i for i, r in enumerate(records) if r["record"] == "chosen")
    page.point(*page.middle(cell(chosen)))
    expect_choices(page, data["streams"][0]["tokens"][chosen])
    clean(page)


def test_diff():
    a, b, out = traced("a.trace"), traced("b.trace", "--temp", "1.5", "--seed", "3"), WORK / "diff.html"
    verbatim("trace", "diff", a, b, "--html", out, code=1)
    data = data_of(out)["cases"][0]
    ids = [[token[0] for token in s["tokens"]] for s in data["streams"]]
    parted = next(i for i, (x, y) in enumerate(zip(*ids)) if x != y)
    same(parted, data["parted"])
    assert data["drift"][parted] == 0, "the same logits, another choice"
    assert all(d is None for d in data["drift"][parted + 1:])
    page = tab(out)
    same("differs", page.value("document.querySelector('.chip').textContent"))
    same("temperature", page.value("document.querySelector('tr.differs th').textContent"))
    page.key("d")
    same(parted, at(page))
    assert "differs in" in panel(page)
    page.shot(SHOTS / "page-diff.png")
    clean(page)


def test_equal():
    a, b, out = traced("a.trace"), traced("c.trace", "--threads", "1", "--isa", "portable"), WORK / "equal.html"
    verbatim("trace", "diff", a, b, "--html", out)
    page = tab(out)
    same("equal", page.value("document.querySelector('.chip').textContent"))
    same(0, page.value("document.querySelectorAll('.streams :is(.first, .x, .note)').length"))
    assert "every bit is the same" in page.value("document.querySelector('.case').innerText")
    same(0, page.value("document.querySelectorAll('svg.drift').length"))
    same({0}, {d for d in data_of(out)["cases"][0]["drift"] if d is not None})
    clean(page)


def test_cut_and_bad():
    """What is whole of a cut trace is shown, and that it was cut; what is no trace makes no page, and no trace is overwritten."""
    trace, out = traced("a.trace"), WORK / "cut.html"
    cut = WORK / "cut.trace"
    cut.write_bytes(trace.read_bytes()[:-100])
    verbatim("trace", "show", cut, "--html", out)
    assert "dropped bytes" in out.read_text()
    verbatim("trace", "diff", trace, cut, "--html", out, code=1)
    assert re.search(r'<tr class="differs"><th>dropped bytes', out.read_text())
    bad, nothing = WORK / "bad.trace", WORK / "nothing.html"
    bad.write_bytes(b"no trace")
    verbatim("trace", "show", bad, "--html", nothing, code=3)
    verbatim("trace", "diff", trace, bad, "--html", nothing, code=3)
    assert not nothing.exists()
    before = trace.read_bytes()
    verbatim("trace", "show", trace, "--html", trace, code=2)
    same(before, trace.read_bytes())
    verbatim("trace", "show", trace, "--html", WORK / "no" / "page.html", code=4)
    assert verbatim("trace", "show", trace, "--html", "-").startswith(b"<!doctype html>")
    assert verbatim("trace", "diff", trace, cut, "--html", "-", code=1).endswith(b"</html>\n")


def test_versions():
    """Traces of both formats, alone and beside each other."""
    old, new = (sorted((ROOT / "tests/traces" / name).glob("*.trace"))[0] for name in ("v1", "v2"))
    out = WORK / "versions.html"
    for files in ((old,), (new,), (old, new)):
        done = subprocess.run([VERBATIM, "trace", "show" if len(files) == 1 else "diff", *files, "--html", out], check=False,
                              capture_output=True)
        assert done.returncode in (0, 1), done.stderr
        clean(tab(out))


def test_taps():
    a, b, out = traced("ta.trace", "--taps", "layers"), traced("tb.trace", "--taps", "layers", "--arith", "f32"), WORK / "taps.html"
    verbatim("trace", "diff", a, b, "--html", out, code=1)
    taps = []
    for trace in (a, b):
        lines = [json.loads(line) for line in verbatim("trace", "show", "--json", trace).splitlines()]
        taps.append({(t["position"], t["layer"], t["name"]): [float_of(t["bits"][i:i + 8]) for i in range(0, len(t["bits"]), 8)]
                     for t in lines if t["record"] == "tap"})
    data = data_of(out)["cases"][0]
    heat = data["heat"]
    same(len({key[1:] for key in taps[0]}), heat["layers"])
    rows = list(dict.fromkeys(key[1:] for key in taps[0]))
    seen = 0
    for (position, layer, name), values in taps[0].items():
        told = heat["largest"][rows.index((layer, name)) * heat["columns"] + position]
        if told is not None:
            seen += 1
            expected = max(abs(x - y) for x, y in zip(values, taps[1][position, layer, name]))
            assert abs(told - expected) <= 1e-5 * expected, (position, layer, name, told, expected)
    assert seen > 20, "values were compared"
    where = next((key, i) for key, values in taps[0].items() for i, x in enumerate(values) if x != taps[1][key][i])
    position, layer, name = where[0]
    told = re.search(r"first value that differs</th><td>(\w{8}) \(.*?\), (.*?) of layer (\d+), position (\d+), element (\d+)</td><td>(\w{8}) ",
                     out.read_text())
    same((name, str(layer), str(position), str(where[1])), told.groups()[1:5])
    same([taps[k][where[0]][where[1]] for k in (0, 1)], [float_of(told[1]), float_of(told[6])])
    assert max(x for x in heat["largest"] if x) > 0
    page = tab(out)
    text = page.value("document.querySelector('svg.heat').closest('figure').querySelector('figcaption').textContent")
    assert re.search(r"first in .+ at position 0, by ", text), text
    page.shot(SHOTS / "page-taps.png", whole=True)
    clean(page)


def test_partners():
    """The pages of parity and of diff: a case an answer, with the verdicts that stand in the JSON."""
    model = os.environ.get("SMOLLM2", "")
    if not os.path.isfile(model):
        raise Skip("SMOLLM2 names no model")
    out, few = WORK / "partners.html", WORK / "few.json"
    recorded = json.loads((ROOT / "tests/recordings/smollm2.json").read_text())
    few.write_text(json.dumps(recorded | {"cases": recorded["cases"][:3]}))
    for command in (("parity", model), ("diff", "--ours", model)):
        done = verbatim(*command, "--recording", few, "--html", out, "--json")
        cases = json.loads(done)["cases"]
        page = tab(out)
        same([c["verdict"] for c in cases], page.value("[...document.querySelectorAll('.overview .chip')].map(c => c.textContent)"))
        data = data_of(out)["cases"]
        same(len(cases), len(data))
        apart = next(i for i, c in enumerate(data) if c["parted"] >= 0)
        page.point(*page.middle(cell(data[apart]["parted"], apart)))
        ours = next(s for s in data[apart]["streams"] if s["name"] == "verbatim")
        expect_choices(page, ours["tokens"][data[apart]["parted"]])
        page.shot(SHOTS / f"page-of-{command[0]}.png")
        clean(page)


def main():
    passed = failed = skipped = 0
    wanted = sys.argv[3:]
    tests = [(name, test) for name, test in list(globals().items()) if name.startswith("test_") and (not wanted or name in wanted)]
    for name, test in tests:
        try:
            test()
            passed += 1
        except Skip as why:
            skipped += 1
            print(f"{name}: skipped: {why}")
        except Exception:  # a test that fails in any way has failed
            failed += 1
            print(f"{name}:")
            traceback.print_exc(file=sys.stdout)
    if BROWSER is not None:
        BROWSER.__exit__()
    print(f"{passed} passed, {failed} failed" + (f" ({skipped} skipped)" if skipped else ""))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
