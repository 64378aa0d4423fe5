import subprocess
import sys

from switchpoint.provenance.digests import ROOT

CODE = """
import sys
from switchpoint.command import kfp_alone
kfp_alone.load()
from switchpoint.command.local.plan import plan
from switchpoint.command.compilation import package
from switchpoint.command import profiles
assert "switchpoint" in package(profiles.load("cpu"))
assert not {"kubernetes", "kfp.client", "tensorflow"} & set(sys.modules)
from switchpoint.command.cluster.connection import Connection, kfp_client
assert isinstance(kfp_client.Client, type) and "kubernetes" in sys.modules
"""


def test_kubernetes_is_imported_by_who_talks_to_a_cluster_and_nobody_else() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
