"""Executes statemachine/backfill.asl.json in the local stack: MiniStack reads the listing or the manifest and walks every state.

The handler is the real one; where an answer depends on the clock (a load longer than its invocation, a killed one), a stand-in
gives it, because what is tried here is the state machine. Three things differ from AWS, because MiniStack 1.5.33 does not know
them: limits that come by path are written in as numbers, an inventory is read as the CSV file that it is inside, and results are
not written to S3. So that it ends today, 20 calls are too many for one load, not 1,000.

`backfill.py local` starts this with the environment's Python.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import state_machine
from job import run_job
from ministack import ACCOUNT, CREDENTIALS, REGION
from postgres import Postgres
from preparation import ROOT, RUN, SCRIPTS
from sample import TABLE, as_csv, book_orders
from service import Failure
from stack import BUCKET, REJECTS, Stack
from steps import note, step

STACK_NAME = "holoload"
LOADER = "holoload"
STANDIN = "loader-standin"
BUDGET = 3
ROWS = 10
TIMEOUT_S = 240

# Keys that come out wrong if anybody encodes or decodes them once too often.
PREFIX = "original-data/"
KEYS = [PREFIX + name for name in ("plain.csv", "a b+c.csv", "100%25.csv", "注文 1.csv", "{}.csv", "quote'\"&.csv")]
ENCODED_KEYS = ["plain.csv", "a+b%2Bc.csv", "100%2525.csv", "%E6%B3%A8%E6%96%87%201.csv", "%7B%7D.csv", "quote%27%22%26.csv"]
BAD_KEY = PREFIX + "bad.csv"

CALLS_MAX = "round >= 1000"
FEW_CALLS_MAX = "round >= 20"

INVENTORY_COLUMNS = ["Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", type=Path, required=True, help="the folder with PostgreSQL's programs")
    parser.add_argument("--bootstrap", type=Path, required=True, help="the handler's binary")
    arguments = parser.parse_args()

    def job(resources: ExitStack) -> None:
        stack = Stack(Postgres(arguments.postgres, RUN), RUN)
        resources.callback(stack.stop)
        Trial(stack).run(arguments.bootstrap)

    return run_job(job)


class Trial:
    """The stack, and what a backfill is expected to do to it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.machines = 0

    def run(self, bootstrap: Path) -> None:
        with step("PostgreSQL and MiniStack with the handler"):
            self.start(bootstrap)
        with step("a listing: every key as it is, one object too bad, markers passed over"):
            self.load_listing()
        with step("a manifest with encoded keys: all loaded already, then by force"):
            self.load_manifest()
        with step("an inventory of all versions: only what is there now"):
            self.load_inventory()
        with step("state machine and bucket found by the stack's name"):
            self.ask_the_stack()
        with step("more failures than tolerated; inputs that make no sense"):
            self.refuse()
        with step("answers of a loader: transient, killed, continued, continued for ever"):
            self.follow_answers()
        with step("the Batch Operations call of docs/backfill.md, against S3's model of it"):
            self.create_batch_job()
        note("\nstatemachine/backfill.asl.json does what docs/backfill.md says.")

    def start(self, bootstrap: Path) -> None:
        self.stack.database.start()
        self.stack.database.create_table()
        self.stack.aws.start()
        self.stack.create_buckets()
        self.stack.aws.create_function(LOADER, bootstrap, self.stack.loader_environment())
        self.create_standin()
        s3 = self.stack.aws.client("s3")
        for seed, key in enumerate(KEYS):
            s3.put_object(Bucket=BUCKET, Key=key, Body=as_csv(book_orders(ROWS, seed), header=False))
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}2026/", Body=b"")
        s3.put_object(Bucket=BUCKET, Key=BAD_KEY, Body=b"neither header nor row\n")

    def load_listing(self) -> None:
        ended = self.backfill(["--bucket", BUCKET, "--prefix", PREFIX, "--tolerated", "20"], tolerated=20)
        expect("the exit code", ended.returncode, 0)
        reports = ended.reports()
        expect("keys loaded", sorted(report["key"] for report in reports if report["status"] == "loaded"), sorted(KEYS))
        expect("markers passed over", [report["key"] for report in reports if report["status"] == "ignored"], [f"{PREFIX}2026/"])
        expect("rows", self.row_count(), len(KEYS) * ROWS)
        if f"failed: {BAD_KEY}: Input:" not in ended.output:
            raise Failure(f"the bad object is not named:\n{ended.output}")
        expect("tolerance", ended.child_inputs()[0]["run"]["tolerated_failure_percentage"], 20)
        expect("concurrency", ended.child_inputs()[0]["run"]["max_concurrency"], BUDGET)

    def load_manifest(self) -> None:
        lines = "".join(f"{BUCKET},{PREFIX.replace('/', '%2F')}{key}\n" for key in ENCODED_KEYS)
        self.put("manifest.csv", lines)
        manifest = ["--manifest", f"s3://{REJECTS}/manifest.csv"]
        expect("statuses", self.statuses(manifest), ["skipped"] * len(KEYS))
        expect("statuses by force", self.statuses([*manifest, "--force"]), ["loaded"] * len(KEYS))
        expect("rows", self.row_count(), len(KEYS) * ROWS)
        self.put("plain.csv", f'{BUCKET},"{PREFIX}a b+c.csv"\n{BUCKET},{PREFIX}100%25.csv\n')
        plain = self.backfill(["--manifest", f"s3://{REJECTS}/plain.csv", "--plain-keys", "--force", "--dry-run"])
        expect("keys", sorted(report["key"] for report in plain.reports()), [f"{PREFIX}100%25.csv", f"{PREFIX}a b+c.csv"])

    def load_inventory(self) -> None:
        rows = [
            ("original-data/plain.csv", "v2", "true", "false", "500"),
            ("original-data/plain.csv", "v1", "false", "false", "500"),
            ("original-data/a+b%2Bc.csv", "v1", "true", "false", "500"),
            ("original-data/gone.csv", "v3", "true", "true", ""),
            ("original-data/2026/", "v1", "true", "false", "0"),
        ]
        self.put("inventory/manifest.json", as_rows([(BUCKET, *row) for row in rows]))
        ended = self.backfill(["--inventory", f"s3://{REJECTS}/inventory/manifest.json", "--force"])
        expect("the exit code", ended.returncode, 0)
        statuses = sorted((report["key"], report["status"]) for report in ended.reports() if report["status"] != "ignored")
        expect("loaded", statuses, [(f"{PREFIX}a b+c.csv", "loaded"), (f"{PREFIX}plain.csv", "loaded")])
        expect("executions", len(ended.children), len(rows))

    def refuse(self) -> None:
        ended = self.backfill(["--bucket", BUCKET, "--prefix", BAD_KEY])
        expect("the exit code", ended.returncode, 1)
        if "ToleratedFailureThreshold" not in ended.output or "redrive-execution" not in ended.output:
            raise Failure(f"the failure is not explained:\n{ended.output}")
        machine = self.create_machine(tolerated=10)
        for mistake in (
            {},
            {"source": "listing"},
            {"source": "list", "bucket": BUCKET},
            {"source": "listing", "bucket": BUCKET, "key": "manifest.csv"},
            {"source": "manifest", "bucket": BUCKET},
            {"source": "listing", "bucket": BUCKET, "forse": True},
        ):
            described = self.execute(machine, mistake)
            expect(f"the error of {mistake}", (described["status"], described.get("error")), ("FAILED", "Config"))

    def follow_answers(self) -> None:
        calls = {"loaded": 1, "transient-2": 3, "killed-2": 3, "throttled-3": 4, "continued-3": 4}
        ends = {"transient-99": "Transient", "input-1": "Input", "killed-99": "Runtime.ExitError"}
        self.put("answers.csv", "".join(f"answers,{key}\n" for key in [*calls, *ends]))
        manifest = ["--manifest", f"s3://{REJECTS}/answers.csv"]
        ended = self.backfill([*manifest, "--tolerated", "50"], tolerated=50, function=STANDIN)
        expect("the exit code", ended.returncode, 0)
        expect("calls", {report["key"]: report["calls"] for report in ended.reports()}, calls)
        expect("errors", ended.errors(), ends)
        self.put("answers.csv", "answers,continued-9999\n")
        endless = self.backfill([*manifest, "--tolerated", "100"], tolerated=100, function=STANDIN)
        expect("errors", endless.errors(), {"continued-9999": "Transient"})
        expect("calls", len((self.stack.folder / "calls" / "continued-9999-False").read_text()), 20)
        self.put("answers.csv", "answers,continued-1\n")
        forced = self.backfill([*manifest, "--tolerated", "100", "--force"], tolerated=100, function=STANDIN)
        expect("calls by force", {report["key"]: report["calls"] for report in forced.reports()}, {"continued-1": 2})

    def ask_the_stack(self) -> None:
        """The command finds state machine and bucket by the stack's name, as people call it."""
        definition = for_ministack(self.definition(LOADER), 20)
        template = {
            "Resources": {
                "BackfillStateMachine": {
                    "Type": "AWS::StepFunctions::StateMachine",
                    "Properties": {
                        "StateMachineName": "of-a-stack",
                        "DefinitionString": json.dumps(definition),
                        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/backfill",
                    },
                }
            },
            "Outputs": {"SourceBucketName": {"Value": BUCKET}},
        }
        client = self.stack.aws.client("cloudformation")
        client.create_stack(StackName=STACK_NAME, TemplateBody=json.dumps(template))
        client.get_waiter("stack_create_complete").wait(StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        machine = client.describe_stack_resource(StackName=STACK_NAME, LogicalResourceId="BackfillStateMachine")
        ended = self.run_command(
            machine["StackResourceDetail"]["PhysicalResourceId"], ["--stack", STACK_NAME, "--prefix", KEYS[0], "--force"]
        )
        expect("the exit code", ended.returncode, 0)
        expect("keys", [report["key"] for report in ended.reports()], [KEYS[0]])

    def create_batch_job(self) -> None:
        """Runs the documented commands in a shell in which `aws` answers as a deployed stack would."""
        text = (ROOT / "docs" / "backfill.md").read_text()
        [block] = [block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if "create-job" in block]
        job = self.stack.folder / "job.json"
        program = f'aws() {{ "{sys.executable}" -B "{SCRIPTS / "aws_standin.py"}" "$@"; }}\nset -eu\n{block}'
        done = subprocess.run(["bash", "-c", program], env={**os.environ, "JOB": str(job)}, capture_output=True, text=True)
        if done.returncode or not job.exists():
            raise Failure(f"the documented call fails:\n{done.stdout}{done.stderr}")
        parameters = json.loads(job.read_text())
        expect("the function", parameters["Operation"]["LambdaInvoke"]["FunctionArn"].rpartition(":")[2], "functionname")
        expect("the role", parameters["RoleArn"].rpartition("/")[2], "BatchOperationsRoleArn")
        expect("the ETag", parameters["Manifest"]["Location"]["ETag"], "60e460c9d1046e73f7dde5043ac3ae85")

    def statuses(self, options: list[str]) -> list[str]:
        ended = self.backfill(options)
        expect("the exit code", ended.returncode, 0)
        return [report["status"] for report in ended.reports()]

    def backfill(self, options: list[str], *, tolerated: int = 10, function: str = LOADER) -> Ended:
        """Runs the command that people run."""
        machine = self.create_machine(tolerated=tolerated, function=function)
        return self.run_command(machine, ["--state-machine", machine, *options])

    def run_command(self, machine: str, options: list[str]) -> Ended:
        command = [sys.executable, "-B", SCRIPTS / "backfill_run.py", "--poll", "0.2", *options]
        environment = {**os.environ, **CREDENTIALS, "AWS_REGION": REGION}
        environment["AWS_ENDPOINT_URL"] = self.stack.aws.endpoint
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
        return Ended(self.stack, machine, done.returncode, done.stdout + done.stderr)

    def execute(self, machine: str, what: dict[str, Any]) -> dict[str, Any]:
        client = self.stack.aws.client("stepfunctions")
        execution = client.start_execution(stateMachineArn=machine, input=json.dumps(what))["executionArn"]
        deadline = time.monotonic() + TIMEOUT_S
        while (described := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            if time.monotonic() > deadline:
                raise Failure(f"the state machine did not end in {TIMEOUT_S} s with {what}")
            time.sleep(0.1)
        return described

    def create_machine(self, *, tolerated: int, function: str = LOADER) -> str:
        self.machines += 1
        definition = for_ministack(self.definition(function), tolerated)
        created = self.stack.aws.client("stepfunctions").create_state_machine(
            name=f"backfill-{self.machines}",
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/backfill",
        )
        return created["stateMachineArn"]

    def definition(self, function: str) -> state_machine.Definition:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
        return state_machine.read(LoaderFunctionArn=arn, MaxConcurrency=str(BUDGET), AuditBucket=REJECTS)

    def create_standin(self) -> None:
        """A function that answers as its object's key says, and counts its calls."""
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr(entry, (SCRIPTS / "loader_standin.py").read_bytes())
        counts = self.stack.folder / "calls"
        counts.mkdir()
        client = self.stack.aws.client("lambda")
        client.create_function(
            FunctionName=STANDIN,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=f"arn:aws:iam::{ACCOUNT}:role/loader",
            Code={"ZipFile": package.getvalue()},
            Timeout=900,
            Environment={"Variables": {"CALLS": str(counts)}},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=STANDIN, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})

    def put(self, key: str, content: str) -> None:
        self.stack.aws.client("s3").put_object(Bucket=REJECTS, Key=key, Body=content.encode())

    def row_count(self) -> int:
        [[count]] = self.stack.database.query(f"select count(*) from {TABLE}")
        return count


class Ended:
    """A backfill that has ended, and its objects' executions."""

    def __init__(self, stack: Stack, machine: str, returncode: int, output: str) -> None:
        self.returncode = returncode
        self.output = output
        client = stack.aws.client("stepfunctions")
        [execution] = client.list_executions(stateMachineArn=machine)["executions"]
        [run] = client.list_map_runs(executionArn=execution["executionArn"])["mapRuns"]
        listed = client.list_executions(mapRunArn=run["mapRunArn"])["executions"]
        self.children = [client.describe_execution(executionArn=child["executionArn"]) for child in listed]

    def reports(self) -> list[dict[str, Any]]:
        """What the executions that went well say of their objects."""
        return [json.loads(child["output"]) for child in self.children if child["status"] == "SUCCEEDED"]

    def errors(self) -> dict[str, str]:
        failed = [child for child in self.children if child["status"] == "FAILED"]
        return {json.loads(child["input"])["item"]["Key"]: child["error"] for child in failed}

    def child_inputs(self) -> list[dict[str, Any]]:
        return [json.loads(child["input"]) for child in self.children]


def for_ministack(definition: state_machine.Definition, tolerated: int) -> state_machine.Definition:
    """The same definition without what MiniStack does not know, or would take long for."""
    definition = json.loads(json.dumps(definition).replace(CALLS_MAX, FEW_CALLS_MAX))
    for state in state_machine.maps(definition).values():
        del state["MaxConcurrencyPath"], state["ToleratedFailurePercentagePath"]
        state["MaxConcurrency"], state["ToleratedFailurePercentage"] = BUDGET, tolerated
    reader = state_machine.maps(definition)["Inventory"]["ItemReader"]
    reader["ReaderConfig"] = {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": INVENTORY_COLUMNS}
    return definition


def as_rows(rows: list[tuple[str, ...]]) -> str:
    """CSV as S3 writes it: every field in quotes."""
    return "".join(",".join(f'"{field}"' for field in row) + "\n" for row in rows)


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Failure(f"{what}: {found!r} instead of {wanted!r}", f"MiniStack's log is {RUN / 'ministack.log'}")


if __name__ == "__main__":
    sys.exit(main())
