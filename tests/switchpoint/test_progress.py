import pytest

from switchpoint.progress import Progress, read, say

EPOCH = Progress("epoch", 3, 14, 33, {"loss": 0.5, "accuracy": 0.25, "val_loss": 12.0, "val_accuracy": 0.0})


@pytest.mark.parametrize(
    "said", [EPOCH, Progress("view", 1, 4, 0), Progress("photos", 512, 1000, 5), "goes on after epoch 2, step 3/9: why"]
)
@pytest.mark.parametrize("step", ["prepare", "transfer", "finetune 14", "evaluate", "report"])
def test_what_is_said_is_read_back(said: Progress | str, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(step, said)
    (line,) = capsys.readouterr().out.splitlines(keepends=True)
    assert line.startswith(f"{step}: ")
    assert read(line) == said


@pytest.mark.parametrize(
    "line",
    ["", "I0000 00:00:1 cuda_dnn.cc:529] transfer: x", "transferred: 3/4", "Key: 'transfer: '", "transfer:"],
)
def test_other_lines_are_not_ours(line: str) -> None:
    assert read(line) is None


def test_a_person_can_read_it() -> None:
    assert EPOCH.text == "epoch 3/14, loss 0.500, accuracy 0.250, val_loss 12.000, val_accuracy 0.000, 33 s left"


def test_a_name_that_is_not_utf8_is_said(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    say("prepare", "left out caf\udce9.jpg")
    assert capfdbinary.readouterr().out == b"prepare: left out caf\\udce9.jpg\n"
