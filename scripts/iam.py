"""What IAM decides about a request, as far as the template's policies need it.

The rules are those of "IAM JSON policy elements: Condition operators": the conditions of a statement must all hold; of several
values of a key one is enough (for a negated operator none may match); an operator on a key that the request does not have fails,
and a negated one holds. An operator that is not here is an error, not a condition that holds.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Statement = dict[str, Any]


@dataclass
class Request:
    """Who does what to what; `context` holds the condition keys that the request has."""

    principal: str
    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        if key.lower() == "aws:principalarn":
            return self.principal
        return {name.lower(): value for name, value in self.context.items()}.get(key.lower())


def decision(statements: list[Statement], request: Request) -> str:
    """`Deny` by any statement that refuses, else `Allow` by any that allows, else `nothing`."""
    effects = {statement["Effect"] for statement in statements if applies(statement, request)}
    return "Deny" if "Deny" in effects else "Allow" if "Allow" in effects else "nothing"


def applies(statement: Statement, request: Request) -> bool:
    return (
        concerns_principal(statement.get("Principal", "*"), request.principal)
        and any(like(request.action.lower(), action.lower()) for action in as_list(statement["Action"]))
        and any(like(request.resource, resource) for resource in as_list(statement["Resource"]))
        and all(
            condition(operator, request.get(key), as_list(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def concerns_principal(principal: Any, caller: str) -> bool:
    if principal == "*":
        return True
    account = caller.split(":")[4] if caller.startswith("arn:") else None
    root = f":iam::{account}:root"  # the account as a whole
    return any(
        each in ("*", caller) or (account is not None and (each == account or each.endswith(root)))
        for kind in principal.values()
        for each in as_list(kind)
    )


def condition(operator: str, found: str | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return any((each == "true") == (found is None) for each in wanted)
    if operator in NEGATED:
        return found is None or not any(NEGATED[operator](found, each) for each in wanted)
    if operator in OPERATORS:
        return found is not None and any(OPERATORS[operator](found, each) for each in wanted)
    raise ValueError(f"the evaluator does not know the operator {operator}")


def like(text: str, pattern: str) -> bool:
    """`*` is any text, `?` one character."""
    regex = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(regex, text, re.S) is not None


def arn_like(text: str, pattern: str) -> bool:
    """Each of the six parts is compared by itself."""
    parts, patterns = text.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(map(like, parts, patterns))


def in_network(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


def same(left: str, right: str) -> bool:
    return left == right


def same_truth(left: str, right: str) -> bool:
    return left.lower() == right.lower()


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": same,
    "StringLike": like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": same_truth,
    "IpAddress": in_network,
}
NEGATED: dict[str, Callable[[str, str], bool]] = {
    "StringNotEquals": same,
    "StringNotLike": like,
    "ArnNotEquals": arn_like,
    "ArnNotLike": arn_like,
    "NotIpAddress": in_network,
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
