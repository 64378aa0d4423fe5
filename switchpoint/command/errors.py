"""Errors of the command; those of the steps are in `switchpoint/errors.py`."""

from switchpoint.errors import SwitchpointError


class ClusterError(SwitchpointError):
    """Kubeflow Pipelines refused, or a run there did not succeed."""


class RunNotFoundError(SwitchpointError):
    """No run of that name is here, or more than one."""


class RunFailedError(SwitchpointError):
    """A step of a run on this machine failed."""


class RunsDirectoryError(SwitchpointError):
    """The runs' directory can't be written, or holds what is no run."""


class RunUnderWayError(SwitchpointError):
    """The run is under way: what it has can't be removed."""


class NoModelError(SwitchpointError):
    """The run has no model to show or to publish, or what was given is none."""


class NoLogError(SwitchpointError):
    """The run has no such step."""


class ArtifactGoneError(SwitchpointError):
    """What a run made is not where it was."""


class ExportError(SwitchpointError):
    """The model can't be written there, or in that format."""


class MissingPackageError(SwitchpointError):
    """A library of an extra is not installed."""


class RunnerError(SwitchpointError):
    """Kubeflow's local runner, or what it starts, stopped without a step's error."""


class PageError(SwitchpointError):
    """The program that serves a page ended by itself."""
