"""AWS on this machine: MiniStack serves S3, KMS, Lambda and CloudWatch Logs, and runs the real `bootstrap` as a process."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from service import Service

REGION = "ap-northeast-1"
ACCOUNT = "000000000000"

# As on AWS: an asynchronous invocation that fails is tried twice again.
ATTEMPTS = 3

# Any pair is good: MiniStack checks no signatures.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class MiniStack:
    """One emulator on one loopback port.

    `enforces`: functions get credentials of their role, and requests with them are checked against its policies and the
    resources'. The local stack's own requests are the account's root, whom only a policy of the resource can refuse.
    """

    def __init__(self, port: int, folder: Path, log: Path, address: str = "127.0.0.1", *, enforces: bool = False) -> None:
        self.port = port
        self.address = address
        self.enforces = enforces
        self.endpoint = f"http://{address}:{port}"
        self._folder = folder
        self._log = log
        self._service: Service | None = None

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._service = Service("MiniStack", [sys.executable, "-m", "ministack"], self._log, env=self._environment())
        self._service.wait_until(self._answers)

    def stop(self) -> None:
        if self._service:
            self._service.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def client(self, service: str) -> Any:
        """A boto3 client that sees nothing of the caller's own AWS settings."""
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def create_function(self, name: str, bootstrap: Path, environment: Mapping[str, str]) -> str:
        """Makes the function out of the handler's binary and answers its ARN."""
        client = self.client("lambda")
        client.create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=f"arn:aws:iam::{ACCOUNT}:role/loader",
            Code={"ZipFile": zip_bootstrap(bootstrap)},
            Timeout=900,
            MemorySize=1769,
            Environment={"Variables": dict(environment)},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
        return client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]

    def invoke_on_put(self, bucket: str, prefixes: list[str], function_arn: str) -> None:
        """Lets the bucket invoke the function for every object created under the prefixes."""
        self.client("lambda").add_permission(
            FunctionName=function_arn,
            StatementId="bucket",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn=f"arn:aws:s3:::{bucket}",
            SourceAccount=ACCOUNT,
        )
        self.client("s3").put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [_notification(prefix, function_arn) for prefix in prefixes]
            },
        )

    def log_lines(self, function: str) -> list[str]:
        """What the function wrote so far, oldest first."""
        client = self.client("logs")
        try:
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
            events = [event for page in pages for event in page["events"]]
        except client.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]

    def invocation_count(self, function: str) -> int:
        """How many invocations have ended, well or not."""
        return sum(line.startswith("END RequestId") for line in self.log_lines(function))

    def start_errors(self) -> list[str]:
        """What MiniStack itself says of a handler that ended before it asked for an invocation."""
        return [line for line in self._log.read_text(errors="replace").splitlines() if " ERROR [lambda] " in line]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "STATE_DIR": str(self._folder / "state"),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": self.address,
            "MINISTACK_HOST": self.address,
            "MINISTACK_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "LAMBDA_EXECUTOR": "local",
            # One port is enough: no MQTT broker on 8883.
            "IOT_MTLS_ENABLED": "0",
            # Without this, MiniStack looks for a container engine and for containers to stop.
            "DOCKER_HOST": f"unix://{self._folder}/no-docker.sock",
            # A state machine's pauses pass a thousand times as fast.
            "SFN_WAIT_SCALE": "0.001",
            "AUTH": str(self.enforces).lower(),
            "LOG_LEVEL": "INFO",
        }

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def zip_bootstrap(bootstrap: Path) -> bytes:
    """The Lambda package: one executable file."""
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o100755 << 16
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(entry, bootstrap.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return package.getvalue()


def finished_loads(lines: list[str]) -> Iterator[dict[str, Any]]:
    """The handler's log lines about finished loads; `report` is the whole report."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("message") == "load finished":
            # A log field holds no objects: the report is JSON in a string.
            yield {**entry, "report": json.loads(entry["report"])}


def _notification(prefix: str, function_arn: str) -> dict[str, Any]:
    return {
        "LambdaFunctionArn": function_arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
    }
