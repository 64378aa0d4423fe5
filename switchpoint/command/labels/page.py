"""The photos whose label is in doubt, to look at."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from components.report.wording import percent
from switchpoint.data.photos import decode
from switchpoint.pages import document, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from switchpoint.command.documents import LabelInDoubt

SHOWN = 60  # photos
SIDE = 200  # pixels


def html(found: Sequence[LabelInDoubt], images: Mapping[str, bytes], photos: int, dataset: str) -> str:
    """One file that needs nothing else.

    Args:
        found: The most doubtful first.
        images: JPEG of the first of them, by name.
        photos: How many were looked at.
        dataset: Its address.
    """
    items = "".join(
        f'<li><img src="data:image/jpeg;base64,{_thumbnail(images[each["photo"]])}" alt="{escape(each["photo"])}">'
        f"<b>{escape(each['suggested'])} {percent(each['probability'])}</b>"
        f"label: {escape(each['label'])} {percent(each['label_probability'])}<span>{escape(each['photo'])}</span>"
        for each in found
        if each["photo"] in images
    )
    rows = [
        (each["photo"], each["split"], each["label"], each["suggested"],
         percent(each["label_probability"]), percent(each["probability"]))
        for each in found
    ]  # fmt: skip
    head = ("Photo", "Split", "Label", "Taken for", "Probability of the label", "Of what it is taken for")
    shown = f"The {SHOWN} most doubtful" if len(found) > SHOWN else "The most doubtful first"
    return document(
        f"Labels in doubt: {dataset}",
        f"""<p class="about">Labels in doubt · {escape(dataset)}</p>
<h1><strong>{len(found):,} of {photos:,} labels</strong> are disputed by models that were trained on other photos.</h1>
<p class="prose">Five heads on the frozen network's features, each trained on four fifths of the photos, say what is on
the last fifth. In doubt is a label where another class is likelier and as likely as on its own photos (confident
learning, <a href="https://arxiv.org/abs/1911.00068">Northcutt et al. 2021</a>). Not all of
them are wrong: a hard photo is disputed, too. Look before you change any.</p>
<h2>{shown}</h2>
<ul class="photos">{items}</ul>
<h2>All of them</h2>
{table(head, rows, "names cards")}""",
    )


def _thumbnail(jpeg: bytes) -> str:
    image = decode(jpeg)
    image.thumbnail((SIDE, SIDE))
    file = BytesIO()
    image.save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()
