"""A step's parameters, as a laptop and as a cluster hand them over."""

from dataclasses import dataclass

import pytest

from components.evaluate.step import EvaluateConfig
from components.finetune.step import FinetuneConfig
from components.prepare.step import PrepareConfig
from components.transfer.step import TransferConfig
from switchpoint.command.parameters import candidate, config, resolve
from switchpoint.config import Config
from switchpoint.provenance.metadata import describe
from tests.trained import from_a_cluster

STEPS = {"prepare": PrepareConfig, "transfer": TransferConfig, "finetune": FinetuneConfig, "evaluate": EvaluateConfig}


@pytest.mark.parametrize("step", STEPS)
def test_what_a_cluster_sends_is_written_as_on_a_laptop(step: str) -> None:
    local = config(STEPS[step], step, candidate(resolve("lab", {}), 2))
    sent = STEPS[step].given(from_a_cluster(vars(local)))
    assert describe("", step, sent, {}) == describe("", step, local, {})


@dataclass(frozen=True)
class Some(Config):
    words: str
    whole: "int"
    part: float
    table: dict[str, str]


def test_numbers_become_of_their_type_and_nothing_else_changes() -> None:
    some = Some.given({"words": "0", "whole": 2.0, "part": 0, "table": {"a": "1"}, "other": 1})
    assert repr(some) == "Some(words='0', whole=2, part=0.0, table={'a': '1'})"
