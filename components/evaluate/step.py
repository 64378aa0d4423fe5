"""Evaluation: one model on the test photos, and on the validation photos that it was chosen by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from components.evaluate.measures import calibration, confused_pairs, most_confused, per_class
from components.evaluate.photos import telling
from components.evaluate.robustness import robustness
from switchpoint.config import Config
from switchpoint.data.manifest import verify_records
from switchpoint.errors import DamagedModelError, again
from switchpoint.files import write_json
from switchpoint.progress import say
from switchpoint.provenance.digests import file_digest, json_digest
from switchpoint.tracking import Tracker, figures, measure
from switchpoint.training.batches import plain_batches
from switchpoint.training.forward import fill, function
from switchpoint.training.saved_model import classifier, digest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np

    from switchpoint.documents.evaluation import Evaluation


@dataclass(frozen=True)
class EvaluateConfig(Config):
    """What evaluation is given.

    Attributes:
        switch_epoch: Where the model's fine-tuning started; 0 = transfer learning alone.
        learning_rate: Fine-tuning's; 0 = transfer learning alone.
        seed: The seed that it was trained with.
        batch_size: Photos a step.
        robustness: Whether to try the model on corrupted test photos, too: `off`, on a `sample`, or on all: `full`.
    """

    switch_epoch: int
    learning_rate: float
    seed: int
    batch_size: int
    robustness: str


class Outputs(NamedTuple):
    """What to write.

    Attributes:
        evaluation: JSON: a `documents.Evaluation`.
    """

    evaluation: Path


def evaluate(
    records: Path, model: Path, outputs: Outputs, config: EvaluateConfig, model_digest: str | None = None
) -> Evaluation:
    """Try a model on every test photo once, without augmentation, and on every validation photo.

    Of the validation photos only the answers are kept: with them the report compares starts, photo by photo, without
    looking at test. They cost what as many test photos do: Food-101's 7,575 beside 25,250 make it take 30 % longer.

    Args:
        records: Directory that prepare wrote.
        model: `.keras` file.
        outputs: What to write.
        config: Which model it is, and how many photos at a time.
        model_digest: The model's when it was trained, if that is known.

    Returns:
        top_1 and top_5 accuracy in [0, 1] (top_5 is 1 with five classes or fewer), loss in nats a photo, the confusion
        matrix in photos (rows: true class, columns: predicted), what `components.evaluate.measures` makes of these, and
        for each photo, in the records' order, its label, the predicted class and that class's probability. Labels and
        predicted classes of the validation photos, too; the most confident mistakes and the least sure hits, as small
        photos; what `components.evaluate.robustness` finds; and which model it was: its digest, computed from what was
        loaded, and that of its file.

    Raises:
        RecordsError: The records are not whole.
        DamagedModelError: The model is not the one that was trained.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    manifest = verify_records(records)
    classes = manifest["classes"]
    loaded = keras.models.load_model(model, compile=False)
    found = digest(loaded)
    if model_digest and model_digest != found:
        raise DamagedModelError(
            f"{model} is not the model that was trained: its digest is {found[:16]}, not {model_digest[:16]}. "
            f"{again('finetune' if config.switch_epoch else 'transfer')}"
        )
    compute = function(classifier(loaded), config.batch_size)

    def answers(split: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        photos = manifest["splits"][split]["photos"]
        probabilities, labels = np.empty((photos, len(classes)), np.float32), np.empty(photos, np.int64)
        batches = plain_batches(records, split, config.batch_size)
        fill(compute, batches, config.batch_size, probabilities, labels)
        return probabilities, labels

    probabilities, labels = answers("test")
    on_validation, validation_labels = answers("validation")
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(float)
    confusion = tf.math.confusion_matrix(labels, predicted, len(classes)).numpy().tolist()
    result: Evaluation = {
        "switch_epoch": config.switch_epoch,
        "learning_rate": config.learning_rate,
        "seed": config.seed,
        "photos": len(labels),
        "classes": classes,
        "top_1": float((predicted == labels).mean()),
        "top_5": float(np.mean(tf.math.in_top_k(labels, probabilities, k=5))),
        "loss": float(np.mean(keras.losses.sparse_categorical_crossentropy(labels, probabilities))),
        "calibration": calibration(confidence, predicted == labels),
        "per_class": per_class(confusion, classes),
        "confused_pairs": confused_pairs(confusion, classes),
        "most_confused": most_confused(confusion),
        "confusion": confusion,
        "labels": labels.tolist(),
        "predicted": predicted.tolist(),
        "confidence": confidence.round(4).tolist(),
        "validation": {"labels": validation_labels.tolist(), "predicted": on_validation.argmax(axis=1).tolist()},
        "telling": telling(records, classes, probabilities, labels),
        "robustness": robustness(records, compute, config.batch_size, config.robustness, probabilities, labels),
        "model_digest": found,
        "model_file": file_digest(model),
    }
    result["digest"] = json_digest(result, "digest")
    write_json(outputs.evaluation, result)
    with Tracker("evaluate") as tracker:
        tracker.tell(lambda client, run: measure(client, run, figures(result)))
    say("evaluate", f"{len(labels)} photos, top-1 accuracy {result['top_1']:.3f}, loss {result['loss']:.4f}")
    return result
