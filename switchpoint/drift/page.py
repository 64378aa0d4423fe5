"""New photos against held-out ones as a page: the answer, what shows it, and the photos that are most unusual."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from switchpoint.data.photos import decode, encode
from switchpoint.drift import words
from switchpoint.pages import document, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from switchpoint.documents.drift import Drift

PHOTOS = 24  # of the most unusual
SIDE = 240  # pixels
CSS = """<style>
.unusual { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 20px; }
.unusual figure { margin: 0; min-width: 0; } .unusual img { width: 100%; display: block; }
.shares { width: 100%; max-width: 760px; } .shares td { white-space: nowrap; }
.shares .bar { width: 60%; min-width: 120px; } .shares i { display: block; height: 7px; margin: 3px 0; }
.shares .before { background: var(--muted); } .shares .after { background: var(--accent); }
</style>"""


def html(found: Drift, address: str, images: Mapping[str, bytes]) -> str:
    """One file that needs nothing else.

    Args:
        found: What the study says.
        address: Of the new photos.
        images: JPEGs by their names.
    """
    parts = [
        CSS,
        f"<h1>{escape(words.sentence(found))}</h1>",
        f'<p class="about">New photos: {escape(address)}</p>',
        "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in words.evidence(found)) + "</ul>",
        "<h2>The most unusual photos</h2>"
        '<p class="note">Those whose features are farthest from every class that was trained. A photo more unusual '
        "than all that were held out may be of something new, or of nothing; look before you train on it.</p>",
        _photos(found, images),
        "<h2>What they are taken for</h2>"
        '<p class="note">Share of the photos, by the head on the frozen network: grey held out, blue new.</p>',
        _shares(found),
        "<h2>What was compared</h2>"
        '<p class="note">The energy distance between both sets of photos in the features of the frozen network, with '
        "what it is when the photos are dealt anew between them; classes and labels have no part in it. The test can't "
        "say which photos differ. Each counts as a photo of its own: several shots of one plate look like drift.</p>",
    ]
    if found["unreadable"]:
        unreadable = [(each["photo"], each["reason"]) for each in found["unreadable"]]
        parts.append(f"<h2>Not read: {len(unreadable)}</h2>" + table(("Photo", "Why"), unreadable, "names"))
    return document("Switchpoint: drift", "\n".join(parts))


def _photos(found: Drift, images: Mapping[str, bytes]) -> str:
    figures = []
    for each in found["unusual"][:PHOTOS]:
        image = decode(images[each["photo"]])
        image.thumbnail((SIDE, SIDE))
        uri = base64.b64encode(encode(image)).decode()
        name, than = escape(each["photo"]), each["more_unusual_than"]
        said = "more unusual than all held out" if than == 1 else f"more unusual than {min(than, 0.99):.0%}"
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{uri}" alt="{name}"><figcaption>{name}<br>'
            f"{escape(each['class'])} {each['confidence']:.0%}; {said}</figcaption></figure>"
        )
    return f'<div class="unusual">{"".join(figures)}</div>'


def _shares(found: Drift) -> str:
    largest = max(max(each["reference"], each["new"]) for each in found["shares"])

    def bar(kind: str, share: float) -> str:
        return f'<i class="{kind}" style="width:{100 * share / largest:.1f}%"></i>'

    rows = "".join(
        f"<tr><th scope='row'>{escape(each['class'])}</th><td>{each['reference']:.1%}</td><td>{each['new']:.1%}</td>"
        f"<td class='bar'>{bar('before', each['reference'])}{bar('after', each['new'])}</td></tr>"
        for each in sorted(found["shares"], key=lambda each: -abs(each["new"] - each["reference"]))
    )
    head = "<tr><th>Class</th><th>held out</th><th>new</th><th></th></tr>"
    return f'<div class="scroll" tabindex="0"><table class="shares"><thead>{head}</thead>{rows}</table></div>'
