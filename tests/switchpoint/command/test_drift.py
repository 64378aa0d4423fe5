"""New photos against those that a run held out, from the terminal: drawn dishes through a small network."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from switchpoint.drift import seen
from switchpoint.errors import LostError, NoPhotosError
from switchpoint.provenance.metadata import MODEL
from tests.new_photos import KNOWN, draw, trained
from tests.stores.proxy import Bucket

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("drift"))


def compared(runs: Path, photos: Path, *flags: str, code: int = 0) -> Result:
    page = str(photos.parent / "drift.html")
    result = CliRunner().invoke(
        main, ["drift", next(runs.glob("2*")).name, str(photos), "--runs-dir", str(runs), "--html", page, *flags]
    )
    assert result.exit_code == code, result.output
    return result


def test_other_photos_of_the_same_classes_are_no_drift(runs: Path, tmp_path: Path) -> None:
    photos = draw(tmp_path / "new", KNOWN, range(38, 50))
    (photos / "notes.txt").write_text("no photo")
    said = json.loads(compared(runs, photos, "--json").stdout)
    assert (said["drift"], said["photos"], said["reference"]) == (False, 36, 36)
    assert [each["photo"] for each in said["unreadable"]] == ["notes.txt"]
    assert sum(each["new"] for each in said["shares"]) == pytest.approx(1)
    assert "notes.txt" in (tmp_path / "drift.html").read_text()


def test_a_held_out_photo_is_seen_as_it_was_in_training(runs: Path, tmp_path: Path) -> None:
    """The same bytes: were size, JPEG, crop or network another, all that follows would be of that."""
    photos = tmp_path / "again"
    shutil.copytree(runs.parent / "photos" / "validation", photos)
    said = json.loads(compared(runs, photos, "--json").stdout)
    assert said["confidence"]["new"] == pytest.approx(said["confidence"]["reference"], abs=1e-3)
    assert (said["p"], said["beyond"]) == (1, 0)
    assert all(each["new"] == each["reference"] for each in said["shares"])


def test_planted_drift_is_shown_with_exit_code_3(runs: Path, tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    darker = compared(runs, draw(tmp_path / "darker", KNOWN, range(38, 50), 0.4), code=3).output
    assert darker.startswith("Drift is shown: the 36 new photos look otherwise than the 36 that were held out")
    page = (tmp_path / "drift.html").read_text()
    assert page.count("<figure>") == 24 and "Drift is shown" in page
    other = draw(tmp_path / "other", KNOWN, range(38, 44))
    for number in range(18):  # a network that was not trained tells no dish from another
        (other / f"blocks {number}.jpg").write_bytes(jpeg(number, size=(128, 128)))
    assert "Drift is shown" in compared(runs, other, code=3).output


def test_what_can_not_be_compared_is_told(runs: Path, tmp_path: Path) -> None:
    few = draw(tmp_path / "few", KNOWN[:1], range(5))
    for number in range(30):
        (few / f"{number}.cr2").write_bytes(b"no photo")
    said = compared(runs, few, code=1).output
    assert "5 new photos are too few" in said and "30 more can't be read; the first, " in said
    shutil.rmtree(few)
    draw(few, KNOWN[:1], range(5))
    assert "5 new photos are too few to tell a change from chance: 20 or more" in compared(runs, few, code=1).output
    assert not (tmp_path / "drift.html").exists()
    place = tmp_path / "runs"
    shutil.copytree(runs, place)
    reference = next((place / "artifacts").glob("*/transfer/reference"))
    for damaged in (b"no reference", b"", reference.read_bytes()[:2000]):
        reference.write_bytes(damaged)
        assert "The reference of run" in compared(place, few, code=1).output
    next((place / "artifacts").glob("*/transfer/reference")).unlink()
    model = next((place / "artifacts").glob("*/transfer/model")) / MODEL
    done = CliRunner().invoke(main, ["drift", str(model), str(few), "--runs-dir", str(place)])
    assert done.exit_code == 1 and "carries no lineage" in done.output
    done = CliRunner().invoke(main, ["drift", "nowhere", str(few), "--runs-dir", str(place)])
    assert done.exit_code == 1 and "called nowhere" in done.output


def test_of_a_bucket_the_photos_that_are_drawn_are_fetched_and_no_others(
    runs: Path, bucket: Bucket, tmp_path: Path
) -> None:
    photos = draw(tmp_path / "new", KNOWN, range(38, 50))
    for photo in photos.iterdir():
        bucket.put(f"weekly/{photo.name}", photo.read_bytes())
    bucket.put("weekly/.thumbnails/one.jpg", b"hidden")
    bucket.put("weekly/.hidden.jpg", b"hidden")
    of_folder = json.loads(compared(runs, photos, "--json", "--photos", "25").stdout)
    page, run = str(tmp_path / "drift.html"), next(runs.glob("2*")).name
    done = CliRunner().invoke(
        main,
        ["drift", run, bucket.uri("weekly"), "--runs-dir", str(runs), "--html", page, "--json", "--photos", "25"],
    )
    assert json.loads(done.stdout) == of_folder and of_folder["photos"] == 25
    with seen.fetched(bucket.uri("weekly"), 25) as found:
        assert len(list(Path(next(iter(found.values()))).parent.iterdir())) == 25


def test_a_place_in_a_bucket_where_no_photo_is_is_named(bucket: Bucket) -> None:
    bucket.put("weekly/.keep", b"hidden")
    with (
        pytest.raises(LostError, match=f"There is no object {bucket.uri('monthly')}"),
        seen.fetched(bucket.uri("monthly"), 25),
    ):
        pass
    with (
        pytest.raises(NoPhotosError, match=f"{bucket.uri('weekly')} has no photos"),
        seen.fetched(bucket.uri("weekly"), 25),
    ):
        pass
