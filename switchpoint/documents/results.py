"""What report writes: the package says how to read them."""

from typing import Literal, NotRequired, TypedDict

from switchpoint.documents.lineage import Entry


class Gain(TypedDict):
    """Accuracy of a model less that of another on the same photos, in points, with its 95 % interval."""

    points: float
    low: float
    high: float


class Result(TypedDict):
    """A training: a candidate under one seed; the first two are None for transfer learning alone."""

    switch_epoch: int | None
    learning_rate: float | None
    seed: int
    rung: None
    best_epoch: int
    validation_accuracy: float
    test_accuracy: float
    test_top_5: float
    test_loss: float
    diverged: bool
    model_digest: str
    seconds: float


class Eliminated(TypedDict):
    """A candidate of a search after its last rung, from 1: it went no further, and never saw the test photos."""

    switch_epoch: int
    learning_rate: float
    seed: int
    rung: int
    best_epoch: int
    validation_accuracy: float
    test_accuracy: None
    test_top_5: None
    test_loss: None
    diverged: bool
    model_digest: str
    seconds: float


class RungResult(TypedDict):
    """A rung of a search: it ended after so many epochs of fine-tuning, and of so many candidates so many went on."""

    epochs: int
    candidates: int
    survivors: int


class SearchResult(TypedDict):
    """Epochs of fine-tuning that a search spent, with all seeds, and that a sweep of all would spend at most."""

    epochs: int
    sweep_epochs: int
    rungs: list[RungResult]


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

    The intervals of a run hold all at once: see `switchpoint.inference`.
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

    results: list[Result | Eliminated]
    search: SearchResult | None
    starts: list[StartResult]
    best: Best
    verdict: Verdict
    differences: list[Apart]
    leaked: Leaked | None
    metrics: dict[str, float]
    conclusion: str
    photos: dict[str, int]
    lineage: NotRequired[Entry]
