"""A look into the local stack's S3, for `make play`:

s3.py put FILE s3://BUCKET/KEY    the put that invokes the handler
s3.py ls s3://BUCKET/[PREFIX]     keys
s3.py cat s3://BUCKET/KEY         content
"""

from __future__ import annotations

import sys
from pathlib import Path

import boto3
import botocore.exceptions

from steps import fail


def main() -> int:
    try:
        match sys.argv[1:]:
            case ["put", file, address]:
                boto3.client("s3").put_object(**place(address), Body=Path(file).read_bytes())
            case ["ls", address]:
                bucket, prefix = place(address).values()
                for entry in boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
                    print(f"{entry['Size']:>10,}  s3://{bucket}/{entry['Key']}")
            case ["cat", address]:
                sys.stdout.buffer.write(boto3.client("s3").get_object(**place(address))["Body"].read())
            case _:
                return fail(f"usage:\n{__doc__}")
    except (OSError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        return fail(str(error), "`make play` must be running, and `. .run/env.sh` said in this shell")
    return 0


def place(address: str) -> dict[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


if __name__ == "__main__":
    sys.exit(main())
