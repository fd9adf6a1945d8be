"""What MiniStack cannot do with the template, taken out of it. Everything else is deployed as it is.

- It has no Elastic IPs and NAT gateways: they are left out, and a documentation address stands where the Elastic IP would be.
- It serves plain HTTP: the statements that refuse anything but TLS are left out. `decisions.py` evaluates them.
- Its requests have no aws:ViaAWSService, which those at AWS always have: the rule about addresses does without that condition.
- It creates buckets without their default encryption, which `deploy_local.py` puts on them then.
- A reference to a secret is its ARN at AWS and its name here, where a policy would not match it: its attribute is taken.
- It knows reserved concurrency, but not from a template: `wiring.py` looks at that.
- Its poller takes no number that came through a parameter: the number of loaders is written in.
- Twelve receives until the dead-letter queue would be most of a minute here: three.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from preparation import RUN
from sam_template import load_built_template

ADDRESS = "192.0.2.10"
UNKNOWN = {"EgressIp": ADDRESS, "NatGateway": "nat-local"}
SECRET = {"Ref": "Credentials"}
SECRET_ARN = {"Fn::GetAtt": ["Credentials", "Arn"]}
DEPENDS_ON_UNKNOWN = ["PrivateRoute"]
MAX_LOADERS = 4
RECEIVES_MAX = 3
PLAIN_HTTP_BREAKS = "TlsOnly"
ADDRESS_RULE = "ReadFromKnownPlaces"


def write_local_template() -> Path:
    template = replace_unknown(load_built_template())
    resources = template["Resources"]
    for name in [*UNKNOWN, *DEPENDS_ON_UNKNOWN]:
        del resources[name]
    for resource in resources.values():
        drop_statement(resource.get("Properties", {}), PLAIN_HTTP_BREAKS)
    address_rule(resources["SourceBucketPolicy"])["Condition"].pop("Bool")
    resources["QueueToLoader"]["Properties"]["ScalingConfig"]["MaximumConcurrency"] = MAX_LOADERS
    resources["Queue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] = RECEIVES_MAX
    file = RUN / "template.json"
    file.write_text(json.dumps(template, indent=1))
    return file


def replace_unknown(node: Any) -> Any:
    """Puts a value where something refers to a resource that is left out, or to the secret."""
    if node == SECRET:
        return SECRET_ARN
    if isinstance(node, dict):
        if list(node) == ["Ref"] and node["Ref"] in UNKNOWN:
            return UNKNOWN[node["Ref"]]
        return {key: replace_unknown(value) for key, value in node.items()}
    if isinstance(node, list):
        return [replace_unknown(value) for value in node]
    if isinstance(node, str):
        for name, value in UNKNOWN.items():
            node = node.replace(f"${{{name}}}", value)
    return node


def address_rule(policy: dict[str, Any]) -> dict[str, Any]:
    """The statement, out of its Fn::If."""
    branches = [each["Fn::If"][1] for each in policy["Properties"]["PolicyDocument"]["Statement"] if "Fn::If" in each]
    [statement] = [each for each in branches if each["Sid"] == ADDRESS_RULE]
    return statement


def drop_statement(properties: dict[str, Any], sid: str) -> None:
    document = properties.get("PolicyDocument", {})
    if "Statement" in document:
        document["Statement"] = [statement for statement in document["Statement"] if statement.get("Sid") != sid]
