"""What a comparison of photos says, for the terminal and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchpoint.documents.drift import Drift

CLASSES = 3  # whose shares are named


def sentence(found: Drift) -> str:
    """The answer."""
    photos, held_out = f"{found['photos']:,} new photos", f"{found['reference']:,} that were held out from training"
    chance = f"p = {found['p']:.2g}, α = {found['alpha']:g}"
    if found["drift"]:
        return f"Drift is shown: the {photos} look otherwise than the {held_out} ({chance})."
    return (
        f"No drift is shown: the {photos} differ from the {held_out} by no more than chance allows ({chance}). "
        "A small change can go unseen in few photos."
    )


def evidence(found: Drift) -> list[str]:
    """What differs, in numbers that were not tested one by one."""
    moved = sorted(found["shares"], key=lambda each: -abs(each["new"] - each["reference"]))[:CLASSES]
    return [
        f"{found['beyond']:.0%} of the new photos are more unusual than every one that was held out",
        f"mean confidence {found['confidence']['reference']:.1%} held out, {found['confidence']['new']:.1%} new",
        "taken for "
        + "; ".join(f"{each['class']}: {each['reference']:.0%} held out, {each['new']:.0%} new" for each in moved),
    ]
