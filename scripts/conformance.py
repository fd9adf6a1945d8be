"""The vendor's own clients against the stand-in of Hologres: `make conformance`. Does it take what real clients send?

Each check of theirs is a line, ok or FAIL. A client that cannot be had here is a failure too. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import preparation
from preparation import BUILD_TOOLS, SCRIPTS, TOOLS, Missing
from service import Failure
from standin_process import Standin
from steps import clean_up_on_signals, fail, note, step
from target import PROFILES

SOURCES = SCRIPTS / "conformance"
USER = "BASIC$owner"

# Runs one client's checks in an environment that says where the server is; answers the exit code.
Client = Callable[[dict[str, str]], int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, help="one version only")
    arguments = parser.parse_args()
    clean_up_on_signals()
    try:
        postgres = preparation.prepare_standin_postgres(BUILD_TOOLS)
        clients = [(name, prepare()) for name, prepare in CLIENTS.items()]
        with step("build the stand-in (the first time takes minutes)", talks=True):
            program = preparation.build_binaries(["standin"]) / "examples" / "standin"
        profiles = [arguments.profile] if arguments.profile else PROFILES
        failures = [line for profile in profiles for line in run_profile(program, postgres, profile, clients)]
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    except Failure as error:
        return fail(str(error), error.hint)
    except KeyboardInterrupt:
        return 130
    if failures:
        return fail("not all is as it should be:\n" + "\n".join(f"  - {line}" for line in failures))
    note("\nThe stand-in takes what the vendor's clients send.")
    return 0


def run_profile(program: Path, postgres: Path, profile: str, clients: list[tuple[str, Client | str]]) -> list[str]:
    """Runs every client against one version; answers what failed."""
    note(f"\nHologres {profile} (stand-in):")
    failures = []
    with tempfile.TemporaryDirectory(prefix="holoload-conformance-") as folder:
        standin = Standin(program, postgres, Path(folder) / "standin.log", ["--profile", profile, "--user", USER])
        try:
            standin.start()
            for name, client in clients:
                if isinstance(client, str):
                    note(f"  FAIL  {name:<7} {client}")
                    failures.append(f"{name}: {client.splitlines()[0]}")
                elif client(client_environment(standin.said, profile)):
                    failures.append(f"{name} against {profile}")
        finally:
            standin.stop()
    return failures


def client_environment(said: dict[str, Any], profile: str) -> dict[str, str]:
    """Where the server is, as libpq wants it; nothing of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {
        **kept,
        "PGHOST": said["host"],
        "PGPORT": str(said["port"]),
        "PGDATABASE": said["database"],
        "PGUSER": said["user"],
        "PGPASSWORD": said["password"],
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": said["ca"],
        "HOLOGRES_VERSION": profile,
    }


def prepare_python() -> Client | str:
    """The client for Python in an environment of its own; why not, if it cannot be had."""
    try:
        with step("the vendor's client for Python in .tools/conformance"):
            python = preparation.make_environment(TOOLS / "conformance", SOURCES / "requirements.txt")
    except subprocess.CalledProcessError:
        return "the client cannot be installed from PyPI"
    return lambda environment: subprocess.run([python, "-B", SOURCES / "python_client.py"], env=environment).returncode


def prepare_java() -> Client | str:
    """The client for Java and a program that uses it; why not, if it cannot be had."""
    for tool, package in (("javac", "a JDK, 8 or newer (Debian: default-jdk-headless)"), ("mvn", "Maven (Debian: maven)")):
        if not shutil.which(tool):
            return f"there is no `{tool}` here: install {package}"
    target = TOOLS / "conformance-java"
    command = ["mvn", "--batch-mode", "--quiet", "--file", SOURCES / "pom.xml", f"-Dbuild.folder={target}", "package"]
    try:
        with step("the vendor's client for Java in .tools/conformance-java"):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise subprocess.CalledProcessError(done.returncode, command)
    except subprocess.CalledProcessError:
        return f"Maven failed:\n{done.stdout[-2000:]}"
    run = ["java", "-cp", f"{target}/classes:{target}/lib/*", "JavaClient"]
    return lambda environment: subprocess.run(run, env=environment).returncode


CLIENTS: dict[str, Callable[[], Client | str]] = {"python": prepare_python, "java": prepare_java}


if __name__ == "__main__":
    sys.exit(main())
