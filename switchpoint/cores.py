"""How many cores this process may use: those it may run on, and no more than its container's limit."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def cores(root: Path = Path("/")) -> int:
    """Whole cores, at least one; of a limit of 1.5 both are used, half of the time.

    Args:
        root: Where /proc and /sys are.

    Source:
        https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), and CFS bandwidth control for version 1
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([own, *map(math.ceil, _limits(root))]))


def _limits(root: Path) -> Iterator[float]:
    """Of the control groups that this process is in, and of those above: it is held to each of them."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:  # not Linux
        return
    for _, controllers, path in groups:
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        # A container sees its own group at the top, though version 1 calls it what the host does.
        below = top / path.strip("/")
        for group in [below, *(parent for parent in below.parents if parent.is_relative_to(top))]:
            if (limit := _limit(group)) is not None:
                yield limit


def _limit(group: Path) -> float | None:
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((group / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return int(quota) / int(period)
    return None
