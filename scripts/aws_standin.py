"""Stands in for the AWS command line where docs/backfill.md is tried: answers questions, holds `create-job` to S3's own model.

The environment names the file that takes the job, JOB. Needs the environment's Python.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import ListShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

ACCOUNT = "123456789012"


def main() -> None:
    match sys.argv[1:]:
        case ["cloudformation", "describe-stacks", *options]:
            [name] = re.findall(r"OutputKey=='(\w+)'", " ".join(options))
            print(f"arn:aws:iam::{ACCOUNT}:role/{name}" if name.endswith("Arn") else name.lower())
        case ["lambda", "get-function", "--function-name", name, *_]:
            print(f"arn:aws:lambda:ap-northeast-1:{ACCOUNT}:function:{name}")
        case ["sts", "get-caller-identity", *_]:
            print(ACCOUNT)
        case ["s3api", "head-object", *_]:
            print('"60e460c9d1046e73f7dde5043ac3ae85"')
        case ["s3", "cp", _, address] if address.startswith("s3://"):
            pass
        case ["s3control", "create-job", *options]:
            with open(os.environ["JOB"], "w") as file:
                json.dump(job(options), file)
        case unknown:
            sys.exit(f"no answer for `aws {' '.join(unknown)}`")


def job(options: list[str]) -> dict[str, Any]:
    """The parameters of the call, or the end with what is wrong about them."""
    model = botocore.session.get_session().get_service_model("s3control").operation_model("CreateJob")
    parameters = parse(options, model)
    problems = ParamValidator().validate(parameters, model.input_shape)
    report = problems.generate_report() if problems.has_errors() else ""
    report += "".join(f"{value} is none of {shape.enum}\n" for value, shape in texts(parameters, model.input_shape))
    if report:
        sys.exit(report)
    return parameters


def parse(options: list[str], model: OperationModel) -> dict[str, Any]:
    members = {f"--{xform_name(name).replace('_', '-')}": (name, shape) for name, shape in model.input_shape.members.items()}
    members["--no-confirmation-required"] = members["--confirmation-required"]
    parameters: dict[str, Any] = {}
    words = iter(options)
    for word in words:
        name, shape = members[word]
        if shape.type_name == "boolean":
            parameters[name] = not word.startswith("--no-")
        elif shape.type_name == "structure":
            parameters[name] = json.loads(next(words))
        else:
            parameters[name] = int(next(words)) if shape.type_name == "integer" else next(words)
    return parameters


def texts(value: Any, shape: Shape) -> list[tuple[str, Any]]:
    """Texts that are none of those that S3 knows there."""
    if isinstance(shape, StructureShape):
        return [wrong for name, member in value.items() for wrong in texts(member, shape.members[name])]
    if isinstance(shape, ListShape):
        return [wrong for member in value for wrong in texts(member, shape.member)]
    enum = getattr(shape, "enum", [])
    return [(value, shape)] if enum and value not in enum else []


if __name__ == "__main__":
    main()
