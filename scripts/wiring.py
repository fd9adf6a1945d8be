"""What starts the function, for every trigger, paused or not, with a bucket of the stack or an existing one."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from typing import Any

from cloudformation import Template
from service import Failure

TARGET = {"HologresHost": "db.example.com", "Database": "demo", "MaxLoaders": 7, "SweepSchedule": "rate(1 day)"}
QUEUE = "arn:aws:sqs:ap-northeast-1:123456789012:Queue"
FUNCTION = "arn:aws:lambda:ap-northeast-1:123456789012:function:holoload-loader"
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]
NOTIFICATIONS = {
    "queue": {"QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": QUEUE}]},
    "direct": {"LambdaConfigurations": [{"Event": "s3:ObjectCreated:*", "Function": FUNCTION}]},
    "eventbridge": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
}
# The same for the API, which names things differently.
COMMANDS = {
    "queue": {"QueueConfigurations": [{"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}]},
    "direct": {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:*"]}]},
    "eventbridge": {"EventBridgeConfiguration": {}},
}


def check(template: dict[str, Any]) -> None:
    for trigger, paused in itertools.product(NOTIFICATIONS, ("false", "true")):
        parameters = {**TARGET, "Trigger": trigger, "Paused": paused}
        where = f"Trigger={trigger}, Paused={paused}"
        resources = Template(template, parameters).resolved()
        expect(f"{where}: the bucket", properties(resources, "SourceBucket")["NotificationConfiguration"], NOTIFICATIONS[trigger])
        expect(f"{where}: the mapping is enabled", properties(resources, "QueueToLoader")["Enabled"], paused == "false")
        loaders = properties(resources, "QueueToLoader")["ScalingConfig"]["MaximumConcurrency"]
        expect(f"{where}: loaders at once", loaders, 7)
        reserved = properties(resources, "LoaderFunction").get("ReservedConcurrentExecutions")
        wanted = None if trigger != "direct" else 7 if paused == "false" else 0
        expect(f"{where}: reserved concurrency", reserved, wanted)
        expect(f"{where}: the sweep", properties(resources, "SweepRule")["State"], "ENABLED" if paused == "false" else "DISABLED")
        expect(f"{where}: the rule is there", "ObjectRule" in resources, trigger == "eventbridge")
        expect(f"{where}: S3 may invoke", "DirectPermission" in resources, trigger == "direct")
    for trigger in COMMANDS:
        existing_bucket(template, trigger)
        removals(template, trigger)
    queues(Template(template, TARGET).resolved())
    dashboards(template)


def existing_bucket(template: dict[str, Any], trigger: str) -> None:
    rendered = Template(template, {**TARGET, "Trigger": trigger, "ExistingBucket": "orders"})
    resources = rendered.resolved()
    expect("the bucket is left alone", {"SourceBucket", "SourceBucketPolicy"} & set(resources), set())
    command = rendered.resolve(rendered.without_conditions()["Outputs"]["ConnectBucket"]["Value"])
    for answer, puts in [("true", True), ("echo '{}'", False), ("false", False)]:
        expect(f"the command puts where the bucket answers `{answer}`", puts_a_notification(command, answer), puts)
    configuration = re.search(r"'(.*)'$", command)
    expect(f"Trigger={trigger}: the command", configuration and json.loads(configuration[1]), COMMANDS[trigger])
    read = [
        statement["Resource"]
        for policy in properties(resources, "LoaderRole")["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Sid"] == "ReadSourceObjects"
    ]
    expect("the loader reads", read, ["arn:aws:s3:::orders/*"])


def puts_a_notification(command: str, answer: str) -> bool:
    """Run by a shell for which `aws` is a function that answers so when it is asked what is there."""
    aws = f"aws() {{ case $2 in get-*) {answer} ;; *) echo put ;; esac; }}\n"
    return subprocess.run(["sh", "-c", aws + command], capture_output=True, text=True, check=False).stdout == "put\n"


def removals(template: dict[str, Any], trigger: str) -> None:
    """Whoever starts the function also tells of removed and expired objects where that is asked for."""
    parameters = {**TARGET, "Trigger": trigger, "RemovalEvents": "true"}
    resources = Template(template, parameters).resolved()
    rendered = Template(template, {**parameters, "ExistingBucket": "orders"})
    told = json.dumps([properties(resources, "SourceBucket"), resources.get("ObjectRule", {})])
    command = str(rendered.resolve(rendered.without_conditions()["Outputs"]["ConnectBucket"]["Value"]))
    for event in ["Object Created", "Object Deleted"] if trigger == "eventbridge" else EVENTS:
        expect(f"Trigger={trigger}: {event}", event in told, True)
        expect(f"Trigger={trigger}: {event} in the command", event in command, trigger != "eventbridge")


def queues(resources: dict[str, Any]) -> None:
    queue, letters = properties(resources, "Queue"), properties(resources, "DeadLetterQueue")
    timeout_s = properties(resources, "LoaderFunction")["Timeout"]
    expect("the visibility timeout is six times the function's", queue["VisibilityTimeout"] >= 6 * timeout_s, True)
    expect(
        "dead letters stay at least as long as events", letters["MessageRetentionPeriod"] >= queue["MessageRetentionPeriod"], True
    )
    failures = properties(resources, "LoaderFunction")["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"]
    expect("where failures go", failures, queue["RedrivePolicy"]["deadLetterTargetArn"])


def dashboards(template: dict[str, Any]) -> None:
    """The dashboard is JSON in any network; only the stack's own NAT gateway is in it."""
    network = {"ExistingVpcId": "vpc-1a2b3c4d", "ExistingSubnetIds": "subnet-1a2b3c4d"}
    for parameters, has_gateway in [(TARGET, True), ({**TARGET, **network, "Architecture": "arm64"}, False)]:
        body = properties(Template(template, parameters).resolved(), "Dashboard")["DashboardBody"]
        widgets = json.loads(body)["widgets"]
        expect("the NAT gateway's costs are shown", any("AWS/NATGateway" in json.dumps(each) for each in widgets), has_gateway)
        expect("a price", ("0.0000133334" in body, "0.0000166667" in body), (not has_gateway, has_gateway))


def properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    return resources[name]["Properties"]


def expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Failure(f"{what}: {found!r} instead of {wanted!r}")
