"""The shapes of what the command writes and shows: JSON objects, key by key. What steps write: `switchpoint.documents`.

Types alone, like those: import this under `if TYPE_CHECKING`.
"""

from typing import NotRequired, TypedDict

from switchpoint.documents import Apart, Best, Duplicates, Leaked, LeftOut, Parameters, Result, StartResult, Verdict


class RememberedFile(TypedDict):
    """A file of an artifact when its step ended; `modified` in nanoseconds, as `os.stat` has it."""

    bytes: int
    modified: int
    sha256: str


class RememberedOutput(TypedDict):
    """runs/ID/STEP/files.json, for each output: the digest in its metadata, and its files by their names inside."""

    digest: str | None
    files: dict[str, RememberedFile]


class Step(TypedDict):
    """A step of a run. `inputs` and `outputs` are URIs; `log` is relative to the run's directory.

    `packages` is a digest of what is installed on this machine, where a process runs the step and not a container.
    `state` is planned as cached or will run; a run's is pending (others run), running, then cached, ran, failed,
    interrupted or skipped; a cluster's also waiting (`why` says for what) or canceled, and there `node` is the
    workflow's; `pod` is that of a step that failed.
    """

    name: str
    seed: int | None
    switch_epoch: int | None
    learning_rate: float | None
    state: str
    seconds: float | None
    why: NotRequired[str]
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


class Run(TypedDict):
    """runs/ID/run.json, and what `switchpoint runs --json` shows. Times are ISO 8601 in UTC.

    `state` is running, succeeded, failed (a step did) or interrupted (Ctrl-C, SIGTERM, or its process is gone: the same
    command goes on from there); on a cluster in the API's words, except that canceled is no failure. Of a run on a
    cluster some keys are not known, and it has a `name` and a `url`.
    """

    id: str
    state: str
    parameters: Parameters
    steps: list[Step]
    results: list[Result]
    starts: NotRequired[list[StartResult]]
    best: NotRequired[Best]
    verdict: NotRequired[Verdict]
    differences: NotRequired[list[Apart]]
    leaked: NotRequired[Leaked | None]
    conclusion: NotRequired[str]
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
    versions: NotRequired[dict[str, str]]
    commit: NotRequired[str | None]
    name: NotRequired[str]
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
