"""What the local stack asks of a database server: `postgres.py` has one kind, `hologres_database.py` the other."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pg8000.native

DATABASE = "demo"
LOADER_PASSWORD = "local-loader"


class Login(NamedTuple):
    """How one user reaches a database; `ca` is the PEM text of the authority that signed the server's certificate."""

    host: str
    port: int
    database: str
    user: str
    password: str
    ca: str

    def connect(self) -> pg8000.native.Connection:
        """A verified connection."""
        context = ssl.create_default_context(cadata=self.ca)
        return pg8000.native.Connection(
            user=self.user,
            password=self.password,
            host=self.host,
            port=self.port,
            database=self.database,
            ssl_context=context,
            timeout=10,
        )


class Database(Protocol):
    """One server with the table that the main job loads into."""

    name: str
    log: Path

    def start(self) -> None: ...

    def create_table(self) -> None:
        """The database, the article's table and the role of the loader."""

    def loader(self) -> Login:
        """Who the handler logs in as."""

    def query(self, statement: str) -> list[list[Any]]:
        """The rows of one statement, read as the superuser."""

    def stop(self) -> None: ...


def run_script(connection: pg8000.native.Connection, script: str) -> None:
    """Runs the statements of a script one after the other, as `psql` does; none of them may hold a semicolon."""
    for statement in filter(None, map(str.strip, script.split(";"))):
        connection.run(statement)
