"""Deploys template.yaml with `sam deploy` into the local stack and puts an object into the bucket that the template made.

The event then goes the template's own way (bucket -> queue -> event source mapping -> function), and the credentials come from
the template's secret. MiniStack checks no permissions: roles, policies and the network are created, not enforced. The NAT gateway
and its address are left out: MiniStack has no such resources.

`sam.py` starts this with the environment's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from job import run_job
from ministack import CREDENTIALS, REGION
from postgres import Postgres
from preparation import ROOT, RUN
from sam_template import function_properties, load_built_template
from sample import TABLE, as_csv, book_orders
from service import Failure
from stack import TIMEZONE, Stack
from steps import note, step

STACK_NAME = "holoload"
ARTIFACTS = "artifacts"
UNKNOWN_RESOURCES = ["EgressIp", "NatGateway", "PrivateRoute"]
UNKNOWN_OUTPUTS = ["EgressAddress"]
KEY = "original-data/book_order.csv"
MAX_LOADERS = 4
ROW_COUNT = 1_000
LOAD_TIMEOUT_S = 60
# S3's test event has started the function with the placeholders by then. It reads a secret that the database refused again, but
# not within 10 s of the last time; an event in between fails, and its message is back only after the visibility timeout.
SECRET_AGE_S = 11


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", type=Path, required=True, help="the folder with PostgreSQL's programs")
    parser.add_argument("--sam", type=Path, required=True, help="the `sam` program")
    arguments = parser.parse_args()

    def job(resources: ExitStack) -> None:
        stack = Stack(Postgres(arguments.postgres, RUN), RUN)
        resources.callback(stack.stop)
        run(stack, arguments.sam)

    return run_job(job)


def run(stack: Stack, sam: Path) -> None:
    with step("PostgreSQL and MiniStack"):
        stack.database.start()
        stack.database.create_table()
        stack.aws.start()
        stack.aws.client("s3").create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
    with step("sam deploy"):
        outputs = deploy(stack, sam)
    loader = stack.database.loader()
    with step(f"fill the secret, as one does after a deployment, and wait {SECRET_AGE_S} s"):
        stack.aws.client("secretsmanager").put_secret_value(
            SecretId=outputs["SecretArn"],
            SecretString=json.dumps({"username": loader.user, "password": loader.password}),
        )
        time.sleep(SECRET_AGE_S)
    with step("put an object, wait for its rows"):
        stack.aws.client("s3").put_object(
            Bucket=outputs["SourceBucketName"], Key=KEY, Body=as_csv(book_orders(ROW_COUNT, seed=1), header=False)
        )
        wait_for_rows(stack, outputs["FunctionName"])
    note()
    for name, value in outputs.items():
        note(f"  {name:<20} {value}")
    note(f"\n{TABLE} holds the {ROW_COUNT:,} rows.")


def write_template() -> Path:
    """The built template without the resources that MiniStack does not know and what refers to them."""
    template = load_built_template()
    for name in UNKNOWN_RESOURCES:
        del template["Resources"][name]
    for name in UNKNOWN_OUTPUTS:
        del template["Outputs"][name]
    # MiniStack's poller fails on a number that came through a parameter.
    events = function_properties(template)["Events"]
    events["ObjectCreated"]["Properties"]["ScalingConfig"]["MaximumConcurrency"] = MAX_LOADERS
    file = RUN / "template.json"
    file.write_text(json.dumps(template, indent=1))
    return file


def deploy(stack: Stack, sam: Path) -> dict[str, str]:
    """Deploys what `sam build` made; answers the stack's outputs."""
    loader = stack.database.loader()
    parameters = {
        "HologresHost": loader.host,
        "HologresPort": str(loader.port),
        "Database": loader.database,
        "Table": TABLE,
        "TimeZone": TIMEZONE,
        "CaCertificate": loader.ca,
    }
    file = RUN / "parameters.yaml"
    file.write_text(json.dumps(parameters))
    command = [sam, "deploy", "--template-file", write_template(), "--stack-name", STACK_NAME, "--region", REGION]
    command += ["--s3-bucket", ARTIFACTS, "--no-resolve-s3", "--no-confirm-changeset", "--parameter-overrides", f"file://{file}"]
    environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": stack.aws.endpoint, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    (RUN / "sam-deploy.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise Failure(f"sam deploy failed:\n{(done.stdout + done.stderr)[-3000:]}")
    [description] = stack.aws.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    if description["StackStatus"] != "CREATE_COMPLETE":
        raise Failure(f"the stack is {description['StackStatus']}")
    return {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}


def wait_for_rows(stack: Stack, function: str) -> None:
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while stack.database.query(f"select count(*) from {TABLE}") != [[ROW_COUNT]]:
        if time.monotonic() > deadline:
            log = "\n".join(f"  {line}" for line in [*stack.aws.log_lines(function), *stack.aws.start_errors()][-25:])
            raise Failure(f"the rows did not arrive in {LOAD_TIMEOUT_S} s\n\nthe function's log:\n{log}")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
