"""The main job on this machine, with one command: `make run`, or `python3 scripts/run.py`.

Builds the handler, finds or installs PostgreSQL, makes the Python environment, then hands over to `demo.py`, which starts the
stack and lets two S3 puts invoke the handler. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import preparation
from preparation import BUILD_TOOLS, ROOT, SCRIPTS, Missing
from steps import clean_up_on_signals, fail, note, step


def main() -> int:
    arguments = parse_arguments()
    clean_up_on_signals()
    note("holoload on this machine: S3 put -> Lambda handler -> PostgreSQL over TLS\n")
    try:
        postgres, python, bootstrap = prepare(arguments.bootstrap)
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    except FileNotFoundError as error:
        return fail(f"there is no file `{error.filename}`")
    except KeyboardInterrupt:
        return 130
    command = [python, "-B", SCRIPTS / "demo.py", "--postgres", postgres, "--bootstrap", bootstrap]
    if arguments.keep:
        command.append("--keep")
    os.execv(python, list(map(str, command)))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs holoload's main job on this machine.")
    parser.add_argument("--keep", action="store_true", help="leave the stack up until Enter or Ctrl-C, to play with it")
    parser.add_argument("--bootstrap", type=Path, help="use this handler instead of building one")
    return parser.parse_args()


def prepare(bootstrap: Path | None) -> tuple[Path, Path, Path]:
    """PostgreSQL's programs, the environment's Python and the handler; what is missing is said before anything is built."""
    postgres = preparation.prepare_postgres([] if bootstrap else BUILD_TOOLS)
    with step("Python environment in .venv"):
        python = preparation.make_environment(ROOT / ".venv", SCRIPTS / "requirements.txt")
    if bootstrap:
        return postgres, python, bootstrap.resolve(strict=True)
    with step("build the handler and the CLI (the first time takes minutes)", talks=True):
        bootstrap = preparation.build_binaries() / "bootstrap"
    return postgres, python, bootstrap


if __name__ == "__main__":
    sys.exit(main())
