"""The lab's way, without handicaps: what the comparisons run against.

TFRecords of the original bytes, decoded, resized and cropped for every epoch anew; flip and rotation as Keras layers in
the model; prefetch and parallel map; one `model.fit`; a full model saved an epoch. Its faults are not repeated: labels
are right, BatchNormalization and stochastic depth stay at rest, validation and test see centre crops. And a start of
fine-tuning reads the model that its epoch left: the lab's siblings trained transfer learning again for each.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import LITE0

BATCH = 32
FINETUNE_RATE = 1e-6


def write_records(path: Path, photos: Iterable[tuple[bytes, int]]) -> None:
    """Original bytes and label of each photo."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data, label in photos:
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def batches(path: Path, classes: int, size: int, training: bool) -> tf.data.Dataset:
    """One epoch of float32 (batch, size, size, 3) in [0, 255] and one-hot labels; random crops when training."""
    height, width = round(size * 300 / 224), round(size * 260 / 224)
    schema = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def load(record: Any) -> Any:
        example = tf.io.parse_single_example(record, schema)
        image = tf.image.resize(tf.io.decode_jpeg(example["image"], channels=3), (height, width))
        if training:
            image = tf.image.random_crop(image, (size, size, 3))
        else:
            image = tf.image.crop_to_bounding_box(image, (height - size) // 2, (width - size) // 2, size, size)
        return image, tf.one_hot(example["label"], classes)

    records = tf.data.TFRecordDataset(str(path))
    if training:
        records = records.shuffle(1000)
    # As TensorFlow does it by default: with tf.data's tuner, for which the end of each epoch waits now and then.
    return records.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def augmentation() -> keras.Sequential:
    """Flip and rotation, as layers of the model."""
    return keras.Sequential(
        [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.04, fill_mode="nearest")]
    )


def model(classes: int, size: int) -> keras.Model:
    """Augmentation, frozen EfficientNet-Lite0 and a new head, compiled with the lab's optimizer."""
    backbone = build(LITE0, "imagenet", size)
    backbone.trainable = False
    photos = keras.Input((size, size, 3))
    x = backbone(augmentation()(photos), training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    classifier = keras.Model(photos, keras.layers.Dense(classes, activation="softmax")(x))
    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.001, 5000, t_mul=2.0, m_mul=0.75)
    classifier.compile(keras.optimizers.Adam(schedule), "categorical_crossentropy", metrics=["categorical_accuracy"])
    return classifier


def transfer(records: Path, models: Path, classes: int, size: int, epochs: int, seed: int) -> keras.Model:
    """The transfer phase from records to the model after the last epoch."""
    keras.utils.set_random_seed(seed)
    models.mkdir(parents=True, exist_ok=True)
    classifier = model(classes, size)
    _fit(classifier, records, classes, size, epochs, keras.callbacks.ModelCheckpoint(str(checkpoint(models))), models)
    return classifier


def checkpoint(models: Path, epoch: int | None = None) -> Path:
    """The full model after an epoch of transfer learning; None: with a place for its number."""
    return models / ("epoch-{epoch:02d}.keras" if epoch is None else f"epoch-{epoch:02d}.keras")


def finetune(start: Path, records: Path, models: Path, classes: int, size: int, epochs: int, seed: int) -> keras.Model:
    """Fine-tuning from a full model that `transfer` saved, at the lab's rate; the best epoch's model is kept.

    Source:
        https://keras.io/guides/transfer_learning/ (BatchNormalization stays in inference mode)
    """
    keras.utils.set_random_seed(seed)
    classifier = keras.models.load_model(start, compile=False)
    backbone = classifier.get_layer("backbone")
    backbone.trainable = True
    for layer in backbone.layers:  # `training=False` alone does not do it: Keras 3 overwrites it in `fit`
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    classifier.compile(
        keras.optimizers.Adam(FINETUNE_RATE), "categorical_crossentropy", metrics=["categorical_accuracy"]
    )
    best = keras.callbacks.ModelCheckpoint(
        str(models / f"from-{start.stem}.keras"), "val_categorical_accuracy", save_best_only=True
    )
    _fit(classifier, records, classes, size, epochs, best, models)
    return classifier


def _fit(
    classifier: keras.Model, records: Path, classes: int, size: int, epochs: int, saving: Any, models: Path
) -> None:
    classifier.fit(
        batches(records / "train.tfrecord", classes, size, training=True),
        validation_data=batches(records / "validation.tfrecord", classes, size, training=False),
        epochs=epochs,
        verbose=0,
        callbacks=[saving, keras.callbacks.TensorBoard(models / "logs", write_graph=False)],
    )


def test_accuracy(classifier: keras.Model, records: Path, classes: int, size: int) -> float:
    """Share of the test photos named right, in [0, 1]."""
    found = classifier.evaluate(batches(records / "test.tfrecord", classes, size, training=False), verbose=0)
    return float(found[1])
