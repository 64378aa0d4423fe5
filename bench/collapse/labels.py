"""The lab's fault in its labels, and the control that takes it out of the loss."""

from typing import Any

# The three trainings in the order they run: the colour's number, the line, what the legend says.
LABELS = {
    "right": (1, "-", "right labels"),
    "masked": (3, "--", "one too high, all-zero rows masked"),
    "fault": (2, "-", "one too high, as in the lab"),
}


def one_too_high(one_hot: Any) -> Any:
    """Labels 1 to classes, encoded with depth = classes: (batch, classes); the last class gets an all-zero row."""
    import tensorflow as tf

    return tf.pad(one_hot[:, :-1], [[0, 0], [1, 0]])


def relabel(images: Any, one_hot: Any, labels: str) -> tuple[Any, Any, Any]:
    """A batch with the labels named, and each photo's weight in the loss: 0 for the rows that are masked, else 1."""
    import tensorflow as tf

    if labels != "right":
        one_hot = one_too_high(one_hot)
    ones = tf.ones(tf.shape(one_hot)[0])
    return images, one_hot, tf.reduce_sum(one_hot, axis=1) if labels == "masked" else ones
