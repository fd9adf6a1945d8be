"""`sam local invoke` of the built function against the local stack: the real package, in a container, with files of events/.

What an event says of its object (ETag, size, version) is made to fit the object that was put into the local stack; bucket and key
are as they stand in the file.

`sam.py` starts this with the environment's Python.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from engine import Engine
from job import run_job
from ministack import CREDENTIALS, REGION
from postgres import Postgres
from preparation import ROOT, RUN
from sam_template import BUILD, FUNCTION, function_properties, load_built_template
from sample import TABLE, as_csv, book_orders
from service import Failure, tail
from stack import BUCKET, Stack
from steps import note, step

# The keys of events/manual.json, s3.json and sqs.json.
KEYS = ["original-data/book_order.csv", "encryption-data/2026-03/注文 1+2.csv"]
EVENTS = ["manual.json", "s3.json", "sqs.json"]
ROW_COUNT = 10_000
HOST = "host.docker.internal"
INVOKE_TIMEOUT_S = 300
LOG = RUN / "sam-local.log"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", type=Path, required=True, help="the folder with PostgreSQL's programs")
    parser.add_argument("--sam", type=Path, required=True, help="the `sam` program")
    parser.add_argument("--event", type=Path, help="invoke with this file alone and show the answer")
    arguments = parser.parse_args()

    def job(resources: ExitStack) -> None:
        engine = Engine(RUN / "docker")
        resources.callback(engine.stop)
        with step("container engine"):
            engine.start()
        address = engine.bridge_address()
        database = Postgres(arguments.postgres, RUN, host=HOST, addresses=[address] if address else [])
        stack = Stack(database, RUN, address or "127.0.0.1")
        resources.callback(stack.stop)
        prepare(engine, stack)
        if arguments.event:
            event = fitting(json.loads(arguments.event.read_text()), stack)
            note(json.dumps(invoke(engine, stack, arguments.sam, event), ensure_ascii=False, indent=1))
        else:
            run(engine, stack, arguments.sam)

    return run_job(job)


def prepare(engine: Engine, stack: Stack) -> None:
    with step("base image of the function"):
        origin = engine.provide_base_image(BUILD / FUNCTION / "bootstrap")
    note(f"    {origin}")
    with step("PostgreSQL and MiniStack, reachable from containers"):
        stack.database.start()
        stack.database.create_table()
        stack.aws.start()
        stack.create_buckets()
        for seed, key in enumerate(KEYS):
            body = as_csv(book_orders(ROW_COUNT, seed), header=False)
            stack.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)


def run(engine: Engine, stack: Stack, sam: Path) -> None:
    for name in EVENTS:
        with step(f"sam local invoke --event events/{name}"):
            written = json.loads((ROOT / "events" / name).read_text())
            answer = invoke(engine, stack, sam, fitting(written, stack))
            check(name, written, answer)
    [[row_count]] = stack.database.query(f"select count(*) from {TABLE}")
    if row_count != ROW_COUNT * len(KEYS):
        raise Failure(f"{TABLE} holds {row_count:,} rows instead of {ROW_COUNT * len(KEYS):,}:\n{tail(LOG)}")
    note(f"\n{TABLE} holds the {row_count:,} rows of {len(KEYS)} objects.")


def check(name: str, event: dict[str, Any], answer: dict[str, Any]) -> None:
    """Every object loaded, or skipped where an earlier event has loaded it; messages that are no JSON handed back."""
    if "batchItemFailures" in answer:
        found = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        wanted = [message["messageId"] for message in event["Records"] if not is_json(message["body"])]
    else:
        found = [report["key"] for report in answer.get("objects", []) if report["status"] in ("loaded", "skipped")]
        wanted = KEYS if "Records" in event else KEYS[:1]
    if found != wanted:
        raise Failure(f"after events/{name} the function answered {json.dumps(answer)}:\n{tail(LOG)}")


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def fitting(value: Any, stack: Stack) -> Any:
    """The event with ETag and size of the objects that are here, also in an event that is text inside another."""
    if isinstance(value, str) and value.startswith("{") and is_json(value):
        return json.dumps(fitting(json.loads(value), stack))
    if isinstance(value, list):
        return [fitting(element, stack) for element in value]
    if not isinstance(value, dict):
        return value
    if "key" in value and "eTag" in value:
        key = unquote_plus(value["key"])
        if key in KEYS:
            head = stack.aws.client("s3").head_object(Bucket=BUCKET, Key=key)
            rest = {name: member for name, member in value.items() if name != "versionId"}
            return {**rest, "eTag": head["ETag"].strip('"'), "size": head["ContentLength"]}
    return {name: fitting(member, stack) for name, member in value.items()}


def invoke(engine: Engine, stack: Stack, sam: Path, event: dict[str, Any]) -> dict[str, Any]:
    """Runs the function in a container; answers what it answered."""
    template, event_file = RUN / "template.json", RUN / "event.json"
    template.write_text(json.dumps(local_template(stack)))
    event_file.write_text(json.dumps(event))
    command = [sam, "local", "invoke", FUNCTION, "--template-file", template, "--event", event_file, "--region", REGION]
    command += ["--skip-pull-image", "--add-host", f"{HOST}:host-gateway"]
    environment = {**engine.environment, **CREDENTIALS, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=INVOKE_TIMEOUT_S
    )
    LOG.write_text(done.stderr + done.stdout)
    if done.returncode or not done.stdout.strip():
        raise Failure(f"sam local invoke failed:\n{(done.stderr + done.stdout)[-4000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def local_template(stack: Stack) -> dict[str, Any]:
    """The built template with the local stack's addresses: `sam local` can only fill variables that a template declares."""
    template = load_built_template()
    endpoint = f"http://{HOST}:{stack.aws.port}"
    function_properties(template)["Environment"]["Variables"] = {**stack.loader_environment(), "AWS_ENDPOINT_URL": endpoint}
    return template


if __name__ == "__main__":
    sys.exit(main())
