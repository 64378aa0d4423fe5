"""Which version of a model is in use: MLflow's alias `champion`, which moves by `promote` and `rollback` alone.

The registered model's tag `switchpoint.champions` has the champions so far, oldest first, each with the best one that
there was by then. Of what is written in two places the alias comes last where it goes on, and first where it goes back:
what stands after the alias' version does not count.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from switchpoint.data.manifest import read_contents, verify_records
from switchpoint.errors import PromotionError
from switchpoint.provenance.metadata import embedded
from switchpoint.registry.judge import Judgement, judge
from switchpoint.registry.versions import Version, every, fetch
from switchpoint.tracking import told as say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from mlflow import MlflowClient

    from switchpoint.documents.promotion import Promoted
    from switchpoint.documents.records import Manifest

    Right = np.ndarray[Any, Any]

ALIAS, CHAMPIONS = "champion", "switchpoint.champions"
ANSWER, BACK = "switchpoint.promotion", "switchpoint.rolled_back"  # tags of a version
KEPT = 100  # champions that the tag remembers: MLflow's tags have 5,000 characters


class Reign(TypedDict):
    """A champion, and the best champion ever when it became one: numbers of versions."""

    version: int
    best: int


class Promotion(NamedTuple):
    """What came of it.

    Attributes:
        version: The challenger.
        outcome: promoted, worse or undecided; champion, if it is that already; refused, where a run's last step could
            not compare them.
        against: What the photos say of the challenger beside the champion, and beside the best champion ever where
            that is another version; empty where there was no champion.
        sentence: All of it, for a person.
    """

    version: int
    outcome: str
    against: dict[int, Judgement]
    sentence: str

    def document(self, name: str) -> Promoted:
        """As JSON, of the model of that name."""
        against = {number: judgement._asdict() for number, judgement in self.against.items()}
        return {
            "name": name,
            "version": self.version,
            "outcome": self.outcome,
            "against": against,
            "sentence": self.sentence,
        }


def promote(
    client: MlflowClient,
    uri: str,
    name: str,
    number: int | None,
    margin: float,
    photos: Callable[[Version], TestPhotos],
    *,
    again: bool = False,
    sure: Callable[[], None] = lambda: None,
) -> Promotion:
    """Make a version the champion, if it is shown to be no further below than the margin.

    It is compared with the champion and with the best champion ever, each on the test photos of the challenger's run
    on which neither was trained: a champion that may be worse by the margin is no yardstick for the next.

    Args:
        client: MLflow's.
        uri: Its address.
        name: Of the registered model.
        number: The challenger's; None: the newest.
        margin: In points.
        photos: Gives the test photos of the challenger's run.
        again: Also one that a person took back from being the champion.
        sure: Called before anything is moved; raises where another may be at it, too.

    Raises:
        PromotionError: They can't be compared.
    """
    reigns = champions(client, name)
    versions = {each.number: each for each in every(client, name)}
    challenger = _version(versions, number or max(versions, default=0), name)
    if reigns and challenger.number == reigns[-1]["version"]:
        return Promotion(
            challenger.number, "champion", {}, f"Version {challenger.number} of {name} is the champion already."
        )
    if BACK in challenger.tags and not again:
        raise PromotionError(
            f"Version {challenger.number} of {name} was rolled back. A person promotes it again: switchpoint promote "
            f"{name} --version {challenger.number}"
        )
    if not reigns:
        said = f"Version {challenger.number} of {name} is promoted: there was no champion to compare it with."
        found = Promotion(challenger.number, "promoted", {}, said)
        best = challenger.number
    else:
        found = _judged(uri, name, challenger, reigns[-1], versions, photos, margin)
        # Best when shown better: by the higher figure noise would lower the bar, one promotion after the other.
        judged = found.against.get(reigns[-1]["best"])
        best = challenger.number if judged and judged.low > 0 else reigns[-1]["best"]
    sure()
    client.set_model_version_tag(name, str(challenger.number), ANSWER, found.sentence)
    if found.outcome == "promoted":
        if BACK in challenger.tags:
            client.delete_model_version_tag(name, str(challenger.number), BACK)
        _tell(client, name, [*reigns, {"version": challenger.number, "best": best}])
        _point(client, name, challenger.number)
    return found


def _judged(
    uri: str,
    name: str,
    challenger: Version,
    last: Reign,
    versions: Mapping[int, Version],
    photos: Callable[[Version], TestPhotos],
    margin: float,
) -> Promotion:
    tried = [
        _version(versions, each, name) for each in dict.fromkeys((challenger.number, last["version"], last["best"]))
    ]
    right = photos(challenger).right(uri, tried)
    against = {each.number: _compared(challenger, each, right, margin) for each in tried[1:]}
    outcomes = {each.outcome for each in against.values()}
    outcome = next(each for each in ("worse", "undecided", "promoted") if each in outcomes)
    said = sentence(name, challenger.number, outcome, against, last["version"], margin)
    return Promotion(challenger.number, outcome, against, said)


def _version(versions: Mapping[int, Version], number: int, name: str) -> Version:
    if number not in versions:
        raise PromotionError(
            f"{name} has no version{f' {number}' * bool(number)} that `switchpoint register` made. It has "
            f"{', '.join(map(str, versions)) or 'none'}."
        )
    return versions[number]


def _compared(challenger: Version, other: Version, right: Mapping[int, Right], margin: float) -> Judgement:
    mine, theirs = right[challenger.number], right[other.number]
    both = ~(np.isnan(mine) | np.isnan(theirs))
    if not both.any():
        raise PromotionError(
            f"Of the {len(both)} test photos of version {challenger.number} none is left to compare it on with version "
            f"{other.number}: {np.isnan(mine).sum()} are in its own training, too, or copies, and "
            f"{np.isnan(theirs).sum()} in the other's. Add photos, or run it with the other's seed."
        )
    return judge(mine[both] == 1, theirs[both] == 1, margin)


def rollback(client: MlflowClient, name: str) -> str:
    """Give the alias back to the champion before, and say so; where the champion was deleted, to the last that is left.

    Raises:
        PromotionError: There was none.
    """
    reigns, current, _ = _reigns(client, name)
    left = reigns[:-1] if current else reigns
    if not left:
        raise PromotionError(f"{name} has had {len(reigns)} champions that are left: there is none to go back to.")
    if current:
        client.set_model_version_tag(name, str(current), BACK, "true")
    _point(client, name, left[-1]["version"])
    _tell(client, name, left)
    before = f", and version {current} is not" if current else ""
    return f"Version {left[-1]['version']} of {name} is the champion again{before}."


def champions(client: MlflowClient, name: str) -> list[Reign]:
    """The champions so far that are left, oldest first; the last one has the alias.

    Raises:
        PromotionError: There is no such model, or its champion was deleted.
    """
    reigns, current, told = _reigns(client, name)
    if current:
        return reigns
    if not told or len(told) == len(reigns) == 1:  # the first promotion was killed before it moved the alias
        return []
    raise PromotionError(
        f"{name} has had {len(told)} champions, and no version has the alias `{ALIAS}`: it was deleted, or the alias. "
        f"Set it in MLflow, or: switchpoint rollback {name}"
    )


def _reigns(client: MlflowClient, name: str) -> tuple[list[Reign], int | None, list[Reign]]:
    """The champions of versions that are still there until the one that has the alias, that one, and all told of."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise PromotionError(f"{name} is not registered ({say(error)}). See: switchpoint register.") from error
    told: list[Reign] = json.loads(model.tags.get(CHAMPIONS, "[]"))
    there = {each.number for each in every(client, name)}
    current = int(model.aliases[ALIAS]) if ALIAS in model.aliases else None
    until = told
    if current:
        places = [place for place, each in enumerate(told) if each["version"] == current]
        until = told[: places[-1] + 1] if places else [{"version": current, "best": current}]  # set by hand
    found: list[Reign] = []
    for each in until:
        if each["version"] in there:
            other = found[-1]["best"] if found else each["version"]
            found.append({"version": each["version"], "best": each["best"] if each["best"] in there else other})
    return found, current, told


def _tell(client: MlflowClient, name: str, reigns: list[Reign]) -> None:
    client.set_registered_model_tag(name, CHAMPIONS, json.dumps(reigns[-KEPT:]))


def _point(client: MlflowClient, name: str, version: int) -> None:
    client.set_registered_model_alias(name, ALIAS, str(version))


class TestPhotos:
    """The test photos of a run."""

    def __init__(self, records: Path, source: Path) -> None:
        """Read which they are.

        Args:
            records: What prepare wrote.
            source: What it wrote of the dataset.
        """
        self.place = records
        self.manifest: Manifest = verify_records(records)
        self.contents = read_contents(records)["test"]
        self.copied = json.loads(source.read_text(encoding="utf-8"))["copied"]

    def right(self, uri: str, versions: Sequence[Version]) -> dict[int, Right]:
        """Whether each version names each photo right: 1 or 0 (photos,); NaN where it was trained on it.

        NaN, too, where this dataset has a copy of it in training: of a copy that has left the dataset nobody knows.

        Raises:
            PromotionError: A version has other classes, or wants larger photos than the records have.
        """
        with tempfile.TemporaryDirectory() as directory:
            fetched = {each.number: fetch(uri, each, Path(directory, str(each.number))) for each in versions}
            for each in versions:  # before any is asked
                self._check(fetched[each.number][0], each)
            return {number: self._right(model, seen) for number, (model, seen) in fetched.items()}

    def _right(self, model: Path, seen: set[str]) -> Right:
        import keras
        import tensorflow as tf

        from switchpoint.data import records

        def pixels(example: dict[str, Any]) -> Any:
            return tf.io.decode_jpeg(example["image"], channels=3, dct_method="INTEGER_ACCURATE")

        examples = records.dataset(self.place, "test")
        labels = np.array([int(each["label"]) for each in examples])
        loaded = keras.models.load_model(model, compile=False)
        names = loaded.get_layer("labels").get_layer("class_names").get_vocabulary()
        order = [names.index(each) for each in self.manifest["classes"]]
        said = loaded.predict(examples.map(pixels).batch(32), verbose=0)[:, order].argmax(axis=1)
        right: Right = (said == labels).astype(float)
        right[[each in seen for each in self.contents]] = np.nan
        right[self.copied] = np.nan
        return right

    def _check(self, model: Path, version: Version) -> None:
        theirs, mine = set(embedded(model)["records"]["classes"]), set(self.manifest["classes"])
        if theirs != mine:
            raise PromotionError(
                f"Version {version.number} has {len(theirs)} classes and the challenger {len(mine)}, and they differ "
                f"(only there: {', '.join(sorted(theirs - mine)[:5]) or 'none'}; only here: "
                f"{', '.join(sorted(mine - theirs)[:5]) or 'none'}): accuracies of other classes can't be compared. "
                "Register it under another name."
            )
        size = embedded(model)["records"]["parameters"]["image_size"]
        if size > self.manifest["image_size"]:
            raise PromotionError(
                f"Version {version.number} sees {size} pixels, and the challenger's records have photos for "
                f"{self.manifest['image_size']}: it would be compared on photos that are too small for it. Run the "
                f"challenger with an image_size of {size} or more."
            )


def sentence(name: str, number: int, outcome: str, against: dict[int, Judgement], champion: int, margin: float) -> str:
    """What came of it, with its figures."""
    words = {
        "promoted": "is promoted",
        "worse": "is not promoted: it is worse",
        "undecided": "is not promoted: undecided",
    }
    parts = [f"Version {number} of {name} {words[outcome]}."]
    for other, found in against.items():
        who = "the champion" if other == champion else "the best champion ever"
        parts.append(
            f"Of {found.photos} test photos on which neither was trained it names {found.challenger:.1f} % right, and "
            f"version {other}, {who}, {found.reference:.1f} %: {found.points:+.1f} points; at 95 % it is no more than "
            f"{max(0.0, -found.low):.1f} points worse, where {margin:g} may be."
        )
        if found.outcome == "undecided":
            many = f"about {float(f'{found.needed:.2g}'):,.0f}" if found.needed else "more than anyone has of"
            parts.append(f"If both are equally good, it takes {many} such photos to show it.")
    return " ".join(parts)
