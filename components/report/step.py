"""Report: histories and evaluations become an answer, a table, the lab's graphs and the best model."""

import json
import shutil
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from components.report import charts
from components.report.charts import Json
from switchpoint.errors import RecordsError
from switchpoint.lineage import file_digest

DRAWS = 10_000
WORST_PAIRS = 12


def report(
    transfer: tuple[Path, Path, Path],
    finetunes: Sequence[tuple[Path, Path, Path]],
    page: Path,
    results: Path,
    model: Path,
    title: tuple[str, str],
) -> dict[str, str]:
    """Compare the switch epochs and keep the best model: chosen on validation, reported on test.

    Args:
        transfer: History, model and evaluation of transfer learning alone.
        finetunes: The same of each fine-tuning, in any order.
        page: HTML to write, one file that needs nothing else.
        results: JSON to write: the page's table, the best switch epoch and the conclusion.
        model: Where the best model's file is copied to.
        title: Dataset and backbone.

    Returns:
        Digests of page, results and model.

    Raises:
        RecordsError: The evaluations are not of the same photos, or not of these models.
    """
    histories = [json.loads(history.read_text()) for history, _, _ in (transfer, *finetunes)]
    evaluations = [json.loads(evaluation.read_text()) for _, _, evaluation in (transfer, *finetunes)]
    of_history, of_evaluation = ([each["switch_epoch"] for each in kind] for kind in (histories, evaluations))
    if of_history != of_evaluation or any(each["labels"] != evaluations[0]["labels"] for each in evaluations):
        raise RecordsError(
            "Only evaluations of the same test photos, each beside its own history, can be compared. Received "
            f"histories of switch epochs {of_history} and evaluations of {of_evaluation}. Run evaluate again for all."
        )
    models = [file for _, file, _ in (transfer, *finetunes)]
    order = sorted(range(len(histories)), key=lambda number: of_history[number])  # 0, transfer learning, comes first
    histories, evaluations, models = ([kind[n] for n in order] for kind in (histories, evaluations, models))
    rows = [
        {
            "switch_epoch": history["switch_epoch"] or None,
            "best_epoch": history["best_epoch"],
            "validation_accuracy": history["validation_accuracy"],
            "test_accuracy": evaluation["top_1"],
            "test_top_5": evaluation["top_5"],
            "test_loss": evaluation["loss"],
            "gain": gain(evaluations[0], evaluation) if history["switch_epoch"] else None,
            "diverged": bool(history["diverged"]),
            "model_digest": history["model_digest"],
            "seconds": round(sum(history["seconds"]), 1),
        }
        for history, evaluation in zip(histories, evaluations, strict=True)
    ]
    best = min(range(len(rows)), key=lambda number: preference(histories[number]))
    document = {
        "results": rows,
        "best": {key: rows[best][key] for key in ("switch_epoch", "model_digest")},
        "conclusion": conclusion(rows, histories, best, evaluations[0]["photos"]),
        "photos": {"test": evaluations[0]["photos"]},
    }
    for path in (page, results, model):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(results, json.dumps(document, indent=1, allow_nan=False))
    write(page, html(document, best, histories, evaluations[best], title))
    shutil.copyfile(models[best], part := model.with_name(model.name + ".part"))
    part.replace(model)
    return {"page": file_digest(page), "results": file_digest(results), "model": rows[best]["model_digest"]}


def write(path: Path, text: str) -> None:
    """Write to a temporary name, then move into place."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def preference(history: Json) -> tuple[float, float, int]:
    """Smallest for the best model: validation accuracy, then the lower loss, then fewer epochs in all."""
    loss = float("inf") if history["validation_loss"] is None else history["validation_loss"]
    return -history["validation_accuracy"], loss, history["switch_epoch"] + history["best_epoch"]


def gain(baseline: Json, evaluation: Json) -> dict[str, float]:
    """Test accuracy gained over the baseline, in points, with its 95 % interval.

    Paired bootstrap over the test photos. A photo adds 1, 0 or −1 (now right, no change, now wrong), so that drawing
    photos with replacement is one multinomial draw of three counts.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval)
    """
    labels, before, after = (
        np.array(each) for each in (baseline["labels"], baseline["predicted"], evaluation["predicted"])
    )
    change = (after == labels).astype(int) - (before == labels)
    shares = np.array([(change == value).mean() for value in (1, 0, -1)])
    counts = np.random.default_rng(0).multinomial(len(change), shares, size=DRAWS)
    low, high = np.percentile((counts[:, 0] - counts[:, 2]) / len(change) * 100, [2.5, 97.5])
    return {"points": float(change.mean() * 100), "low": float(low), "high": float(high)}


def percent(share: float | None, digits: int = 1) -> str:
    """0.7134 as 71.3 %."""
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def points(value: float) -> str:
    """A difference in points with its sign; never −0.0."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")


def uncertain(gained: Json) -> bool:
    """Whether the interval, as the reader sees it, includes 0."""
    return bool(round(gained["low"], 1) <= 0 <= round(gained["high"], 1))


def measured(row: Json, photos: int) -> str:
    """What a model does on the test photos, and what that is worth."""
    text = f"names {percent(row['test_accuracy'])} of {photos:,} test photos right"
    if not (gained := row["gain"]):
        return text
    doubt = " includes 0: no difference is shown" if uncertain(gained) else ""
    interval = f"95 % interval {points(gained['low'])} to {points(gained['high'])}{doubt}"
    return f"{text}, {points(gained['points'])} points against transfer learning alone ({interval})"


def answer(rows: Sequence[Json], best: Json, photos: int) -> tuple[str, str]:
    """The answer in one sentence, in two parts: what to do, and the numbers."""
    numbers = f"best on validation ({percent(best['validation_accuracy'])}), it {measured(best, photos)}"
    if best["switch_epoch"]:
        return f"Start fine-tuning after epoch {best['switch_epoch']} of transfer learning", f"{numbers}."
    if len(rows) == 1:
        return "Transfer learning alone", f"{numbers}; no switch epoch was tried."
    rival = max(rows[1:], key=lambda row: (row["validation_accuracy"], -row["switch_epoch"]))
    second = f"fine-tuning from epoch {rival['switch_epoch']} comes next ({percent(rival['validation_accuracy'])})"
    return "Stay with transfer learning alone", f"{numbers}; {second} and {measured(rival, photos)}."


def conclusion(rows: Sequence[Json], histories: Sequence[Json], best: int, photos: int) -> str:
    """The paragraph that ends the comparison."""
    alone, chosen = rows[0], rows[best]
    text = [
        f"Transfer learning alone was best on the validation photos after epoch {alone['best_epoch']} "
        f"({percent(alone['validation_accuracy'])}) and {measured(alone, photos)}."
    ]
    if best:
        text.append(
            f"Fine-tuning from epoch {chosen['switch_epoch']} was the best of all in its epoch {chosen['best_epoch']} "
            f"({percent(chosen['validation_accuracy'])}) and {measured(chosen, photos)}."
        )
    if others := [row for row in rows[1:] if row is not chosen]:
        each = (
            f"{points(row['gain']['points'])} points from epoch {row['switch_epoch']}"
            + " (no difference is shown)" * uncertain(row["gain"])
            for row in others
        )
        text.append(
            f"{'The other fine-tunings' if best else 'Fine-tuning'} against transfer learning: {', '.join(each)}."
        )
    for history in histories:
        if stop := history["diverged"]:
            what = (
                f"Fine-tuning from epoch {history['switch_epoch']}" if history["switch_epoch"] else "Transfer learning"
            )
            text.append(
                f"{what} diverged in its epoch {stop['epoch']}, step {stop['step']}, at learning rate "
                f"{stop['learning_rate']:.2g}: its loss stopped being a number, and what it had before counts here."
            )
    if best and len(rows) > 2 and best in (1, len(rows) - 1):
        text.append(f"{'Later' if best > 1 else 'Earlier'} switch epochs than the best one were not tried.")
    if chosen["best_epoch"] == len(histories[best]["epochs"]) and not chosen["diverged"]:
        text.append("The best model is that of its last epoch: more epochs may improve it.")
    return " ".join(text)


def table(head: Sequence[str], body: Iterable[Iterable[str]]) -> str:
    """An HTML table of plain text."""
    cells = "".join(f"<tr><td>{'<td>'.join(escape(cell) for cell in row)}" for row in body)
    return f'<div class="scroll" tabindex="0"><table><tr><th>{"<th>".join(map(escape, head))}{cells}</table></div>'


def details(summary: str, content: str) -> str:
    """Numbers that are there for whoever opens them."""
    return f"<details><summary>{summary}</summary>{content}</details>"


def figures(name: str, transfer: Json, finetunes: Sequence[Json]) -> str:
    """Accuracy and loss, their legend and their numbers."""
    pair = "".join(
        f"<figure>{charts.curves(f'{name}-{metric}', transfer, finetunes, metric)}</figure>"
        for metric in ("categorical_accuracy", "loss")
    )
    keys = ("categorical_accuracy", "val_categorical_accuracy", "loss", "val_loss")
    body = [
        [
            f"fine-tuning from epoch {history['switch_epoch']}" if history["switch_epoch"] else "transfer learning",
            str(history["switch_epoch"] + row["epoch"]),
            *(percent(row[key], 2) for key in keys[:2]),
            *("–" if row[key] is None else f"{row[key]:.4f}" for key in keys[2:]),
        ]
        for history in (transfer, *finetunes)
        for row in history["epochs"]
    ]
    head = (
        "Phase",
        "Epoch",
        "Training accuracy",
        "Validation accuracy",
        "Training loss (nats)",
        "Validation loss (nats)",
    )
    legend = charts.legend(transfer, finetunes)
    return f'{legend}<div class="pair">{pair}</div>{details("The numbers of both graphs", table(head, body))}'


def comparison(document: Json, best: int) -> str:
    """The table of switch epochs; on a narrow screen each row becomes a card."""
    rows = document["results"]
    head = [
        "Fine-tuning from",
        "Best epoch",
        "Validation accuracy",
        "Test accuracy",
        "Top‑5 accuracy",
        "Test loss (nats)",
    ]
    head += ["Gain in points (95 % interval)", "Training (s)"]
    gains = [row["gain"] for row in rows if row["gain"]]
    body = []
    for number, row in enumerate(rows):
        name = f"epoch {row['switch_epoch']}" if row["switch_epoch"] else "transfer alone"
        tags = ["best"] * (number == best) + ["diverged"] * row["diverged"]
        name += "".join(f' <b class="{tag}">{tag}</b>' for tag in tags)
        each = row["gain"]
        change = "–"
        if each:
            change = f"{points(each['points'])} ({points(each['low'])} to {points(each['high'])})"
            change = f"<span>{change}</span>{charts.interval(each, gains)}"
        loss = "–" if row["test_loss"] is None else f"{row['test_loss']:.3f}"
        shares = (percent(row[key]) for key in ("validation_accuracy", "test_accuracy", "test_top_5"))
        cells = zip(head[1:], (row["best_epoch"], *shares, loss, change, f"{row['seconds']:,.1f}"), strict=True)
        body.append(
            f'<tr{" class=chosen" * (number == best)}><th scope="row" style="--key:var(--s{number})">{name}</th>'
            + "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in cells)
        )
    headings = "".join(f'<th scope="col">{label}</th>' for label in head)
    return f'<table class="comparison"><thead><tr>{headings}</thead><tbody>{"".join(body)}</tbody></table>'


def mistakes(evaluation: Json) -> str:
    """Confusion matrix, the worst pairs, and every count in words."""
    matrix, classes = np.array(evaluation["confusion"]), evaluation["classes"]
    totals = matrix.sum(axis=1)
    wrong = [(int(matrix[i, j]), i, j) for i, j in np.argwhere(matrix) if i != j]
    wrong.sort(key=lambda pair: (-pair[0], pair[1:]))
    worst = table(
        ("On the photo", "Taken for", "Photos", "Of"),
        ([classes[i], classes[j], str(count), str(totals[i])] for count, i, j in wrong[:WORST_PAIRS]),
    )
    taken: dict[int, list[str]] = {}
    for count, i, j in wrong:
        taken.setdefault(int(i), []).append(f"{classes[j]} {count}")
    every = (
        [name, str(totals[i]), str(matrix[i, i]), ", ".join(taken.get(i, ["–"]))] for i, name in enumerate(classes)
    )
    numbers = details("Every class in numbers", table(("On the photo", "Photos", "Right", "Taken for"), every))
    few = "few" if len(classes) <= charts.LABELLED_CELLS else "many"
    drawing = charts.confusion(evaluation["confusion"], classes)
    pairs = worst if wrong else "<p>No test photo was named wrong.</p>"
    return f"""<div class="mistakes {few}">
<figure><figcaption>Rows: what is on the photo. Columns: what the model said. <i class="hit"></i> right,
<i class="miss"></i> wrong; the stronger, the larger the share of the row.</figcaption>
<div class="scroll" tabindex="0">{drawing}</div></figure>
<div><h3>Most frequent mistakes</h3>{pairs}</div></div>{numbers}"""


def html(document: Json, best: int, histories: Sequence[Json], evaluation: Json, title: tuple[str, str]) -> str:
    """The page."""
    rows, photos = document["results"], document["photos"]["test"]
    lead, numbers = answer(rows, rows[best], photos)
    dataset, backbone = (escape(part.rstrip("/").rsplit("/", 1)[-1]) for part in title)
    light, dark = charts.palette(len(rows) - 1)
    name = f"Fine-tuning from epoch {rows[best]['switch_epoch']}" if best else "Transfer learning alone"
    everything = f"<section><h2>Every switch epoch</h2>{figures('all', histories[0], histories[1:])}</section>"
    about = f"{dataset} · {backbone} · {len(evaluation['classes'])} classes · {photos:,} test photos"
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>When to start fine-tuning: {dataset}, {backbone}</title>
<style>
:root {{ {LIGHT} {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} {dark} }} }}
{CSS}</style>
<main>
<p class="about">When to start fine-tuning · {about}</p>
<h1><strong>{lead}:</strong> {unbroken(numbers)}</h1>
{comparison(document, best)}
{everything if len(rows) > 1 else ""}
<p class="note">Models are chosen on the validation photos; the test photos serve this report alone. Fine-tuning counts
its epochs from 1; 0 is the model that it started from. Gain: test accuracy less that of transfer learning alone, with a
paired bootstrap over the test photos ({DRAWS:,} draws); what another seed would change is not in the interval.</p>
<section><h2>Transfer learning alone</h2>{figures("transfer", histories[0], [])}</section>
<section><h2>Conclusion</h2><p class="prose">{unbroken(escape(document["conclusion"]))}</p></section>
<section><h2>What the best model takes for what</h2>
<p class="note">{name}, {photos:,} test photos.</p>
{mistakes(evaluation)}</section>
</main>
</html>
"""


def unbroken(text: str) -> str:
    """Keep each number beside its unit."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" points", "\N{NO-BREAK SPACE}points")


LIGHT = "--paper:#fff;--text:#1b222c;--muted:#59636f;--rule:#e2e6eb;--chosen:#f1f6fb;--hit:#6db1de;--miss:#f5a067;"
DARK = "--paper:#12161c;--text:#e6eaf0;--muted:#9aa6b4;--rule:#2c343f;--chosen:#1a222d;--hit:#23699f;--miss:#ad4d14;"
CSS = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--text); font-variant-numeric: tabular-nums;
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 32px 80px; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.4; font-weight: 400; max-width: 52em; margin: 0 0 16px; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 56px 0 12px; }
h3 { font-size: 1rem; margin: 0 0 8px; }
.comparison + section h2 { margin: 24px 0 8px; }
.about, .note, figcaption, summary { color: var(--muted); font-size: .875rem; }
.about { margin: 0 0 8px; }
.note { max-width: 90ch; margin: 12px 0; }
.prose { max-width: 75ch; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: 6px 20px 6px 0; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; }
td { min-width: 4em; }
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
.interval { width: 120px; height: 14px; margin-left: 12px; vertical-align: -1px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; margin: 0 0 8px; padding: 0;
  font-size: .8125rem; }
.legend svg { width: 26px; height: 12px; margin-right: 6px; vertical-align: -1px; fill: none; }
figure { margin: 0; min-width: 0; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 32px; margin-bottom: 12px; }
.chart { display: block; width: 100%; height: auto; }
.chart text { font-family: inherit !important; font-size: 12px !important; }
.confusion { display: block; font-family: inherit; height: auto; fill: var(--text); }
figcaption { max-width: 75ch; margin-bottom: 12px; }
figcaption i { display: inline-block; width: 12px; height: 12px; margin-left: 4px; border-radius: 2px; }
i.hit { background: var(--hit); }
i.miss { background: var(--miss); }
summary { cursor: pointer; padding: 4px 0; }
.mistakes { display: grid; grid-template-columns: minmax(0, 1fr); gap: 32px; margin: 16px 0; }
.few .confusion { width: 100%; }
.many > div { order: -1; }
@media (min-width: 1000px) { .few { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); } }
@media (max-width: 1100px) {
  .interval { display: none; }
  .comparison { font-size: .875rem; }
  .comparison th, .comparison td { padding: 6px; }
}
@media (max-width: 820px) {
  main { padding: 24px 16px 56px; }
  h1 { font-size: 1.25rem; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  .chart text { font-size: 13.5px !important; }
  .comparison thead { display: none; }
  .comparison, .comparison tbody { display: block; }
  .comparison tr { display: grid; grid-template-columns: repeat(3, 1fr); gap: 6px 12px; padding: 12px 8px;
    border-bottom: 1px solid var(--rule); }
  .comparison th, .comparison td { padding: 0; border: 0; align-self: end; text-align: left; white-space: normal;
    font-size: 1rem; }
  .comparison th { grid-column: 1 / -1; }
  .comparison td::before { content: attr(data-label); display: block; color: var(--muted); font-size: .75rem;
    font-weight: 400; line-height: 1.3; }
  .comparison td[data-label^="Gain"] { grid-column: span 2; }
}
"""
