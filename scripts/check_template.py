"""Checks template.yaml beyond its syntax, without AWS: every choice of parameters, every statement of every policy.

- Each choice that CloudFormation's rules let through renders, and a choice of these lints without its conditions.
- No statement has a wildcard, or lets a service in without naming for whom, unless it is on the reviewed list with its reason.
- The policies decide as meant: who reads the bucket from where, and what the loader's role may.
- Triggers, pause and sweep are wired as their parameters say.

`sam.py validate` starts this with the SAM CLI's Python, which has cfn-lint.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import decisions
import wiring
from cloudformation import Template
from sam_template import load_template
from service import Failure
from statements import Walk
from steps import fail, step

ADMINISTRATOR = "arn:aws:iam::123456789012:role/admin"
REQUIRED = {"HologresHost": "db.example.com", "Database": "demo"}
OWN_NETWORK = {"ExistingVpcId": "", "ExistingSubnetIds": "", "ExistingS3EndpointId": ""}
EXISTING_NETWORK = {"ExistingVpcId": "vpc-1a2b3c4d", "ExistingSubnetIds": "subnet-1a2b3c4d,subnet-2a2b3c4d"}
NETWORKS = [
    OWN_NETWORK,
    {**EXISTING_NETWORK, "ExistingS3EndpointId": ""},
    {**EXISTING_NETWORK, "ExistingS3EndpointId": "vpce-9a2b3c4d"},
]
BUCKETS = [
    {"ExistingBucket": "", "SourceKeyArn": ""},
    {"ExistingBucket": "orders", "SourceKeyArn": "arn:aws:kms:ap-northeast-1:123456789012:key/theirs"},
]
# Every combination of these is rendered, and every policy in it walked.
CHOICES: dict[str, list[str]] = {
    "Trigger": ["queue", "direct", "eventbridge"],
    "Paused": ["false", "true"],
    "AllowedAddresses": ["", "only-loaders", "203.0.113.0/24,198.51.100.7/32"],
    "AdministratorArns": ["", ADMINISTRATOR],
    "RefusePlainPuts": ["false", "true"],
    "SecretAccess": ["nat", "endpoint"],
    "SweepSchedule": ["", "rate(1 day)"],
    "ConfigFile": ["", "holoload.yaml"],
}
# cfn-lint takes about a second for each: every value of every choice is in one of these, and every network with every bucket.
LINTED: list[dict[str, str]] = [
    {**OWN_NETWORK, **BUCKETS[0], "Trigger": "queue"},
    {**OWN_NETWORK, **BUCKETS[0], "Trigger": "direct", "Paused": "true", "RemovalEvents": "true"},
    {**OWN_NETWORK, **BUCKETS[1], "Trigger": "eventbridge", "SecretAccess": "endpoint", "SweepSchedule": "rate(1 day)"},
    {**NETWORKS[1], **BUCKETS[0], "Trigger": "eventbridge", "AllowedAddresses": "203.0.113.0/24", "RefusePlainPuts": "true"},
    {**NETWORKS[1], **BUCKETS[1], "Trigger": "direct", "ConfigFile": "holoload.yaml", "HologresPort": "443"},
    {**NETWORKS[2], **BUCKETS[0], "AllowedAddresses": "only-loaders", "AdministratorArns": ADMINISTRATOR},
    {**NETWORKS[2], **BUCKETS[1], "Paused": "true", "Architecture": "arm64", "AlarmEmail": "a@example.com"},
]
# What would lock somebody out, or do nothing.
REFUSED: list[dict[str, str]] = [
    {"ExistingVpcId": "vpc-1a2b3c4d"},
    {"ExistingSubnetIds": "subnet-1a2b3c4d"},
    {"ExistingS3EndpointId": "vpce-9a2b3c4d"},
    {**NETWORKS[1], "AllowedAddresses": "only-loaders"},
    {**NETWORKS[1], "SecretAccess": "endpoint"},
    {"ExistingBucket": "orders", "AllowedAddresses": "203.0.113.0/24"},
    {"ExistingBucket": "orders", "RefusePlainPuts": "true"},
]


def main() -> int:
    template = load_template()
    try:
        with step("rules: what cannot work is refused"):
            check_rules(template)
        with step("policies: every statement, for every choice of parameters"):
            count = walk_policies(template)
        with step(f"policies: who may what ({count} choices before)"):
            decisions.check(template)
        with step("wiring: triggers, pause and the command for an existing bucket"):
            wiring.check(template)
        with step(f"cfn-lint of {len(LINTED)} choices of parameters"):
            lint(template)
    except Failure as error:
        return fail(str(error), error.hint)
    return 0


def choices() -> Iterator[dict[str, str]]:
    for values in itertools.product(NETWORKS, BUCKETS, *CHOICES.values()):
        network, bucket, *others = values
        yield {**REQUIRED, **network, **bucket, **dict(zip(CHOICES, others, strict=True))}


def check_rules(template: dict[str, Any]) -> None:
    for parameters in REFUSED:
        if not Template(template, {**REQUIRED, **parameters}).refusals():
            raise Failure(f"no rule refuses {parameters}")
    for parameters in LINTED:
        if refusals := Template(template, {**REQUIRED, **parameters}).refusals():
            raise Failure(f"{parameters} is refused: {refusals}")


def walk_policies(template: dict[str, Any]) -> int:
    """Answers how many choices there were."""
    walk = Walk()
    count = 0
    for parameters in choices():
        rendered = Template(template, parameters)
        if not rendered.refusals():
            if missing := rendered.missing():
                raise Failure(f"with {parameters} these are referred to and not there: {sorted(missing)}")
            walk.resources(rendered.resolved())
            count += 1
    walk.end()
    return count


def lint(template: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, parameters in enumerate(LINTED):
            file = Path(folder) / f"{number}.json"
            file.write_text(json.dumps(Template(template, {**REQUIRED, **parameters}).without_conditions()))
            files.append(file)
        # W2001: a parameter that only a condition asks for is unused without it. W3002: the package's folder is a local path.
        cfn_lint = Path(sys.executable).with_name("cfn-lint")
        command = [cfn_lint, "--ignore-checks", "W2001", "W3002", "--", *files]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        named = "\n".join(f"{number}.json: {parameters}" for number, parameters in enumerate(LINTED))
        raise Failure(f"cfn-lint:\n{done.stdout}\n{named}")


if __name__ == "__main__":
    sys.exit(main())
