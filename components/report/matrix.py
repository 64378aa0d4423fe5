"""The confusion matrix as inline SVG."""

from collections.abc import Sequence
from html import escape

LABELLED_CELLS = 16  # classes up to which a confusion matrix has room for counts


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """A confusion matrix: rows are what is on the photo, columns what the model said, colour the share of the row.

    Up to 16 classes each cell holds its count. Beyond, cells are drawn in eight strengths, each one path, which keeps
    101 classes below 300 KB however bad the model.
    """
    few = len(classes) <= LABELLED_CELLS
    cell, font = (max(28, 9 * len(str(max(map(max, matrix))))), 14) if few else (11, 10)
    names = [name if len(name) <= 24 else name[:23] + "…" for name in classes]
    edge = round(max(map(len, names)) * font * 0.56) + 14
    size = cell * len(classes)
    cells: dict[tuple[str, int], list[str]] = {}
    texts = []
    for y, row in enumerate(matrix):
        for x, count in enumerate(row):
            if count:
                strength = round(8 * max(0.125, (count / sum(row)) ** 0.5))
                path = f"M{edge + x * cell} {edge + y * cell}h{cell}v{cell}h-{cell}z"
                cells.setdefault(("hit" if x == y else "miss", strength), []).append(path)
                if few:
                    texts.append(
                        f'<text x="{edge + (x + 0.5) * cell}" y="{edge + (y + 0.66) * cell:.1f}">{count}</text>'
                    )
    shapes = [
        f'<path d="{"".join(paths)}" fill="var(--{kind})" fill-opacity="{strength / 8}"/>'
        for (kind, strength), paths in sorted(cells.items())
    ]
    every = 1 if few else 10
    lines = "".join(
        f"M{edge + i * cell} {edge}v{size}M{edge} {edge + i * cell}h{size}"
        for i in sorted({*range(0, len(classes) + 1, every), len(classes)})
    )
    labels = []
    for i, (name, full) in enumerate(zip(names, classes, strict=True)):
        at, title = edge + (i + 0.5) * cell + font * 0.34, f"<title>{escape(full)}</title>{escape(name)}"
        labels.append(f'<text x="{edge - 8}" y="{at:.1f}" text-anchor="end">{title}</text>')
        labels.append(f'<text transform="translate({at:.1f} {edge - 8})rotate(-90)" text-anchor="start">{title}</text>')
    return (
        f'<svg class="confusion" role="img" aria-label="Confusion matrix: its numbers are in the table below" '
        f'viewBox="0 0 {edge + size + 4} {edge + size + 4}" font-size="{font}" text-anchor="middle" '
        f'style="{"max-width" if few else "width"}:{round((edge + size + 4) * (1.15 if few else 1))}px">'
        f'{"".join(shapes)}<path d="{lines}" stroke="var(--rule)" fill="none"/>{"".join(texts)}{"".join(labels)}</svg>'
    )
