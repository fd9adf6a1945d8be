"""The AWS side on this machine: `sam.py validate`, `sam.py deploy` and `sam.py local`; `make` has a target for each.

validate  lints template.yaml as SAM and as CloudFormation, and checks its policies
deploy    deploys template.yaml into the local stack and loads an object through its queue
local     invokes the built function in a container against the local stack, with files of events/

Installs the SAM CLI into .tools/sam, then hands over to the environment's Python. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import preparation
from preparation import ROOT, SCRIPTS, TOOLS, Missing
from steps import clean_up_on_signals, fail, step

SAM = TOOLS / "sam"
JOBS = {"deploy": "deploy_local.py", "local": "sam_local.py"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["validate", *JOBS])
    parser.add_argument("--release", action="store_true", help="package the optimised build that goes to AWS")
    parser.add_argument("--event", type=Path, help="local: invoke with this file alone and show the answer")
    arguments = parser.parse_args()
    clean_up_on_signals()
    try:
        if arguments.command == "validate":
            validate()
            return 0
        postgres = preparation.prepare_postgres([])
        python = prepare_python()
        prepare_sam()
        build(release=arguments.release)
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    except KeyboardInterrupt:
        return 130
    command = [python, "-B", SCRIPTS / JOBS[arguments.command], "--postgres", postgres, "--sam", SAM / "bin" / "sam"]
    if arguments.event:
        command += ["--event", arguments.event.resolve()]
    os.execv(python, list(map(str, command)))


def prepare_python() -> Path:
    with step("Python environment in .venv"):
        return preparation.make_environment(ROOT / ".venv", SCRIPTS / "requirements.txt")


def prepare_sam() -> None:
    with step("SAM CLI in .tools/sam"):
        preparation.make_environment(SAM, SCRIPTS / "requirements-sam.txt")


def validate() -> None:
    prepare_sam()
    with step("sam validate --lint"):
        run_sam("sam", "validate", "--lint")
    with step("cfn-lint"):
        run_sam("cfn-lint", "template.yaml")
    subprocess.run([SAM / "bin" / "python", "-B", SCRIPTS / "check_template.py"], cwd=ROOT, check=True)


def build(*, release: bool) -> None:
    profile = "release" if release else "local"
    with step(f"sam build ({profile} profile)", talks=True):
        run_sam("sam", "build", HOLOLOAD_PACKAGE_PROFILE=profile)


def run_sam(program: str, *arguments: str, **variables: str) -> None:
    """Runs a program of SAM's environment; what it prints is shown only if it fails."""
    environment = {**os.environ, **variables, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "ap-northeast-1"}
    done = subprocess.run(
        [SAM / "bin" / program, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, [program, *arguments])


if __name__ == "__main__":
    sys.exit(main())
