"""A real MLflow server on this machine, with SQLite; it can be stopped, killed and started again, and ask who calls."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class Server:
    """`with Server(place) as server`: it answers at `server.uri`."""

    def __init__(self, place: Path, password: str = "") -> None:
        """Of the user `admin`, where one is asked for: of 12 letters or more."""
        self.place, self.password = place, password
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def _asking(self) -> tuple[list[str], dict[str, str]]:
        """What makes it ask: flags and variables."""
        if not self.password:
            return [], {}
        file = self.place / "auth.ini"
        file.write_text(
            "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\n"
            f"admin_password = {self.password}\ndatabase_uri = sqlite:///{self.place}/auth.db\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        variables = {"MLFLOW_AUTH_CONFIG_PATH": str(file), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of a test"}
        return ["--app-name=basic-auth"], variables

    def start(self) -> None:
        flags, variables = self._asking()
        log = (self.place / "server.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers=1", f"--port={self.port}",
             f"--backend-store-uri=sqlite:///{self.place}/mlflow.db",
             f"--artifacts-destination={self.place}/artifacts", *flags],
            env=os.environ | QUIET | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except OSError:
                assert self.process.poll() is None, (self.place / "server.log").read_text()
                time.sleep(0.1)
        raise AssertionError("MLflow's server does not answer.")

    def client(self) -> Any:
        """MLflow's own."""
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def signal(self, number: signal.Signals) -> None:
        """To it and its workers."""
        os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
