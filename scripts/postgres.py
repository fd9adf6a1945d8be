"""A throw-away PostgreSQL that speaks TLS only, as Hologres would be reached: own CA, scram passwords, no plaintext line."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pg8000.native

from certificates import make_certificates
from database import DATABASE, LOADER_PASSWORD, Login, run_script
from sample import CREATE_TABLE, TABLE
from service import Failure, Service, free_port

FOLDER_PREFIX = "holoload-postgres-"
SUPERUSER = "postgres"
SUPERUSER_PASSWORD = "local-superuser"
LOADER = "loader"

CONFIGURATION = """\
listen_addresses = '{addresses}'
port = {port}
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
ssl_min_protocol_version = 'TLSv1.2'
password_encryption = 'scram-sha-256'
# The data is thrown away at the end: nothing here needs to survive a power cut.
fsync = off
synchronous_commit = off
full_page_writes = off
log_connections = on
log_line_prefix = '%m %r '
"""

ACCESS = """\
hostssl all all 0.0.0.0/0 scram-sha-256
hostssl all all ::0/0     scram-sha-256
"""

# What a loader needs and no more. CREATE on the schema is for the ledger, which it makes on first use.
GRANTS = f"""\
create role {LOADER} login password '{LOADER_PASSWORD}';
grant create, usage on schema public to {LOADER};
grant select, insert, update, delete on {TABLE} to {LOADER};
"""


class Postgres:
    """One server, its data folder and its certificate authority.

    `host` is how the loader names it, `addresses` where else than on localhost it listens: for a handler in a container.
    """

    def __init__(self, bin_folder: Path, folder: Path, *, host: str = "localhost", addresses: Sequence[str] = ()) -> None:
        self.name = "PostgreSQL"
        self.log = folder / "postgres.log"
        self._host = host
        self._port = free_port()
        self._certificates = make_certificates(["localhost", "host.docker.internal"], ["127.0.0.1", *addresses])
        self._addresses = ",".join(["localhost", *addresses])
        self._database: pg8000.native.Connection | None = None
        self._bin = bin_folder
        self._user = _server_user()
        self._place = folder / "postgres"
        self._folder = _make_folder(self._place, elsewhere=self._user is not None)
        self._service: Service | None = None

    def start(self) -> None:
        if self._user:
            self._hand_over()
        data = self._folder / "data"
        password = self._folder / "password"
        password.write_text(SUPERUSER_PASSWORD)
        self._own(password)
        options = ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self._run([self._bin / "initdb", "--pgdata", data, "--username", SUPERUSER, "--pwfile", password, *options])
        (data / "postgresql.conf").write_text(CONFIGURATION.format(addresses=self._addresses, port=self._port))
        (data / "pg_hba.conf").write_text(ACCESS)
        self._certificates.write_server_files(data)
        for name in ("postgresql.conf", "pg_hba.conf", "server.crt", "server.key"):
            self._own(data / name)
        self._service = Service(
            "PostgreSQL",
            [self._bin / "postgres", "-D", data],
            self.log,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stop_with=signal.SIGINT,  # "fast": ends sessions instead of waiting for them
            user=self._user,
        )
        self._service.wait_until(self._answers)

    def create_table(self) -> None:
        server = self._superuser("postgres").connect()
        server.run(f"create database {DATABASE}")
        server.close()
        self._database = self._superuser(DATABASE).connect()
        self._database.run(CREATE_TABLE)
        run_script(self._database, GRANTS)

    def loader(self) -> Login:
        return Login(self._host, self._port, DATABASE, LOADER, LOADER_PASSWORD, self._certificates.ca)

    def query(self, statement: str) -> list[list[Any]]:
        assert self._database, "create_table comes first"
        return self._database.run(statement)

    def stop(self) -> None:
        if self._service:
            self._service.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._place.is_symlink():
            self._place.unlink()

    def _superuser(self, database: str) -> Login:
        return Login("localhost", self._port, database, SUPERUSER, SUPERUSER_PASSWORD, self._certificates.ca)

    def _answers(self) -> bool:
        try:
            self._superuser("postgres").connect().close()
        except (pg8000.exceptions.InterfaceError, pg8000.exceptions.DatabaseError, OSError):
            return False
        return True

    def _hand_over(self) -> None:
        """PostgreSQL refuses to run as root: the folder, and programs that only root can reach, go to another user."""
        self._own(self._folder)
        try:
            self._run([self._bin / "postgres", "--version"])
        except PermissionError:
            installation = self._folder / "installation"
            shutil.copytree(self._bin.parent, installation, symlinks=True)
            self._bin = installation / self._bin.name

    def _own(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user, pwd.getpwnam(self._user).pw_gid)

    def _run(self, command: list[str | Path]) -> None:
        group, extra_groups = (pwd.getpwnam(self._user).pw_gid, []) if self._user else (None, None)
        done = subprocess.run(
            command, cwd="/", capture_output=True, text=True, user=self._user, group=group, extra_groups=extra_groups
        )
        if done.returncode:
            raise Failure(f"{Path(command[0]).name} failed:\n{done.stderr or done.stdout}")


def _server_user() -> str | None:
    """Who runs the server: we, or, where we are root, the user that Debian made for it."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Failure("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`", "run this as another user")


def _make_folder(place: Path, *, elsewhere: bool) -> Path:
    """The server's folder; under /tmp, with a link at `place`, where its user may not be able to walk to `place`."""
    if not elsewhere:
        place.mkdir()
        return place
    folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir="/tmp")
    place.symlink_to(folder)
    return Path(folder)


def remove_leftovers(place: Path) -> None:
    """Removes the folder that a killed run left behind the link at `place`."""
    if place.is_symlink() and place.readlink().name.startswith(FOLDER_PREFIX):
        shutil.rmtree(place.readlink(), ignore_errors=True)
