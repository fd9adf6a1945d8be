"""`sam local invoke` of the built function against the local stack: the real package, in a container, with an SQS event.

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

from engine import Engine
from job import run_job
from ministack import CREDENTIALS, REGION
from postgres import Postgres
from preparation import ROOT, RUN
from sam_template import BUILD, FUNCTION, function_properties, load_built_template
from sample import TABLE, as_csv, book_orders
from service import Failure
from stack import BUCKET, Stack
from steps import note, step

KEY = "original-data/book_order.csv"
ROW_COUNT = 10_000
HOST = "host.docker.internal"
INVOKE_TIMEOUT_S = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", type=Path, required=True, help="the folder with PostgreSQL's programs")
    parser.add_argument("--sam", type=Path, required=True, help="the `sam` program")
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
        run(engine, stack, arguments.sam)

    return run_job(job)


def run(engine: Engine, stack: Stack, sam: Path) -> None:
    with step("base image of the function"):
        origin = engine.provide_base_image(BUILD / FUNCTION / "bootstrap")
    with step("PostgreSQL and MiniStack, reachable from containers"):
        stack.database.start()
        stack.database.create_table()
        stack.aws.start()
        stack.create_buckets()
    with step("sam local invoke"):
        event = put_object(stack)
        answer = invoke(engine, stack, sam, event)
    [[row_count]] = stack.database.query(f"select count(*) from {TABLE}")
    if answer != {"batchItemFailures": []} or row_count != ROW_COUNT:
        raise Failure(
            f"the function answered {json.dumps(answer)} and {TABLE} holds {row_count:,} rows instead of {ROW_COUNT:,}:\n"
            f"{(RUN / 'sam-local.log').read_text()[-4000:]}"
        )
    note(f"\nThe base image was {origin}. The function answered {json.dumps(answer)}: the message is done.")
    note(f"{TABLE} holds the {row_count:,} rows.")


def put_object(stack: Stack) -> dict[str, Any]:
    """Puts the object; answers the event that the template's queue would hand to the function."""
    body = as_csv(book_orders(ROW_COUNT, seed=1), header=False)
    put = stack.aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=body)
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
            "object": {"key": KEY, "size": len(body), "eTag": put["ETag"].strip('"'), "sequencer": "0066A1B2C3D4E5F607"},
        },
    }
    message = {
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "local",
        "body": json.dumps({"Records": [record]}),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:holoload",
        "awsRegion": REGION,
    }
    return {"Records": [message]}


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
    (RUN / "sam-local.log").write_text(done.stderr + done.stdout)
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
