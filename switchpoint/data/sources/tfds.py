"""TensorFlow Datasets: `tfds:NAME`."""

import functools
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from switchpoint.data.sources.source import Opened, Photo, Split
from switchpoint.errors import DatasetError

PREFIX = "tfds:"


def find(address: str) -> "Tfds | None":
    """The dataset of this name, if the address is one."""
    return Tfds(address) if address.startswith(PREFIX) else None


@contextmanager
def _nothing_left() -> Iterator[None]:
    """Remove the temporary directories into which a builder fetches metadata, and which it leaves behind."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as directory:
        tempfile.tempdir = directory
        try:
            yield
        finally:
            tempfile.tempdir = before


class Tfds:
    """Splits train + test, or train + validation; where there is only train, that alone."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset

    @functools.cached_property
    def builder(self) -> Any:
        """TensorFlow Datasets' own; it knows names without a download."""
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise DatasetError(f"{self.dataset} needs the package tensorflow-datasets: {error}.") from error
        try:
            with _nothing_left():
                return tfds.builder(self.dataset.removeprefix(PREFIX))
        except Exception as error:  # unknown name, version, configuration: its own classes, with a telling first line
            raise DatasetError(f"{self.dataset}: {str(error).strip().splitlines()[0]}") from error

    def digest(self) -> str:
        """Hex SHA-256 of name and version."""
        return hashlib.sha256(f"{PREFIX}{self.builder.info.full_name}".encode()).hexdigest()

    def open(self) -> Opened:
        """Download and prepare it, if need be."""
        info = self.builder.info  # first: it says so if the package is not installed
        import tensorflow_datasets as tfds

        if not {"image", "label"} <= set(info.features or ()) or not hasattr(info.features["label"], "names"):
            raise DatasetError(f"{self.dataset} has no image and label features. Pass a classification dataset.")
        try:
            with _nothing_left():
                self.builder.download_and_prepare()
        except Exception as error:  # network, disk, checksum, a manual download: say what it says
            reason = str(error).strip().splitlines()[:1]
            raise DatasetError(f"{self.dataset} can't be downloaded or prepared: {''.join(reason)}.") from error
        held_out = next((name for name in ("test", "validation") if name in info.splits), None)
        splits: dict[str, Split] = {"train": "train", **({held_out: "test"} if held_out else {})}
        own: frozenset[Split] = frozenset(splits.values()) if held_out else frozenset()
        missing = set(splits) - set(info.splits)
        if missing:
            raise DatasetError(f"{self.dataset} has splits {sorted(info.splits)}; train is needed.")
        classes: list[str] = list(info.features["label"].names)

        def rows(split: str) -> Iterator[tuple[str, int, Any]]:
            data = self.builder.as_dataset(
                split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False
            )
            for index, row in enumerate(data.as_numpy_iterator()):
                label = int(row["label"])
                if not 0 <= label < len(classes):
                    raise DatasetError(f"{self.dataset}: label {label} in {split} is not in [0, {len(classes)}).")
                yield f"{classes[label]}/{split}-{index:07d}", label, row["image"]

        def photos() -> Iterator[Photo]:
            for split, role in splits.items():
                for name, label, image in rows(split):
                    yield Photo(name, label, role, partial(bytes, image))

        return Opened(classes, sum(info.splits[split].num_examples for split in splits), photos, own)
