"""Puts a file into the local stack's S3, as `make play` shows: put.py FILE s3://BUCKET/KEY."""

from __future__ import annotations

import sys
from pathlib import Path

import boto3


def main() -> None:
    file, address = sys.argv[1:]
    bucket, key = address.removeprefix("s3://").split("/", 1)
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=Path(file).read_bytes())


if __name__ == "__main__":
    main()
