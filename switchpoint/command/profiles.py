"""Where each step runs on a cluster: GPU pools, memory, retries, as a small YAML says (k8s/profiles/).

Everything becomes a constant of the compiled pipeline. Of it only the names of PersistentVolumeClaims (`volume`,
`claims`) are in KFP's cache key: another GPU does not make a step run again, another claim does. Without a profile, as
in a local run, nothing is set.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import yaml

from switchpoint import addresses
from switchpoint.command import kfp_alone, podstore
from switchpoint.command.paths import expanded
from switchpoint.command.podstore import Store
from switchpoint.errors import ParameterError
from switchpoint.provenance.digests import ROOT, STEPS, image
from switchpoint.storage.s3_client import MINIO
from switchpoint.training.states import RESUME

DIRECTORY = ROOT / "k8s" / "profiles"
CLAIM = r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?"
NO_STATES = "none"  # in place of where trainings keep their state
LONGEST_WAIT = 3600  # seconds of backoff before a retry that go into the limit on all attempts


def _check(pattern: str, allowed: str) -> Any:
    return dataclasses.field(default=None, metadata={"pattern": pattern, "allowed": allowed})


def _cpu() -> Any:
    return _check(r"\d+(\.\d+)?|\d+m", 'cores in quotes, such as "2" or "500m"')


def _size() -> Any:
    return _check(r"\d+(Ki|Mi|Gi|Ti)", "a size such as 512Mi or 16Gi")


def _duration() -> Any:
    return _check(r"[1-9]\d*[smhd]", "a time such as 30s, 10m, 24h or 7d")


@dataclass(frozen=True)
class Cpu:
    """Cores: what the scheduler keeps free for the step, and what it may not exceed."""

    request: str | None = _cpu()
    limit: str | None = _cpu()


@dataclass(frozen=True)
class Memory:
    """Memory: what the scheduler keeps free for the step, and where it is killed. Counts `shared_memory` too."""

    request: str | None = _size()
    limit: str | None = _size()


@dataclass(frozen=True)
class Accelerator:
    """The resource that a GPU is, and how many."""

    type: str | None = _check(r"[a-z0-9.-]+/[a-zA-Z0-9._-]+", "a resource of the node, such as nvidia.com/gpu")
    count: int | None = _check(r"[1-9]\d*", "a whole number from 1")


@dataclass(frozen=True)
class Toleration:
    """A taint that the step puts up with."""

    key: str | None = _check(r".+", "the taint's key")
    operator: str | None = _check(r"Equal|Exists", "Equal or Exists")
    value: str | None = _check(r".*", "the taint's value, in quotes")
    effect: str | None = _check(r"NoSchedule|PreferNoSchedule|NoExecute", "NoSchedule, PreferNoSchedule or NoExecute")


@dataclass(frozen=True)
class Retries:
    """How often a failed step is tried again; `backoff` before the first time, then `factor` times as long."""

    count: int | None = _check(r"\d+", "a whole number")
    backoff: str | None = _duration()
    # Argo Workflows reads it as a whole number and fails the step otherwise.
    factor: int | None = _check(r"[1-9]\d*", "a whole number from 1")


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim, and the directory where the step sees it."""

    claim: str | None = _check(CLAIM, "the claim's name")
    path: str | None = _check(r"/.+", "an absolute path, such as /resume")


@dataclass(frozen=True)
class Placement:
    """What one step gets. `timeout` is for each attempt, from the start of its pod."""

    accelerator: Accelerator | None = None
    node_selector: dict[str, str] | None = None
    tolerations: list[Toleration] | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    ephemeral_storage: str | None = _size()
    shared_memory: str | None = _size()
    volume: Volume | None = None
    retries: Retries | None = None
    timeout: str | None = _duration()


@dataclass(frozen=True)
class Profile:
    """A placement for each step, where trainings keep the state that they go on from, and which volumes have photos.

    Attributes:
        name: Its file's.
        steps: A placement for each.
        resume: See training/resume.py; `NO_STATES`: none are kept.
        claims: PersistentVolumeClaims that the steps which read photos see: `pvc://CLAIM/…`.
        store: How pods reach s3:// addresses and, where it names an endpoint and `minio` is not given, minio:// ones.
        minio: How pods reach minio:// addresses.
    """

    name: str
    steps: dict[str, Placement]
    resume: str | None = None
    claims: tuple[str, ...] = ()
    store: Store | None = None
    minio: Store | None = None

    @property
    def device(self) -> str:
        """`gpu` when a step asks for one, else `cpu`: which images the profile needs."""
        return "gpu" if any(placement.accelerator for placement in self.steps.values()) else "cpu"


def names() -> list[str]:
    """The profiles that ship."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


def load(profile: str) -> Profile:
    """Read a profile by its name, or from a file.

    Raises:
        ParameterError: There is none, or it breaks the schema; names the file, the key and what is allowed.
    """
    path = expanded(profile) if profile.endswith((".yaml", ".yml")) else DIRECTORY / f"{profile}.yaml"
    if not path.is_file():
        raise ParameterError(f"There is no profile {profile!r}. There are: {', '.join(names())}; or give a .yaml file.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is no YAML: {error}") from error
    content = {} if content is None else content
    _keys(content, ("default", "steps", "resume", "claims", "store", "minio"), f"{path}: ")
    default, steps = content.get("default") or {}, content.get("steps") or {}
    resume = content.get("resume")
    if resume is not None and not keeps_or_none(str(resume)):
        raise ParameterError(f"{path}: resume is {resume!r}: give {addresses.BUCKET} or the path of a volume, or none.")
    _placement(default, f"{path}: default")
    _keys(steps, STEPS, f"{path}: steps.")
    return Profile(
        path.stem,
        {
            step: _placement(_merged(default, steps.get(step) or {}, f"{path}: steps.{step}"), f"{path}: steps.{step}")
            for step in STEPS
        },
        resume,
        _claims(content.get("claims"), f"{path}: claims"),
        *(_read(Store, content[key], f"{path}: {key}") if content.get(key) else None for key in ("store", "minio")),
    )


def keeps_or_none(resume: str) -> bool:
    """Whether it says where a cluster is to keep states: a bucket, a path in a pod, or that none are kept."""
    return resume == NO_STATES or resume.startswith("/") or addresses.is_remote(resume)


def _claims(value: Any, where: str) -> tuple[str, ...]:
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(each, str) and re.fullmatch(CLAIM, each) for each in value):
        raise ParameterError(f"{where} is {value!r}: give a list of PersistentVolumeClaims' names, such as [photos].")
    return tuple(value)


def for_run(profile: Profile, resume: str | None, uses: Sequence[str]) -> Profile:
    """The profile with what the addresses that a run uses ask for: their volumes, and the store of minio://.

    Args:
        profile: As it was loaded.
        resume: Where trainings keep their state; by default what the profile says.
        uses: The run's dataset, weights, pipeline root; "" among them is none.
    """
    resume = resume or profile.resume
    volumes = [addresses.volume(address)[0] for address in uses if addresses.is_volume(address)]
    return dataclasses.replace(
        profile,
        resume=None if resume == NO_STATES else resume,
        claims=(*profile.claims, *volumes),
        minio=podstore.shipped_if_used(profile.store, profile.minio, [*uses, resume or ""]),
    )


def _merged(default: Mapping[str, Any], own: Any, where: str) -> dict[str, Any]:
    _placement(own, where)
    return {**default, **own}


def _placement(values: Any, where: str) -> Placement:
    placement: Placement = _read(Placement, values, where)
    retries = placement.retries
    if retries and retries.count and not placement.timeout and "steps." in where:
        raise ParameterError(f"{where}.retries needs a timeout, which limits each attempt. Add one, such as 24h.")
    return placement


def _read(kind: type, values: Any, where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    _keys(values, tuple(fields), f"{where}.")
    hints = get_type_hints(kind)
    return kind(**{key: _value(fields[key], hints[key], value, f"{where}.{key}") for key, value in values.items()})


def _value(field: dataclasses.Field[Any], hint: Any, value: Any, where: str) -> Any:
    wanted = next(argument for argument in get_args(hint) if argument is not type(None))
    if dataclasses.is_dataclass(wanted):
        result = _read(wanted, value, where)  # type: ignore[arg-type]
        if wanted is Accelerator and None in (result.type, result.count):
            raise ParameterError(f"{where} needs type and count, such as {{type: nvidia.com/gpu, count: 1}}.")
        if wanted is Volume and None in (result.claim, result.path):
            raise ParameterError(f"{where} needs claim and path, such as {{claim: resume, path: /resume}}.")
        if wanted is Retries and None in (result.count, result.backoff, result.factor):
            raise ParameterError(
                f"{where} needs count, backoff and factor, such as {{count: 3, backoff: 60s, factor: 2}}."
            )
        return result
    if wanted == list[Toleration]:
        if not isinstance(value, list):
            raise ParameterError(f"{where} is {value!r}: give a list of tolerations.")
        return [_read(Toleration, item, f"{where}[{number}]") for number, item in enumerate(value)]
    if wanted == dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(text, str) for pair in value.items() for text in pair):
            raise ParameterError(f'{where} is {value!r}: give labels and their values as text, "true" in quotes.')
        return value
    # YAML reads an unquoted 2 as a number and true as a truth value; only text and whole numbers are meant here.
    if type(value) is not wanted or not re.fullmatch(field.metadata["pattern"], str(value)):
        raise ParameterError(f"{where} is {value!r}: give {field.metadata['allowed']}.")
    return value


def _keys(values: Any, allowed: tuple[str, ...], where: str) -> None:
    if not isinstance(values, dict):
        raise ParameterError(f"{where.rstrip('.: ')} is {values!r}: give a mapping with {', '.join(allowed)}.")
    for key in values:
        if key not in allowed:
            raise ParameterError(f"{where}{key} is unknown. Allowed: {', '.join(allowed)}.")


_current: Profile | None = None


@contextlib.contextmanager
def using(profile: Profile) -> Iterator[None]:
    """While it lasts, the pipeline's tasks get what the profile gives their step."""
    global _current
    _current = profile
    try:
        yield
    finally:
        _current = None


def place(task: Any, step: str, display_name: str) -> Any:
    """Give a task its readable name and, under `using`, its place."""
    task.set_display_name(display_name)
    if _current:
        _apply(task, _trying(_current) if step == "digest" else _current.steps[step])
        waits = step == "promote" and addresses.is_remote(_current.resume or "")  # for other promotions, there
        if _current.resume and (waits or step in ("digest", "transfer", "finetune")):
            task.set_env_variable(RESUME, _current.resume)
        for claim in sorted(set(_current.claims)) if step in ("digest", "prepare") else ():
            kfp_alone.kubernetes().mount_pvc(task, claim, str(addresses.mount(claim)))
        if step in podstore.READERS:
            podstore.reach(task, _current.store or Store())
            podstore.reach(task, _current.minio or Store(), MINIO)
        # The components' images were named when they were imported, perhaps for another registry or device.
        task.set_container_image(image(step))
    return task


def _trying(profile: Profile) -> Placement:
    """The first step's place: it tries whether states can be written on the volume that the trainings will have."""
    own = profile.steps["digest"]
    if not (profile.resume or "").startswith("/"):
        return own
    volumes = (own.volume, profile.steps["transfer"].volume, profile.steps["finetune"].volume)
    return dataclasses.replace(own, volume=next(filter(None, volumes), None))


def _apply(task: Any, placement: Placement) -> None:
    kubernetes = kfp_alone.kubernetes()

    if placement.cpu:
        _if_given(task.set_cpu_request, placement.cpu.request)
        _if_given(task.set_cpu_limit, placement.cpu.limit)
    if placement.memory:
        _if_given(task.set_memory_request, placement.memory.request)
        _if_given(task.set_memory_limit, placement.memory.limit)
    if placement.accelerator:
        task.set_accelerator_type(placement.accelerator.type)
        task.set_accelerator_limit(placement.accelerator.count)
    for label, value in sorted((placement.node_selector or {}).items()):
        kubernetes.add_node_selector(task, label, value)
    for toleration in placement.tolerations or []:
        kubernetes.add_toleration(task, **dataclasses.asdict(toleration))
    if placement.shared_memory:
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", "Memory", placement.shared_memory)
    if placement.volume:
        kubernetes.mount_pvc(task, placement.volume.claim, placement.volume.path)
    if placement.ephemeral_storage:
        # KFP has no request for ephemeral storage. A volume with a limit is what a step's scratch files go to (HOME is
        # /tmp in our images), and keeps the root file system read-only.
        kubernetes.empty_dir_mount(task, "scratch", "/tmp", size_limit=placement.ephemeral_storage)
    if placement.timeout:
        kubernetes.set_timeout(task, seconds(placement.timeout))
    if placement.retries and placement.retries.count:
        retries, timeout = placement.retries, seconds(str(placement.timeout))
        wait = seconds(str(retries.backoff))
        waits = [wait * (retries.factor or 1) ** number for number in range(retries.count or 0)]
        # KFP's default is an hour from the start of the *first* attempt: after it Argo Workflows retries no more and
        # ends the attempt that runs. So it is made as long as all attempts may take.
        longest = timeout * (len(waits) + 1) + sum(waits) + LONGEST_WAIT
        task.set_retry(len(waits), f"{wait}s", float(retries.factor or 1), f"{longest}s")


def _if_given(set_it: Any, value: str | None) -> None:
    if value is not None:
        set_it(value)


def seconds(duration: str) -> int:
    """24h as 86400."""
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[duration[-1]]
