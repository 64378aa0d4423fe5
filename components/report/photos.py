"""The second page: photos that the best model got wrong, and photos that it barely got right."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from components.report.style import document
from components.report.wording import percent

if TYPE_CHECKING:
    from switchpoint.documents import TellingPhoto, TellingPhotos


def page(photos: TellingPhotos, name: str, about: str) -> str:
    """The page.

    Args:
        photos: What evaluate wrote of the best model.
        name: What the model is called.
        about: Dataset, backbone, counts.
    """
    return document(
        f"Photos: {name}",
        f"""<p class="about">{escape(about)}</p>
<h1><strong>{name}:</strong> the test photos that tell most of it</h1>
<p class="note">The Kubeflow UI leaves out photos that are inside a page: download it to see them. A local run has it as
<code>photos.html</code>, beside <a href="report.html">report.html</a>.</p>
<section><h2>Most confident mistakes</h2>
<p class="note">A label that is wrong in the dataset shows up here too.</p>
{gallery(photos["mistakes"], "No test photo was named wrong.")}</section>
<section><h2>Least sure hits</h2>
<p class="note">Right, with the lowest probability.</p>
{gallery(photos["hits"], "No test photo was named right.")}</section>""",
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
