"""prepare: photos, wherever they are -> records at the size that training crops from."""

import base64
import hashlib
import html
import json
import os
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from switchpoint.data import photos as images
from switchpoint.data import records as record_files
from switchpoint.data.converters import Converters
from switchpoint.data.manifest import SPLITS, write_manifest, writing
from switchpoint.data.sources import Source, open_source
from switchpoint.data.sources.source import Photo
from switchpoint.data.split import cut, draw
from switchpoint.errors import DatasetError

THUMBNAILS = 24
THUMBNAIL_BYTES = 300_000  # all of them, as base64

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class PrepareConfig:
    """What decides the records' content; `workers` alone does not.

    Attributes:
        dataset: What `switchpoint.data.sources.sources` lists.
        dataset_digest: What `switchpoint.data.sources.sources.digest` must give; empty: not checked.
        image_size: Side of the square that training crops, in pixels; see `switchpoint.data.photos.record_size`.
        seed: Decides validation, the order of training photos, and test where there is no official one.
        validation_fraction: Of each class's training photos, in (0, 1); at least one photo.
        max_left_out: Part of all photos that may be unreadable, in [0, 1].
        workers: Processes that decode; None: as many as there are cores.
    """

    dataset: str
    dataset_digest: str = ""
    image_size: int = 224
    seed: int = 0
    validation_fraction: float = 0.1
    max_left_out: float = 0.01
    workers: int | None = None


class _Kept(NamedTuple):
    """A readable photo: its record's image lies in the spool at `offset`."""

    name: str
    label: int
    split: str
    content: bytes  # sha256 of the original bytes
    offset: int
    length: int


def prepare(records: Path, look: Path, source: Path, config: PrepareConfig) -> dict[str, Any]:
    """Write records of a dataset's photos: validation cut from train, training photos in a seeded order.

    The same photos and seed give the same bytes, however many workers there are.

    Args:
        records: Directory to write; nothing is left there unless all went well.
        look: HTML file to write: counts, what was left out and why, duplicates, some photos.
        source: JSON file to write: dataset, digest, classes, photos.
        config: Which photos, which size, which seed.

    Returns:
        The records' manifest.

    Raises:
        DatasetError: Not there, not what `dataset_digest` says, or too many photos are unreadable.
    """
    photos = open_source(config.dataset, config.seed)
    if config.dataset_digest and photos.digest != config.dataset_digest:
        raise DatasetError(
            f"{config.dataset} is not what dataset_digest says: expected {config.dataset_digest}, "
            f"found {photos.digest}. Start the run anew from the command, or leave dataset_digest empty."
        )
    with writing(records) as directory, tempfile.TemporaryFile(dir=directory.parent) as spool:
        kept, left_out = _decode_all(photos, config, spool)
        _check_left_out(left_out, len(photos), photos.classes, kept, config)
        validation = cut(
            ((photo.name, photo.label) for photo in kept if photo.split == "train"),
            config.validation_fraction,
            config.seed,
        )
        kept = [photo._replace(split="validation") if photo.name in validation else photo for photo in kept]
        splits: dict[str, list[_Kept]] = {split: [photo for photo in kept if photo.split == split] for split in SPLITS}
        splits["train"].sort(key=lambda photo: draw(config.seed, photo.name))

        def examples(chosen: list[_Kept]) -> Iterator[record_files.Example]:
            for photo in chosen:
                spool.seek(photo.offset)
                yield record_files.Example(spool.read(photo.length), photo.label, photo.name)

        height, width = images.record_size(config.image_size)
        manifest = write_manifest(
            directory,
            {
                "classes": photos.classes,
                "image_height": height,
                "image_width": width,
                "image_size": config.image_size,
                "splits": {
                    split: record_files.write_split(
                        directory, split, examples(chosen), len(chosen), len(photos.classes)
                    )
                    for split, chosen in splits.items()
                },
                "left_out": left_out,
                "duplicates": _duplicates(kept),
                "source": {"dataset": config.dataset, "digest": photos.digest},
                "seed": config.seed,
            },
        )
        thumbnails = _thumbnails(examples(_one_a_class(splits["train"])), photos.classes)
        look.parent.mkdir(parents=True, exist_ok=True)
        look.write_text(_look(manifest, thumbnails), encoding="utf-8", errors="replace")
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(
            json.dumps({**manifest["source"], "classes": len(photos.classes), "photos": len(photos)}) + "\n"
        )
    return manifest


def _decode_all(photos: Source, config: PrepareConfig, spool: IO[bytes]) -> tuple[list[_Kept], list[dict[str, str]]]:
    """Decode, resize and encode every photo once, in the source's order.

    They are spooled to disk, for a stream can't be shuffled, and what is left out is known only at the end.
    """
    height, width = images.record_size(config.image_size)

    def convert(photo: Photo) -> tuple[Photo, bytes, bytes, str]:
        try:
            data = photo.read()
        except OSError as error:
            return photo, b"", b"", f"can't be read: {error.strerror}"
        return photo, hashlib.sha256(data).digest(), *converters.convert(data)

    kept: list[_Kept] = []
    left_out: list[dict[str, str]] = []
    offset, start, said = 0, time.monotonic(), 0.0
    workers = config.workers or os.cpu_count() or 1
    with Converters(height, width) as converters:
        for done, (photo, content, image, reason) in enumerate(_in_order(convert, photos, workers), start=1):
            if reason:
                left_out.append({"photo": photo.name, "reason": reason})
            else:
                spool.write(image)
                kept.append(_Kept(photo.name, photo.label, photo.split, content, offset, len(image)))
                offset += len(image)
            now = time.monotonic() - start
            if now - said >= 2 or done == len(photos):
                said = now
                minutes, seconds = divmod(round(now / done * (len(photos) - done)), 60)
                print(f"prepare  {done}/{len(photos)} photos  {minutes:02d}:{seconds:02d} left", flush=True)
    return sorted(kept), sorted(left_out, key=lambda entry: entry["photo"])


def _in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map over threads, results in order, never more than a few items a worker in memory."""
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _check_left_out(
    left_out: list[dict[str, str]], count: int, classes: list[str], kept: list[_Kept], config: PrepareConfig
) -> None:
    trained = {photo.label for photo in kept if photo.split == "train"}
    lost = [name for label, name in enumerate(classes) if label not in trained]
    if not lost and len(left_out) <= config.max_left_out * count:
        return
    worst = Counter(entry["photo"].split("/")[0] for entry in left_out).most_common(5)
    what = f"no training photo is left of {', '.join(map(repr, lost[:5]))}; " if lost else ""
    raise DatasetError(
        f"{config.dataset}: {what}{len(left_out)} of {count} photos are unreadable, "
        f"{int(config.max_left_out * count)} may be (max_left_out={config.max_left_out}). "
        f"Most of them in {', '.join(f'{name} ({times})' for name, times in worst)}; first: "
        + "; ".join(f"{entry['photo']} ({entry['reason']})" for entry in left_out[:10])
        + ". Repair or remove them, or raise max_left_out."
    )


def _duplicates(kept: list[_Kept]) -> list[dict[str, Any]]:
    """Same bytes under two labels, or in two splits: the one confuses training, the other flatters the result."""
    by_content: dict[bytes, list[_Kept]] = defaultdict(list)
    for photo in kept:
        by_content[photo.content].append(photo)
    return [
        {"photos": [photo.name for photo in same], "kind": kind}
        for same in by_content.values()
        for kind, differ in (
            ("across classes", {photo.label for photo in same}),
            ("across splits", {photo.split for photo in same}),
        )
        if len(differ) > 1
    ]


def _one_a_class(chosen: list[_Kept]) -> list[_Kept]:
    first: dict[int, _Kept] = {}
    for photo in chosen:
        first.setdefault(photo.label, photo)
    labels = sorted(first)
    return [first[label] for label in labels[:: max(1, -(-len(labels) // THUMBNAILS))]]


def _thumbnails(examples: Iterable[record_files.Example], classes: list[str]) -> list[tuple[str, str]]:
    """Class and data URI of each, as far as THUMBNAIL_BYTES goes."""
    found: list[tuple[str, str]] = []
    for example in examples:
        image = images.decode(example.image)
        image.thumbnail((120, 120))
        uri = "data:image/jpeg;base64," + base64.b64encode(images.encode(image)).decode()
        if sum(len(other) for _, other in found) + len(uri) > THUMBNAIL_BYTES:
            break
        found.append((classes[example.label], uri))
    return found


STYLE = """
:root { color-scheme: light dark; --line: #8884; --train: #2a78b5; --validation: #d98a1f; --test: #4f9a57 }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p { margin: .3rem 0 } code { overflow-wrap: anywhere; font-size: .85em }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .2rem .4rem; border-bottom: 1px solid var(--line);
         font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left; min-width: 6.5rem; overflow-wrap: break-word }
td.bar { width: 40% } td.text, th.text { text-align: left; overflow-wrap: anywhere }
@media (max-width: 600px) { body { font-size: 13px } th, td { padding: .2rem } td.bar { width: 25% } }
.bar svg { display: block; width: 100%; height: .8rem }
.train { fill: var(--train); color: var(--train) } .validation { fill: var(--validation); color: var(--validation) }
.test { fill: var(--test); color: var(--test) }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); gap: .6rem }
figure { margin: 0; font-size: .8rem; overflow-wrap: anywhere }
figure img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 4px; display: block }
"""


def _look(manifest: dict[str, Any], thumbnails: list[tuple[str, str]]) -> str:
    """One self-contained page; every name in it is data and is escaped."""
    e = html.escape
    splits = manifest["splits"]
    counts = list(zip(*(splits[split]["per_class"] for split in SPLITS), strict=True))
    widest = max(map(sum, counts))

    def bar(row: tuple[int, ...]) -> str:
        rectangles, x = "", 0.0
        for split, count in zip(SPLITS, row, strict=True):
            rectangles += f'<rect class="{split}" x="{x:.2f}" width="{100 * count / widest:.2f}" height="1"/>'
            x += 100 * count / widest
        return f'<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{rectangles}</svg>'

    def table(title: str, head: tuple[str, str], rows: list[tuple[str, str]], none: str) -> str:
        if not rows:
            return f"<h2>{title}</h2><p>{none}</p>"
        cells = "".join(f'<tr><td>{e(left)}</td><td class="text">{e(right)}</td></tr>' for left, right in rows)
        heads = f'<tr><th>{head[0]}</th><th class="text">{head[1]}</th></tr>'
        return f"<h2>{title}: {len(rows)}</h2><table>{heads}{cells}</table>"

    left_out = table(
        "Left out",
        ("photo", "reason"),
        [(entry["photo"], entry["reason"]) for entry in manifest["left_out"]],
        "Every photo could be read.",
    )
    duplicates = table(
        "The same photo more than once",
        ("where", "photos"),
        [(entry["kind"], ", ".join(entry["photos"])) for entry in manifest["duplicates"]],
        "No photo is in two classes or two splits.",
    )
    total = [splits[split]["photos"] for split in SPLITS]
    heads = "".join(f'<th><span class="{split}">■</span> {split}</th>' for split in SPLITS)
    rows = "".join(
        f"<tr><td>{e(name)}</td>{''.join(f'<td>{n}</td>' for n in row)}<td class='bar'>{bar(row)}</td></tr>"
        for name, row in zip(manifest["classes"], counts, strict=True)
    )
    figures = "".join(
        f'<figure><img src="{uri}" alt=""><figcaption>{e(name)}</figcaption></figure>' for name, uri in thumbnails
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Photos of {e(manifest["source"]["dataset"])}</title><style>{STYLE}</style></head><body>
<h1>Photos of {e(manifest["source"]["dataset"])}</h1>
<p>{sum(total):,} photos in {len(counts)} classes, kept at {manifest["image_height"]}×{manifest["image_width"]} pixels
for crops of {manifest["image_size"]}×{manifest["image_size"]}; seed {manifest["seed"]}.</p>
<p>Dataset <code>{manifest["source"]["digest"]}</code><br>Records <code>{manifest["digest"]}</code></p>
<h2>Photos a class</h2>
<table><tr><th>class</th>{heads}<th></th></tr>{rows}
<tr><th>all</th>{"".join(f"<th>{n:,}</th>" for n in total)}<th></th></tr></table>
{left_out}
{duplicates}
<h2>Some of the training photos</h2><div class="photos">{figures}</div>
</body></html>
"""
