"""The local stack: PostgreSQL and MiniStack, with the table, the buckets and the key that the main job needs."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pg8000.native

from certificates import make_certificates
from ministack import CREDENTIALS, REGION, MiniStack
from postgres import Postgres, remove_leftovers
from sample import CREATE_TABLE, TABLE
from service import free_port

BUCKET = "bob-embulk-demo"
REJECTS = "bob-rejects"
DATABASE = "demo"
LEDGER = "public.holoload_ledger"
LOADER = "loader"
LOADER_PASSWORD = "local-loader"
TIMEZONE = "Asia/Tokyo"

# What a loader needs and no more. CREATE on the schema is for the ledger, which it makes on first use.
GRANTS = f"""\
create role {LOADER} login password '{LOADER_PASSWORD}';
grant create, usage on schema public to {LOADER};
grant select, insert, update, delete on {TABLE} to {LOADER};
"""


def make_run_folder(folder: Path) -> None:
    """An empty folder for one run, whatever an earlier one left in it."""
    remove_leftovers(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


class Stack:
    """Both servers. `addresses`: where else than on localhost they listen, for a handler in a container."""

    def __init__(self, postgres_bin: Path, folder: Path, *, host: str = "localhost", addresses: Sequence[str] = ()) -> None:
        certificates = make_certificates(["localhost", "host.docker.internal"], ["127.0.0.1", *addresses])
        self.host = host
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_text(certificates.ca)
        self.postgres = Postgres(postgres_bin, folder, free_port(), certificates, ",".join(["localhost", *addresses]))
        address = addresses[0] if addresses else "127.0.0.1"
        self.aws = MiniStack(free_port(address), folder / "ministack", folder / "ministack.log", address)

        self._database: pg8000.native.Connection | None = None

    def stop(self) -> None:
        self.aws.stop()
        self.postgres.stop()

    def create_table(self) -> None:
        """The database, the article's table and the role of the loader."""
        server = self.postgres.connect()
        server.run(f"create database {DATABASE}")
        server.close()
        self._database = self.postgres.connect(DATABASE)
        self._database.run(CREATE_TABLE)
        for statement in filter(None, map(str.strip, GRANTS.split(";"))):
            self._database.run(statement)

    def create_buckets(self) -> str:
        """The source and the rejects bucket, and the KMS key for encrypted objects, whose ARN it answers."""
        s3 = self.aws.client("s3")
        for bucket in (BUCKET, REJECTS):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        return self.aws.client("kms").create_key(Description="book orders")["KeyMetadata"]["Arn"]

    def query(self, statement: str) -> list[list[Any]]:
        """The rows of one statement, read as the superuser."""
        assert self._database, "create_table comes first"
        return self._database.run(statement)

    def ledger_statuses(self) -> dict[str, str]:
        """The status of each object key; empty as long as no load has made the ledger."""
        if self.query(f"select to_regclass('{LEDGER}')") == [[None]]:
            return {}
        return dict(self.query(f"select object_key, status from {LEDGER} order by attempt"))

    def loader_environment(self) -> dict[str, str]:
        """The handler's configuration: one table needs no file."""
        return {
            "HOLOLOAD_HOST": self.host,
            "HOLOLOAD_PORT": str(self.postgres.port),
            "HOLOLOAD_DATABASE": DATABASE,
            "HOLOLOAD_USER": LOADER,
            "HOLOLOAD_PASSWORD": LOADER_PASSWORD,
            "HOLOLOAD_CA": self.postgres.certificates.ca,
            "HOLOLOAD_TABLE": TABLE,
            "HOLOLOAD_TIMEZONE": TIMEZONE,
            "HOLOLOAD_REJECTS": f"s3://{REJECTS}/",
            "AWS_ENDPOINT_URL": self.aws.endpoint,
        }

    def write_shell_environment(self) -> Path:
        """A file for `. FILE`: the CLI then works against this stack."""
        variables = {
            **self.loader_environment(),
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "HOLOLOAD_CA": str(self.ca_file),
            "PGPASSWORD": LOADER_PASSWORD,
        }
        file = self.folder / "env.sh"
        file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
        return file

    def psql_command(self) -> str:
        return (
            f'psql "host=localhost port={self.postgres.port} dbname={DATABASE} user={LOADER} '
            f'sslmode=verify-full sslrootcert={os.path.relpath(self.ca_file)}"'
        )


def forget_own_settings() -> None:
    """Keeps the caller's AWS profile, proxies and holoload settings out of the local stack."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "HOLOLOAD_", "PG")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
