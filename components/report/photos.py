"""Photos that the best model got wrong, and photos that it barely got right."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from components.report.wording import percent
from switchpoint.pages import details

if TYPE_CHECKING:
    from switchpoint.documents.evaluation import TellingPhoto, TellingPhotos


def telling(photos: TellingPhotos) -> str:
    """Mistakes and hits, for who opens them; what of the page the Kubeflow UI leaves out is in here alone."""
    return details(
        "The test photos that tell most of it: its most confident mistakes and its least sure hits",
        f"""<p class="note">The Kubeflow UI leaves out photos that are inside a page: download the page to see them.</p>
<h3>Most confident mistakes</h3>
<p class="note">A label that is wrong in the dataset shows up here too.</p>
{gallery(photos["mistakes"], "No test photo was named wrong.")}
<h3>Least sure hits</h3>
<p class="note">Right, with the lowest probability.</p>
{gallery(photos["hits"], "No test photo was named right.")}""",
    )


def gallery(photos: Sequence[TellingPhoto], none: str) -> str:
    """Photos with what the model said of them, and the sentence for there being none."""
    items = []
    for photo in photos:
        said = f"{escape(photo['predicted'])} {percent(photo['predicted_probability'])}"
        if photo["predicted"] != photo["true"]:
            other = f"on the photo: {escape(photo['true'])} {percent(photo['true_probability'])}"
        else:
            other = f"next: {escape(photo['runner_up'])} {percent(photo['runner_up_probability'])}"
        alternative = f"{escape(photo['name'])}: the model says {said}, {other}"
        items.append(
            f'<li><img src="data:image/jpeg;base64,{photo["jpeg"]}" alt="{alternative}"><b>{said}</b>{other}'
            f"<span>{escape(photo['name'])}</span>"
        )
    return f'<ul class="photos">{"".join(items)}</ul>' if photos else f"<p>{none}</p>"
