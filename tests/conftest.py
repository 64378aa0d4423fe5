import importlib.abc
import inspect
import io
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests import support
from tests.support import unavailable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _stack(context: int = 0) -> list[inspect.FrameInfo]:
    frame, found = inspect.currentframe(), []
    while frame := frame and frame.f_back:
        code = frame.f_code
        found.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
    return found


# kfp asks at each setting of a task who called, for an error that it seldom has: with the lines of the sources, looked
# up among all of a test process's modules, that is four fifths of compiling. A package that libyaml reads and writes
# takes a tenth.
inspect.stack = _stack
yaml.SafeLoader = yaml.CSafeLoader
_stream, _, *_rest = yaml.dump_all.__defaults__
yaml.dump_all.__defaults__ = (_stream, yaml.CDumper, *_rest)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out what needs TensorFlow, Docker, a browser, MLflow, a server of buckets, or real photos",
    )


class _NoTensorFlow(importlib.abc.MetaPathFinder):
    """Whatever comes to import TensorFlow is skipped: no list of such tests to keep."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in ("tensorflow", "keras"):
            pytest.skip("imports TensorFlow", allow_module_level=True)


def pytest_configure(config: pytest.Config) -> None:
    # In the background of a script it is ignored, and so it would be in every process that a test starts.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--quick"):
        sys.meta_path.insert(0, _NoTensorFlow())
        support.QUICK = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        left_out = [
            item
            for item in items
            if {"slow", "docker", "browser", "food101"} & {mark.name for mark in item.iter_markers()}
        ]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    # Files that take minutes come first, or one process would still be at one of them when the other is done. Then
    # those that wait for servers of buckets, and not before a training in the same process: a thread that is given up
    # there may still draw random numbers. Then those of containers: CI builds the images meanwhile.
    marks = {item: {mark.name for mark in item.iter_markers()} for item in items}
    docker = {item.path for item in items if "docker" in marks[item]}
    buckets = {item.path for item in items if {"bucket", "gcs", "s3"} & set(getattr(item, "fixturenames", ()))}
    long = {item.path for item in items if {"slow", "browser"} & marks[item]} - docker
    rooms = (long, buckets, docker)
    items.sort(key=lambda item: next((turn for turn, files in enumerate(rooms) if item.path in files), len(rooms)))


DATA = Path(__file__).parents[2] / "shared" / "data"


def _food101(name: str) -> Path:
    if not (DATA / name).is_dir():
        unavailable(f"needs the Food-101 photos in ../shared/data/{name}, which is not there")
    return DATA / name


@pytest.fixture(scope="session")
def food101_mini() -> Path:
    """12 classes, 75 train + 25 test photos each, 512 px."""
    return _food101("food101-mini")


@pytest.fixture(scope="session")
def food101_64px() -> Path:
    """All 101 classes, 30 train + 10 test photos each, 64 px."""
    return _food101("food101-64px")


def _jpeg(*seed: object, size: tuple[int, int] = (40, 30)) -> bytes:
    """A small photo, another one for every seed."""
    noise = Image.frombytes("RGB", (4, 4), random.Random(repr(seed)).randbytes(48))
    out = io.BytesIO()
    noise.resize(size, Image.Resampling.NEAREST).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    return _jpeg


Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a dataset of one sub-folder a class: folder(cats=10, dogs=12)."""

    def make(root: str = "photos", /, **classes: int) -> Path:
        for name, count in classes.items():
            (tmp_path / root / name).mkdir(parents=True)
            for index in range(count):
                (tmp_path / root / name / f"{index:03d}.jpg").write_bytes(_jpeg(name, index))
        return tmp_path / root

    return make


@pytest.fixture
def official(tmp_path: Path) -> Folder:
    """Make a dataset of Food-101's layout with 4 train and 2 test photos a class; the order of classes is given."""

    def make(*classes: str, meta: str = "txt") -> Path:
        root = tmp_path / "food-101"
        (root / "meta").mkdir(parents=True)
        (root / "meta" / "classes.txt").write_text("\n".join(classes) + "\n")
        splits = {"train": range(4), "test": range(4, 6)}
        for name in classes:
            (root / "images" / name).mkdir(parents=True)
            for index in range(6):
                (root / "images" / name / f"{index}.jpg").write_bytes(_jpeg(name, index))
        for split, indices in splits.items():
            listed = {name: [f"{name}/{index}" for index in indices] for name in classes}
            text = (
                json.dumps(listed)
                if meta == "json"
                else "\n".join(name for names in listed.values() for name in names) + "\n"
            )
            (root / "meta" / f"{split}.{meta}").write_text(text)
        return root

    return make
