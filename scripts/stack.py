"""The local stack: a database server and MiniStack, with the table, the buckets and the key that the main job needs."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from database import Database
from ministack import CREDENTIALS, REGION, MiniStack
from postgres import remove_leftovers
from sample import TABLE
from service import free_port

BUCKET = "bob-embulk-demo"
REJECTS = "bob-rejects"
LEDGER = "public.holoload_ledger"
TIMEZONE = "Asia/Tokyo"


def make_run_folder(folder: Path) -> None:
    """An empty folder for one run, whatever an earlier one left in it."""
    remove_leftovers(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


class Stack:
    """Both servers. `address`: where MiniStack listens. `enforces`: whether it checks permissions."""

    def __init__(self, database: Database, folder: Path, address: str = "127.0.0.1", *, enforces: bool = False) -> None:
        self.database = database
        self.folder = folder
        self.aws = MiniStack(free_port(address), folder / "ministack", folder / "ministack.log", address, enforces=enforces)

    def stop(self) -> None:
        self.aws.stop()
        self.database.stop()

    def create_buckets(self) -> str:
        """The source and the rejects bucket, and the KMS key for encrypted objects, whose ARN it answers."""
        s3 = self.aws.client("s3")
        for bucket in (BUCKET, REJECTS):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        return self.aws.client("kms").create_key(Description="book orders")["KeyMetadata"]["Arn"]

    def ledger_statuses(self) -> dict[str, str]:
        """The status of each object key; empty as long as no load has made the ledger."""
        if self.database.query(f"select to_regclass('{LEDGER}')") == [[None]]:
            return {}
        return dict(self.database.query(f"select object_key, status from {LEDGER} order by attempt"))

    def loader_environment(self) -> dict[str, str]:
        """The handler's configuration: one table needs no file."""
        loader = self.database.loader()
        return {
            "HOLOLOAD_HOST": loader.host,
            "HOLOLOAD_PORT": str(loader.port),
            "HOLOLOAD_DATABASE": loader.database,
            "HOLOLOAD_USER": loader.user,
            "HOLOLOAD_PASSWORD": loader.password,
            "HOLOLOAD_CA": loader.ca,
            "HOLOLOAD_TABLE": TABLE,
            "HOLOLOAD_TIMEZONE": TIMEZONE,
            "HOLOLOAD_REJECTS": f"s3://{REJECTS}/",
            "AWS_ENDPOINT_URL": self.aws.endpoint,
        }

    def write_shell_environment(self) -> Path:
        """A file for `. FILE`: the CLI and `psql` then work against this stack."""
        loader = self.database.loader()
        ca_file = self.folder / "ca.pem"
        ca_file.write_text(loader.ca)
        variables = {
            **self.loader_environment(),
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "HOLOLOAD_CA": str(ca_file),
            "PGHOST": loader.host,
            "PGPORT": str(loader.port),
            "PGDATABASE": loader.database,
            "PGUSER": loader.user,
            "PGPASSWORD": loader.password,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(ca_file),
        }
        file = self.folder / "env.sh"
        file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
        return file


def forget_own_settings() -> None:
    """Keeps the caller's AWS profile, proxies and holoload settings out of the local stack."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "HOLOLOAD_", "PG")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
