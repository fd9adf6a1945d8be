"""Backfills: `backfill.py start` runs one in AWS, `backfill.py local` tries the state machine on this machine.

start   starts the state machine of a deployed stack and shows how far it is; `backfill.py start --help` lists the options
local   executes statemachine/backfill.asl.json in the local stack, with the real handler

`make backfill` and `make backfill-local` call this. Standard library only; hands over to the environment's Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import preparation
from preparation import BUILD_TOOLS, ROOT, SCRIPTS, Missing
from steps import clean_up_on_signals, fail, step


def main() -> int:
    match sys.argv[1:]:
        case ["start", *options]:
            return hand_over(prepare_start, options)
        case ["local"]:
            return hand_over(prepare_local, [])
    return fail(f"usage:\n{__doc__}")


Prepared = tuple[Path, str, list[str | Path]]


def hand_over(prepare: Callable[[], Prepared], options: list[str]) -> int:
    """Becomes the script that `prepare` names, with the environment's Python."""
    clean_up_on_signals()
    try:
        python, script, own_options = prepare()
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    except KeyboardInterrupt:
        return 130
    os.execv(python, list(map(str, [python, "-B", SCRIPTS / script, *own_options, *options])))


def prepare_start() -> Prepared:
    if lacking := preparation.lacking_tools([]):
        raise Missing("\n".join(f"  - {line}" for line in lacking))
    return prepare_python(), "backfill_run.py", []


def prepare_local() -> Prepared:
    postgres = preparation.prepare_postgres(BUILD_TOOLS)
    python = prepare_python()
    with step("build the handler (the first time takes minutes)", talks=True):
        binaries = preparation.build_binaries()
    return python, "backfill_local.py", ["--postgres", postgres, "--bootstrap", binaries / "bootstrap"]


def prepare_python() -> Path:
    with step("Python environment in .venv"):
        return preparation.make_environment(ROOT / ".venv", SCRIPTS / "requirements.txt")


if __name__ == "__main__":
    sys.exit(main())
