"""The main job on this machine, with one command: `make run`, or `python3 scripts/run.py`.

Builds the handler, finds or installs PostgreSQL, makes the Python environment, then hands over to `demo.py`, which starts the
stack and lets two S3 puts invoke the handler. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import preparation
from preparation import BUILD_TOOLS, ROOT, SCRIPTS, Missing
from steps import clean_up_on_signals, fail, note, step
from target import add_target_options


class Target(NamedTuple):
    """A database to load into: what to build for it, and how it is found; the latter answers options of `demo.py`."""

    title: str
    examples: list[str]
    find: Callable[[argparse.Namespace, list[str]], list[str | Path]]


def main() -> int:
    arguments = parse_arguments()
    target = TARGETS[arguments.target]
    clean_up_on_signals()
    note(f"holoload on this machine: S3 put -> Lambda handler -> {target.title} over TLS\n")
    try:
        python, options = prepare(arguments, target)
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    except FileNotFoundError as error:
        return fail(f"there is no file `{error.filename}`")
    except KeyboardInterrupt:
        return 130
    command = [python, "-B", SCRIPTS / "demo.py", *options]
    if arguments.keep:
        command.append("--keep")
    os.execv(python, list(map(str, command)))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs holoload's main job on this machine.")
    parser.add_argument("--keep", action="store_true", help="leave the stack up until Enter or Ctrl-C, to play with it")
    parser.add_argument("--bootstrap", type=Path, help="use this handler instead of building one")
    add_target_options(parser)
    return parser.parse_args()


def prepare(arguments: argparse.Namespace, target: Target) -> tuple[Path, list[str | Path]]:
    """The environment's Python and `demo.py`'s options; what is missing is said before anything is built."""
    must_build = target.examples or not arguments.bootstrap
    options = target.find(arguments, BUILD_TOOLS if must_build else [])
    with step("Python environment in .venv"):
        python = preparation.make_environment(ROOT / ".venv", SCRIPTS / "requirements.txt")
    bootstrap = arguments.bootstrap
    if must_build:
        with step("build the handler and the CLI (the first time takes minutes)", talks=True):
            binaries = preparation.build_binaries(target.examples)
        bootstrap = bootstrap or binaries / "bootstrap"
        for example in target.examples:
            options += [f"--{example}", binaries / "examples" / example]
    return python, [*options, "--bootstrap", bootstrap.resolve(strict=True)]


def find_postgresql(_arguments: argparse.Namespace, tools: list[str]) -> list[str | Path]:
    return ["--postgres", preparation.prepare_postgres(tools)]


def find_hologres(arguments: argparse.Namespace, tools: list[str]) -> list[str | Path]:
    postgres = preparation.prepare_standin_postgres(tools)
    return ["--postgres", postgres, "--profile", arguments.profile, "--extended-copy", arguments.extended_copy]


TARGETS = {
    "postgresql": Target("PostgreSQL", [], find_postgresql),
    "hologres": Target("a stand-in of Hologres", ["standin"], find_hologres),
}


if __name__ == "__main__":
    sys.exit(main())
