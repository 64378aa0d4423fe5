"""Labels in doubt, where it is known which labels are wrong."""

from typing import Any

import numpy as np

from switchpoint.command.labels import page
from switchpoint.command.labels.study import doubts, out_of_sample

CLASSES, EACH, CHANNELS = 4, 60, 16


def clouds(spread: float) -> tuple[Any, Any]:
    """Photos of four classes around centres of their own."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLASSES, CHANNELS))
    labels = np.repeat(np.arange(CLASSES), EACH)
    return centres[labels] + spread * random.normal(size=(len(labels), CHANNELS)), labels


def test_planted_wrong_labels_are_found_and_what_they_were_is_suggested() -> None:
    features, labels = clouds(0.2)
    wrong = np.random.default_rng(1).choice(len(labels), 12, replace=False)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % CLASSES
    found = doubts(out_of_sample(features, given, CLASSES), given)
    assert len(found) >= 8 and {each.number for each in found} <= set(wrong.tolist())
    assert all(each.suggested == labels[each.number] for each in found)
    assert [each.margin for each in found] == sorted((each.margin for each in found), reverse=True)


def test_of_right_labels_that_are_easy_none_is_in_doubt() -> None:
    features, labels = clouds(0.1)
    assert doubts(out_of_sample(features, labels, CLASSES), labels) == []


def test_each_photo_is_judged_by_heads_that_did_not_see_it() -> None:
    """Of noise a head that saw the photos would know their labels by heart."""
    random = np.random.default_rng(2)
    features, labels = random.normal(size=(120, 200)), random.integers(0, CLASSES, 120)
    probabilities = out_of_sample(features, labels, CLASSES)
    assert (probabilities.argmax(axis=1) == labels).mean() < 0.45
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(probabilities, out_of_sample(features, labels, CLASSES))


def test_a_class_of_one_photo_is_not_what_every_doubtful_photo_is_taken_for() -> None:
    """Its own photo's head never saw the class, so its threshold is near 0, and all reach it."""
    random = np.random.default_rng(3)
    labels = np.array([0] * 60 + [1] * 60 + [2])
    features = np.eye(3)[labels] + 0.5 * random.normal(size=(len(labels), 3))
    probabilities = out_of_sample(features, labels, 3)
    found = doubts(probabilities, labels)
    assert all(
        probabilities[each.number, each.suggested] > probabilities[each.number, labels[each.number]] for each in found
    )
    assert all(each.margin > 0 for each in found) and len(found) < 20


def test_a_class_without_a_photo_is_never_suggested() -> None:
    probabilities = np.array([[0.1, 0.2, 0.7], [0.9, 0.05, 0.05], [0.2, 0.75, 0.05]])
    assert [each.suggested for each in doubts(probabilities, np.array([0, 0, 1]))] == []


def test_names_on_the_page_are_data() -> None:
    found: Any = [
        {"photo": "<b>/1.jpg", "split": "train", "label": "<b>", "suggested": "&c",
         "label_probability": 0.01, "probability": 0.9},
    ]  # fmt: skip
    text = page.html(found, {}, 10, "photos/<food>")
    assert "<b>/1.jpg" not in text and "&lt;b&gt;/1.jpg" in text and "photos/&lt;food&gt;" in text
    assert "1 of 10 labels" in text
