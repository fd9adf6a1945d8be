"""Checks what `make run` left in .run/result.json. Standard library only."""

from __future__ import annotations

import json
import sys

from preparation import ROOT
from steps import fail


def main() -> int:
    result = json.loads((ROOT / ".run" / "result.json").read_text())
    for name in ("plain", "encrypted"):
        report = result[name]
        found = (report["status"], report["row_count"], report["inserted_count"], report["reject_count"])
        if found != ("loaded", 10_000, 10_000, 0):
            return fail(f"{name}: {found}")
    if (result["table_count"], result["invoked_by"]) != (20_000, ["s3", "s3"]):
        return fail(f"{result['table_count']} rows, invoked by {result['invoked_by']}")
    print("the demo's result is right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
