"""What a model file carries of where it came from."""

import pytest

from switchpoint.provenance.metadata import describe, entry


@pytest.mark.parametrize("address", ["/home/me/food-101", "/home/me/food-101/", "gs://bucket/data/food-101"])
def test_an_address_leaves_its_last_part_the_same_everywhere(address: str) -> None:
    described = describe("Records", "prepare", {"dataset": address, "dataset_digest": "d", "seed": 1}, {}, "r")
    assert entry(described)["parameters"] == {"dataset_name": "food-101", "seed": 1}


def test_a_folder_called_sample_is_not_the_sample() -> None:
    assert entry(describe("", "prepare", {"dataset": "/data/sample"}, {}))["parameters"] == {"dataset_name": "sample"}
    for name in ("sample", "tfds:food101"):
        assert entry(describe("", "prepare", {"dataset": name}, {}))["parameters"] == {"dataset": name}
