"""Lineage on the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.text import Text
from rich.tree import Tree

from switchpoint.command.lineage.graph import inputs, title

if TYPE_CHECKING:
    from switchpoint.command.documents import Check, Graph, Node


def tree(graph: Graph) -> Tree:
    """From the model down to what it was made of; what was told above is not told twice."""
    by_id = {node["id"]: node for node in graph["nodes"]}
    told: set[str] = set()

    def branch(node: Node, parent: Tree | None) -> Tree:
        label = Text(title(node), "bold")
        label.append(f"  {(node['digest'] or 'unknown')[:12]}", "cyan")
        if node["id"] in told and parent is not None:
            return parent.add(label.append("  (see above)", "dim"))
        told.add(node["id"])
        for line in _details(node, graph.get("run")):
            label.append(f"\n{line}", "dim")
        here = Tree(label) if parent is None else parent.add(label)
        for source in inputs(graph, node["id"]):
            branch(source, here)
        return here

    return branch(by_id[graph["model"]], None)


def _details(node: Node, run: str | None) -> list[str]:
    made = f"step {node['step']}, code {node['code_digest'][:12]}"
    if node["made_by_run"]:
        made += f", made by run {node['made_by_run']}"
        made += " (cached here)" if run and run != node["made_by_run"] else ""
    lines = [made]
    if classes := node.get("classes"):
        shown = classes if len(classes) <= 6 else [*classes[:5], "…"]
        counts = ", ".join(f"{count} {split}" for split, count in (node.get("photos") or {}).items())
        lines.append(f"{len(classes)} classes: {', '.join(shown)}; photos: {counts}")
    parameters = {key: value for key, value in node["parameters"].items() if not key.endswith("_digest")}
    if parameters:
        lines.append(", ".join(f"{name} {_shown(value)}" for name, value in parameters.items()))
    if node["path"]:
        lines.append(node["path"])
    return lines


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def check_line(check: Check) -> Text:
    """One check in a line."""
    word, style = {True: ("matches", "green"), False: ("DIFFERS", "bold red"), None: ("not checked", "yellow")}[
        check["ok"]
    ]
    node = f" {check['node'].rpartition('-')[2][:12]}" if check["node"] else ""
    return Text(f"{word:<12}", style).append(
        f"{check['what']}{node}{': ' if check['why'] else ''}{check['why']}", "none"
    )
