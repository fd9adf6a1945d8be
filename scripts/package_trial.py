"""The package's `bootstrap` in a root with an old C library loads an object, against the local stack: all connections are TLS.

The authority of the certificates is known from /etc/pki/tls/certs/ca-bundle.crt alone, the place of Amazon Linux: both of the
program's TLS libraries must find it there by themselves. Where it is not there, nothing may be loaded.

`check_package.py` starts this with the environment's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from certificates import make_certificates
from job import run_job
from ministack import CREDENTIALS, REGION
from postgres import Postgres
from preparation import RUN
from sample import TABLE, as_csv, book_orders
from service import Failure, tail
from stack import BUCKET, Stack
from steps import note, step
from tls_front import TlsFront

KEY = "original-data/book_order.csv"
ROW_COUNT = 1_000
# An emulated start parses and checks a hundred times slower.
ANSWER_TIMEOUT_S = 180
INVOCATION_S = 120
BUNDLE = "etc/pki/tls/certs/ca-bundle.crt"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", type=Path, required=True, help="the folder with PostgreSQL's programs")
    parser.add_argument("--root", type=Path, required=True, help="the root folder; `bootstrap` is in it")
    parser.add_argument("--emulator", type=Path, help="runs programs of the package's architecture")
    arguments = parser.parse_args()

    def job(resources: ExitStack) -> None:
        stack = Stack(Postgres(arguments.postgres, RUN), RUN)
        resources.callback(stack.stop)
        run(stack, Root(arguments.root, arguments.emulator), resources)

    return run_job(job)


class Root:
    """The folder that is `/` for the program."""

    def __init__(self, folder: Path, emulator: Path | None) -> None:
        self.folder = folder
        self.emulator = emulator
        (folder / "tmp").mkdir(exist_ok=True)
        (folder / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        (folder / "etc" / "nsswitch.conf").write_text("hosts: files\n")
        if emulator:
            shutil.copy2(emulator, folder / emulator.name)

    def trust(self, authorities: list[str]) -> None:
        bundle = self.folder / BUNDLE
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_text("".join(authorities))

    def command(self) -> list[str | Path]:
        emulator = [f"/{self.emulator.name}"] if self.emulator else []
        return ["chroot", self.folder, *emulator, "/bootstrap"]


def run(stack: Stack, root: Root, resources: ExitStack) -> None:
    with step("PostgreSQL and MiniStack, the latter behind TLS too"):
        stack.database.start()
        stack.database.create_table()
        stack.aws.start()
        stack.create_buckets()
        certificates = make_certificates(["localhost"], ["127.0.0.1"])
        front = TlsFront(certificates, stack.aws.port, RUN)
        resources.callback(front.stop)
        body = as_csv(book_orders(ROW_COUNT, seed=1), header=False)
        stack.aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=body)
    environment = program_environment(stack, front.port)
    with step("the authorities are not known: nothing is loaded"):
        root.trust([make_certificates(["elsewhere"], []).ca])
        path, answer = invoke(root, environment)
        if path != "error" or "certificate" not in json.dumps(answer).lower() or rows(stack):
            raise Failure(f"without its authority the program answered {path}: {answer}, with {rows(stack)} rows in the table")
    with step(f"the authorities are in /{BUNDLE}: the object is loaded"):
        root.trust([certificates.ca, stack.database.loader().ca])
        path, answer = invoke(root, environment)
        statuses = [report["status"] for report in answer.get("objects", [])]
        if path != "response" or statuses != ["loaded"] or rows(stack) != ROW_COUNT:
            raise Failure(f"the program answered {path}: {answer}, with {rows(stack)} rows in the table")
    note(f"\n{root.command()[-1]} of the package loaded {ROW_COUNT:,} rows under {libc_version(root)}.")


def rows(stack: Stack) -> int:
    [[count]] = stack.database.query(f"select count(*) from {TABLE}")
    return count


def program_environment(stack: Stack, s3_port: int) -> dict[str, str]:
    settings = {name: value for name, value in stack.loader_environment().items() if name != "HOLOLOAD_CA"}
    return {
        **settings,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": f"https://localhost:{s3_port}",
        "AWS_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": "loader",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    }


def invoke(root: Root, environment: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Starts the program and gives it one event; answers where it answered and what."""
    api = RuntimeApi({"s3": f"s3://{BUCKET}/{KEY}"})
    command = list(map(str, root.command()))
    log = RUN / "bootstrap.log"
    with log.open("ab") as output:
        variables = {**environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server.server_port}"}
        # chroot itself runs before it: PATH is for that.
        variables["PATH"] = os.environ["PATH"]
        program = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not api.answered.wait(0.1):
            if program.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"bootstrap gave no answer (exit code {program.poll()}):\n{tail(log)}")
        return api.answer
    finally:
        program.kill()
        program.wait()
        api.server.shutdown()


class RuntimeApi:
    """Lambda's side: one invocation, then silence."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.answered = threading.Event()
        self.answer: tuple[str, dict[str, Any]] = ("", {})
        self._events = [event]
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not api._events:
                    api.answered.wait()
                    return
                body = json.dumps(api._events.pop()).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "trial")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + INVOCATION_S) * 1000)))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not api.answered.is_set():
                    api.answer = (self.path.rpartition("/")[2], json.loads(content))
                    api.answered.set()
                with suppress(OSError):
                    self.send_response(202)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def libc_version(root: Root) -> str:
    [library] = root.folder.glob("lib/*/libc-2.*.so")
    version = f"the C library {library.stem.removeprefix('libc-')}"
    return f"{version}, emulated" if root.emulator else version


if __name__ == "__main__":
    sys.exit(main())
