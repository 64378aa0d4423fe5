import numpy as np
import pytest

from bench.intervals import over_photos, over_seeds, student


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.706), (4, 2.776), (9, 2.262), (1000, 1.962)])
def test_students_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert student(degrees) == pytest.approx(quantile, abs=0.001)


def test_an_interval_over_seeds_is_students() -> None:
    mean, low, high = over_seeds([1.0, 2.0, 3.0])
    assert (mean, low, high) == (
        2,
        pytest.approx(2 - 4.303 / 3**0.5, abs=0.001),
        pytest.approx(2 + 4.303 / 3**0.5, abs=0.001),
    )


def test_an_interval_over_photos_knows_how_few_of_them_differ() -> None:
    mean, low, high = over_photos(np.array([1.0] * 10 + [0.0] * 290))
    assert mean == pytest.approx(1 / 30)
    # Normal: 1/30 ± 1.96 · √(1/30 · 29/30 / 300).
    assert low == pytest.approx(1 / 30 - 0.0203, abs=0.003) and high == pytest.approx(1 / 30 + 0.0203, abs=0.003)
