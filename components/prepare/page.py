"""A look at the data: one self-contained page, and the photos on it."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from switchpoint.data.manifest import SPLITS
from switchpoint.data.photos import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from switchpoint.data.records import Example
    from switchpoint.documents.records import Duplicates, Manifest

THUMBNAILS = 24
THUMBNAIL_BYTES = 300_000  # all of them, as base64
GROUPS = 50  # of copies that are shown side by side
KINDS = ("across splits", "across classes", "within a class")  # the worst first

STYLE = """
:root { color-scheme: light dark; --line: #8884; --train: #2a78b5; --validation: #d98a1f; --test: #4f9a57 }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
h3 { font-size: .9rem; margin: 1rem 0 .3rem }
p { margin: .3rem 0 } code { overflow-wrap: anywhere; font-size: .85em }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .2rem .4rem; border-bottom: 1px solid var(--line);
         font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left; min-width: 6.5rem; overflow-wrap: break-word }
td.bar { width: 40% } td.text, th.text { text-align: left; overflow-wrap: anywhere }
@media (max-width: 600px) { body { font-size: 13px } th, td { padding: .2rem } td.bar { width: 25% } }
.bar svg { display: block; width: 100%; height: .8rem }
.train { fill: var(--train); color: var(--train) } .validation { fill: var(--validation); color: var(--validation) }
.test { fill: var(--test); color: var(--test) }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); gap: .6rem }
.copies { grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)) }
figure { margin: 0; font-size: .8rem; overflow-wrap: anywhere }
figure img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 4px; display: block }
"""


def html(manifest: Manifest, photos: Iterable[tuple[str, str]], copies: Mapping[str, str]) -> str:
    """The page; every name in it is data and is escaped.

    Args:
        manifest: Of the records.
        photos: Class and data URI of some of them.
        copies: Data URIs of photos that are there more than once, by name; of as many as there is room for.
    """
    left_out = _table(
        "Left out",
        ("photo", "reason"),
        [(entry["photo"], entry["reason"]) for entry in manifest["left_out"]],
        "Every photo could be read.",
    )
    dropped = _table(
        "Copies that are not used",
        ("photo", "reason"),
        [(entry["photo"], entry["reason"]) for entry in manifest["dropped"]],
        "",
    )
    figures = "".join(
        f'<figure><img src="{uri}" alt=""><figcaption>{escape(name)}</figcaption></figure>' for name, uri in photos
    )
    dataset, count = escape(manifest["source"]["dataset"]), sum(manifest["splits"][name]["photos"] for name in SPLITS)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Photos of {dataset}</title><style>{STYLE}</style></head><body>
<h1>Photos of {dataset}</h1>
<p>{count:,} photos in {len(manifest["classes"])} classes, kept at
{manifest["image_height"]}×{manifest["image_width"]} pixels
for crops of {manifest["image_size"]}×{manifest["image_size"]}; seed {manifest["seed"]}.</p>
<p>Dataset <code>{manifest["source"]["digest"]}</code><br>Records <code>{manifest["digest"]}</code></p>
<h2>Photos a class</h2>
<p>{_splits(manifest["split_from"])}</p>
{_counts(manifest)}
{left_out}
{_more_than_once(manifest["duplicates"], copies)}
{dropped if manifest["dropped"] else ""}
<h2>Some of the training photos</h2><div class="photos">{figures}</div>
</body></html>
"""


def _counts(manifest: Manifest) -> str:
    """A row a class: its photos in each split, in numbers and as a bar."""
    splits = manifest["splits"]
    counts = list(zip(*(splits[split]["per_class"] for split in SPLITS), strict=True))
    widest = max(map(sum, counts))

    def bar(row: tuple[int, ...]) -> str:
        rectangles, x = "", 0.0
        for split, count in zip(SPLITS, row, strict=True):
            rectangles += f'<rect class="{split}" x="{x:.2f}" width="{100 * count / widest:.2f}" height="1"/>'
            x += 100 * count / widest
        return f'<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{rectangles}</svg>'

    heads = "".join(f'<th><span class="{split}">■</span> {split}</th>' for split in SPLITS)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{n}</td>' for n in row)}<td class='bar'>{bar(row)}</td></tr>"
        for name, row in zip(manifest["classes"], counts, strict=True)
    )
    total = "".join(f"<th>{splits[split]['photos']:,}</th>" for split in SPLITS)
    return f"<table><tr><th>class</th>{heads}<th></th></tr>{rows}\n<tr><th>all</th>{total}<th></th></tr></table>"


def _splits(origin: Mapping[str, str]) -> str:
    """Where validation and test came from."""
    words = {"dataset": "the dataset's own", "cut": "cut from the training photos"}
    return "; ".join(f"{split}: {words[origin[split]]}" for split in SPLITS[1:]).capitalize() + "."


def _more_than_once(duplicates: list[Duplicates], copies: Mapping[str, str]) -> str:
    """Each photo that is there more than once: its copies side by side."""
    title = "The same photo more than once"
    if not duplicates:
        return f"<h2>{title}</h2><p>No photo is there twice.</p>"

    def figure(name: str) -> str:
        image = f'<img src="{copies[name]}" alt="">' if name in copies else ""
        return f"<figure>{image}<figcaption>{escape(name)}</figcaption></figure>"

    ranked = sorted(duplicates, key=lambda entry: KINDS.index(entry["kind"]))
    groups = "".join(
        f"<h3>{entry['kind']}, {'the same bytes' if entry['exact'] else 'nearly the same'}</h3>"
        f'<div class="photos copies">{"".join(map(figure, entry["photos"]))}</div>'
        for entry in ranked[:GROUPS]
    )
    others = [(entry["kind"], ", ".join(entry["photos"])) for entry in ranked[GROUPS:]]
    rest = _table("The others of these", ("where", "photos"), others, "") if others else ""
    return f"<h2>{title}: {len(duplicates):,}</h2>{groups}{rest}"


def _table(title: str, head: tuple[str, str], rows: list[tuple[str, str]], none: str) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>{none}</p>"
    cells = "".join(f'<tr><td>{escape(left)}</td><td class="text">{escape(right)}</td></tr>' for left, right in rows)
    heads = f'<tr><th>{head[0]}</th><th class="text">{head[1]}</th></tr>'
    return f"<h2>{title}: {len(rows)}</h2><table>{heads}{cells}</table>"


def thumbnails(examples: Iterable[Example], classes: list[str]) -> list[tuple[str, str]]:
    """Class and data URI of each, as far as THUMBNAIL_BYTES goes."""
    return [(classes[example.label], uri) for example, uri in _small(examples)]


def copies(examples: Iterable[Example]) -> dict[str, str]:
    """Data URI of each by its name, as far as THUMBNAIL_BYTES goes."""
    return {example.name: uri for example, uri in _small(examples)}


def _small(examples: Iterable[Example]) -> Iterator[tuple[Example, str]]:
    taken = 0
    for example in examples:
        image = decode(example.image)
        image.thumbnail((120, 120))
        uri = "data:image/jpeg;base64," + base64.b64encode(encode(image)).decode()
        taken += len(uri)
        if taken > THUMBNAIL_BYTES:
            return
        yield example, uri
