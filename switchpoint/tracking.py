"""What MLflow is told of a step, where its variables say which run the step is.

KFP's MLflow plugin sets them on a cluster, `switchpoint run --mlflow` on a laptop. They are no parameters: where a step
is tracked changes no result, and so no key. Whoever made the run in MLflow also ends it.

While it works, a step never waits for the tracker: a thread sends, in order, what it is given. What a server does not
take stays, and is tried again with what comes next.
"""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from switchpoint.errors import TrackingError
from switchpoint.progress import say
from switchpoint.provenance.metadata import measured

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from switchpoint.documents.evaluation import Evaluation
    from switchpoint.documents.training import Row

    Job = Callable[[MlflowClient, str], object]

URI, RUN = "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"
OF_RUN, OF_STEP, CACHED = "switchpoint.run", "switchpoint.step", "switchpoint.cached"  # tags
SQLITE = "sqlite:///"
# By default MLflow waits two minutes, eight times, tells its makers how it is used, and the terminal what it does.
QUICKLY = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# Of what nothing tries again: a server may be slow, or away for half a minute.
PATIENTLY = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4"}
NAMES = {  # of figures, in the Kubeflow UI and in MLflow
    "top-1 accuracy": "test_accuracy",
    "top-5 accuracy": "test_top_5",
    "loss": "test_loss",
    "expected calibration error": "test_ece",
    "top-1 accuracy, corrupted": "test_accuracy_corrupted",
}
MOST = 1_000  # messages that wait
_SECRET = re.compile(r"(?<=://)\S+@")  # whatever a password may hold
LONGEST = 120.0  # seconds that the end of a step waits for a server that has not taken all


class Tracker:
    """Tells MLflow what a step comes to, if it is tracked. As a context: left, all is told, or given up."""

    def __init__(self, step: str) -> None:
        """Begin; without the variables nothing is told, and MLflow is not imported.

        Args:
            step: What the lines that it says begin with.
        """
        self._step, self._epochs, self._said = step, 0, False
        self._jobs: queue.Queue[Job | None] = queue.Queue(MOST + 1)
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._tracked = bool(os.environ.get(URI) and os.environ.get(RUN))
        if self._tracked:
            for name, value in QUICKLY.items():
                os.environ.setdefault(name, value)
            self._start()

    def _start(self) -> None:
        try:
            import mlflow  # noqa: F401 (here: two threads that import at once may see half a module)
        except ImportError as error:
            self._tracked = False
            self._complain(error)
            return
        self._thread.start()
        self.tell(lambda client, run: client.get_run(run))  # connected before the first epoch ends

    def tell(self, job: Job) -> None:
        """Have it done; dropped, when too much waits already."""
        if self._tracked and self._jobs.qsize() < MOST:
            self._jobs.put_nowait(job)

    def epoch(self, row: Row, seconds: float) -> None:
        """An epoch is over; `seconds` is its wall time."""
        now = _now()
        self._epochs += 1
        self.tell(lambda client, run: client.log_batch(run, metrics=epochs([row], [seconds], now)))

    def close(self) -> None:
        """Wait until all is told, or given up: no longer than a second an epoch, or `LONGEST`."""
        if not self._tracked:
            return
        self._tracked = False
        self._jobs.put_nowait(None)
        seconds = min(self._epochs or LONGEST, LONGEST)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._complain(f"it has not taken all {seconds:g} s after the end")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _work(self) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import RestException

        client, over = None, False
        waiting: deque[Job] = deque(maxlen=MOST)
        while not over:
            given = [self._jobs.get()]
            while not self._jobs.empty():
                given.append(self._jobs.get())
            over = given[-1] is None
            waiting += [job for job in given if job]
            try:
                client = client or MlflowClient(os.environ[URI])  # whatever else in this process set one
                while waiting:
                    try:
                        waiting[0](client, os.environ[RUN])
                    except RestException as error:  # it answers, and won't have this
                        self._complain(error)
                    waiting.popleft()
            except Exception as error:  # whatever becomes of the tracker, the step goes on
                self._complain(error)

    def _complain(self, error: object) -> None:
        if not self._said:
            self._said = True
            where = shown(os.environ.get(URI, ""))
            say(self._step, f"MLflow at {where} is not told all: {told(error)}. The step goes on.")


def check_tracked() -> None:
    """Refuse to go on where no MLflow would take a version.

    Raises:
        TrackingError: The variables are not there.
    """
    if not (os.environ.get(URI) and os.environ.get(RUN)):
        raise TrackingError(
            f"A run with `promote` needs MLflow, and this step was told of none (${URI}, ${RUN}). On a cluster KFP's "
            'MLflow plugin sets them, where its settings have "injectUserEnvVars": true: docs/tracking.md. On this '
            "machine the command lost MLflow: run the same again."
        )


def shown(text: str) -> str:
    """An address, or a text with one, without a password."""
    return _SECRET.sub("", text)


def told(error: object) -> str:
    """What an error says, in a line, without a password."""
    if "failed with error code 401" in str(error):  # MLflow's says where to read about it, and not what to do
        return (
            "it does not know who asks (error 401). Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN"
        )
    return shown(str(error).splitlines()[0] if str(error) else type(error).__name__)[:300]


def epochs(rows: Sequence[Row], seconds: Sequence[float], now: int) -> list[Metric]:
    """What is told of a training: each number of each row under its name there, with the epoch as the step.

    Args:
        rows: An entry an epoch.
        seconds: Wall time of each.
        now: In milliseconds.
    """
    from mlflow.entities import Metric

    return [
        Metric(name, float(value), now, row["epoch"])
        for row, taken in zip(rows, seconds, strict=True)
        for name, value in {**row, "seconds": taken}.items()
        if name != "epoch" and isinstance(value, int | float)
    ]


def figures(evaluation: Evaluation) -> dict[str, float]:
    """What is told of an evaluation: what the Kubeflow UI shows, under names that MLflow takes."""
    return {NAMES[name]: value for name, value in measured(evaluation).items()}


def measure(client: MlflowClient, run: str, numbers: Mapping[str, float], model: str | None = None) -> None:
    """Tell a run's figures that belong to no epoch, and of which of MLflow's models they are."""
    from mlflow.entities import Metric

    now = _now()
    client.log_batch(run, metrics=[Metric(name, value, now, 0, model) for name, value in numbers.items()])


def _now() -> int:
    return time.time_ns() // 1_000_000
