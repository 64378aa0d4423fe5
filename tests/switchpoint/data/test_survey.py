"""What a dataset holds, looked at without TensorFlow."""

from typing import Any

from switchpoint.data import survey


def test_only_a_few_photos_are_in_memory_at_once() -> None:
    started = 0

    def items() -> Any:
        nonlocal started
        for item in range(1000):
            started += 1
            yield item

    results = survey._in_order(lambda item: item * 2, items(), workers=2)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert started <= 5 + 8
    assert list(results) == list(range(10, 2000, 2))
