"""Where the best model came from: every parameter of the run, and the lineage as a table and a drawing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint.pages import table

if TYPE_CHECKING:
    from switchpoint.documents.evaluation import Evaluation
    from switchpoint.documents.lineage import Entry, Lineage
    from switchpoint.documents.records import Source
    from switchpoint.documents.training import Pretrained


class Origin(NamedTuple):
    """What the artifacts say of where they came from.

    Attributes:
        source: What prepare wrote of the dataset.
        pretrained: What transfer wrote of the pretrained weights.
        models: What a model file of each candidate carries (`switchpoint.provenance.metadata.embedded`); transfer
            learning comes first.
        best: What the best model's file carries.
        evaluated: The metadata of its evaluation (`switchpoint.provenance.metadata.entry`).
        seeds: Of training.
        meanings: What each of the pipeline's parameters is.
    """

    source: Source
    pretrained: Pretrained
    models: Sequence[Lineage]
    best: Lineage
    evaluated: Entry
    seeds: Sequence[int]
    meanings: Mapping[str, str]


def parameters(origin: Origin) -> str:
    """The parameters of all steps, by the pipeline's names, as a table."""
    transfer, finetunes = origin.models[0], origin.models[1:]
    tuned = [each["model"]["parameters"] for each in finetunes]
    epochs, rates = (sorted({each[name] for each in tuned}) for name in ("switch_epoch", "learning_rate"))
    finetune = tuned[0] | {"learning_rate": rates} if tuned else {}
    used: dict[tuple[str, str], list[str]] = {}
    for step, values in (
        ("prepare", {"dataset": origin.source["dataset"]} | transfer["records"]["parameters"]),
        ("transfer", transfer["model"]["parameters"] | {"weights": origin.pretrained["weights"]}),
        ("finetune", ({"switch_epochs": epochs} if epochs else {}) | finetune),
        ("evaluate", origin.evaluated["parameters"]),
    ):
        for name, value in values.items():
            if name == "seed" and step != "prepare":  # a training's; the pipeline has a list of them
                name, value = "seeds", list(origin.seeds)
            if step == "evaluate" and name == "learning_rate":  # of the model that it tried
                continue
            if name not in ("switch_epoch", "dataset_name", "weights_name"):  # the last two are told in full
                # The pipeline calls it by its step where several steps have one of their own.
                name = f"{step}_{name}" if f"{step}_{name}" in origin.meanings else name
                used.setdefault((name, shown(value)), []).append(step)
    meanings = origin.meanings
    rows = [(name, value, meanings.get(name, ""), ", ".join(steps)) for (name, value), steps in used.items()]
    return table(("Parameter", "Value", "What it is", "Used by"), rows, "cards names")


def shown(value: Any) -> str:
    """A parameter's value as a person writes it."""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return value if isinstance(value, str) else json.dumps(value)


class Node(NamedTuple):
    """Something that the best model came from, or that came of it."""

    name: str
    what: str
    digest: str
    made: str


def nodes(origin: Origin, evaluation: Evaluation) -> dict[str, Node]:
    """The lineage of the best model, from the dataset to its evaluation.

    Args:
        origin: What the artifacts say.
        evaluation: The best model's.
    """
    content = origin.best
    model, records, checkpoints = content["model"], content["records"], content.get("checkpoints")
    weights = origin.pretrained
    splits = ", ".join(f"{photos:,} {split}" for split, photos in records["photos"].items())
    prepared, transferred = (_made(part) for part in (records, checkpoints or model))
    found = {
        "dataset": Node(
            "Dataset",
            f"{origin.source['dataset']} · {origin.source['photos']:,} photos, {origin.source['classes']} classes",
            origin.source["digest"],
            prepared,
        ),
        "weights": Node(
            "Pretrained weights", f"{weights['backbone']} · {weights['weights']}", weights["digest"], transferred
        ),
        "records": Node("Records", f"photos: {splits}", records["digest"] or "", prepared),
    }
    start = "transfer learning alone"
    if checkpoints:
        start = f"fine-tuned from epoch {checkpoints['epoch']}"
        name = f"Checkpoint of epoch {checkpoints['epoch']}"
        found["checkpoint"] = Node(name, "transfer learning", checkpoints["epoch_digest"] or "", transferred)
    right = f"{evaluation['top_1'] * 100:.1f} % of {evaluation['photos']:,} test photos right"
    found["model"] = Node("Best model", start, model["digest"] or "", _made(model))
    found["evaluation"] = Node("Evaluation", right, evaluation["digest"], _made(origin.evaluated))
    return found


def _made(entry: Entry) -> str:
    """The step and its code, as far as an image's tag names it (`switchpoint.provenance.digests.image`)."""
    return f"{entry['step']}, code {entry['code_digest'][:12]}"


def lineage(found: dict[str, Node], others: Sequence[int]) -> str:
    """The drawing, and beside it every digest in full.

    Args:
        found: From `nodes`.
        others: Switch epochs of the other models; 0 = transfer learning alone.
    """
    rows = "".join(
        f'<tr><th scope="row">{node.name}</th><td data-label="What" class="wide">{escape(node.what)}</td>'
        f'<td data-label="Digest (SHA-256)" class="wide"><code>{node.digest}</code></td>'
        f'<td data-label="Made by step" class="wide">{node.made.replace(", code ", "<br>code&nbsp;")}</td>'
        for node in found.values()
    )
    if others:
        names = ", ".join(f"fine-tuned from epoch {epoch}" if epoch else "transfer learning alone" for epoch in others)
        rows += f'<tr><th scope="row">The other models</th><td data-label="What" class="wide" colspan="3">{names}</td>'
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "What", "Digest (SHA-256)", "Made by step"))
    return (
        f'<div class="beside origin"><div><table class="cards"><thead><tr>{head}</thead><tbody>{rows}</tbody></table>'
        f"</div><figure>{graph(found, others)}</figure></div>"
    )


def graph(found: dict[str, Node], others: Sequence[int]) -> str:
    """The lineage as inline SVG: what is above an arrow went into what is below.

    Two columns, so that it is as readable on a telephone: data on the left, what was trained on the right.
    """
    width, height, pitch, right = 176, 62, 88, 204
    chain = [kind for kind in ("checkpoint", "model", "evaluation") if kind in found]
    corners = {"dataset": (0, 0), "weights": (right, 0), "records": (0, pitch)}
    corners |= {kind: (right, pitch * (number + 2)) for number, kind in enumerate(chain)}
    last = pitch * (len(chain) + 2)
    boxes = [
        _box(*corners[kind], width, height, node.name, node.what, node.digest[:12]) for kind, node in found.items()
    ]
    boxes.append(_box(right, last, width, height, "Report", "this page", ""))
    middle, arrows = (
        width // 2,
        [f"M{width // 2} {height}V{pitch - 2}", f"M{right + width // 2} {height}V{2 * pitch - 2}"],
    )
    for kind in chain:
        top = corners[kind][1]
        arrows += [
            f"M{right + middle} {top + height}v{pitch - height - 2}",
            f"M{middle} {top + height // 2}H{right - 2}",
        ]
    spine = f'<path d="M{middle} {pitch + height}V{corners[chain[-1]][1] + height // 2}"/>'
    if others:
        names = [f"epoch {epoch}" if epoch else "transfer alone" for epoch in others]
        boxes.append(_box(0, last, width, height, "The other models", ", ".join(names), ""))
        arrows.append(f"M{width} {last + height // 2}H{right - 2}")
    lines = "".join(f'<path d="{path}" marker-end="url(#lineage-tip)"/>' for path in arrows)
    return (
        f'<svg class="graph" viewBox="-1 -1 {right + width + 2} {last + height + 2}" font-size="12" role="img" '
        f'aria-label="Lineage of the best model: the same is in the table"><defs><marker id="lineage-tip" '
        f'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="var(--muted)"/></marker></defs>'
        f'<g stroke="var(--muted)" stroke-width="1.4" fill="none">{spine}{lines}</g>{"".join(boxes)}</svg>'
    )


def _box(x: int, y: int, width: int, height: int, name: str, what: str, digest: str) -> str:
    what = what if len(what) <= 27 else f"{what[:26]}…"
    return (
        f'<g transform="translate({x} {y})"><rect width="{width}" height="{height}" rx="6" fill="var(--chosen)" '
        f'stroke="var(--rule)"/><text x="10" y="19" font-weight="600">{escape(name)}</text>'
        f'<text x="10" y="36" font-size="11">{escape(what)}</text>'
        f'<text x="10" y="53" font-size="11" font-family="ui-monospace, monospace">{digest}</text></g>'
    )
