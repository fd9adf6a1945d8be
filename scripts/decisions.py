"""What the template's policies decide about requests as they come, worked out by `iam.py`: nothing here was asked of AWS."""

from __future__ import annotations

from typing import Any

from cloudformation import Template
from iam import Request, Statement, decision
from service import Failure

ACCOUNT = "arn:aws:iam::123456789012"
LOADER, BACKFILL, ADMINISTRATOR = f"{ACCOUNT}:role/LoaderRole", f"{ACCOUNT}:role/BackfillRole", f"{ACCOUNT}:role/admin"
SOMEBODY = f"{ACCOUNT}:user/somebody"
BUCKET = "arn:aws:s3:::holoload-source-123456789012-ap-northeast-1"
REJECTS = "arn:aws:s3:::holoload-rejects-123456789012-ap-northeast-1"
KEY = "arn:aws:kms:ap-northeast-1:123456789012:key/Key"
TARGET = {"HologresHost": "db.example.com", "Database": "demo"}
RULED = {**TARGET, "AllowedAddresses": "203.0.113.0/24", "AdministratorArns": ADMINISTRATOR}

# The keys that requests have by the way they come: through an endpoint there is no address, from elsewhere no endpoint.
LISTED = {"aws:SourceIp": "203.0.113.9", "aws:ViaAWSService": "false"}
NAT = {"aws:SourceIp": "192.0.2.10", "aws:ViaAWSService": "false"}
ENDPOINT = {"aws:SourceVpce": "vpce-0a1b2c3d", "aws:ViaAWSService": "false"}
OTHER_ENDPOINT = {"aws:SourceVpce": "vpce-ffffffff", "aws:ViaAWSService": "false"}
ELSEWHERE = {"aws:SourceIp": "198.51.100.9", "aws:ViaAWSService": "false"}
ON_BEHALF = {"aws:SourceIp": "198.51.100.9", "aws:ViaAWSService": "true"}
TLS, PLAIN = {"aws:SecureTransport": "true"}, {"aws:SecureTransport": "false"}
ENCRYPTION = "s3:x-amz-server-side-encryption"

# As in the article that this project began with.
ARTICLES_RULE: list[Statement] = [
    {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [BUCKET, f"{BUCKET}/*"],
        "Condition": {"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "192.0.2.10/32"]}},
    }
]


def check(template: dict[str, Any]) -> None:
    the_bucket_is_read_from_known_places(template)
    an_empty_parameter_is_no_rule(template)
    only_loaders_means_it(template)
    an_existing_network_has_its_own_places(template)
    nobody_is_locked_out(template)
    plain_puts_are_refused_where_asked(template)
    the_articles_rule_would_refuse_the_endpoint(template)
    the_loader_may_what_it_needs(template)
    the_backfill_reads_manifests_under_the_sources_key(template)
    the_endpoint_is_no_way_out(template)
    queues_take_their_own_events(template)
    inventories_come_from_the_source(template)
    roles_are_taken_by_their_services(template)


def the_bucket_is_read_from_known_places(template: dict[str, Any]) -> None:
    rule = statements(template, RULED, "SourceBucketPolicy")
    for name, way, is_refused in [
        ("an allow-listed address", LISTED, False),
        ("the loaders' NAT gateway", NAT, False),
        ("the loaders' endpoint", ENDPOINT, False),
        ("elsewhere", ELSEWHERE, True),
        ("another endpoint", OTHER_ENDPOINT, True),
        ("a service on somebody's behalf", ON_BEHALF, False),
    ]:
        for action in ("s3:GetObject", "s3:GetObjectVersion"):
            expect(f"{action} from {name}", rule, Request(SOMEBODY, action, f"{BUCKET}/a", {**way, **TLS}), is_refused)
            expect(f"{action} from {name} without TLS", rule, Request(SOMEBODY, action, f"{BUCKET}/a", {**way, **PLAIN}), True)


def an_empty_parameter_is_no_rule(template: dict[str, Any]) -> None:
    rule = statements(template, TARGET, "SourceBucketPolicy")
    for way in (LISTED, ENDPOINT, ELSEWHERE):
        expect("reading without a rule", rule, Request(SOMEBODY, "s3:GetObject", f"{BUCKET}/a", {**way, **TLS}), False)
        expect("reading without TLS", rule, Request(SOMEBODY, "s3:GetObject", f"{BUCKET}/a", {**way, **PLAIN}), True)


def only_loaders_means_it(template: dict[str, Any]) -> None:
    rule = statements(template, {**RULED, "AllowedAddresses": "only-loaders"}, "SourceBucketPolicy")
    for way, is_refused in [(ENDPOINT, False), (NAT, False), (LISTED, True), (ELSEWHERE, True)]:
        expect(f"only-loaders: {way}", rule, Request(SOMEBODY, "s3:GetObject", f"{BUCKET}/a", {**way, **TLS}), is_refused)


def an_existing_network_has_its_own_places(template: dict[str, Any]) -> None:
    network = {**RULED, "ExistingVpcId": "vpc-1a2b3c4d", "ExistingSubnetIds": "subnet-1a2b3c4d"}
    without = statements(template, network, "SourceBucketPolicy")
    known = statements(template, {**network, "ExistingS3EndpointId": "vpce-ffffffff"}, "SourceBucketPolicy")
    alone = {**network, "ExistingS3EndpointId": "vpce-ffffffff", "AllowedAddresses": "only-loaders"}
    for rule, way, is_refused in [
        (without, LISTED, False),
        (without, OTHER_ENDPOINT, True),
        (known, OTHER_ENDPOINT, False),
        (known, ENDPOINT, True),
        (known, ELSEWHERE, True),
        (statements(template, alone, "SourceBucketPolicy"), OTHER_ENDPOINT, False),
        (statements(template, alone, "SourceBucketPolicy"), LISTED, True),
    ]:
        expect(f"existing network: {way}", rule, Request(LOADER, "s3:GetObject", f"{BUCKET}/a", {**way, **TLS}), is_refused)


def nobody_is_locked_out(template: dict[str, Any]) -> None:
    """From any address: exempt readers read, and everybody may still put, list and change the rule, as far as IAM lets them."""
    rule = statements(template, {**RULED, "RefusePlainPuts": "true"}, "SourceBucketPolicy")
    away = {**ELSEWHERE, **TLS}
    for principal in (ADMINISTRATOR, f"{ACCOUNT}:root", BACKFILL):
        expect(f"{principal} reads", rule, Request(principal, "s3:GetObject", f"{BUCKET}/a", away), False)
    for principal in (SOMEBODY, f"{ACCOUNT}:role/administrator", f"{ACCOUNT}:user/admin"):
        expect(f"{principal} reads", rule, Request(principal, "s3:GetObject", f"{BUCKET}/a", away), True)
    encrypted = {**away, ENCRYPTION: "aws:kms"}
    expect("a put from elsewhere", rule, Request(SOMEBODY, "s3:PutObject", f"{BUCKET}/a", encrypted), False)
    for action in ("s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:ListBucket", "s3:PutBucketNotification", "s3:DeleteBucket"):
        expect(f"{action} from elsewhere", rule, Request(SOMEBODY, action, BUCKET, away), False)


def plain_puts_are_refused_where_asked(template: dict[str, Any]) -> None:
    strict = statements(template, {**TARGET, "RefusePlainPuts": "true"}, "SourceBucketPolicy")
    lenient = statements(template, TARGET, "SourceBucketPolicy")
    for said, is_refused in [({}, True), ({ENCRYPTION: "AES256"}, True), ({ENCRYPTION: "aws:kms"}, False)]:
        put = Request(SOMEBODY, "s3:PutObject", f"{BUCKET}/a", {**ELSEWHERE, **TLS, **said})
        expect(f"RefusePlainPuts: a put that says {said}", strict, put, is_refused)
        expect(f"a put that says {said}", lenient, put, False)
    expect("reading with RefusePlainPuts", strict, Request(SOMEBODY, "s3:GetObject", f"{BUCKET}/a", {**ELSEWHERE, **TLS}), False)


def the_articles_rule_would_refuse_the_endpoint(template: dict[str, Any]) -> None:
    """The evaluator can refuse: an address alone, negated, refuses what has no address."""
    through_endpoint = Request(LOADER, "s3:GetObject", f"{BUCKET}/a", {**ENDPOINT, **TLS})
    expect("the article's rule, through the endpoint", ARTICLES_RULE, through_endpoint, True)
    expect("ours", statements(template, RULED, "SourceBucketPolicy"), through_endpoint, False)
    from_nat = Request(LOADER, "s3:GetObject", f"{BUCKET}/a", {**NAT, **TLS})
    expect("the article's rule, through the NAT gateway", ARTICLES_RULE, from_nat, False)


def the_loader_may_what_it_needs(template: dict[str, Any]) -> None:
    role = statements(template, {**TARGET, "ConfigFile": "holoload.yaml"}, "LoaderRole")
    doctor = "holoload-doctor/through"
    through_s3 = {"kms:ViaService": "s3.ap-northeast-1.amazonaws.com"}
    function = "arn:aws:lambda:ap-northeast-1:123456789012:function:holoload-loader"
    queue, letters = (f"arn:aws:sqs:ap-northeast-1:123456789012:{name}" for name in ("Queue", "DeadLetterQueue"))
    for action, resource, context, wanted in [
        ("s3:GetObject", f"{BUCKET}/a/b.csv", {}, "Allow"),
        ("s3:PutObject", f"{BUCKET}/a/b.csv", {}, "nothing"),
        ("s3:DeleteObject", f"{BUCKET}/a/b.csv", {}, "nothing"),
        ("s3:GetObject", "arn:aws:s3:::somebody-elses/a.csv", {}, "nothing"),
        ("s3:PutObject", f"{REJECTS}/rejects/a/b.csv", {}, "Allow"),
        ("s3:PutObject", f"{REJECTS}/config/holoload.yaml", {}, "nothing"),
        ("s3:PutObject", f"{REJECTS}/manifests/a.csv", {}, "nothing"),
        ("s3:GetObject", f"{REJECTS}/config/holoload.yaml", {}, "Allow"),
        ("s3:GetObject", f"{REJECTS}/rejects/a/b.csv", {}, "nothing"),
        ("s3:ListBucket", BUCKET, {**ENDPOINT, "s3:prefix": "orders/"}, "Allow"),
        ("s3:ListBucket", BUCKET, {**NAT, "s3:prefix": "orders/"}, "Allow"),
        # Exactly one of the doctor's two prefixes is refused, and it says the way.
        ("s3:ListBucket", BUCKET, {**ENDPOINT, "s3:prefix": f"{doctor}-endpoint"}, "Allow"),
        ("s3:ListBucket", BUCKET, {**ENDPOINT, "s3:prefix": f"{doctor}-internet"}, "Deny"),
        ("s3:ListBucket", BUCKET, {**NAT, "s3:prefix": f"{doctor}-endpoint"}, "Deny"),
        ("s3:ListBucket", BUCKET, {**NAT, "s3:prefix": f"{doctor}-internet"}, "Allow"),
        ("kms:Decrypt", KEY, through_s3, "Allow"),
        ("kms:Decrypt", KEY, {}, "nothing"),
        ("sqs:ChangeMessageVisibility", queue, {}, "Allow"),
        ("sqs:SendMessage", letters, {}, "Allow"),
        ("sqs:ReceiveMessage", letters, {}, "nothing"),
        ("lambda:InvokeFunction", function, {}, "Allow"),
        ("lambda:UpdateFunctionCode", function, {}, "nothing"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:other", {}, "nothing"),
        ("ec2:DescribeSubnets", "*", {}, "Allow"),
        ("ec2:DescribeSubnets", "*", {"lambda:SourceFunctionArn": function}, "Deny"),
    ]:
        found = decision(role, Request(LOADER, action, resource, context))
        if found != wanted:
            raise Failure(f"the loader's {action} on {resource} with {context}: {found} instead of {wanted}")


def the_backfill_reads_manifests_under_the_sources_key(template: dict[str, Any]) -> None:
    theirs = "arn:aws:kms:ap-northeast-1:123456789012:key/theirs"
    through_s3 = {"kms:ViaService": "s3.ap-northeast-1.amazonaws.com"}
    existing = statements(template, {**TARGET, "ExistingBucket": "orders", "SourceKeyArn": theirs}, "BackfillRole")
    for rule, context, wanted in [
        (existing, through_s3, "Allow"),
        (existing, {}, "nothing"),
        (statements(template, TARGET, "BackfillRole"), through_s3, "nothing"),
    ]:
        found = decision(rule, Request(BACKFILL, "kms:Decrypt", theirs, context))
        if found != wanted:
            raise Failure(f"the backfill's kms:Decrypt with {context}: {found} instead of {wanted}")


def the_endpoint_is_no_way_out(template: dict[str, Any]) -> None:
    endpoint = statements(template, TARGET, "S3Endpoint")
    for principal, action, resource, wanted in [
        (LOADER, "s3:GetObject", f"{BUCKET}/a", "Allow"),
        (LOADER, "s3:ListBucket", BUCKET, "Allow"),
        (LOADER, "s3:PutObject", f"{REJECTS}/rejects/a", "Allow"),
        (LOADER, "s3:GetObject", f"{REJECTS}/config/holoload.yaml", "Allow"),
        (LOADER, "s3:GetObject", f"{REJECTS}/rejects/a", "nothing"),
        (LOADER, "s3:PutObject", "arn:aws:s3:::attacker/a", "nothing"),
        ("arn:aws:iam::999999999999:user/attacker", "s3:PutObject", "arn:aws:s3:::attacker/a", "nothing"),
        ("arn:aws:iam::999999999999:user/attacker", "s3:GetObject", f"{BUCKET}/a", "nothing"),
    ]:
        found = decision(endpoint, Request(principal, action, resource, {**ENDPOINT, **TLS}))
        if found != wanted:
            raise Failure(f"{principal}'s {action} on {resource} through the endpoint: {found} instead of {wanted}")


def queues_take_their_own_events(template: dict[str, Any]) -> None:
    queue = "arn:aws:sqs:ap-northeast-1:123456789012:Queue"
    bucket = {"aws:SourceArn": BUCKET, "aws:SourceAccount": "123456789012", **TLS}
    rule = {"aws:SourceArn": "arn:aws:events:ap-northeast-1:123456789012:rule/ObjectRule", **TLS}
    for trigger, service, context, wanted in [
        ("queue", "s3.amazonaws.com", bucket, "Allow"),
        ("queue", "s3.amazonaws.com", {**bucket, **PLAIN}, "Deny"),
        ("queue", "s3.amazonaws.com", {**bucket, "aws:SourceAccount": "999999999999"}, "nothing"),
        ("queue", "s3.amazonaws.com", {**bucket, "aws:SourceArn": "arn:aws:s3:::other"}, "nothing"),
        ("queue", "events.amazonaws.com", rule, "nothing"),
        ("direct", "s3.amazonaws.com", bucket, "nothing"),
        ("eventbridge", "events.amazonaws.com", rule, "Allow"),
        ("eventbridge", "s3.amazonaws.com", bucket, "nothing"),
    ]:
        policy = statements(template, {**TARGET, "Trigger": trigger}, "QueuePolicy")
        found = decision(policy, Request(service, "sqs:SendMessage", queue, context))
        if found != wanted:
            raise Failure(f"Trigger={trigger}: {service} with {context} into the queue: {found} instead of {wanted}")


def inventories_come_from_the_source(template: dict[str, Any]) -> None:
    own = {"aws:SourceAccount": "123456789012", "aws:SourceArn": BUCKET, **TLS}
    for resource, action, target in [
        ("RejectsBucketPolicy", "s3:PutObject", f"{REJECTS}/inventory/a"),
        ("Key", "kms:GenerateDataKey", KEY),
    ]:
        policy = statements(template, TARGET, resource)
        for context, wanted in [
            (own, "Allow"),
            ({**own, "aws:SourceArn": "arn:aws:s3:::other"}, "nothing"),
            ({**own, "aws:SourceAccount": "999999999999"}, "nothing"),
        ]:
            found = decision(policy, Request("s3.amazonaws.com", action, target, context))
            if found != wanted:
                raise Failure(f"S3's {action} on {target} with {context}: {found} instead of {wanted}")


def roles_are_taken_by_their_services(template: dict[str, Any]) -> None:
    machine = "arn:aws:states:ap-northeast-1:123456789012:stateMachine"
    own = {"aws:SourceAccount": "123456789012", "aws:SourceArn": f"{machine}:holoload-backfill"}
    resources = Template(template, TARGET).resolved()
    for role, service, context, wanted in [
        ("LoaderRole", "lambda.amazonaws.com", {}, "Allow"),
        ("LoaderRole", "ec2.amazonaws.com", {}, "nothing"),
        ("LoaderRole", SOMEBODY, {}, "nothing"),
        ("BackfillRole", "states.amazonaws.com", own, "Allow"),
        ("BackfillRole", "states.amazonaws.com", {**own, "aws:SourceArn": f"{machine}:other"}, "nothing"),
        ("BackfillRole", "states.amazonaws.com", {**own, "aws:SourceAccount": "999999999999"}, "nothing"),
        ("BatchOperationsRole", "batchoperations.s3.amazonaws.com", {}, "Allow"),
    ]:
        trust = resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        trust = [{**statement, "Resource": "*"} for statement in trust]
        found = decision(trust, Request(service, "sts:AssumeRole", "role", context))
        if found != wanted:
            raise Failure(f"{service} with {context} takes {role}: {found} instead of {wanted}")


def expect(what: str, rule: list[Statement], request: Request, is_refused: bool) -> None:
    if (decision(rule, request) == "Deny") != is_refused:
        raise Failure(f"{what} is {'not ' if is_refused else ''}refused: {request}")


def statements(template: dict[str, Any], parameters: dict[str, str], resource: str) -> list[Statement]:
    """The statements of one resource's policies (a role's: what it may), as the template makes them for these parameters."""
    properties = Template(template, parameters).resolved()[resource]["Properties"]
    documents = [properties[name] for name in ("PolicyDocument", "KeyPolicy") if name in properties]
    documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    return [statement for document in documents for statement in document["Statement"]]
