"""What a person sees of a search on a cluster: which node of the workflow is which step."""

from switchpoint.command.cli.following import place
from switchpoint.command.cluster.steps import Node, steps
from switchpoint.command.documents import Step

CANDIDATES = [(1, 1e-4), (1, 3e-4), (2, 1e-4), (2, 3e-4)]
SEEDS = [2, 1]


def workflow() -> list[Node]:
    """A search of four candidates and two seeds; the second rung's second fine-tuning runs, nothing came after it."""
    nodes: list[Node] = []

    def add(name: str, *children: str, state: str = "SUCCEEDED", own: str = "") -> str:
        nodes.append(Node(own or name, name, state, None, None, children))
        return own or name

    def task(name: str, *after: str, state: str = "SUCCEEDED", own: str = "") -> str:
        executor = add("executor", state=state, own=f"{own or name}.executor")
        whole = add(name, executor, *after, state=state, own=own)
        return add(f"{name}-driver", whole, own=f"{own or name}-driver")

    def loop(name: str, rounds: list[str]) -> str:
        last = len(rounds) - 1
        entered = [
            add(f"iteration-iterations({number}:{number})", each, own=f"{name}.{number}")
            for number, each in enumerate(rounds)
        ]
        return add(f"{name}-driver", *entered, own=f"{name}-driver") if last >= 0 else ""

    running = [
        task("finetune-2", state=state, own=f"rung-2.{number}") for number, state in enumerate(["SUCCEEDED", "RUNNING"])
    ]
    second = loop("for-loop-2", running)
    halved = task("halve", second)
    first = loop("for-loop-1", [task("finetune", halved, own=f"rung-1.{number}") for number in range(4)])
    task("digest", task("prepare", task("transfer", first)))
    return nodes


def shown(step: Step) -> tuple[str, int | None, int | None, float | None, int | None, str]:
    return step["name"], step["seed"], step["switch_epoch"], step["learning_rate"], step.get("rung"), step["state"]


def test_rungs_are_told_apart_and_of_the_first_all_candidates_are_known() -> None:
    found = [shown(step) for step in steps(workflow(), CANDIDATES, SEEDS, "halving")]
    assert [each for each in found if each[0] in ("digest", "prepare", "transfer", "halve")] == [
        ("digest", None, None, None, None, "ran"),
        ("prepare", None, None, None, None, "ran"),
        ("transfer", 1, None, None, None, "ran"),
        ("halve", 1, None, None, 1, "ran"),
    ]
    assert [each for each in found if each[4] == 1 and each[0] == "finetune"] == [
        ("finetune", 1, *candidate, 1, "ran") for candidate in CANDIDATES
    ]
    assert [each for each in found if each[4] == 2] == [
        ("finetune", 1, None, None, 2, "ran"), ("finetune", 1, None, None, 2, "running"),
    ]  # fmt: skip


def test_a_transfer_learning_that_failed_in_the_loop_over_seeds_is_shown() -> None:
    failed = [Node("0", "iteration-iterations(0:0)", "RUNNING", None, None, ("1",))]
    failed += [Node("1", "transfer-2", "FAILED", None, None)]
    found = steps(failed, CANDIDATES, [1], "halving")
    assert [(step["name"], step["seed"], step["state"]) for step in found] == [("transfer", 1, "failed")]


def test_the_graph_of_the_ui_has_the_rungs_before_the_seeds() -> None:
    parameters = {"seeds": SEEDS, "switch_epochs": [1, 2], "finetune_learning_rate": [1e-4, 3e-4], "search": "halving"}

    def where(name: str, rung: int | None, epoch: int | None = None, rate: float | None = None) -> str:
        step: Step = {
            "name": name, "seed": 1, "switch_epoch": epoch, "learning_rate": rate, "rung": rung, "state": "failed",
            "seconds": None,
        }  # fmt: skip
        return place(step, parameters)

    assert where("finetune", 1, 2, 1e-4) == "rung 1, OPEN SUB-DAG, for-loop-1.2, Fine-tune, rung 1"
    assert where("finetune", 2) == "rung 2, OPEN SUB-DAG, Fine-tune, rung 2"
    assert where("halve", 2) == "Halve, rung 2"
    assert where("collect", None) == "for each seed, OPEN SUB-DAG, for-loop-3.1, OPEN SUB-DAG, Collect"
