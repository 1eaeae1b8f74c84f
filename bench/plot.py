"""plot.py - the table as a picture: plain SVG, bars and lines, readable on light and dark ground.

Bars: tokens/s, the fastest engine of a row at full length. Lines: tokens/s by context length and by sessions.
"""
from html import escape

ENGINES = ("verbatim", "llama.cpp", "ik_llama.cpp")
LIGHT = {"ground": "#ffffff", "ink": "#1b1f24", "grid": "#d0d7de", "engine": ("#0969da", "#bc4c00", "#1a7f37")}
DARK = {"ground": "#0d1117", "ink": "#e6edf3", "grid": "#3d444d", "engine": ("#58a6ff", "#f0883e", "#56d364")}


def colours(c):
    rules = [f".ground {{ fill: {c['ground']} }} text {{ fill: {c['ink']} }} .grid {{ stroke: {c['grid']} }}"]
    rules += [f".f{i} {{ fill: {hue} }} .s{i} {{ stroke: {hue} }}" for i, hue in enumerate(c["engine"])]
    return "\n".join(rules)


STYLE = f"""
svg {{ font: 12px sans-serif }} .title {{ font-weight: 600; font-size: 14px }}
.end {{ text-anchor: end }} .mid {{ text-anchor: middle }}
polyline {{ fill: none; stroke-width: 2 }} .s1 {{ stroke-dasharray: 6 3 }} .s2 {{ stroke-dasharray: 2 3 }}
{colours(LIGHT)}
@media (prefers-color-scheme: dark) {{
{colours(DARK)}
}}
"""


def text(x, y, words, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def line(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def legend(y):
    parts = []
    for i, engine in enumerate(ENGINES):
        parts += [f'<rect x="{220 + 130 * i}" y="{y - 10}" width="12" height="12" class="f{i}"/>',
                  text(238 + 130 * i, y, engine)]
    return parts


def number(x):
    return f"{x:.0f}" if x >= 100 or x == 0 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def bars(rows, y):
    """rows: (label, {engine: tokens/s}); the longest bar of a row is its fastest engine."""
    parts = []
    for label, speeds in rows:
        most = max(speeds.values())
        parts.append(text(210, y + 12, label, "end"))
        for i, engine in enumerate(ENGINES):
            if engine not in speeds:
                continue
            width = 440 * speeds[engine] / most
            parts += [f'<rect x="220" y="{y:.1f}" width="{width:.1f}" height="9" class="f{i}"/>',
                      text(226 + width, y + 9, number(speeds[engine]))]
            y += 11
        y += 9
    return parts, y


def lines(series, y, unit):
    """series: {engine: [(x, tokens/s)]}; x evenly spaced in the order of its values, y from zero."""
    xs = sorted({x for points in series.values() for x, _ in points})
    most = max(v for points in series.values() for _, v in points)
    at_x = {x: 230 + 420 * i / max(len(xs) - 1, 1) for i, x in enumerate(xs)}
    parts = [text(at_x[x], y + 196, f"{x:,}", "mid") for x in xs] + [text(440, y + 214, unit, "mid")]
    for step in range(5):
        level = y + 180 - 42.5 * step
        parts += [line(220, level, 660, level), text(212, level + 4, number(most * step / 4), "end")]
    for i, engine in enumerate(ENGINES):
        dots = [(at_x[x], y + 180 - 170 * v / most) for x, v in sorted(series.get(engine, []))]
        parts += [f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in dots)}" class="s{i}"/>'] if dots else []
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" class="f{i}"/>' for a, b in dots]
    return parts, y + 232


def svg(title, speed, panels):
    """speed: rows for bars; panels: (heading, series, unit)."""
    parts, y = [text(20, 28, title, "title")] + legend(50), 66
    if speed:
        drawn, y = bars(speed, y + 8)
        parts += drawn
    for heading, series, unit in panels:
        drawn, below = lines(series, y + 36, unit)
        parts += [text(20, y + 22, heading, "title")] + drawn
        y = below
    height = y + 16
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 {height:.0f}" width="740" '
            f'height="{height:.0f}">\n'
            f"<style>{STYLE}</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n" + "\n".join(parts)
            + "\n</svg>\n")
