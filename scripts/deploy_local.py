"""Deploys template.yaml with `sam deploy` into the local stack and puts objects into the bucket that the template made.

Events go the template's own ways: bucket -> queue -> event source mapping -> function, then, by updates of the stack, bucket ->
function and bucket -> EventBridge -> queue -> function. The credentials come from the template's secret, and MiniStack lets the
function do what its role and the bucket's policy allow and nothing else. What MiniStack cannot do is in `local_template.py`.

`sam.py` starts this with the environment's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import deployed
from job import run_job
from local_template import RECEIVES_MAX, write_local_template
from ministack import CREDENTIALS, REGION
from postgres import Postgres
from preparation import ROOT, RUN
from sam_template import load_template
from sample import TABLE, as_csv, book_orders
from service import Failure
from stack import TIMEZONE, Stack
from steps import note, step

STACK_NAME = "holoload"
ARTIFACTS = "artifacts"
# The second one: the template is a SAM one.
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
ROW_COUNT = 1_000
WAIT_TIMEOUT_S = 90
# S3's test event has started the function with the placeholders by then. It reads a secret that the database refused again, but
# not within 10 s of the last time; an event in between fails, and its message is back only later.
SECRET_AGE_S = 11


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", type=Path, required=True, help="the folder with PostgreSQL's programs")
    parser.add_argument("--sam", type=Path, required=True, help="the `sam` program")
    arguments = parser.parse_args()

    def job(resources: ExitStack) -> None:
        stack = Stack(Postgres(arguments.postgres, RUN), RUN, enforces=True)
        resources.callback(stack.stop)
        run(Deployment(stack, arguments.sam))

    return run_job(job)


class Deployment:
    """The template's stack, and what has been put into its bucket so far."""

    def __init__(self, stack: Stack, sam: Path) -> None:
        self.stack = stack
        self.sam = sam
        self.outputs: dict[str, str] = {}
        self.status = ""
        self.file_count = 0
        self.row_count = 0

    def deploy(self) -> None:
        """Creates the stack out of what `sam build` made."""
        file = RUN / "parameters.yaml"
        file.write_text(json.dumps(self.parameters()))
        command = [self.sam, "deploy", "--template-file", write_local_template(), "--stack-name", STACK_NAME, "--region", REGION]
        command += ["--s3-bucket", ARTIFACTS, "--no-resolve-s3", "--no-confirm-changeset", "--capabilities", "CAPABILITY_IAM"]
        command += ["--parameter-overrides", f"file://{file}"]
        environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": self.stack.aws.endpoint, "SAM_CLI_TELEMETRY": "0"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        (RUN / "sam-deploy.log").write_text(done.stdout + done.stderr)
        if done.returncode:
            raise Failure(f"sam deploy failed:\n{(done.stdout + done.stderr)[-3000:]}")
        self.wait_for_stack("CREATE_COMPLETE")

    def update(self, **changed: str) -> None:
        """Changes parameters of the stack, as one does to pause it."""
        parameters = [
            {"ParameterKey": name, **({"ParameterValue": changed[name]} if name in changed else {"UsePreviousValue": True})}
            for name in {**self.parameters(), **changed}
        ]
        self.stack.aws.client("cloudformation").update_stack(
            StackName=STACK_NAME, UsePreviousTemplate=True, Parameters=parameters, Capabilities=CAPABILITIES
        )
        self.wait_for_stack("UPDATE_COMPLETE")

    def wait_for_stack(self, wanted: str) -> None:
        def is_done() -> bool:
            [description] = self.stack.aws.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
            if not description["StackStatus"].endswith("_IN_PROGRESS"):
                self.outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
                self.status = description["StackStatus"]
            return self.status == wanted or self.status.endswith("FAILED")

        self.status = ""
        self.wait(f"the stack is not {wanted}", is_done)
        if self.status != wanted:
            raise Failure(f"the stack is {self.status}")

    def parameters(self) -> dict[str, str]:
        loader = self.stack.database.loader()
        return {
            "HologresHost": loader.host,
            "HologresPort": str(loader.port),
            "Database": loader.database,
            "Table": TABLE,
            "TimeZone": TIMEZONE,
            "CaCertificate": loader.ca,
            # Here everybody comes from this address. From any other one the function could not read.
            "AllowedAddresses": "127.0.0.1/32",
            "AlarmEmail": "somebody@example.com",
            "SweepSchedule": "rate(1 day)",
            "Trigger": "queue",
            "Paused": "false",
        }

    def fill_secret(self) -> None:
        loader = self.stack.database.loader()
        self.stack.aws.client("secretsmanager").put_secret_value(
            SecretId=self.outputs["SecretArn"],
            SecretString=json.dumps({"username": loader.user, "password": loader.password}),
        )

    def put_orders(self) -> str:
        """Puts a file with orders that no other file has; answers its key."""
        return self.put_file(as_csv(book_orders(ROW_COUNT, seed=self.file_count + 1), header=False), ROW_COUNT)

    def put_a_bad_row(self) -> None:
        """Puts a file with a good row and one whose number is none."""
        good, bad = as_csv(book_orders(2, seed=self.file_count + 1), header=False).splitlines()
        self.put_file(b"\r\n".join([good, bad.rsplit(b",", 1)[0] + b",many"]), 1)

    def put_file(self, body: bytes, row_count: int) -> str:
        self.file_count += 1
        self.row_count += row_count
        key = f"orders/{self.file_count}.csv"
        self.put(key, body)
        return key

    def put(self, key: str, body: bytes) -> None:
        self.stack.aws.client("s3").put_object(Bucket=self.outputs["SourceBucketName"], Key=key, Body=body)

    def wait_for_rows(self) -> None:
        wanted = [[self.row_count]]
        self.wait("the rows did not arrive", lambda: self.stack.database.query(f"select count(*) from {TABLE}") == wanted)

    def wait(self, trouble: str, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while not is_done():
            if time.monotonic() > deadline:
                raise Failure(f"{trouble} in {WAIT_TIMEOUT_S} s\n\nthe function's log:\n{self.log()}")
            time.sleep(0.2)

    def log(self) -> str:
        aws = self.stack.aws
        return "\n".join(f"  {line}" for line in [*aws.log_lines(self.outputs["FunctionName"]), *aws.start_errors()][-25:])


def run(deployment: Deployment) -> None:
    stack = deployment.stack
    with step("PostgreSQL and MiniStack"):
        stack.database.start()
        stack.database.create_table()
        stack.aws.start()
        stack.aws.client("s3").create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
    with step("sam deploy"):
        deployment.deploy()
    filled_at = time.monotonic()
    with step("fill the secret, as one does after a deployment"):
        deployment.fill_secret()
    with step("the buckets' default encryption, which MiniStack leaves out"):
        deployed.encrypt_buckets(stack.aws, load_template(), deployment.outputs)
    with step("what was made: key, bucket, queues, mapping, function, role, alarms"):
        deployed.check(stack.aws, deployment.outputs)
    with step(f"wait until the secret is {SECRET_AGE_S} s old"):
        time.sleep(max(0.0, filled_at + SECRET_AGE_S - time.monotonic()))
    with step("Trigger=queue: put an object, wait for its rows"):
        key = deployment.put_orders()
        deployed.check_object(stack.aws, deployment.outputs, key)
        deployment.wait_for_rows()
    with step("a bad row is among the rejects, the good one in the table"):
        deployment.put_a_bad_row()
        deployment.wait_for_rows()
        deployed.check_rejects(stack.aws, deployment.outputs)
    with step(f"an object that cannot be loaded is a dead letter after {RECEIVES_MAX} tries"):
        bury_a_poison_object(deployment)
    with step("Paused=true: an object waits in the queue"):
        pause(deployment)
    with step("Trigger=direct: what has waited is loaded, and another object"):
        deployment.update(Paused="false", Trigger="direct")
        deployed.check_direct(stack.aws, deployment.outputs)
        deployment.put_orders()
        deployment.wait_for_rows()
    with step("Trigger=eventbridge: put an object, wait for its rows"):
        deployment.update(Trigger="eventbridge")
        deployed.check_eventbridge(stack.aws, deployment.outputs)
        deployment.put_orders()
        deployment.wait_for_rows()
    note()
    for name, value in deployment.outputs.items():
        note(f"  {name:<23} {value}")
    note(f"\n{TABLE} holds the {deployment.row_count:,} rows of {deployment.file_count} files.")


def pause(deployment: Deployment) -> None:
    aws, outputs = deployment.stack.aws, deployment.outputs
    deployment.update(Paused="true")
    deployed.check_paused(aws, outputs)
    # S3's test event may still be there, put off because the secret held placeholders when it came.
    aws.client("sqs").purge_queue(QueueUrl=outputs["QueueUrl"])
    deployment.put_orders()
    deployment.wait("no event waits", lambda: deployed.waiting_count(aws, outputs) == 1)


def bury_a_poison_object(deployment: Deployment) -> None:
    key = "orders/poison.csv"
    deployment.put(key, b"neither,a,header\nnor,data\n")
    letters: list[str] = []

    def has_come() -> bool:
        letters.extend(deployed.receive(deployment.stack.aws, deployment.outputs["DeadLetterQueueUrl"]))
        return any(key in letter for letter in letters)

    deployment.wait("the poison object is no dead letter", has_come)
    status = deployment.stack.ledger_statuses().get(key)
    if status != "failed":
        raise Failure(f"the ledger calls the poison object {status}")


if __name__ == "__main__":
    sys.exit(main())
