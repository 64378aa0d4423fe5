"""The shapes of what the command writes and shows: JSON objects, key by key. What steps write: `switchpoint.documents`.

Types alone, like those: import this under `if TYPE_CHECKING`.
"""

from typing import Any, Literal, NotRequired, TypedDict

from switchpoint.documents.drift import NewPhotos
from switchpoint.documents.lineage import Parameters
from switchpoint.documents.promotion import Promoted
from switchpoint.documents.records import Duplicates, LeftOut
from switchpoint.documents.results import (
    Apart,
    Best,
    Eliminated,
    Gain,
    Leaked,
    Result,
    SearchResult,
    StartResult,
    Verdict,
)


class RememberedFile(TypedDict):
    """A file of an artifact when its step ended; `modified` in nanoseconds, as `os.stat` has it."""

    bytes: int
    modified: int
    sha256: str


class RememberedOutput(TypedDict):
    """artifacts/ID/STEP/files.json, for each output: the digest in its metadata, its files by their names inside."""

    digest: str | None
    files: dict[str, RememberedFile]


class Step(TypedDict):
    """A step of a run. `inputs` and `outputs` are URIs; `log` is relative to the run's directory.

    `packages` is a digest of what is installed on this machine, where a process runs the step and not a container.
    `state` is planned as cached or will run; a run's is pending (others run), running, then cached, ran, failed,
    interrupted or skipped; a cluster's also waiting (`why` says for what) or canceled, and there `node` is the
    workflow's; `pod` is that of a step that failed. `expected` of a planned step are the seconds that it would take
    with the machine for itself: see `switchpoint.command.runs.estimate`.
    `rung` is of a search, from 1: a fine-tuning until that rung's end, or what halves it; None: to its end. In a plan
    `at_most` counts steps that are alike but for their candidates: which ones go on in a search is not known yet.
    """

    name: str
    seed: int | None
    switch_epoch: int | None
    learning_rate: float | None
    rung: NotRequired[int | None]
    state: str
    seconds: float | None
    why: NotRequired[str]
    at_most: NotRequired[int]
    expected: NotRequired[float]
    expected_by: NotRequired[Literal["earlier runs", "rates"]]
    error: NotRequired[str | None]
    started: NotRequired[str]
    ended: NotRequired[str | None]
    image: NotRequired[str]
    packages: NotRequired[str]
    parameters: NotRequired[Parameters]
    inputs: NotRequired[dict[str, list[str]]]
    outputs: NotRequired[dict[str, str]]
    log: NotRequired[str | None]
    node: NotRequired[str]
    pod: NotRequired[str]


class LastRun(TypedDict):
    """The newest run of a schedule."""

    id: str
    state: str
    started: str


class Schedule(TypedDict):
    """A recurring run of a cluster: `state` is enabled or paused; `cron` has seconds first, in UTC."""

    id: str
    name: str
    state: Literal["enabled", "paused"]
    cron: str
    parameters: Parameters
    url: str
    last: LastRun | None


class Run(TypedDict):
    """runs/ID/run.json, and what `switchpoint runs --json` shows. Times are ISO 8601 in UTC.

    Paths are whole here and relative to the runs' directory in the file: see `switchpoint.command.runs.store`.

    `state` is running, succeeded, failed (a step did) or interrupted (Ctrl-C, SIGTERM, or its process is gone: the same
    command goes on from there); on a cluster in the API's words, except that canceled is no failure. Of a run on a
    cluster some keys are not known, and it has a `url`. `name` and `note` are what a person said of it, `disk` the
    bytes that removing it would free; `runs` alone counts them.
    """

    id: str
    state: str
    parameters: Parameters
    steps: list[Step]
    results: list[Result | Eliminated]
    search: NotRequired[SearchResult | None]
    starts: NotRequired[list[StartResult]]
    best: NotRequired[Best]
    verdict: NotRequired[Verdict]
    differences: NotRequired[list[Apart]]
    leaked: NotRequired[Leaked | None]
    conclusion: NotRequired[str]
    drift: NotRequired[NewPhotos]
    promotion: NotRequired[Promoted]
    left_out: NotRequired[list[LeftOut]]
    duplicates: NotRequired[list[Duplicates]]
    dropped: NotRequired[list[LeftOut]]
    notes: NotRequired[list[str]]
    report: NotRequired[str | None]
    model: NotRequired[str | None]
    started: str | None
    ended: str | None
    runner: NotRequired[str]
    process: NotRequired[int]
    cores: NotRequired[int]
    versions: NotRequired[dict[str, str]]
    commit: NotRequired[str | None]
    name: NotRequired[str]
    note: NotRequired[str]
    disk: NotRequired[int]
    url: NotRequired[str]


ClassCount = TypedDict("ClassCount", {"class": str, "train": int, "validation": int, "test": int})
ClassSize = TypedDict("ClassSize", {"class": str, "photos": int})
SplitSize = TypedDict("SplitSize", {"photos": int, "from": str})


class Checked(TypedDict):
    """`switchpoint check --json`: a dataset as it is, nothing left out but what can't be read.

    `photos` are the readable ones. `from` says of each split whether it is the dataset's own or was cut: `dataset` or
    `cut`. `without` names, by split, the classes that have no photo in it. `decide` is what a person has to decide, a
    sentence each; the exit code is 3 unless it is empty.
    """

    dataset: str
    digest: str
    classes: list[ClassCount]
    photos: int
    splits: dict[str, SplitSize]
    smallest: list[ClassSize]
    without: dict[str, list[str]]
    left_out: list[LeftOut]
    duplicates: list[Duplicates]
    notes: list[str]
    decide: list[str]


class LabelInDoubt(TypedDict):
    """`switchpoint labels --json` has these in `in_doubt`: a photo whose label is disputed, and what it is taken for.

    The probabilities are those of a head that was not trained on the photo.
    """

    photo: str
    split: str
    label: str
    suggested: str
    label_probability: float
    probability: float


class About(TypedDict, total=False):
    """runs/ID/about.json: what a person says of a run, at its start or later. A document has it as its own."""

    name: str
    note: str


class ComparedRun(TypedDict):
    """A run that is compared: its recommended start's figures, means over its seeds, and validation accuracy an epoch.

    `leaked` counts the test photos that its training or validation has, too; the accuracies count them.
    `training_seconds` are those of all its trainings, also of those that it took from other runs.
    """

    id: str
    name: str | None
    recommended: int | None
    test_accuracy: float
    validation_accuracy: float
    test_photos: int
    leaked: int
    seeds: list[int]
    training_seconds: float
    curves: dict[str, list[float]]


class ComparedStart(TypedDict):
    """A start of runs, in their order, each at the learning rate that its validation prefers.

    None where a run does not have it, and as `switch_epoch` and `learning_rate` for transfer learning alone.
    """

    switch_epoch: int | None
    learning_rate: list[float | None]
    test_accuracy: list[float | None]
    validation_accuracy: list[float | None]


class RunsApart(Gain):
    """Test accuracy of `run` less that of `against`, in points, for one start: of each the recommended, or the same."""

    start: int | Literal["recommended"] | None
    run: str
    against: str


class Compared(TypedDict):
    """`switchpoint compare --json`; `parameters` are those that differ, by name, a value a run.

    The intervals of `differences` hold all at once, over the `seeds` that all runs have, on the test photos without the
    `leaked` ones of any run; where the test photos are not the same there are none, and `why_not` says why.
    """

    runs: list[ComparedRun]
    parameters: dict[str, list[Any]]
    starts: list[ComparedStart]
    paired: bool
    why_not: str
    seeds: list[int]
    leaked: int
    differences: list[RunsApart]


class Node(TypedDict):
    """An artifact in a graph of lineage: kind is model, checkpoint, records, dataset or weights."""

    id: str
    kind: str
    name: str
    digest: str | None
    step: str
    code_digest: str
    parameters: Parameters
    made_by_run: str | None
    path: str | None
    epoch: NotRequired[int]
    checkpoints_digest: NotRequired[str]
    classes: NotRequired[list[str] | None]
    photos: NotRequired[dict[str, int] | None]


Edge = TypedDict("Edge", {"from": str, "to": str})


class Graph(TypedDict):
    """`switchpoint lineage --json`: `model` is a node's id; `uri` is where a cluster's model was read from."""

    model: str
    nodes: list[Node]
    edges: list[Edge]
    run: NotRequired[str]
    best: NotRequired[bool]
    uri: NotRequired[str]


class Check(TypedDict):
    """A digest computed anew: `ok` is None where that can't be done here."""

    node: str | None
    what: str
    ok: bool | None
    why: str
