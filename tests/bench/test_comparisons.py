import subprocess
import sys

from bench.comparisons import comparisons


def test_every_row_has_a_name_of_its_own() -> None:
    names = [name for comparison in comparisons() for name in comparison.ours]
    assert len(names) == len(set(names))


def test_the_table_of_comparisons_costs_no_tensorflow() -> None:
    program = "import sys; import bench.__main__; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
