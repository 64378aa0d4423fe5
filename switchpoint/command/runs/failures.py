"""Why a step failed, from what it printed."""

import re

TRACEBACK = "Traceback (most recent call last):"


def own_error(log: str) -> str:
    """What a step said when it failed: its exception's message, or the last lines it printed."""
    after = log.rpartition(TRACEBACK)[2]
    lines = after.rstrip().splitlines()
    for number, line in enumerate(lines):
        found = re.match(r"(?:[\w.]+\.)?(\w+(?:Error|Exception|Interrupt|Exit)): (.*)", line)
        if found:
            message = "\n".join([found[2], *lines[number + 1 :]]).strip()
            return (
                message if "switchpoint.errors" in line or found[1] == "SwitchpointError" else f"{found[1]}: {message}"
            )
    return "\n".join(lines[-5:]) or "It printed nothing."
