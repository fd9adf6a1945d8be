"""The main job, told in steps: two S3 puts, one plain and one encrypted with a KMS key, each invoke the handler by themselves.

`run.py` starts this with the environment's Python.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from database import Database
from hologres_database import Hologres
from job import relative, run_job
from ministack import ATTEMPTS, finished_loads
from postgres import Postgres
from preparation import ROOT, RUN, SCRIPTS
from sample import COLUMNS, TABLE, Order, as_csv, book_orders
from service import Failure
from stack import BUCKET, LEDGER, REJECTS, Stack
from steps import note, step
from target import add_standin_options

FUNCTION = "holoload"
ROW_COUNT = 10_000
LOAD_TIMEOUT_S = 60
POLL_S = 0.05

Report = dict[str, Any]


class Sample(NamedTuple):
    """One object to put."""

    key: str
    orders: list[Order]
    header: bool
    encrypted: bool


SAMPLES = {
    "plain": Sample("original-data/book_order.csv", book_orders(ROW_COUNT, seed=1), header=False, encrypted=False),
    "encrypted": Sample("encryption-data/book_order.csv", book_orders(ROW_COUNT, seed=2), header=True, encrypted=True),
}


def main() -> int:
    arguments = parse_arguments()

    def job(resources: ExitStack) -> None:
        stack = Stack(database(arguments), RUN)
        resources.callback(stack.stop)
        run(stack, arguments.bootstrap)
        if arguments.keep:
            keep(stack, arguments.bootstrap)
        else:
            note("\nNext: `make play` does the same and leaves the stack up for you to try things on.")

    return run_job(job)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", type=Path, required=True, help="the folder with PostgreSQL's programs")
    parser.add_argument("--standin", type=Path, help="the program that stands in for Hologres, before that PostgreSQL")
    add_standin_options(parser)
    parser.add_argument("--bootstrap", type=Path, required=True, help="the handler's binary")
    parser.add_argument("--keep", action="store_true", help="leave the stack up until Enter or Ctrl-C")
    return parser.parse_args()


def database(arguments: argparse.Namespace) -> Database:
    """The server that was asked for."""
    if not arguments.standin:
        return Postgres(arguments.postgres, RUN)
    has_extended_copy = arguments.extended_copy == "on"
    return Hologres(arguments.standin, arguments.postgres, RUN, profile=arguments.profile, has_extended_copy=has_extended_copy)


def run(stack: Stack, bootstrap: Path) -> None:
    started = time.monotonic()
    with step(f"{stack.database.name}, TLS only"):
        stack.database.start()
        stack.database.create_table()
    with step("MiniStack (S3, KMS, Lambda)"):
        stack.aws.start()
    with step("buckets, KMS key, function, trigger"):
        kms_key = stack.create_buckets()
        function = stack.aws.create_function(FUNCTION, bootstrap, stack.loader_environment())
        stack.aws.invoke_on_put(BUCKET, ["original-data/", "encryption-data/"], function)
    with step(f"put 2 x {ROW_COUNT:,} rows and wait for the handler that the puts invoke"):
        for sample in SAMPLES.values():
            put(stack, sample, kms_key)
        loads = wait_for_loads(stack)
    with step("compare every row in the table with what was put"):
        table_count = compare_rows(stack)
    write_result(loads, table_count)
    show_reports({name: load["report"] for name, load in loads.items()})
    show_table(stack, table_count)
    show_ledger(stack)
    note(f"\nDone in {time.monotonic() - started:.1f} s. Both reports whole: {relative(RUN / 'result.json')}")


def put(stack: Stack, sample: Sample, kms_key: str) -> None:
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if sample.encrypted else {}
    stack.aws.client("s3").put_object(
        Bucket=BUCKET, Key=sample.key, Body=as_csv(sample.orders, header=sample.header), **encryption
    )


def wait_for_loads(stack: Stack) -> dict[str, dict[str, Any]]:
    """The log entry of each sample's load, once the ledger says that both are done."""
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while not loads_are_done(stack):
        if time.monotonic() > deadline:
            raise not_loaded(stack, f"not done after {LOAD_TIMEOUT_S} s")
        time.sleep(POLL_S)
    # MiniStack passes a function's output on when the invocation has ended, which is after the ledger's commit.
    while not all(log_entry(stack, sample) for sample in SAMPLES.values()):
        if time.monotonic() > deadline:
            raise not_loaded(stack, "the handler did not log its reports")
        time.sleep(POLL_S)
    return {name: log_entry(stack, sample) for name, sample in SAMPLES.items()}


def loads_are_done(stack: Stack) -> bool:
    """Whether the ledger has both; a failure where it says so or where every attempt is used up."""
    invocation_count = stack.aws.invocation_count(FUNCTION)
    statuses = stack.ledger_statuses()
    if bad := [f"{key} is {status}" for key, status in statuses.items() if status in ("failed", "superseded")]:
        raise not_loaded(stack, ", ".join(bad))
    open_count = sum(statuses.get(sample.key) != "loaded" for sample in SAMPLES.values())
    if open_count and invocation_count >= len(SAMPLES) - open_count + open_count * ATTEMPTS:
        raise not_loaded(stack, f"every attempt failed ({invocation_count} invocations)")
    return not open_count


def log_entry(stack: Stack, sample: Sample) -> dict[str, Any]:
    """What the handler logged about this sample's load; empty until it did."""
    for entry in finished_loads(stack.aws.log_lines(FUNCTION)):
        if entry["report"]["key"] == sample.key:
            return entry
    return {}


def not_loaded(stack: Stack, what: str) -> Failure:
    written = [line for line in stack.aws.log_lines(FUNCTION) if not line.startswith(("START ", "END ", "REPORT "))]
    lines = [*written, *stack.aws.start_errors()][-25:] or ["(it wrote nothing)"]
    return Failure(
        f"the puts did not end in two loads: {what}\n\nthe function's log:\n" + "\n".join(f"  {line}" for line in lines),
        f"the servers' logs are {relative(RUN / 'ministack.log')} and {relative(stack.database.log)}",
    )


def compare_rows(stack: Stack) -> int:
    """The table must hold exactly the rows that were put."""
    wanted = {order for sample in SAMPLES.values() for order in sample.orders}
    rows = stack.database.query(f"select {', '.join(COLUMNS)} from {TABLE}")
    found = {tuple(row) for row in rows}
    if found != wanted:
        raise Failure(
            f"the table differs from what was put: {len(wanted - found)} rows missing, {len(found - wanted)} rows that nobody put"
        )
    return len(rows)


def write_result(loads: dict[str, dict[str, Any]], table_count: int) -> None:
    result = {
        **{name: load["report"] for name, load in loads.items()},
        "table_count": table_count,
        "invoked_by": [load["door"] for load in loads.values()],
    }
    (RUN / "result.json").write_text(json.dumps(result, indent=2) + "\n")


def show_reports(reports: dict[str, Report]) -> None:
    """The reports side by side, without what is empty or nested."""
    note()
    columns = list(reports.values())
    shown = [name for name in columns[0] if any(report.get(name) not in (None, "") for report in columns)]
    rows = [[name, *(as_text(report.get(name)) for report in columns)] for name in shown if not nested(columns, name)]
    show_rows([["report", *reports], *rows])


def nested(reports: list[Report], name: str) -> bool:
    return any(isinstance(report.get(name), (dict, list)) for report in reports)


def show_table(stack: Stack, table_count: int) -> None:
    note(f"\n{TABLE}: {table_count:,} rows, the first five:\n")
    rows = stack.database.query(f"select {', '.join(COLUMNS)} from {TABLE} order by order_id limit 5")
    show_rows([list(COLUMNS), *([str(value) for value in row] for row in rows)])


def show_ledger(stack: Stack) -> None:
    note(f"\n{LEDGER}:\n")
    columns = ["bucket", "object_key", "table_name", "attempt", "status", "row_count", "write_path"]
    rows = stack.database.query(f"select {', '.join(columns)} from {LEDGER} order by started_at")
    show_rows([columns, *([as_text(value) for value in row] for row in rows)])


def show_rows(rows: list[list[str]]) -> None:
    """Left-aligned columns, the first row as their heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        note("  " + "  ".join(f"{value:<{width}}" for value, width in zip(row, widths, strict=True)).rstrip())


def as_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "-", True: "true", False: "false"}[value]
    return f"{value:,}" if isinstance(value, int) else str(value)


def keep(stack: Stack, bootstrap: Path) -> None:
    """Leaves the stack up and says what can be tried on it."""
    environment = relative(stack.write_shell_environment())
    bad_row = RUN / "bad-row.csv"
    bad_row.write_text("order-1,10001,1,good,1,100\r\norder-2,10002,two,book_id is no number,1,100\r\n", newline="")
    holoload = relative(bootstrap.with_name("holoload"))
    s3 = f"{relative(ROOT / '.venv' / 'bin' / 'python')} {relative(SCRIPTS / 's3.py')}"
    plain = f"s3://{BUCKET}/{SAMPLES['plain'].key}"
    note(f"""
The stack stays up until you press Enter or Ctrl-C. In another terminal, in this folder:

The commands of this stack, and what was loaded:
  . {environment}
  {holoload} history

The same object once more: it is loaded already; with --force it is loaded again:
  {holoload} load {plain}
  {holoload} load --force {plain}

A file with one row that the table cannot take; the put invokes the handler, which keeps the row and says why:
  {s3} put {relative(bad_row)} s3://{BUCKET}/original-data/bad-row.csv
  {holoload} history
  {s3} ls s3://{REJECTS}/
  {s3} cat s3://{REJECTS}/...

The table and the ledger themselves:
  psql
""")
    if sys.stdin.isatty():
        input()
    else:
        sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main())
