"""Evaluation: one model on the test photos."""

import hashlib
import json
from pathlib import Path
from typing import Any

from components.evaluate.measures import calibration, confused_pairs, most_confused, per_class
from components.evaluate.photos import telling
from switchpoint.data import records
from switchpoint.data.manifest import verify_records
from switchpoint.training import loop as training
from switchpoint.training import saved_model as models
from switchpoint.training.batches import plain_batches


def evaluate(
    photos: Path, model_file: Path, evaluation_file: Path, photos_file: Path, switch_epoch: int, batch_size: int
) -> dict[str, Any]:
    """Try a model on every test photo once, without augmentation.

    Args:
        photos: Records that prepare wrote.
        model_file: `.keras` file.
        evaluation_file: JSON to write: what is returned.
        photos_file: JSON to write: the most confident mistakes and the least sure hits, as small photos.
        switch_epoch: Where the model's fine-tuning started; 0 = transfer learning alone.
        batch_size: Photos a step.

    Returns:
        top_1 and top_5 accuracy in [0, 1] (top_5 is 1 with five classes or fewer), loss in nats a photo, the confusion
        matrix in photos (rows: true class, columns: predicted), what `components.evaluate.measures` makes of these, and
        for each photo, in the records' order, its label, the predicted class and that class's probability.

    Raises:
        RecordsError: The records are not whole.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    classes = verify_records(photos)["classes"]
    model = models.classifier(keras.models.load_model(model_file, compile=False))
    batches = plain_batches(photos, "test", batch_size)
    probabilities = model.predict(batches, verbose=0)
    labels = np.fromiter((example["label"].numpy() for example in records.dataset(photos, "test")), np.int64)
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(float)
    confusion = tf.math.confusion_matrix(labels, predicted, len(classes)).numpy().tolist()
    result = {
        "switch_epoch": switch_epoch,
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
    }
    result["digest"] = hashlib.sha256(json.dumps(result).encode()).hexdigest()
    training.write_json(evaluation_file, result)
    training.write_json(photos_file, telling(photos, classes, probabilities, labels))
    print(
        f"evaluate  {len(labels)} photos  top-1 accuracy {result['top_1']:.3f}  loss {result['loss']:.4f}", flush=True
    )
    return result
