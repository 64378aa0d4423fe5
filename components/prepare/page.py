"""A look at the data: one self-contained page, and the photos on it."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.data.manifest import SPLITS
from switchpoint.data.photos import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from switchpoint.data.records import Example
    from switchpoint.data.survey import Kept
    from switchpoint.documents.records import Duplicates, LeftOut, Manifest

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


class Look(NamedTuple):
    """What the page says of a dataset.

    Attributes:
        dataset: Its address.
        digests: Hex SHA-256 of what is looked at, by its name.
        kept: How the photos are kept, where they are.
        classes: Their names.
        counts: Photos of each class, by split.
        origin: Of each split: the dataset's own, or cut.
        left_out: What can't be read.
        duplicates: Photos that are there more than once.
        dropped: Those of them that are not used.
        decide: What a person has to decide, a sentence each.
    """

    dataset: str
    digests: Mapping[str, str]
    kept: str
    classes: Sequence[str]
    counts: Mapping[str, Sequence[int]]
    origin: Mapping[str, str]
    left_out: Sequence[LeftOut]
    duplicates: Sequence[Duplicates]
    dropped: Sequence[LeftOut] = ()
    decide: Sequence[str] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> Look:
        """Of records."""
        return cls(
            manifest["source"]["dataset"],
            {"Dataset": manifest["source"]["digest"], "Records": manifest["digest"]},
            f", kept at {manifest['image_height']}×{manifest['image_width']} pixels for crops of "
            f"{manifest['image_size']}×{manifest['image_size']}; seed {manifest['seed']}",
            manifest["classes"],
            {split: manifest["splits"][split]["per_class"] for split in SPLITS},
            manifest["split_from"],
            manifest["left_out"],
            manifest["duplicates"],
            manifest["dropped"],
        )


def html(look: Look, photos: Iterable[tuple[str, str]], copies: Mapping[str, str]) -> str:
    """The page; every name in it is data and is escaped.

    Args:
        look: What it says.
        photos: Class and data URI of some of them.
        copies: Data URIs of photos that are there more than once, by name; of as many as there is room for.
    """
    left_out = _table(
        "Left out",
        ("photo", "reason"),
        [(entry["photo"], entry["reason"]) for entry in look.left_out],
        "Every photo could be read.",
    )
    dropped = _table(
        "Copies that are not used",
        ("photo", "reason"),
        [(entry["photo"], entry["reason"]) for entry in look.dropped],
        "",
    )
    figures = "".join(
        f'<figure><img src="{uri}" alt=""><figcaption>{escape(name)}</figcaption></figure>' for name, uri in photos
    )
    dataset, count = escape(look.dataset), sum(map(sum, look.counts.values()))
    digests = "<br>".join(f"{name} <code>{digest}</code>" for name, digest in look.digests.items())
    decide = "".join(f"<li>{escape(sentence)}</li>" for sentence in look.decide)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Photos of {dataset}</title><style>{STYLE}</style></head><body>
<h1>Photos of {dataset}</h1>
<p>{count:,} photos in {len(look.classes):,} classes{look.kept}.</p>
<p>{digests}</p>
{f"<h2>To be decided</h2><ul>{decide}</ul>" if decide else ""}
<h2>Photos a class</h2>
<p>{_splits(look.origin)}</p>
{_counts(look)}
{left_out}
{_more_than_once(look.duplicates, copies)}
{dropped if look.dropped else ""}
<h2>Some of the training photos</h2><div class="photos">{figures}</div>
</body></html>
"""


def _counts(look: Look) -> str:
    """A row a class: its photos in each split, in numbers and as a bar."""
    counts = list(zip(*(look.counts[split] for split in SPLITS), strict=True))
    widest = max(1, *map(sum, counts))

    def bar(row: tuple[int, ...]) -> str:
        rectangles, x = "", 0.0
        for split, count in zip(SPLITS, row, strict=True):
            rectangles += f'<rect class="{split}" x="{x:.2f}" width="{100 * count / widest:.2f}" height="1"/>'
            x += 100 * count / widest
        return f'<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{rectangles}</svg>'

    heads = "".join(f'<th><span class="{split}">■</span> {split}</th>' for split in SPLITS)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{n}</td>' for n in row)}<td class='bar'>{bar(row)}</td></tr>"
        for name, row in zip(look.classes, counts, strict=True)
    )
    total = "".join(f"<th>{sum(look.counts[split]):,}</th>" for split in SPLITS)
    return f"<table><tr><th>class</th>{heads}<th></th></tr>{rows}\n<tr><th>all</th>{total}<th></th></tr></table>"


def _splits(origin: Mapping[str, str]) -> str:
    """Where validation and test came from."""
    words = {"dataset": "the dataset's own", "cut": "cut from the training photos"}
    return "; ".join(f"{split}: {words[origin[split]]}" for split in SPLITS[1:]).capitalize() + "."


def _more_than_once(duplicates: Sequence[Duplicates], copies: Mapping[str, str]) -> str:
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


def drawn(
    look: Look, train: Sequence[Kept], every: Sequence[Kept], examples: Callable[[Iterable[Kept]], Iterator[Example]]
) -> str:
    """The page, with photos from where `examples` has them.

    Args:
        look: What it says.
        train: Photos of which some are shown, a class each.
        every: Those of which copies are shown.
        examples: Gives photos' images.
    """
    first = {photo.label: photo for photo in reversed(train)}
    labels = sorted(first)
    shown = [first[label] for label in labels[:: max(1, -(-len(labels) // THUMBNAILS))]]
    by_name = {photo.name: photo for photo in every}
    worst = sorted(look.duplicates, key=lambda entry: KINDS.index(entry["kind"]))
    names = dict.fromkeys(name for entry in worst for name in entry["photos"])
    return html(look, thumbnails(examples(shown), look.classes), copies(examples(by_name[name] for name in names)))


def thumbnails(examples: Iterable[Example], classes: Sequence[str]) -> list[tuple[str, str]]:
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
