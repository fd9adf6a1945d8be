"""Holds statemachine/backfill.asl.json to the grammar of its language: by cfn-lint, and by asl-validator where there is npm.

Each validator also has to refuse the definition with a mistake in it, so that one which no longer looks is noticed. Installs both
into .tools. Standard library only.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import preparation
import state_machine
from preparation import SCRIPTS, TOOLS
from state_machine import Definition
from steps import clean_up_on_signals, fail, note, step

ASL_VALIDATOR = "asl-validator@4.0.0"
NPM = TOOLS / "asl"
SAM = TOOLS / "sam"

# Any values: what stands in their place is text for the validators.
SUBSTITUTIONS = {
    "LoaderFunctionArn": "arn:aws:lambda:ap-northeast-1:123456789012:function:loader",
    "MaxConcurrency": "4",
    "AuditBucket": "rejects",
}

Validator = Callable[[Definition, Path], "str | None"]


def main() -> int:
    clean_up_on_signals()
    definition = state_machine.read(**SUBSTITUTIONS)
    try:
        with step("backfill.asl.json: the maps do the same with their objects"):
            if labels := state_machine.differing_maps(definition):
                return fail(f"the maps {', '.join(labels)} differ from the first one in more than what they read")
        for name, validator in validators().items():
            with step(f"backfill.asl.json: {name}"), tempfile.TemporaryDirectory() as folder:
                hold_to(definition, validator, Path(folder))
    except ValueError as error:
        return fail(str(error))
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    except KeyboardInterrupt:
        return 130
    return 0


def validators() -> dict[str, Validator]:
    preparation.make_environment(SAM, SCRIPTS / "requirements-sam.txt")
    found: dict[str, Validator] = {"cfn-lint": cfn_lint}
    if shutil.which("npm"):
        found["asl-validator"] = asl_validator
    else:
        note("warning: without npm there is no asl-validator, which follows every transition of backfill.asl.json")
    return found


def hold_to(definition: Definition, validator: Validator, folder: Path) -> None:
    if said := validator(definition, folder):
        raise ValueError(f"statemachine/backfill.asl.json:\n{said}")
    for label, state in state_machine.maps(definition).items():
        broken = copy.deepcopy(definition)
        processor = state_machine.maps(broken)[label]["ItemProcessor"]
        task = next(inner for inner in processor["States"].values() if inner["Type"] == "Task")
        # A misspelt `Retry` is a load that is never tried again.
        task["Retyr"] = task.pop("Retry")
        if not validator(broken, folder):
            raise ValueError(f"{validator.__name__} takes `Retyr` for `Retry` in the map {state['Label']}")


def cfn_lint(definition: Definition, folder: Path) -> str | None:
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/backfill", "Definition": definition}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}},
    }
    file = folder / "template.json"
    file.write_text(json.dumps(template))
    return what_it_says([SAM / "bin" / "cfn-lint", file])


def asl_validator(definition: Definition, folder: Path) -> str | None:
    program = NPM / "node_modules" / ".bin" / "asl-validator"
    if not program.exists():
        NPM.mkdir(parents=True, exist_ok=True)
        options = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "install", "--prefix", NPM, *options, ASL_VALIDATOR], check=True, stdout=subprocess.DEVNULL)
    file = folder / "definition.json"
    file.write_text(json.dumps(definition))
    return what_it_says([program, "--json-path", file])


def what_it_says(command: list[str | Path]) -> str | None:
    """The validator's complaint; None where it has none."""
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() or "no reason given" if done.returncode else None


if __name__ == "__main__":
    sys.exit(main())
