"""The report in a browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.components.studies import (
    CLASSES,
    whole_study,
)
from tests.support import unavailable

CHROMIUM = Path("/usr/bin/chromium")


LOW_CONTRAST = """() => {
  const parse = text => { const n = text.match(/[0-9.]+/g).map(Number), s = text.startsWith("color(") ? 255 : 1;
    return [n[0] * s, n[1] * s, n[2] * s, n.length > 3 ? n[3] : 1]; };
  const over = (top, share, under) => under.map((value, i) => top[i] * share + value * (1 - share));
  const linear = value => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = rgb => { const [r, g, b] = rgb.map(value => linear(value / 255));
    return .2126 * r + .7152 * g + .0722 * b; };
  const low = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (texts.nextNode()) {
    const node = texts.currentNode, element = node.parentElement, range = document.createRange();
    if (!node.data.trim() || element.closest("style, title, defs")) continue;
    range.selectNodeContents(node);
    element.scrollIntoView({block: "nearest", inline: "center"});
    const box = range.getClientRects()[0];
    if (!box || !box.width) continue;
    let back = [255, 255, 255];
    for (const under of document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2).reverse()) {
      const style = getComputedStyle(under), shape = under instanceof SVGGeometryElement;
      const paint = shape ? style.fill : style.backgroundColor;
      if (!paint || paint === "none") continue;
      const [r, g, b, alpha] = parse(paint);
      back = over([r, g, b], alpha * (shape ? style.fillOpacity * style.opacity : 1), back);
    }
    const style = getComputedStyle(element);
    const [r, g, b, alpha] = parse(element instanceof SVGElement ? style.fill : style.color);
    const [dark, bright] = [light(over([r, g, b], alpha, back)), light(back)].sort((x, y) => x - y);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen += 1;
    if ((bright + .05) / (dark + .05) < (large ? 3 : 4.5)) low.push([node.data.trim(), (bright + .05) / (dark + .05)]);
  }
  return [seen, low];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        unavailable(f"{CHROMIUM} is missing")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("classes", "seeds"),
    [
        (["<script>alert(1)</script>", *CLASSES[1:]], (1, 2, 3)),
        ([f"<b>Dish</b> number {number}" for number in range(101)], (1,)),
    ],
)
def test_the_pages_in_a_browser(tmp_path: Path, browser: Any, classes: list[str], seeds: tuple[int, ...]) -> None:
    whole_study(tmp_path, classes, seeds=seeds).report()
    complaints: list[str] = []
    requests: list[str] = []
    file = tmp_path / "page.html"
    file.write_bytes((tmp_path / "out" / "page").read_bytes())
    for width in (400, 900, 1600):
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(dialog.message))
            page.on("request", lambda request: requests.append(request.url.partition(",")[0]))
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert classes[0] in page.inner_text("body")
            page.set_viewport_size({"width": width, "height": page.evaluate("document.body.scrollHeight")})
            texts, low = page.evaluate(LOW_CONTRAST)
            assert texts > 10 and not low
            page.close()
    assert not complaints
    assert set(requests) <= {file.as_uri(), "data:image/jpeg;base64"}


@pytest.mark.browser
def test_the_numbers_that_the_browser_shows_are_those_of_the_json(tmp_path: Path, browser: Any) -> None:
    study = whole_study(tmp_path)
    study.report()
    (tmp_path / "page.html").write_bytes((tmp_path / "out" / "page").read_bytes())
    results = json.loads((tmp_path / "out" / "results").read_text())["results"]
    files = [study.files(row["switch_epoch"] or 0) for row in results]
    evaluations = [json.loads(each.evaluation.read_text()) for each in files]
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())
    shown = [
        row.all_inner_texts() for row in (each.locator("td") for each in page.locator(".comparison tbody tr").all())
    ]
    assert [row[:5] for row in shown] == [
        [
            str(row["best_epoch"]),
            f"{row['validation_accuracy'] * 100:.1f} %",
            f"{row['test_accuracy'] * 100:.1f} %",
            f"{row['test_top_5'] * 100:.1f} %",
            f"{row['test_loss']:.3f}",
        ]
        for row in results
    ]
    best = max(range(len(results)), key=lambda number: results[number]["validation_accuracy"])
    text = page.inner_text("body").replace("\u00a0", " ").replace("\u2011", "-")
    assert f"(ECE) is {evaluations[best]['calibration']['ece'] * 100:.1f} points" in text
    cells = page.locator(".confusion text").all_text_contents()
    counts = [count for row in evaluations[best]["confusion"] for count in row if count]
    assert [int(cell) for cell in cells if cell.isdigit()] == counts
    page.close()
