"""The shapes of what lies on disk and of what crosses from one room to another: JSON objects, key by key.

Types alone: import this under `if TYPE_CHECKING`. Then it is in no image, and a field that is documented better runs
nothing again. Epochs count from 1, losses are in nats a photo, shares and accuracies in [0, 1], times in seconds,
digests hex SHA-256.
"""

from typing import Any, Literal, NotRequired, TypedDict

Parameters = dict[str, Any]  # by name; str, int, float, bool, list[int] or list[float]


class Candidate(TypedDict):
    """A fine-tuning that is tried: where it starts, and its highest learning rate."""

    switch_epoch: int
    learning_rate: float


class Row(TypedDict):
    """An epoch; `learning_rate` is that of its last step."""

    epoch: int
    loss: float
    categorical_accuracy: float
    val_loss: float
    val_categorical_accuracy: float
    learning_rate: float


class Divergence(TypedDict):
    """Where the loss stopped being a number."""

    epoch: int
    step: int
    learning_rate: float


class History(TypedDict):
    """transfer/history, finetune/history: a training. `best_epoch` 0 is that no epoch ended.

    `switch_epoch` and `learning_rate`, fine-tuning's highest, are 0 for transfer.
    """

    phase: Literal["transfer", "finetune"]
    switch_epoch: int
    learning_rate: float
    seed: int
    epochs: list[Row]
    seconds: list[float]
    best_epoch: int
    validation_accuracy: float
    validation_loss: float | None
    diverged: Divergence | None
    model_digest: str


class Dataset(TypedDict):
    """Where photos came from."""

    dataset: str
    digest: str


class Source(Dataset):
    """prepare/source. `duplicates` counts, by kind, the photos that are there more than once.

    `dropped` counts those left out for it. `leaked` are test photos of which train or validation has a copy: their
    places among the test photos.
    """

    classes: int
    photos: int
    left_out: int
    duplicates: dict[str, int]
    dropped: int
    leaked: list[int]


class Shard(TypedDict):
    """A file of records."""

    file: str
    sha256: str
    bytes: int


class Split(TypedDict):
    """train, validation or test: `per_class` counts photos in the order of the classes."""

    photos: int
    shards: list[Shard]
    per_class: list[int]


class LeftOut(TypedDict):
    """A photo that is not used: it could not be read, or is a copy."""

    photo: str
    reason: str


class Duplicates(TypedDict):
    """One photo more than once; `kind` is across classes, across splits, or within a class (and one split).

    The same photos may be there as several kinds. `exact` says whether they are the same to the byte.
    """

    photos: list[str]
    kind: str
    exact: bool


class ManifestContent(TypedDict):
    """What prepare says of records; sizes in pixels: photos are kept at height × width and cropped to image_size.

    `split_from` says of each split whether it is the dataset's own or was cut: `dataset` or `cut`. `dropped` are copies
    that are left out for the parameter `leaks`. `notes` are for people: what lies in the dataset and is not used.
    """

    classes: list[str]
    image_height: int
    image_width: int
    image_size: int
    splits: dict[str, Split]
    split_from: dict[str, str]
    left_out: list[LeftOut]
    duplicates: list[Duplicates]
    dropped: list[LeftOut]
    notes: list[str]
    source: Dataset
    seed: int


class Manifest(ManifestContent):
    """prepare/records/manifest.json; `digest` is of all else but the dataset's address and the notes."""

    digest: str


class Pretrained(TypedDict):
    """transfer/pretrained: where the pretrained weights came from."""

    backbone: str
    weights: str
    digest: str


class Checkpoints(TypedDict):
    """transfer/checkpoints/checkpoints.json; `backbone` and `heads` (by epoch) are digests of variables.

    `block_pattern` finds a layer's block by its name: see `switchpoint.training.backbones.table`.
    """

    backbone: str
    heads: dict[str, str]
    block_pattern: str
    classes: list[str]
    dropout: float
    history: list[Row]


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


class Entry(TypedDict):
    """An artifact's origin: the step that made it, its parameters, and the digest of each of its inputs."""

    step: str
    digest: str | None
    code_digest: str
    parameters: Parameters
    inputs: dict[str, str]


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


class Gain(TypedDict):
    """Accuracy of a model less that of another on the same photos, in points, with its 95 % interval."""

    points: float
    low: float
    high: float


class Trainings(TypedDict):
    """collect/trainings/trainings.json: the trainings of one seed; `files` has a digest of each, by its name inside.

    `candidates` are pairs of switch epoch and learning rate, ascending; transfer learning alone is 0 and 0.
    """

    seed: int
    candidates: list[tuple[int, float]]
    files: dict[str, str]


class Result(TypedDict):
    """A training: a candidate under one seed; the first two are None for transfer learning alone."""

    switch_epoch: int | None
    learning_rate: float | None
    seed: int
    best_epoch: int
    validation_accuracy: float
    test_accuracy: float
    test_top_5: float
    test_loss: float
    diverged: bool
    model_digest: str
    seconds: float


class StartResult(TypedDict):
    """A start at the learning rate that validation prefers for it, meant over its seeds.

    `gain` is over transfer learning alone, on test, and None for that itself; `diverged` counts trainings.
    """

    switch_epoch: int | None
    learning_rate: float | None
    seeds: list[int]
    validation_accuracy: float
    test_accuracy: float
    test_top_5: float
    test_loss: float
    gain: Gain | None
    diverged: int
    seconds: float


class Best(TypedDict):
    """The training whose model is kept."""

    switch_epoch: int | None
    learning_rate: float | None
    seed: int
    model_digest: str


class Needed(TypedDict):
    """What it takes to see that two starts are `points` apart: so many seeds, or so many test photos.

    Either is None where no number of them is enough by itself, or where the run has too few seeds to say.
    """

    start: int | None
    against: int | None
    points: float
    seeds: int | None
    photos: int | None


class Verdict(TypedDict):
    """What is recommended, by the validation photos alone, and what the test photos say.

    `kind`: `no gain shown`: no start's interval against transfer learning alone lies above 0; `shown best`: one start
    lies above transfer learning alone and every other; else `set`. `starts` are those that the test photos don't tell
    apart from the one that is highest on them; None is transfer learning alone. `why` is the reason of the choice,
    `sentence` all of it in one, and `validation` what a reader should know of photos too few to choose by.
    """

    kind: Literal["shown best", "set", "no gain shown"]
    starts: list[int | None]
    recommended: int | None
    why: str
    sentence: str
    needed: Needed | None
    validation: str | None


class Apart(Gain):
    """Test accuracy of `start` less that of `against`, switch epochs, of which None is transfer learning alone.

    The intervals of a run hold all at once: see `components.report.inference`.
    """

    start: int | None
    against: int | None


class WithoutLeaked(TypedDict):
    """A start's test accuracy, and that without the leaked photos: None where no other is left."""

    switch_epoch: int | None
    test_accuracy: float
    without: float | None


class Leaked(TypedDict):
    """How many test photos have a copy in train or validation, and what the starts come to without them."""

    photos: int
    starts: list[WithoutLeaked]


class Results(TypedDict):
    """report/results. `lineage` is in the file alone: it is of all else."""

    results: list[Result]
    starts: list[StartResult]
    best: Best
    verdict: Verdict
    differences: list[Apart]
    leaked: Leaked | None
    metrics: dict[str, float]
    conclusion: str
    photos: dict[str, int]
    lineage: NotRequired[Entry]


class RecordsEntry(Entry):
    """Records' origin; `photos` by split."""

    classes: NotRequired[list[str]]
    photos: NotRequired[dict[str, int]]


class CheckpointEntry(Entry):
    """The origin of the checkpoints that fine-tuning started from; `epoch_digest` is the head's."""

    epoch: int
    epoch_digest: str | None


class Lineage(TypedDict):
    """switchpoint.json in a model file: see `switchpoint.provenance.metadata.embed`."""

    format: NotRequired[int]
    model: Entry
    records: RecordsEntry
    checkpoints: NotRequired[CheckpointEntry]
    seal: NotRequired[str]
