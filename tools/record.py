"""Records the demo: docs/demo.svg, a terminal through which it scrolls, and docs/demo.txt. Run it by `make record`."""

import html
import re
import textwrap
from pathlib import Path

from click.testing import CliRunner

from pvc.cli.main import main

DOCS = Path(__file__).resolve().parent.parent / "docs"
COLUMNS, ROWS = 118, 30
CHARACTER, LINE, EDGE = 7.8, 17, 14
SECONDS_A_LINE = 0.35
COLOURS = {"31": "#f2777a", "32": "#99cc99", "33": "#ffcc66", "35": "#cc99cc"}
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def recorded() -> list[str]:
    """The demo's lines, as a terminal gets them."""
    done = CliRunner().invoke(main, ["--color", "always", "sim", "demo", "--pace", "0"])
    if done.exit_code:
        raise SystemExit(f"the demo ended with {done.exit_code}:\n{done.output}")
    return done.output.strip().splitlines()


def plain(line: str) -> str:
    """A line without its colours."""
    return ESCAPE.sub("", line).rstrip()


def wrapped(line: str) -> list[str]:
    """A line as a terminal of our width shows it; a long one, which is an answer, keeps its style."""
    if len(plain(line)) <= COLUMNS:
        return [line]
    start = "".join(f"\x1b[{code}m" for code in ESCAPE.findall(line.lstrip()[:12]))
    indent = " " * (len(plain(line)) - len(plain(line).lstrip()))
    return [f"{start}{part}\x1b[0m" for part in textwrap.wrap(plain(line), COLUMNS, subsequent_indent=indent)]


def spans(line: str) -> str:
    """A line as SVG text."""
    found, style = [], {}
    for number, part in enumerate(ESCAPE.split(line)):
        if number % 2 == 0:
            look = "".join(f' {name}="{value}"' for name, value in style.items())
            found.append(f"<tspan{look}>{html.escape(part)}</tspan>" if style and part else html.escape(part))
            continue
        for code in part.split(";"):
            match code:
                case "" | "0":
                    style = {}
                case "1":
                    style["font-weight"] = "bold"
                case "2":
                    style["fill-opacity"] = "0.6"
                case _ if code in COLOURS:
                    style["fill"] = COLOURS[code]
    return "".join(found)


def picture(lines: list[str]) -> str:
    """All lines in one tall text that moves up by a line at a time behind a window, rests at its end, and begins anew."""
    width, height = round(COLUMNS * CHARACTER) + 2 * EDGE, ROWS * LINE + 2 * EDGE
    moves = max(0, len(lines) - ROWS)
    seconds = moves * SECONDS_A_LINE
    text = "\n".join(f'<text xml:space="preserve" y="{(number + 1) * LINE}">{spans(line)}</text>' for number, line in enumerate(lines))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<title>make demo</title>
<style>
text {{ font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d8d8d8; white-space: pre }}
.all {{ animation: up {seconds * 1.1:.0f}s steps({moves}, end) infinite }}
@keyframes up {{ from {{ transform: translateY(0) }} 90%, to {{ transform: translateY(-{moves * LINE}px) }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="#1d1f21"/>
<svg x="{EDGE}" y="{EDGE}" width="{width - 2 * EDGE}" height="{ROWS * LINE}"><g class="all">
{text}
</g></svg>
</svg>
"""


if __name__ == "__main__":
    told = recorded()
    (DOCS / "demo.txt").write_text("\n".join(plain(line) for line in told) + "\n", encoding="utf-8")
    (DOCS / "demo.svg").write_text(picture([shown for line in told for shown in wrapped(line)]), encoding="utf-8")
