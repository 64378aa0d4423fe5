"""What evaluate writes: the package says how to read them."""

from typing import NotRequired, TypedDict

from switchpoint.documents.lineage import Entry

Bin = TypedDict(
    "Bin", {"from": float, "to": float, "photos": int, "confidence": float | None, "accuracy": float | None}
)


class Calibration(TypedDict):
    """See `components.evaluate.measures.calibration`."""

    ece: float
    confidence: float
    bins: list[Bin]


ClassMeasures = TypedDict(
    "ClassMeasures",
    {"class": str, "photos": int, "precision": float | None, "recall": float | None, "f1": float | None},
)


class ConfusedPair(TypedDict):
    """Photos of class `true`, of which there are `of`, that were named `predicted`."""

    true: str
    predicted: str
    photos: int
    of: int


class Answers(TypedDict):
    """A model's answers on a split: an entry a photo, in the records' order."""

    labels: list[int]
    predicted: list[int]


class TellingPhoto(TypedDict):
    """A test photo and what a model said of it; `jpeg` is base64."""

    name: str
    true: str
    predicted: str
    runner_up: str
    true_probability: float
    predicted_probability: float
    runner_up_probability: float
    jpeg: str


class TellingPhotos(TypedDict):
    """The test photos that tell most of a model."""

    mistakes: list[TellingPhoto]
    hits: list[TellingPhoto]


class Corrupted(TypedDict):
    """A model under one corruption; `strength` is the paper's severity, from 1 to 5."""

    corruption: str
    strength: int
    top_1: float
    ece: float


class Robustness(TypedDict):
    """A model on corrupted test photos: see `components.evaluate.robustness`.

    `numbers` are those of the test photos that were tried, of which there are `photos`; `top_1` and `ece` those of the
    same photos without corruption. `right` has for each photo under how many of the corruptions it was named right.
    """

    photos: int
    numbers: list[int]
    top_1: float
    ece: float
    corrupted: list[Corrupted]
    right: list[int]


class Evaluation(TypedDict):
    """evaluate/evaluation: see `components.evaluate.step`. The lists from `labels` on have an entry a test photo.

    `model_digest` is of the model that was loaded and tried, `model_file` of that file's bytes; `digest` is of all else
    but `lineage`.
    """

    switch_epoch: int
    learning_rate: float
    seed: int
    photos: int
    classes: list[str]
    top_1: float
    top_5: float
    loss: float
    calibration: Calibration
    per_class: list[ClassMeasures]
    confused_pairs: list[ConfusedPair]
    most_confused: list[int]
    confusion: list[list[int]]
    labels: list[int]
    predicted: list[int]
    confidence: list[float]
    validation: Answers
    telling: TellingPhotos
    robustness: Robustness | None
    model_digest: str
    model_file: str
    digest: NotRequired[str]
    lineage: NotRequired[Entry]
