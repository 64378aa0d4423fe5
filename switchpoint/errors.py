"""Errors that a user can act on: each says what is wrong, what was received and what to do."""


class SwitchpointError(Exception):
    """Base of all of them; the command prints its message without a traceback."""


class ParameterError(SwitchpointError):
    """A parameter's value is wrong: nothing was started."""


class DatasetError(SwitchpointError):
    """The photos are not there, not laid out as said, or not what the digest says."""


class RecordsError(SwitchpointError):
    """The records are incomplete or not what their manifest says."""


class WeightsError(SwitchpointError):
    """The pretrained weights can't be had, read, or are not what the digest says."""


class CheckpointNotFoundError(SwitchpointError):
    """No checkpoint was saved for the switch epoch."""


class StorageError(SwitchpointError):
    """An object or a bucket can't be read or written."""


class ClusterError(SwitchpointError):
    """Kubeflow Pipelines refused, or a run there did not succeed."""
