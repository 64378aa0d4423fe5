"""What pages share: their head, their style, their tables."""

from collections.abc import Iterable, Sequence
from html import escape

LIGHT = (
    "--paper:#fff;--text:#1b222c;--muted:#59636f;--rule:#e2e6eb;--chosen:#f1f6fb;--hit:#6db1de;--miss:#f5a067;"
    "--accent:#0072b2;--gap:#d66a00;"
)
DARK = (
    "--paper:#12161c;--text:#e6eaf0;--muted:#9aa6b4;--rule:#2c343f;--chosen:#1a222d;--hit:#23699f;--miss:#ad4d14;"
    "--accent:#5cb8f0;--gap:#ff8a3d;"
)
CSS = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--text); font-variant-numeric: tabular-nums;
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 32px 80px; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.4; font-weight: 400; max-width: 52em; margin: 0 0 16px; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 56px 0 12px; }
h3 { font-size: 1rem; margin: 0 0 8px; }
a { color: var(--accent); }
.comparison + section h2 { margin: 24px 0 8px; }
.about, .note, figcaption, summary { color: var(--muted); font-size: .875rem; }
.about { margin: 0 0 8px; }
.note { max-width: 90ch; margin: 12px 0; }
.prose { max-width: 75ch; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: 6px 20px 6px 0; vertical-align: top; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
th { font-weight: 600; }
thead th { vertical-align: bottom; overflow-wrap: normal; }
tbody th { min-width: 7em; }
.names tbody th { white-space: nowrap; }
code { font: .875em/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.numbers td { text-align: right; min-width: 4em; white-space: nowrap; }
.numbers thead th + th { text-align: right; }
.scroll { overflow-x: auto; }
.comparison { width: 100%; font-size: 1rem; }
.comparison th, .comparison td { padding: 6px 12px; text-align: right; vertical-align: middle; white-space: nowrap; }
.comparison thead th { color: var(--muted); font-size: .8125rem; font-weight: 400; line-height: 1.3;
  white-space: normal; vertical-align: bottom; }
.comparison th:first-child { text-align: left; }
.comparison tbody th::before { content: ""; display: inline-block; width: 12px; height: 12px; border-radius: 6px;
  margin-right: 10px; background: var(--key); }
.chosen { background: var(--chosen); }
.chosen td { font-weight: 600; }
.comparison b { font-size: .75rem; font-weight: 600; margin-left: 6px; padding: 1px 7px; border-radius: 9px;
  border: 1px solid currentColor; }
.comparison small { display: block; color: var(--muted); font-size: .75rem; font-weight: 400; }
.grid td { padding: 6px 14px; text-align: center; font-variant-numeric: tabular-nums;
  background: color-mix(in srgb, var(--accent) var(--share), var(--paper)); }
.grid thead th + th { text-align: center; }
.grid small { display: block; font-size: .75rem; }
.grid .kept { outline: 2px solid var(--text); outline-offset: -2px; font-weight: 600; }
.forest { max-width: 600px; margin: 24px 0 0; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; margin: 0 0 8px; padding: 0;
  font-size: .8125rem; }
.legend svg { width: 26px; height: 12px; margin-right: 6px; vertical-align: -1px; fill: none; }
figure { margin: 0; min-width: 0; }
.pair.three { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.reliability { max-width: 520px; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 32px; margin-bottom: 12px; }
.chart { display: block; width: 100%; height: auto; }
.chart text { font-family: inherit !important; font-size: 12px !important; }
.confusion, .graph { display: block; font-family: inherit; height: auto; fill: var(--text); }
.graph { width: 100%; max-width: 440px; }
figcaption { max-width: 75ch; margin-bottom: 12px; }
figcaption i { display: inline-block; width: 12px; height: 12px; margin-left: 4px; border-radius: 2px; }
i.hit { background: var(--hit); }
i.miss { background: var(--miss); }
summary { cursor: pointer; padding: 4px 0; }
.beside { display: grid; grid-template-columns: minmax(0, 1fr); gap: 32px; margin: 16px 0; }
.few .confusion { width: 100%; }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 24px 20px;
  list-style: none; margin: 16px 0; padding: 0; font-size: .875rem; line-height: 1.4; }
.photos img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 4px; margin-bottom: 6px;
  background: var(--chosen); }
.photos b, .photos span { display: block; overflow-wrap: anywhere; }
.photos span { color: var(--muted); font-size: .8125rem; }
@media (min-width: 1000px) { .beside { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); } }
@media (max-width: 1100px) {
  .comparison { font-size: .875rem; }
  .comparison th, .comparison td { padding: 6px; }
}
@media (max-width: 820px) {
  main { padding: 24px 16px 56px; }
  h1 { font-size: 1.25rem; }
  th, td { padding-right: 10px; }
  .pair, .pair.three { grid-template-columns: minmax(0, 1fr); }
  .chart { max-width: 560px; }
  .chart text { font-size: 13.5px !important; }
  .numbers td { min-width: 0; }
  .cards thead { display: none; }
  .cards, .cards tbody { display: block; }
  .cards tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5em, 1fr)); gap: 6px 12px;
    padding: 12px 0; border-bottom: 1px solid var(--rule); }
  .cards th, .cards td, .comparison.cards th, .comparison.cards td { padding: 0; border: 0; align-self: end;
    text-align: left; white-space: normal; }
  .cards th, .cards .wide { grid-column: 1 / -1; }
  .numbers.cards td { white-space: normal; }
  .cards td::before { content: attr(data-label); display: block; color: var(--muted); font-size: .75rem;
    font-weight: 400; line-height: 1.3; }
  .comparison tr { grid-template-columns: repeat(3, 1fr); padding: 12px 8px; }
  .comparison th, .comparison td { font-size: 1rem; }
  .comparison td[data-label^="Gain"] { grid-column: span 2; }
}
"""


def document(title: str, body: str, light: str = "", dark: str = "") -> str:
    """A whole page that needs nothing else; `light` and `dark` are more CSS variables."""
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
:root {{ {LIGHT} {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} {dark} }} }}
{CSS}</style>
<main>
{body}
</main>
</html>
"""


def table(head: Sequence[str], body: Iterable[Sequence[str]], style: str = "numbers") -> str:
    """An HTML table of plain text; each row's first cell names it.

    Args:
        head: The columns.
        body: The rows.
        style: `numbers` aligns all but the first column to the right; `cards` makes each row a card where the screen
            is narrow.
    """
    rows = (
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(
            f'<td data-label="{escape(label)}">{escape(cell)}</td>'
            for label, cell in zip(head[1:], row[1:], strict=True)
        )
        for row in body
    )
    columns = "".join(f'<th scope="col">{escape(label)}</th>' for label in head)
    made = f'<table class="{style}"><thead><tr>{columns}</thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="scroll" tabindex="0">{made}</div>'


def details(summary: str, content: str) -> str:
    """Numbers that are there for whoever opens them."""
    return f"<details><summary>{summary}</summary>{content}</details>"
