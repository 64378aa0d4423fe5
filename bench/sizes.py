"""What lies on disk: the photos as records, and an epoch's checkpoint."""

from pathlib import Path

from bench.pairs import Measured
from bench.prepared import BATCH, SPLITS, TRANSFER_SIZE, manifest, ours
from bench.transfers import fresh, switchpoint, the_lab


def names(records: Path, split: str) -> list[str]:
    """A split's photos, in the records' order."""
    from switchpoint.data.records import dataset

    return [row["name"].decode() for row in dataset(records, split).as_numpy_iterator()]


def photo_bytes(directory: Path, repeat: int) -> Measured:
    """The original files of the photos that the records hold."""
    from switchpoint.data.sources import open_source

    kept = {name for split in SPLITS for name in names(ours(directory), split)}
    return Measured(sum(len(photo.read()) for photo in open_source(str(directory / "photos")) if photo.name in kept))


def record_bytes(directory: Path, repeat: int) -> Measured:
    """The record files of all splits; the cosine is of validation photos, which are kept as training photos are."""
    shards = [shard for split in SPLITS for shard in manifest(directory)["splits"][split]["shards"]]
    value = sum((ours(directory) / shard["file"]).stat().st_size for shard in shards)
    return Measured(value, feature_cosine=feature_cosine(directory / "photos", ours(directory)))


def feature_cosine(photos: Path, records: Path) -> float:
    """How alike the originals and the records look to the backbone.

    Args:
        photos: The originals: decoded and resized as prepare does, without the JPEG that it then makes.
        records: Of these photos.

    Returns:
        The cosine of the features of both centre crops (EfficientNet-Lite0 of ImageNet, pooled), the mean of the
        validation photos, for test photos are kept with a higher quality.
    """
    import keras
    import numpy as np

    from switchpoint.data import photos as images
    from switchpoint.data.manifest import read_manifest
    from switchpoint.data.sources import open_source
    from switchpoint.training.backbones.build import build
    from switchpoint.training.backbones.table import LITE0
    from switchpoint.training.batches import plain_batches

    about = read_manifest(records)
    height, width, size = about["image_height"], about["image_width"], about["image_size"]
    top, left = (height - size + 1) // 2, (width - size + 1) // 2  # as `decode_crop` rounds
    read = {photo.name: photo.read for photo in open_source(str(photos))}
    backbone = build(LITE0, "imagenet", size)
    pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
    remaining, cosines = iter(names(records, "validation")), []
    for kept, _ in plain_batches(records, "validation", BATCH):
        whole = [
            np.asarray(images.resize(images.decode(read[next(remaining)]()), height, width)) for _ in range(len(kept))
        ]
        original = np.stack(whole)[:, top : top + size, left : left + size]
        a, b = (pooled.predict_on_batch(batch) for batch in (original, kept))
        cosines += list((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
    return float(np.mean(cosines))


def lab_checkpoint(directory: Path, repeat: int) -> Measured:
    """The full model that the lab saves an epoch, after one."""
    out = fresh(directory / "lab-checkpoint")
    the_lab(directory, out, 1, repeat)
    return Measured((out / "epoch-01.keras").stat().st_size)


def our_checkpoint(directory: Path, repeat: int) -> Measured:
    """The head that transfer saves an epoch, after one; the backbone, which is saved once, is not counted."""
    from switchpoint.training.checkpoints import head_file

    out = fresh(directory / "our-checkpoint")
    switchpoint(ours(directory, TRANSFER_SIZE), out, views=1, epochs=1, seed=repeat)
    return Measured((out / "checkpoints" / head_file(1)).stat().st_size)
