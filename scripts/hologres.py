"""The stand-in of Hologres: a proxy before a PostgreSQL 11 that takes what Hologres takes and refuses what it refuses.

It is an example of the package (`examples/standin`), says in one line of JSON how to reach it, and runs until it is stopped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pg8000.native

from database import DATABASE, LOADER_PASSWORD, Login, run_script
from sample import CREATE_HOLOGRES_TABLE, TABLE
from service import Failure, Service

OWNER = "BASIC$owner"
LOADER = "BASIC$loader"

# What a loader needs and no more. CREATE on the schema is for the ledger, which it makes on first use.
CREATE_LOADER = f"""\
CREATE USER "{LOADER}" WITH PASSWORD '{LOADER_PASSWORD}';
GRANT CREATE, USAGE ON SCHEMA public TO "{LOADER}";
"""
GRANTS = f'GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLE} TO "{LOADER}"'


class Hologres:
    """One stand-in and what it said of itself."""

    def __init__(self, standin: Path, postgres_bin: Path, folder: Path, *, profile: str, has_extended_copy: bool = True) -> None:
        self.name = f"Hologres stand-in ({profile})"
        self.log = folder / "standin.log"
        self._command = [standin, "--profile", profile, "--database", DATABASE, "--user", OWNER]
        self._command += [] if has_extended_copy else ["--no-extended-copy"]
        self._environment = {"PATH": os.environ["PATH"], "HOLOLOAD_TEST_PGBIN11": str(postgres_bin)}
        self._service: Service | None = None
        self._said: dict[str, Any] = {}
        self._database: pg8000.native.Connection | None = None

    def start(self) -> None:
        self._service = Service("the stand-in", self._command, self.log, env=self._environment)
        self._service.wait_until(self._has_spoken)

    def create_table(self) -> None:
        self._database = self.superuser().connect()
        run_script(self._database, CREATE_LOADER)
        owner = self.owner().connect()
        run_script(owner, f"{CREATE_HOLOGRES_TABLE};{GRANTS}")
        owner.close()

    def owner(self) -> Login:
        """Who owns the database and the table."""
        return self._login(self._said["user"], self._said["password"])

    def superuser(self) -> Login:
        return self._login(self._said["superuser"], self._said["superuser_password"])

    def loader(self) -> Login:
        return self._login(LOADER, LOADER_PASSWORD)

    def query(self, statement: str) -> list[list[Any]]:
        assert self._database, "create_table comes first"
        return self._database.run(statement)

    def stop(self) -> None:
        if self._service:
            self._service.stop()

    def _login(self, user: str, password: str) -> Login:
        said = self._said
        return Login(said["host"], said["port"], said["database"], user, password, Path(said["ca"]).read_text())

    def _has_spoken(self) -> bool:
        """Whether the line of JSON is there; whatever else it prints goes to the same log."""
        for line in self.log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                self._said = _parsed(line)
                return True
        return False


def _parsed(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        raise Failure(f"the stand-in did not say how to reach it: {line.strip()}") from None
