"""Lineage as a flowchart in Mermaid's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchpoint.command.lineage.graph import title

if TYPE_CHECKING:
    from switchpoint.command.documents import Graph


def mermaid(graph: Graph) -> str:
    """A flowchart in Mermaid's language, the way the data goes."""
    numbers = {node["id"]: f"n{number}" for number, node in enumerate(graph["nodes"])}
    lines = ["flowchart LR"]
    for node in graph["nodes"]:
        text = [title(node), f"digest {(node['digest'] or 'unknown')[:12]}", f"step {node['step']}"]
        if node["made_by_run"]:
            text.append(f"run {node['made_by_run']}")
        lines.append(f'    {numbers[node["id"]]}["{"<br/>".join(map(_escaped, text))}"]')
    lines += [f"    {numbers[edge['from']]} --> {numbers[edge['to']]}" for edge in graph["edges"]]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Every character that could mean something to Mermaid or HTML as its number: names and paths are data."""
    coded = "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter in " ._-/:," else f"#{ord(letter)};"
        for letter in text
    )
    # Mermaid takes a whole line with "direction LR" in it for that command, also inside of quotes.
    return coded.replace("direction ", "direction#32;")
