"""The stand-in of Hologres as a server of its own: an example of the package, which says in one line of JSON how to reach it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from service import Failure, Service


class Standin:
    """One stand-in, before a PostgreSQL of its own, that is stopped with this program; `said` is what it says of itself."""

    def __init__(self, program: Path, postgres_bin: Path, log: Path, options: list[str]) -> None:
        self.said: dict[str, Any] = {}
        self._log = log
        self._command = [program, *options]
        self._environment = {"PATH": os.environ["PATH"], "HOLOLOAD_TEST_PGBIN11": str(postgres_bin)}
        self._service: Service | None = None

    def start(self) -> None:
        self._service = Service("the stand-in", self._command, self._log, env=self._environment)
        self._service.wait_until(self._has_spoken)

    def stop(self) -> None:
        if self._service:
            self._service.stop()

    def _has_spoken(self) -> bool:
        """Whether the line of JSON is there; whatever else it prints goes to the same log."""
        for line in self._log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                self.said = _parsed(line)
                return True
        return False


def _parsed(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        raise Failure(f"the stand-in did not say how to reach it: {line.strip()}") from None
