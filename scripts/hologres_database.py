"""The stand-in of Hologres in PostgreSQL's place: it takes what Hologres takes and refuses what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pg8000.native

from database import DATABASE, LOADER_PASSWORD, Login, run_script
from sample import CREATE_HOLOGRES_TABLE, TABLE
from standin_process import Standin

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
        options = ["--profile", profile, "--database", DATABASE, "--user", OWNER]
        options += [] if has_extended_copy else ["--no-extended-copy"]
        self._standin = Standin(standin, postgres_bin, self.log, options)
        self._database: pg8000.native.Connection | None = None

    def start(self) -> None:
        self._standin.start()

    def create_table(self) -> None:
        said = self._standin.said
        self._database = self._login(said["superuser"], said["superuser_password"]).connect()
        run_script(self._database, CREATE_LOADER)
        owner = self._login(said["user"], said["password"]).connect()
        run_script(owner, f"{CREATE_HOLOGRES_TABLE};{GRANTS}")
        owner.close()

    def loader(self) -> Login:
        return self._login(LOADER, LOADER_PASSWORD)

    def query(self, statement: str) -> list[list[Any]]:
        assert self._database, "create_table comes first"
        return self._database.run(statement)

    def stop(self) -> None:
        self._standin.stop()

    def _login(self, user: str, password: str) -> Login:
        said = self._standin.said
        return Login(said["host"], said["port"], said["database"], user, password, Path(said["ca"]).read_text())
