"""Errors that a user can act on: each says what is wrong, what was received and what to do.

Those that only the command raises are in `switchpoint/command/errors.py`: this is in the images.
"""


class SwitchpointError(Exception):
    """Base of all of them; the command prints its message without a traceback."""


class ParameterError(SwitchpointError):
    """A parameter's value is wrong: nothing was started."""


class DatasetError(SwitchpointError):
    """The photos are not there, not laid out as said, or not what the digest says."""


class NoPhotosError(SwitchpointError):
    """There is no photo to look at, or too few."""


class RecordsError(SwitchpointError):
    """The records are incomplete or not what their manifest says."""


class WeightsError(SwitchpointError):
    """The pretrained weights can't be had, read, or are not what the digest says."""


class CheckpointNotFoundError(SwitchpointError):
    """No checkpoint was saved for the switch epoch."""


class DamagedCheckpointError(SwitchpointError):
    """A checkpoint's files are not what was saved."""


class DamagedModelError(SwitchpointError):
    """A model is not the one that was trained."""


class DivergedError(SwitchpointError):
    """The loss stopped being a number before there was anything to keep."""


class LineageError(SwitchpointError):
    """A model file carries no lineage, or none that can be read."""


class NoSpaceError(SwitchpointError):
    """There is no room on the disk for what has to be written."""


class ProcessEndedError(SwitchpointError):
    """A process that works for a step ended before its work was done."""


class StorageError(SwitchpointError):
    """An object or a bucket can't be read or written."""


class LostError(StorageError):
    """An object is not there, or not whole; others of the same bucket may be."""


class TrackingError(SwitchpointError):
    """MLflow can't be reached, or refused."""


class PromotionError(SwitchpointError):
    """A model can't be compared with the champion, or there is none to go back to."""


def again(step: str) -> str:
    """What to do about an artifact of `step` that is not what it was: a sentence for the end of an error."""
    return (
        f"Run {step} again: on this machine the next run does. A cluster's cache does not look into artifacts, and "
        "gives this one again: docs/kubeflow.md, A broken artifact, says what to do."
    )
