"""What came of a promotion."""

from typing import Any, TypedDict


class Promoted(TypedDict):
    """`switchpoint promote --json`, and what the step of that name writes.

    `outcome` is promoted, worse, undecided or refused (they can't be compared); `against` has for each version that the
    photos compare it with what they say: see `switchpoint.registry.judge.Judgement`.
    """

    name: str
    version: int
    outcome: str
    against: dict[int, dict[str, Any]]
    sentence: str
