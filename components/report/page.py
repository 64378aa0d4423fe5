"""The report's page, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from components.report import charts, grid, leaks, matrix, robustness, search
from components.report.columns import comparison
from components.report.origin import Origin, lineage, nodes, parameters
from components.report.photos import telling
from components.report.starts import over_seeds
from components.report.wording import capital, more, percent, points, repeated, start, unbroken
from switchpoint import addresses
from switchpoint.pages import details, document, table

if TYPE_CHECKING:
    from components.report.starts import Comparison, Start, Training
    from switchpoint.documents.evaluation import ClassMeasures, Evaluation
    from switchpoint.documents.records import Source
    from switchpoint.documents.training import Row

PAIRS = 12


def figures(name: str, starts: Sequence[Start]) -> str:
    """Accuracy and loss, their legend and their numbers."""
    pair = "".join(
        f"<figure>{charts.curves(f'{name}-{metric}', starts, metric)}</figure>"
        for metric in ("categorical_accuracy", "loss")
    )
    body = [
        [
            *_epoch(training, row, len(starts[0].trainings)),
            percent(row["categorical_accuracy"], 2),
            percent(row["val_categorical_accuracy"], 2),
            f"{row['loss']:.4f}",
            f"{row['val_loss']:.4f}",
        ]
        for start in starts
        for training in start.trainings
        for row in training.history["epochs"]
    ]
    head = (
        "Phase",
        "Epoch",
        "Training accuracy",
        "Validation accuracy",
        "Training loss (nats)",
        "Validation loss (nats)",
    )
    numbers = details("The numbers of both graphs", table(head, body, "numbers cards"))
    return f'{charts.legend(starts)}<div class="pair">{pair}</div>{numbers}'


def _epoch(training: Training, row: Row, seeds: int) -> tuple[str, str]:
    """The phase of a row of a history, and its epoch, counted on from the switch epoch."""
    switch_epoch = training.history["switch_epoch"]
    phase = f"fine-tuning from epoch {switch_epoch}" if switch_epoch else "transfer learning"
    return phase + f", seed {training.result['seed']}" * (seeds > 1), str(switch_epoch + row["epoch"])


def pace(starts: Sequence[Start]) -> str:
    """Learning rate and seconds an epoch; means over the seeds."""
    rates = [
        _means([[row["learning_rate"] for row in each.history["epochs"]] for each in start.sound]) for start in starts
    ]
    unit, tuned = "Learning rate", starts[1:]
    drawings = [charts.an_epoch("rate-transfer", starts[:1], rates[:1], 0, unit)]
    titles = ["Transfer learning: learning rate at the end of each epoch"]
    if tuned:
        drawings.append(charts.an_epoch("rate-finetune", tuned, rates[1:], 1, unit))
        titles.append("Fine-tuning: learning rate at the end of each epoch")
    seconds = [_means([each.history["seconds"] for each in start.sound]) for start in starts]
    drawings.append(charts.an_epoch("seconds", starts, seconds, 0, "Seconds"))
    titles.append("Seconds an epoch took, validation included")
    body = [
        (*_epoch(training, row, len(starts[0].trainings)), f"{row['learning_rate']:.3g}", f"{took:,.1f}")
        for start in starts
        for training in start.trainings
        for row, took in zip(training.history["epochs"], training.history["seconds"], strict=True)
    ]
    pair = "".join(
        f"<figure><figcaption>{title}</figcaption>{drawing}</figure>"
        for title, drawing in zip(titles, drawings, strict=True)
    )
    numbers = details("The numbers of these graphs", table(("Phase", "Epoch", "Learning rate", "Seconds"), body))
    legend = charts.series_legend(starts) if tuned else ""
    return f'{legend}<div class="pair{" three" * bool(tuned)}">{pair}</div>{numbers}'


def _means(series: Sequence[Sequence[float]]) -> list[float]:
    return [mean(values) for values in over_seeds(series)]


def mistakes(evaluation: Evaluation) -> str:
    """Confusion matrix, the worst pairs, and every count in words."""
    counts, classes = np.array(evaluation["confusion"]), evaluation["classes"]
    pairs = [
        (pair["true"], pair["predicted"], f"{pair['photos']:,} of {pair['of']:,}")
        for pair in evaluation["confused_pairs"][:PAIRS]
    ]
    worst = table(("On the photo", "Taken for", "Photos"), pairs, "") if pairs else "<p>No photo was named wrong.</p>"
    every = []
    for number, row in enumerate(counts):
        taken = sorted((other for other in np.flatnonzero(row) if other != number), key=lambda other: -row[other])
        named = ", ".join(f"{classes[other]} {row[other]:,}" for other in taken) or "–"
        every.append((classes[number], f"{row.sum():,}", f"{row[number]:,}", named))
    numbers = details("Every class in numbers", table(("On the photo", "Photos", "Right", "Taken for"), every, ""))
    title, drawing, whole = "", matrix.confusion(evaluation["confusion"], classes), ""
    if len(classes) > matrix.LABELLED_CELLS:
        chosen = evaluation["most_confused"][: matrix.LABELLED_CELLS]
        title = f"The {len(chosen)} classes with the most mistakes, of {len(classes)}. "
        whole = f'<h3>All {len(classes)} classes</h3><div class="scroll" tabindex="0">{drawing}</div>'
        part = [[evaluation["confusion"][row][column] for column in chosen] for row in chosen]
        drawing = matrix.confusion(part, [classes[number] for number in chosen])
    return f"""<div class="beside few">
<figure><figcaption>{title}Rows: what is on the photo. Columns: what the model said. <i class="hit"></i> right,
<i class="miss"></i> wrong; the stronger, the larger the share of the row.</figcaption>
<div class="scroll" tabindex="0">{drawing}</div></figure>
<div><h3>Most frequent mistakes</h3>{worst}</div></div>{whole}{numbers}"""


def each_class(evaluation: Evaluation) -> str:
    """Precision, recall and F1; with many classes the ones that need work first, and all of them for who asks."""
    head = ("Class", "Test photos", "Precision", "Recall", "F1")
    found = evaluation["per_class"]

    def rows(classes: Sequence[ClassMeasures]) -> list[tuple[str, ...]]:
        return [
            (
                row["class"],
                f"{row['photos']:,}",
                percent(row["precision"]),
                percent(row["recall"]),
                percent(row["f1"]),
            )
            for row in classes
        ]

    scores = [row["f1"] for row in found if row["f1"] is not None]
    note = (
        "Precision: how many of the photos that were named so are so. Recall: how many of the class were named so. "
        f"F1: the harmonic mean of both; its mean over all classes (macro F1) is {percent(sum(scores) / len(scores))}."
    )
    if len(found) <= matrix.LABELLED_CELLS:
        return f'<p class="note">{unbroken(note)}</p>{table(head, rows(found))}'
    ranked = sorted(found, key=lambda row: 2 if row["f1"] is None else row["f1"])
    return (
        f'<p class="note">{unbroken(note)} These are the {PAIRS} classes with the lowest F1.</p>'
        + table(head, rows(ranked[:PAIRS]))
        + details(f"All {len(found)} classes, the lowest F1 first", table(head, rows(ranked)))
    )


def calibration(evaluation: Evaluation) -> str:
    """Reliability diagram and expected calibration error."""
    measured = evaluation["calibration"]
    sure, right = measured["confidence"], evaluation["top_1"]
    off = round((sure - right) * 100, 1)
    words = f"too sure of itself by {off:.1f} points" if off > 0 else f"too modest by {-off:.1f} points"
    text = (
        f"On average the model gives its answer a probability of {percent(sure)} (its confidence), and is right on "
        f"{percent(right)} of the photos: {words if off else 'the two agree'}. Its expected calibration error (ECE) is "
        f"{measured['ece'] * 100:.1f} points: the mean distance between confidence and accuracy, bin by bin."
    )
    body = [
        (
            f"{row['from'] * 100:.1f} to {row['to'] * 100:.1f} %",
            f"{row['photos']:,}",
            percent(row["confidence"]),
            percent(row["accuracy"]),
            points(((row["accuracy"] or 0.0) - (row["confidence"] or 0.0)) * 100) if row["photos"] else "–",
        )
        for row in measured["bins"]
    ]
    head = ("Confidence", "Photos", "Mean confidence", "Accuracy", "Difference (points)")
    drawing = charts.reliability_legend() + charts.reliability("reliability", measured["bins"])
    return f"""<p class="prose">{unbroken(text)}</p>
<div class="beside"><figure class="reliability">{drawing}</figure>
<div><p class="note">{len(body)} bins of equal width, each mean weighted by its photos, as in
<a href="https://arxiv.org/abs/1706.04599">Guo et al. 2017</a>.</p></div></div>
{details("The numbers of this graph", table(head, body))}"""


def html(compared: Comparison, origin: Origin) -> str:
    """The page."""
    found, starts, best = compared.document, compared.starts, compared.best
    judged, photos, seeds = found["verdict"], found["photos"]["test"], compared.seeds
    said, _, numbers = judged["sentence"].partition(": ")
    light, dark = charts.palette(len(starts) - 1)
    name = best_name(best, seeds)
    everything = f"<section><h2>Every switch epoch</h2>{figures('all', starts)}</section>"
    others = [start.switch_epoch or 0 for number, start in enumerate(starts) if number != compared.chosen]
    return document(
        f"When to start fine-tuning: {title(origin)}",
        f"""<p class="about">When to start fine-tuning · {escape(about(origin, best.evaluation))}</p>
<h1><strong>{said}:</strong> {unbroken(numbers)}.</h1>
{reasons(compared)}
{leaks.told(compared)}
{of_photos(origin.source)}
{comparison(compared)}
{differences(compared) if len(starts) > 1 else ""}
{grid.section(starts, [lost.history for lost in search.eliminated(compared.search)])}
{search.section(compared.search, found["search"], starts)}
{everything if len(starts) > 1 else ""}
<section><h2>Transfer learning alone</h2>{figures("transfer", starts[:1])}</section>
<section><h2>Conclusion</h2><p class="prose">{unbroken(escape(found["conclusion"]))}</p></section>
<section><h2>What the best model takes for what</h2>
<p class="note">{name}, {photos:,} test photos.</p>
{mistakes(best.evaluation)}
{telling(best.evaluation["telling"])}</section>
<section><h2>How well the best model knows each class</h2>
{each_class(best.evaluation)}</section>
<section><h2>Whether its confidence can be trusted</h2>
{calibration(best.evaluation)}</section>
{robustness.section([[each.evaluation for each in one.trainings] for one in starts], compared.chosen)}
<section><h2>Learning rate and time</h2>
{pace(starts)}</section>
<section><h2>Where the best model came from</h2>
{lineage(nodes(origin, best.evaluation), others)}</section>
<section><h2>All parameters</h2>
{parameters(origin)}</section>""",
        light,
        dark,
    )


def reasons(compared: Comparison) -> str:
    """Why that start is recommended, whether validation is large enough to say so, and what would show more."""
    judged = compared.document["verdict"]
    said = [f"It is recommended by the validation photos alone: {judged['why']}."] if len(compared.starts) > 1 else []
    if judged["validation"]:
        said.append(f"<strong>{judged['validation']}</strong>")
    if judged["needed"]:
        said.append(more(judged["needed"], compared.seeds, compared.document["photos"]["test"]))
    return f'<p class="prose">{unbroken(" ".join(said))}</p>' if said else ""


def differences(compared: Comparison) -> str:
    """The forest plot, and every difference in numbers."""
    found, seeds = compared.document, compared.seeds
    body = [
        (
            f"{capital(start(each['start']))} against {start(each['against'])}",
            points(each["points"]),
            f"{points(each['low'])} to {points(each['high'])}",
        )
        for each in found["differences"]
    ]
    of = (
        "They speak of photos and seeds like these, and take it that all starts vary alike from seed to seed."
        if seeds > 1
        else "They speak of photos like these and of this seed's models; what others change is not in them (--seeds)."
    )
    numbers = details("All differences", table(("Starts", "Points", "95 % interval, all at once"), body))
    return f"""<figure class="forest">{charts.forest_legend(seeds)}{charts.forest("forest", compared.starts)}</figure>
<p class="note">Models are chosen on the validation photos; the test photos serve this report alone. Fine-tuning counts
its epochs from 1; 0 is the model that it started from. Gain: test accuracy less that of transfer learning alone.
Intervals are paired by photo and seed, and hold all at once, for every start against every other, in 95 of 100
cases. {of}</p>{numbers}"""


def of_photos(source: Source) -> str:
    """What a reader should know of the photos before believing a figure, and where they are to be seen."""
    said = []
    if dropped := source["dropped"]:
        said.append(f"{dropped:,} photos that are in several splits or classes were left out (--leaks drop).")
    if still := repeated(source["duplicates"]):
        said.append(f"The same photo more than once: {still}.")
    if left_out := source["left_out"]:
        said.append(f"{left_out:,} of {source['photos']:,} photos could not be read and were left out.")
    warned = f"<strong>{unbroken(' '.join(said))}</strong> " if said else ""
    return (
        f'<p class="note">{warned}The photos are on a page of their own, <a href="look.html">look.html</a> (in the '
        "Kubeflow UI: the output <code>look</code> of the step that prepares them).</p>"
    )


def best_name(best: Training, seeds: int) -> str:
    """What the best model is called."""
    return capital(start(best.result["switch_epoch"])) + f", seed {best.result['seed']}" * (seeds > 1)


def title(origin: Origin) -> str:
    """Dataset and backbone, as short as a person says them."""
    return f"{addresses.last_part(origin.source['dataset'])} · {origin.pretrained['backbone']}"


def about(origin: Origin, evaluation: Evaluation) -> str:
    """What was trained on what."""
    return f"{title(origin)} · {len(evaluation['classes'])} classes · {evaluation['photos']:,} test photos"
