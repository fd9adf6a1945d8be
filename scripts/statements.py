"""Every statement of every policy in the template, and what in them is wider than one thing.

A wildcard, a principal that is everybody, and a service that is let in without saying for whom are refused unless they are on the
list below, each with the reason why it cannot be narrower. An entry that nothing uses any more is refused as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service import Failure

# (resource of the template, Sid or "trust", element, value): why.
REVIEWED: dict[tuple[str, str, str, str], str] = {
    # --- Refusals: the wider the better
    ("SourceBucketPolicy", "TlsOnly", "Action", "s3:*"): "a refusal of whatever comes without TLS",
    ("SourceBucketPolicy", "TlsOnly", "Principal", "*"): "a refusal for everybody",
    ("RejectsBucketPolicy", "TlsOnly", "Action", "s3:*"): "a refusal of whatever comes without TLS",
    ("RejectsBucketPolicy", "TlsOnly", "Principal", "*"): "a refusal for everybody",
    ("QueuePolicy", "TlsOnly", "Action", "sqs:*"): "a refusal of whatever comes without TLS",
    ("QueuePolicy", "TlsOnly", "Principal", "*"): "a refusal for everybody",
    ("DeadLetterQueuePolicy", "TlsOnly", "Action", "sqs:*"): "a refusal of whatever comes without TLS",
    ("DeadLetterQueuePolicy", "TlsOnly", "Principal", "*"): "a refusal for everybody",
    ("SourceBucketPolicy", "ReadFromKnownPlaces", "Action", "s3:GetObject*"): "a refusal of every way to read an object",
    ("SourceBucketPolicy", "ReadFromKnownPlaces", "Principal", "*"): "a refusal for everybody but those its condition names",
    ("SourceBucketPolicy", "PutWithKmsOnly", "Principal", "*"): "a refusal for everybody",
    ("LoaderRole", "NotTheCodeItself", "Action", "ec2:*"): "a refusal of all of EC2 to the function's own code",
    ("LoaderRole", "NotTheCodeItself", "Resource", "*"): "a refusal of all of EC2 to the function's own code",
    # --- What AWS does not let one narrow
    ("Key", "Account", "Action", "kms:*"): "the account's IAM policies decide; without it nobody could ever change the key",
    ("Key", "Account", "Resource", "*"): "in a key's policy it means that key",
    ("Key", "Inventories", "Resource", "*"): "in a key's policy it means that key",
    ("S3Endpoint", "LoadersReadSourceObjects", "Principal", "*"): "gateway endpoints know no other; a condition names the role",
    ("S3Endpoint", "LoadersWriteRejects", "Principal", "*"): "gateway endpoints know no other; a condition names the role",
    (
        "S3Endpoint",
        "LoadersReadTheirConfiguration",
        "Principal",
        "*",
    ): "gateway endpoints know no other; a condition names the role",
    ("LoaderRole", "SeeTheVpc", "Resource", "*"): "EC2's lists have no resources",
    ("LoaderRole", "LiveInTheVpc", "Resource", "arn:aws:ec2:ap-northeast-1:123456789012:*/*"): (
        "Lambda's documentation asks for all resources of the region or the interfaces cannot be deleted; it is not the code's"
    ),
    ("LoaderRole", "trust", "Service", "lambda.amazonaws.com"): "Lambda is documented to assume roles without source keys",
    ("BatchOperationsRole", "trust", "Service", "batchoperations.s3.amazonaws.com"): (
        "S3 is documented to assume it without source keys; only iam:PassRole of this account can hand it to a job"
    ),
    # --- Parts of names
    ("LoaderRole", "WriteLogs", "Resource", "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/lambda/holoload-loader:*"): (
        "the streams of one log group, which Lambda names"
    ),
    ("BackfillRole", "FollowItems", "Resource", "arn:aws:states:ap-northeast-1:123456789012:execution:holoload-backfill:*"): (
        "executions have generated names"
    ),
    ("BackfillRole", "FollowItems", "Resource", "arn:aws:states:ap-northeast-1:123456789012:execution:holoload-backfill/*"): (
        "the items of a distributed map are executions with generated names"
    ),
}
# The objects of a bucket, or of a prefix of it, have names that nobody knows before: (resource, Sid) of those who may.
OBJECTS = {
    ("LoaderRole", "ReadSourceObjects"),
    ("LoaderRole", "WriteRejects"),
    ("S3Endpoint", "LoadersReadSourceObjects"),
    ("S3Endpoint", "LoadersWriteRejects"),
    ("S3Endpoint", "LoadersReadTheirConfiguration"),
    ("BackfillRole", "ReadManifestsOfTheSource"),
    ("BackfillRole", "ReadManifests"),
    ("BackfillRole", "WriteResults"),
    ("BatchOperationsRole", "ReadManifests"),
    ("BatchOperationsRole", "WriteReports"),
    ("SourceBucketPolicy", "TlsOnly"),
    ("SourceBucketPolicy", "ReadFromKnownPlaces"),
    ("SourceBucketPolicy", "PutWithKmsOnly"),
    ("RejectsBucketPolicy", "TlsOnly"),
    ("RejectsBucketPolicy", "Inventories"),
}
NAMES_THE_SOURCE = {"aws:sourcearn", "aws:sourceaccount"}
ELEMENTS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


class Walk:
    """Goes through rendered templates and remembers which reviewed entries were needed."""

    def __init__(self) -> None:
        self.used: set[tuple[str, ...]] = set()
        self.seen: set[str] = set()

    def resources(self, resources: dict[str, Any]) -> None:
        for name, resource in resources.items():
            self.permission(name, resource)
            for document in documents(resource):
                self.document(name, document)

    def document(self, resource: str, document: dict[str, Any]) -> None:
        text = f"{resource} {document}"
        if text in self.seen:
            return
        self.seen.add(text)
        if document.get("Version") != "2012-10-17":
            raise Failure(f"a policy of {resource} has no version, or an old one")
        for statement in as_list(document["Statement"]):
            self.statement(resource, statement)

    def statement(self, resource: str, statement: dict[str, Any]) -> None:
        is_trust = statement.get("Action") == "sts:AssumeRole"
        sid = statement.get("Sid", "trust" if is_trust else "")
        where = f"{resource}, statement {sid or statement}"
        if strange := set(statement) - ELEMENTS:
            raise Failure(f"{where}: {sorted(strange)} says what is meant by what is not")
        if not sid or statement.get("Effect") not in ("Allow", "Deny"):
            raise Failure(f"{where}: a statement needs a Sid and an effect")
        if not statement.get("Action") or not (statement.get("Resource") or is_trust):
            raise Failure(f"{where}: a statement names its actions and resources")
        for element in ("Action", "Resource"):
            for value in as_list(statement.get(element, [])):
                self.value(where, (resource, sid, element, value))
        self.principal(where, resource, sid, statement)

    def value(self, where: str, place: tuple[str, str, str, str]) -> None:
        resource, sid, element, value = place
        is_object = element == "Resource" and value.startswith("arn:aws:s3:::") and value.endswith("/*") and value.count("*") == 1
        if "*" not in value and "?" not in value:
            return
        if is_object and (resource, sid) in OBJECTS:
            self.used.add((resource, sid))
        else:
            self.reviewed(where, place)

    def principal(self, where: str, resource: str, sid: str, statement: dict[str, Any]) -> None:
        principal = statement.get("Principal")
        if principal is None:
            return
        for kind, values in principal.items() if isinstance(principal, dict) else [("AWS", principal)]:
            for value in as_list(values):
                if "*" in value:
                    self.reviewed(where, (resource, sid, "Principal", value))
                elif kind == "Service" and statement["Effect"] == "Allow" and not NAMES_THE_SOURCE & condition_keys(statement):
                    self.reviewed(where, (resource, sid, "Service", value))

    def reviewed(self, where: str, place: tuple[str, str, str, str]) -> None:
        if place not in REVIEWED:
            raise Failure(f"{where}: {place[2]} {place[3]} is wider than one thing, and not on the reviewed list")
        self.used.add(place)

    def permission(self, name: str, resource: dict[str, Any]) -> None:
        """A function's own policy, of which CloudFormation makes the statement."""
        if resource["Type"] != "AWS::Lambda::Permission":
            return
        properties = resource["Properties"]
        source = properties.get("SourceArn", "*")
        if properties["Action"] != "lambda:InvokeFunction" or "*" in source or "*" in properties["Principal"]:
            raise Failure(f"{name} does not say who may invoke the function")
        if properties["Principal"] == "s3.amazonaws.com" and "SourceAccount" not in properties:
            raise Failure(f"{name}: a bucket's ARN has no account, SourceAccount must name it")

    def end(self) -> None:
        if stale := [place for place in [*REVIEWED, *OBJECTS] if place not in self.used]:
            raise Failure(f"on the reviewed list, and used by nothing: {stale}")


def documents(node: Any) -> Iterator[dict[str, Any]]:
    """Whatever has statements is a policy, wherever it stands."""
    if isinstance(node, dict):
        if "Statement" in node:
            yield node
        for value in node.values():
            yield from documents(value)
    elif isinstance(node, list):
        for value in node:
            yield from documents(value)


def condition_keys(statement: dict[str, Any]) -> set[str]:
    return {key.lower() for keys in statement.get("Condition", {}).values() for key in keys}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
