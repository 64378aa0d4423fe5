"""The commands that README and guides show are commands that there are."""

import re
import shlex
from pathlib import Path

import click
import pytest

from switchpoint.command.cli.main import main
from switchpoint.provenance.digests import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "kubeflow.md",
    ROOT / "docs" / "lineage.md",
    ROOT / "docs" / "exports.md",
    ROOT / "docs" / "tracking.md",
    ROOT / "k8s" / "README.md",
    ROOT / "docker" / "README.md",
]


def commands(page: Path, program: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", re.sub(r"\n +", "\n", page.read_text()), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(program + " ")]


@pytest.mark.parametrize(
    "command", [line for page in PAGES for line in commands(page, "switchpoint")], ids=lambda line: line[:60]
)
def test_a_shown_command_parses(command: str) -> None:
    shown = re.sub(r"~/[\w-]+", ".", command).replace("$ROOT", "gs://bucket/root")
    name, *arguments = shlex.split(shown, comments=True)[1:]
    parser = main.commands[name]
    with parser.make_context(name, arguments, parent=click.Context(main)):
        pass


def test_the_shown_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {line.split()[1] for page in PAGES for line in commands(page, "make")}
    assert {"demo", "test"} <= shown <= targets


def test_the_tests_that_the_guide_names_are_there() -> None:
    section = (ROOT / "docs" / "kubeflow.md").read_text().partition("## Ahead of 2.17\n")[2].partition("\n## ")[0]
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)` \|$", section, re.MULTILINE)
    assert len(named) == section.count("\n| ") - 1
    assert not [name for name in named if f"def {name}(" not in tests]


def test_every_linked_file_is_there() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "docs" / "adr" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
