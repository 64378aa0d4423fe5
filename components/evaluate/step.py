"""Evaluation: one model on the test photos."""

import hashlib
import json
from pathlib import Path
from typing import Any

from switchpoint import records, training


def evaluate(
    photos: Path, model_file: Path, evaluation_file: Path, switch_epoch: int, batch_size: int
) -> dict[str, Any]:
    """Try a model on every test photo once, without augmentation.

    Args:
        photos: Records that prepare wrote.
        model_file: `.keras` file.
        evaluation_file: JSON to write: what is returned.
        switch_epoch: Where the model's fine-tuning started; 0 = transfer learning alone.
        batch_size: Photos a step.

    Returns:
        top_1 and top_5 accuracy in [0, 1] (top_5 is 1 with five classes or fewer), loss in nats a photo, the confusion
        matrix in photos (rows: true class, columns: predicted), and for each photo, in the records' order, its label,
        the predicted class and that class's probability.

    Raises:
        RecordsError: The records are not whole.
    """
    import keras
    import numpy as np
    from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score

    classes = records.verify(photos)["classes"]
    model = keras.models.load_model(model_file, compile=False)
    batches = training.plain_batches(photos, "test", batch_size)
    probabilities = model.predict(batches, verbose=0).astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = np.concatenate([one_hot.numpy().argmax(axis=1) for _, one_hot in batches])
    predicted = probabilities.argmax(axis=1)
    every = np.arange(len(classes))
    result = {
        "switch_epoch": switch_epoch,
        "photos": len(labels),
        "classes": classes,
        "top_1": float((predicted == labels).mean()),
        "top_5": float(top_k_accuracy_score(labels, probabilities, k=5, labels=every)) if len(classes) > 5 else 1.0,
        "loss": float(log_loss(labels, probabilities, labels=every)),
        "confusion": confusion_matrix(labels, predicted, labels=every).tolist(),
        "labels": labels.tolist(),
        "predicted": predicted.tolist(),
        "confidence": probabilities.max(axis=1).round(4).tolist(),
    }
    result["digest"] = hashlib.sha256(json.dumps(result).encode()).hexdigest()
    training.write_json(evaluation_file, result)
    print(
        f"evaluate  {len(labels)} photos  top-1 accuracy {result['top_1']:.3f}  loss {result['loss']:.4f}", flush=True
    )
    return result
