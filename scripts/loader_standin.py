#!/usr/bin/env python3
"""A Lambda function that answers as the key it is asked for says: `transient-2` is Transient twice, then loaded.

It speaks the Runtime API; MiniStack runs it as it runs the handler. Standard library only.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


def count(key: str) -> int:
    """How often this key has been asked for, this time included; each sandbox of the function sees the same files."""
    with (Path(os.environ["CALLS"]) / key).open("a+") as calls:
        calls.write(".")
        calls.flush()
        return calls.tell()


def answer(event: dict) -> tuple[str, dict]:
    """The path to answer at, and the answer."""
    key = event["s3"].rpartition("/")[2]
    calls = count(f"{key}-{event['force']}")
    kind, _, times = key.partition("-")
    if calls > int(times or 0) or kind == "loaded":
        return "response", {"objects": [{"key": key, "status": "loaded", "calls": calls}], "ignored": []}
    if kind == "killed":
        sys.exit(1)
    if kind == "continued":
        return "response", {"objects": [{"key": key, "status": "continued", "calls": calls}], "ignored": []}
    error_type = {"transient": "Transient", "input": "Input", "throttled": "Lambda.TooManyRequestsException"}[kind]
    return "error", {"errorType": error_type, "errorMessage": f'as the key says, {calls} {{"objects": []}}'}


def main() -> None:
    while True:
        with urllib.request.urlopen(f"{API}/next") as invocation:
            request, event = invocation.headers["Lambda-Runtime-Aws-Request-Id"], json.load(invocation)
        path, body = answer(event)
        urllib.request.urlopen(f"{API}/{request}/{path}", json.dumps(body).encode()).close()


main()
