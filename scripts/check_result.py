"""Checks what `make run` left in .run/result.json; takes the options that say what was loaded into. Standard library only."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from preparation import ROOT
from steps import fail
from target import add_target_options

ROW_COUNT = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_target_options(parser)
    arguments = parser.parse_args()
    wanted = wanted_report(arguments)
    result = json.loads((ROOT / ".run" / "result.json").read_text())
    for name in ("plain", "encrypted"):
        found = {field: result[name][field] for field in wanted}
        if found != wanted:
            return fail(f"{name}: {found}")
    if (result["table_count"], result["invoked_by"]) != (2 * ROW_COUNT, ["s3", "s3"]):
        return fail(f"{result['table_count']} rows, invoked by {result['invoked_by']}")
    print("the demo's result is right")
    return 0


def wanted_report(arguments: argparse.Namespace) -> dict[str, Any]:
    """What must stand in both reports."""
    everywhere = {"status": "loaded", "row_count": ROW_COUNT, "reject_count": 0}
    if arguments.target == "postgresql":
        return {**everywhere, "inserted_count": ROW_COUNT, "write_path": "unnest", "atomic": True}
    # Hologres does not tell new rows from changed ones.
    path = "fixed_copy" if arguments.extended_copy == "on" else "unnest"
    return {**everywhere, "inserted_count": None, "updated_count": None, "write_path": path, "atomic": False}


if __name__ == "__main__":
    sys.exit(main())
