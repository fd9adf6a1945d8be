"""A template as CloudFormation would see it for given parameters: conditions decided, functions resolved, rules applied.

What only AWS knows (ARNs of resources with generated names, addresses) becomes a made-up value that names its resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

PARTITION, REGION, ACCOUNT, STACK = "aws", "ap-northeast-1", "123456789012", "holoload"
PSEUDO = {
    "AWS::Partition": PARTITION,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()
SUBSTITUTION = r"\$\{([^}!]+)\}"
# Of types whose policies name them in ways of their own.
ARNS = {
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{name}}",
    "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{name}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{name}}",
    "AWS::Serverless::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{name}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{name}}:*",
    "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{name}}",
}
# Whose Ref is not the name.
REFERENCES = {
    "AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{{name}}",
    "AWS::SNS::Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{{name}}",
    "AWS::Serverless::StateMachine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{{name}}",
    "AWS::EC2::EIP": "192.0.2.10",
    "AWS::EC2::VPCEndpoint": "vpce-0a1b2c3d",
}
NAME_PROPERTIES = ("BucketName", "FunctionName", "LogGroupName", "TopicName", "Name")


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from references(each)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ("Ref", "DependsOn"):
            yield from [value] if isinstance(value, str) else value
        elif key == "Fn::GetAtt":
            yield value.split(".")[0] if isinstance(value, str) else value[0]
        elif key == "Fn::Sub":
            text, own_values = value if isinstance(value, list) else (value, {})
            yield from (name.split(".")[0] for name in re.findall(SUBSTITUTION, text) if name not in own_values)
        yield from references(value)


class Template:
    """One template with one choice of parameters."""

    def __init__(self, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        unknown = set(parameters) - set(template["Parameters"])
        if unknown:
            raise KeyError(f"the template has no parameters {sorted(unknown)}")
        self.template = template
        self.parameters = {name: parameters.get(name, each.get("Default", "")) for name, each in template["Parameters"].items()}

    def refusals(self) -> list[str]:
        """What CloudFormation would say instead of deploying."""
        return [
            assertion["AssertDescription"]
            for rule in self.template.get("Rules", {}).values()
            if self.holds(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.holds(assertion["Assert"])
        ]

    def without_conditions(self) -> dict[str, Any]:
        """The template that is left; its functions stay, the parameters have the chosen values as defaults."""
        rendered = {key: part for key, part in self.template.items() if key not in ("Conditions", "Rules")}
        for section in ("Resources", "Outputs"):
            rendered[section] = {
                name: self.decide({key: value for key, value in each.items() if key != "Condition"})
                for name, each in self.template[section].items()
                if self.holds({"Condition": each["Condition"]} if "Condition" in each else True)
            }
        parameters = self.template["Parameters"].items()
        rendered["Parameters"] = {name: {**each, "Default": self.parameters[name]} for name, each in parameters}
        return rendered

    def missing(self) -> set[str]:
        """What something that is left refers to, and is itself not left."""
        rendered = self.without_conditions()
        known = {*rendered["Resources"], *self.parameters, *PSEUDO}
        return set(references([rendered["Resources"], rendered["Outputs"]])) - known

    def resolved(self) -> dict[str, Any]:
        """The resources with every function resolved."""
        resources = self.without_conditions()["Resources"]
        return {name: self.resolve(each) for name, each in resources.items()}

    def holds(self, test: Any) -> bool:
        if isinstance(test, bool):
            return test
        [(function, argument)] = test.items()
        match function:
            case "Condition":
                return self.holds(self.template["Conditions"][argument])
            case "Fn::Equals":
                left, right = (str(self.resolve(each)) for each in argument)
                return left == right
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::And":
                return all(map(self.holds, argument))
            case "Fn::Or":
                return any(map(self.holds, argument))
        raise ValueError(f"{function} is no condition")

    def decide(self, node: Any) -> Any:
        """Takes the branches of every Fn::If and leaves out what has no value."""
        if isinstance(node, list):
            return [value for value in map(self.decide, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if node == {"Ref": "AWS::NoValue"}:
            return NO_VALUE
        if list(node) == ["Fn::If"]:
            condition, yes, no = node["Fn::If"]
            return self.decide(yes if self.holds({"Condition": condition}) else no)
        decided = {key: self.decide(value) for key, value in node.items()}
        return {key: value for key, value in decided.items() if value is not NO_VALUE}

    def resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.resolve(each) for each in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(function, argument)] = node.items()
            match function:
                case "Ref":
                    return self.reference(argument)
                case "Fn::GetAtt":
                    return self.attribute(*(argument.split(".") if isinstance(argument, str) else argument))
                case "Fn::Sub":
                    return self.substitute(argument)
                case "Fn::Join":
                    return argument[0].join(str(self.resolve(each)) for each in argument[1])
                case "Fn::Split":
                    return self.resolve(argument[1]).split(argument[0])
                case _ if function.startswith("Fn::"):
                    return f"<{function}>"
        return {key: self.resolve(value) for key, value in node.items()}

    def substitute(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(self.resolve(own[name]))
            return str(self.attribute(*name.split(".")) if "." in name else self.reference(name))

        return re.sub(SUBSTITUTION, value, text)

    def reference(self, name: str) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        shape = REFERENCES.get(self.template["Resources"][name]["Type"], "{name}")
        return shape.format(name=self.name(name))

    def attribute(self, resource: str, attribute: str) -> str:
        kind = self.template["Resources"][resource]["Type"]
        if attribute == "Arn" and kind in ARNS:
            return ARNS[kind].format(name=self.name(resource))
        return f"{self.name(resource)}.{attribute}"

    def name(self, resource: str) -> str:
        properties = self.template["Resources"][resource].get("Properties", {})
        own = next((properties[each] for each in NAME_PROPERTIES if each in properties), None)
        return self.resolve(own) if own else resource
