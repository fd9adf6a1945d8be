"""What `sam deploy` made, asked of the APIs of the local stack and compared with what the template is for."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from local_template import MAX_LOADERS, RECEIVES_MAX
from ministack import ACCOUNT, REGION, MiniStack
from service import Failure

TIMEOUT_S = 900
ALARMS = {
    "dead-letters",
    "oldest-message",
    "function-errors",
    "throttles",
    "lost-failures",
    "failed-objects",
    "rejected-rows",
    "lag",
    "certificate",
    "failed-backfills",
}


def expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Failure(f"{what} is {found!r} instead of {wanted!r}")


def check(aws: MiniStack, outputs: dict[str, str]) -> None:
    check_key(aws, outputs)
    check_buckets(aws, outputs)
    check_queues(aws, outputs)
    check_function(aws, outputs)
    check_role(aws, outputs)
    check_watching(aws, outputs)
    check_backfill(aws, outputs)


def encrypt_buckets(aws: MiniStack, template: dict[str, Any], outputs: dict[str, str]) -> None:
    """Puts the default encryption that the template declares on its buckets: MiniStack makes them without."""
    for resource, output in (("SourceBucket", "SourceBucketName"), ("RejectsBucket", "RejectsBucketName")):
        [rule] = template["Resources"][resource]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        default = rule["ServerSideEncryptionByDefault"]
        expect(f"{resource}'s key", default.pop("KMSMasterKeyID"), {"Fn::GetAtt": "Key.Arn"})
        rule = {
            "ApplyServerSideEncryptionByDefault": {**default, "KMSMasterKeyID": outputs["KeyArn"]},
            "BucketKeyEnabled": rule["BucketKeyEnabled"],
        }
        aws.client("s3").put_bucket_encryption(Bucket=outputs[output], ServerSideEncryptionConfiguration={"Rules": [rule]})


def check_key(aws: MiniStack, outputs: dict[str, str]) -> None:
    kms = aws.client("kms")
    expect("the key's state", kms.describe_key(KeyId=outputs["KeyArn"])["KeyMetadata"]["KeyState"], "Enabled")
    expect("the key's rotation", kms.get_key_rotation_status(KeyId=outputs["KeyArn"])["KeyRotationEnabled"], True)


def check_buckets(aws: MiniStack, outputs: dict[str, str]) -> None:
    s3 = aws.client("s3")
    for name in ("SourceBucketName", "RejectsBucketName"):
        bucket = outputs[name]
        [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        expect(f"{bucket}'s encryption", default, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": outputs["KeyArn"]})
        expect(f"{bucket}'s bucket key", rule["BucketKeyEnabled"], True)
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        expect(f"{bucket}'s block of public access", set(block.values()), {True})
    policy = json.loads(s3.get_bucket_policy(Bucket=outputs["SourceBucketName"])["Policy"])
    [statement] = policy["Statement"]
    expect("the source bucket's rule", statement["Sid"], "ReadFromKnownPlaces")
    addresses = statement["Condition"]["NotIpAddress"]["aws:SourceIp"]
    expect("its addresses", addresses, ["192.0.2.10/32", "127.0.0.1/32"])


def check_queues(aws: MiniStack, outputs: dict[str, str]) -> None:
    sqs = aws.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes["RedrivePolicy"])
    expect("the redrive target", redrive["deadLetterTargetArn"], queue_arn(outputs["DeadLetterQueueUrl"]))
    expect("the receives until then", int(redrive["maxReceiveCount"]), RECEIVES_MAX)
    expect("the visibility timeout", int(attributes["VisibilityTimeout"]), 6 * TIMEOUT_S)
    expect("the retention", int(attributes["MessageRetentionPeriod"]), 14 * 86_400)
    expect("who may send", senders(attributes), {"s3.amazonaws.com"})


def check_function(aws: MiniStack, outputs: dict[str, str]) -> None:
    client = aws.client("lambda")
    mapping = the_mapping(aws, outputs)
    expect("the mapping's queue", mapping["EventSourceArn"], queue_arn(outputs["QueueUrl"]))
    expect("the mapping's state", mapping["State"], "Enabled")
    expect("messages in one invocation", mapping["BatchSize"], 1)
    expect("the mapping's answers", mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
    expect("loaders at once", int(mapping["ScalingConfig"]["MaximumConcurrency"]), MAX_LOADERS)
    configuration = client.get_function_configuration(FunctionName=outputs["FunctionName"])
    expect("the timeout", configuration["Timeout"], TIMEOUT_S)
    expect("HOLOLOAD_QUEUE", configuration["Environment"]["Variables"]["HOLOLOAD_QUEUE"], queue_arn(outputs["QueueUrl"]))
    invoke = client.get_function_event_invoke_config(FunctionName=outputs["FunctionName"], Qualifier="$LATEST")
    expect("retries of asynchronous invocations", invoke["MaximumRetryAttempts"], 2)
    expect("their greatest age", invoke["MaximumEventAgeInSeconds"], 21_600)
    failures = invoke["DestinationConfig"]["OnFailure"]["Destination"]
    expect("where failures go", failures, queue_arn(outputs["DeadLetterQueueUrl"]))


def check_role(aws: MiniStack, outputs: dict[str, str]) -> None:
    """Every statement of the loader's role, with its resources as they were made."""
    iam = aws.client("iam")
    arn = aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])["Role"]
    role = arn.rsplit("/", 1)[-1]
    expect("the role's policies", iam.list_role_policies(RoleName=role)["PolicyNames"], ["loader"])
    expect("the role's managed policies", iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"], [])
    document = iam.get_role_policy(RoleName=role, PolicyName="loader")["PolicyDocument"]
    document = json.loads(unquote(document)) if isinstance(document, str) else document
    found = {each["Sid"]: (each["Effect"], as_list(each["Action"]), as_list(each["Resource"])) for each in document["Statement"]}
    for sid, wanted in loader_statements(outputs).items():
        expect(f"the role's statement {sid}", found.pop(sid, None), wanted)
    expect("what else the role may", found, {})


def loader_statements(outputs: dict[str, str]) -> dict[str, tuple[str, list[str], list[str]]]:
    source, rejects = (f"arn:aws:s3:::{outputs[name]}" for name in ("SourceBucketName", "RejectsBucketName"))
    queue, dead_letters = (queue_arn(outputs[name]) for name in ("QueueUrl", "DeadLetterQueueUrl"))
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{outputs['FunctionName']}"
    log = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{outputs['LogGroupName']}:*"
    queue_actions = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility", "SendMessage"]
    interfaces = ["CreateNetworkInterface", "DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"]
    lists = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
    return {
        "ReadSourceObjects": ("Allow", ["s3:GetObject", "s3:GetObjectVersion"], [f"{source}/*"]),
        "TellMissingFromForbidden": ("Allow", ["s3:ListBucket"], [source]),
        "TellTheInternetPath": ("Deny", ["s3:ListBucket"], [source]),
        "TellTheEndpointPath": ("Deny", ["s3:ListBucket"], [source]),
        "WriteRejects": ("Allow", ["s3:PutObject"], [f"{rejects}/rejects/*"]),
        "UseTheKeyThroughS3Only": ("Allow", ["kms:Decrypt", "kms:GenerateDataKey"], [outputs["KeyArn"]]),
        "ReadCredentials": ("Allow", ["secretsmanager:GetSecretValue"], [outputs["SecretArn"]]),
        "TakeEvents": ("Allow", [f"sqs:{action}" for action in queue_actions], [queue]),
        "KeepFailures": ("Allow", ["sqs:SendMessage"], [dead_letters]),
        "GoOnInTheNextInvocation": ("Allow", ["lambda:InvokeFunction"], [function]),
        "WriteLogs": ("Allow", ["logs:CreateLogStream", "logs:PutLogEvents"], [log]),
        "LiveInTheVpc": ("Allow", [f"ec2:{action}" for action in interfaces], [f"arn:aws:ec2:{REGION}:{ACCOUNT}:*/*"]),
        "SeeTheVpc": ("Allow", lists, ["*"]),
        "NotTheCodeItself": ("Deny", ["ec2:*"], ["*"]),
    }


def check_watching(aws: MiniStack, outputs: dict[str, str]) -> None:
    alarms = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    expect("the alarms", {alarm["AlarmName"].removeprefix("holoload-") for alarm in alarms}, ALARMS)
    for alarm in alarms:
        expect(f"whom {alarm['AlarmName']} tells", alarm["AlarmActions"], [outputs["AlarmTopicArn"]])
    body = aws.client("cloudwatch").get_dashboard(DashboardName="holoload")["DashboardBody"]
    json.loads(body)
    expect("placeholders in the dashboard", "${" in body, False)
    group = aws.client("logs").describe_log_groups(logGroupNamePrefix=outputs["LogGroupName"])["logGroups"][0]
    expect("the log's retention", group["retentionInDays"], 30)
    [rule] = aws.client("events").list_rules()["Rules"]
    expect("the sweep's schedule", rule["ScheduleExpression"], "rate(1 day)")
    [target] = aws.client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    wanted = {"reprocess": {"prefix": f"s3://{outputs['SourceBucketName']}/", "missing": True}}
    expect("the sweep's request", json.loads(target["Input"]), wanted)


def check_backfill(aws: MiniStack, outputs: dict[str, str]) -> None:
    machine = aws.client("stepfunctions").describe_state_machine(stateMachineArn=outputs["BackfillStateMachineArn"])
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{outputs['FunctionName']}"
    expect("that the backfill invokes the loader", function in machine["definition"], True)
    expect("placeholders in the backfill", "${" in machine["definition"], False)


def check_object(aws: MiniStack, outputs: dict[str, str], key: str) -> None:
    """An object that was put without a word about encryption."""
    head = aws.client("s3").head_object(Bucket=outputs["SourceBucketName"], Key=key)
    expect(f"{key}'s encryption", (head.get("ServerSideEncryption"), head.get("SSEKMSKeyId")), ("aws:kms", outputs["KeyArn"]))


def check_rejects(aws: MiniStack, outputs: dict[str, str]) -> None:
    """One bad row is one reject object and what is wrong with it."""
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket=outputs["RejectsBucketName"])["Contents"]
    expect("where rejects are", {each["Key"].split("/")[0] for each in found}, {"rejects"})
    expect("objects with rejects", len(found), 2)
    [rows] = [each["Key"] for each in found if each["Key"].endswith(".rejects.csv")]
    body = s3.get_object(Bucket=outputs["RejectsBucketName"], Key=rows)["Body"].read()
    expect("that the bad row is kept", body.rstrip().endswith(b",many"), True)


def check_paused(aws: MiniStack, outputs: dict[str, str]) -> None:
    expect("the mapping's state", the_mapping(aws, outputs)["State"], "Disabled")
    [rule] = aws.client("events").list_rules()["Rules"]
    expect("the sweep's state", rule["State"], "DISABLED")


def waiting_count(aws: MiniStack, outputs: dict[str, str]) -> int:
    names = ["ApproximateNumberOfMessages"]
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=names)
    return int(answer["Attributes"][names[0]])


def check_direct(aws: MiniStack, outputs: dict[str, str]) -> None:
    notifications = notification(aws, outputs)
    expect("what the bucket notifies", list(notifications), ["LambdaFunctionConfigurations"])
    expect("the mapping's state", the_mapping(aws, outputs)["State"], "Enabled")
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
    expect("who may send", senders(attributes), set())


def check_eventbridge(aws: MiniStack, outputs: dict[str, str]) -> None:
    expect("what the bucket notifies", list(notification(aws, outputs)), ["EventBridgeConfiguration"])
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
    expect("who may send", senders(attributes), {"events.amazonaws.com"})


def notification(aws: MiniStack, outputs: dict[str, str]) -> dict[str, Any]:
    answer = aws.client("s3").get_bucket_notification_configuration(Bucket=outputs["SourceBucketName"])
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def the_mapping(aws: MiniStack, outputs: dict[str, str]) -> dict[str, Any]:
    [mapping] = aws.client("lambda").list_event_source_mappings(FunctionName=outputs["FunctionName"])["EventSourceMappings"]
    return mapping


def receive(aws: MiniStack, queue_url: str) -> list[str]:
    """The bodies of a few messages, which stay in the queue."""
    answer = aws.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [message["Body"] for message in answer.get("Messages", [])]


def senders(attributes: dict[str, str]) -> set[str]:
    """The services that a queue's policy lets send."""
    statements = json.loads(attributes.get("Policy", '{"Statement": []}'))["Statement"]
    return {statement["Principal"]["Service"] for statement in statements if statement["Effect"] == "Allow"}


def queue_arn(url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[-1]}"


def as_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
