"""Starts a backfill of a deployed stack and shows how far it is until it ends: docs/backfill.md. `make backfill` calls it.

What to load, one of these:
  --prefix P (with --bucket B)        what an S3 listing has
  --inventory s3://BUCKET/KEY         what an S3 inventory has; KEY is that of its manifest.json
  --manifest s3://BUCKET/KEY          what a CSV manifest names: bucket,key[,version]

Ends with 0 if the backfill succeeded, with 1 if it failed, that is if more objects failed than it tolerates.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
import botocore.exceptions

from steps import fail, note

POLL_S = 5.0
# Enough to see what they have in common; the audit has them all.
FAILURES_SHOWN = 10
CAUSE_CHARACTERS = 300

ENDED = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}


class Mistake(Exception):
    """Something that whoever typed the command can put right."""


class Clients(NamedTuple):
    """What is asked of AWS."""

    states: Any
    stacks: Any


def main() -> int:
    arguments = parse_arguments()
    try:
        source = chosen_source(arguments)
        clients = make_clients()
        machine = arguments.state_machine or resource(clients, arguments.stack, "BackfillStateMachine")
        execution = start(clients, machine, run_input(clients, arguments, source))
        return watch(clients, execution, arguments.poll)
    except Mistake as mistake:
        return fail(str(mistake))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        return fail(str(error), "are AWS_PROFILE and AWS_REGION those of the stack? Does `aws sts get-caller-identity` work?")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="holoload", help="the name of the stack; holoload without it")
    parser.add_argument("--state-machine", help="the state machine's ARN, where there is no stack to ask")
    parser.add_argument("--bucket", help="the listed bucket; the stack's source bucket without it")
    parser.add_argument("--prefix", help="keys that begin so")
    parser.add_argument("--inventory", help="s3://BUCKET/KEY of an inventory's manifest.json")
    parser.add_argument("--manifest", help="s3://BUCKET/KEY of a CSV manifest")
    parser.add_argument("--plain-keys", action="store_true", help="the manifest's keys are not URL-encoded")
    parser.add_argument("--force", action="store_true", help="also what has been loaded")
    parser.add_argument("--dry-run", action="store_true", help="read and type everything, write nothing")
    parser.add_argument("--tolerated", type=float, help="percentage of objects that may fail; 10 without it")
    parser.add_argument("--concurrency", type=int, help="objects at the same time; never more than the stack's MaxBackfill")
    parser.add_argument("--poll", type=float, default=POLL_S, help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen_source(arguments: argparse.Namespace) -> str:
    """The option that says what to load, of which there must be one."""
    chosen = [name for name in ("prefix", "inventory", "manifest") if getattr(arguments, name) is not None]
    if len(chosen) != 1:
        raise Mistake("say what to load: one of PREFIX= (an empty one is the whole bucket), INVENTORY= and MANIFEST=")
    if arguments.bucket and arguments.prefix is None:
        raise Mistake("BUCKET goes with PREFIX: inventories and manifests name the bucket themselves")
    return chosen[0]


def make_clients() -> Clients:
    # The command line and the other SDKs know this name, boto3 does not.
    region = os.environ.get("AWS_REGION")
    session = boto3.session.Session(region_name=region) if region else boto3.session.Session()
    return Clients(session.client("stepfunctions"), session.client("cloudformation"))


def run_input(clients: Clients, arguments: argparse.Namespace, source: str) -> dict[str, Any]:
    """The state machine's input."""
    options = {
        "force": arguments.force or None,
        "dry_run": arguments.dry_run or None,
        "tolerated_failure_percentage": arguments.tolerated,
        "max_concurrency": arguments.concurrency,
        "encoded": False if arguments.plain_keys else None,
    }
    options = {name: value for name, value in options.items() if value is not None}
    if arguments.prefix is not None:
        bucket = arguments.bucket or output(clients, arguments.stack, "SourceBucketName")
        return {"source": "listing", "bucket": bucket, "prefix": arguments.prefix, **options}
    bucket, _, key = getattr(arguments, source).removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise Mistake(f"{source.upper()} must be s3://BUCKET/KEY")
    return {"source": source, "bucket": bucket, "key": key, **options}


def resource(clients: Clients, stack: str, name: str) -> str:
    found = clients.stacks.describe_stack_resource(StackName=stack, LogicalResourceId=name)
    return found["StackResourceDetail"]["PhysicalResourceId"]


def output(clients: Clients, stack: str, name: str) -> str:
    [description] = clients.stacks.describe_stacks(StackName=stack)["Stacks"]
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in description.get("Outputs", [])}
    if name not in outputs:
        raise Mistake(f"the stack `{stack}` has no output `{name}`: name the bucket (BUCKET=…)")
    return outputs[name]


def start(clients: Clients, machine: str, what: dict[str, Any]) -> str:
    name = time.strftime("backfill-%Y%m%dT%H%M%S", time.gmtime())
    execution = clients.states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(what))["executionArn"]
    note(f"started {execution}\n  {json.dumps(what, ensure_ascii=False)}")
    return execution


def watch(clients: Clients, execution: str, poll_s: float) -> int:
    """Shows counts until the execution ends; answers the exit code."""
    shown = ""
    try:
        while True:
            described = clients.states.describe_execution(executionArn=execution)
            run = map_run(clients, execution)
            line = progress(run["itemCounts"]) if run else "reading what is to be loaded"
            if line != shown:
                note(f"  {line}")
                shown = line
            if described["status"] in ENDED:
                return tell_end(clients, described, run)
            time.sleep(poll_s)
    except KeyboardInterrupt:
        note("\nThe backfill goes on without this window. To stop it:")
        note(f"  aws stepfunctions stop-execution --execution-arn {execution}")
        return 130


def map_run(clients: Clients, execution: str) -> dict[str, Any] | None:
    runs = clients.states.list_map_runs(executionArn=execution)["mapRuns"]
    return clients.states.describe_map_run(mapRunArn=runs[0]["mapRunArn"]) if runs else None


def progress(counts: dict[str, int]) -> str:
    ended_badly = counts["failed"] + counts["timedOut"] + counts["aborted"]
    return f"{counts['total']:,} objects: {counts['succeeded']:,} done, {ended_badly:,} failed, {counts['running']:,} at work"


def tell_end(clients: Clients, described: dict[str, Any], run: dict[str, Any] | None) -> int:
    if run:
        for line in failures(clients, run["mapRunArn"]):
            note(f"  failed: {line}")
    place = audit(described)
    note(f"\n{described['status'].lower()}" + (f"; what became of each object: {place}" if place else ""))
    if described["status"] == "SUCCEEDED":
        return 0
    return fail(
        f"{described.get('error', described['status'])}: {described.get('cause', 'no cause given')[:CAUSE_CHARACTERS]}",
        "when the cause is put right, the failed objects alone are tried again by\n"
        f"  aws stepfunctions redrive-execution --execution-arn {described['executionArn']}",
    )


def failures(clients: Clients, run: str) -> Iterator[str]:
    """The first objects that failed, with the loader's own words."""
    failed = clients.states.list_executions(mapRunArn=run, statusFilter="FAILED", maxResults=FAILURES_SHOWN)["executions"]
    for execution in failed[:FAILURES_SHOWN]:
        described = clients.states.describe_execution(executionArn=execution["executionArn"])
        item = json.loads(described.get("input", "{}")).get("item", {})
        yield f"{item.get('Key', '?')}: {described.get('error', '')}: {words(described.get('cause', ''))}"


def words(cause: str) -> str:
    """What the loader said, without the reports that it puts behind it."""
    try:
        message = json.loads(cause)["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = cause
    return message.partition(' {"')[0][:CAUSE_CHARACTERS]


def audit(described: dict[str, Any]) -> str | None:
    """Where the map's results were written."""
    try:
        details = json.loads(described["output"])["ResultWriterDetails"]
        return f"s3://{details['Bucket']}/{details['Key']}"
    except (ValueError, KeyError, TypeError):
        return None


if __name__ == "__main__":
    sys.exit(main())
