"""A throw-away PostgreSQL that speaks TLS only, as Hologres would be reached: own CA, scram passwords, no plaintext line."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import ssl
import subprocess
import tempfile
from pathlib import Path

import pg8000.native

from certificates import Certificates
from service import Failure, Service

FOLDER_PREFIX = "holoload-postgres-"
SUPERUSER = "postgres"
SUPERUSER_PASSWORD = "local-superuser"

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


class Postgres:
    """One server, its data folder and its certificate authority."""

    def __init__(
        self, bin_folder: Path, folder: Path, port: int, certificates: Certificates, addresses: str = "localhost"
    ) -> None:
        self.port = port
        self.certificates = certificates
        self.log = folder / "postgres.log"
        self._bin = bin_folder
        self._addresses = addresses
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
        (data / "postgresql.conf").write_text(CONFIGURATION.format(addresses=self._addresses, port=self.port))
        (data / "pg_hba.conf").write_text(ACCESS)
        self.certificates.write_server_files(data)
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

    def stop(self) -> None:
        if self._service:
            self._service.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._place.is_symlink():
            self._place.unlink()

    def connect(self, database: str = "postgres") -> pg8000.native.Connection:
        """A connection of the superuser, verified against our own CA."""
        return pg8000.native.Connection(
            user=SUPERUSER,
            password=SUPERUSER_PASSWORD,
            host="localhost",
            port=self.port,
            database=database,
            ssl_context=ssl.create_default_context(cadata=self.certificates.ca),
            timeout=10,
        )

    def _answers(self) -> bool:
        try:
            self.connect().close()
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
