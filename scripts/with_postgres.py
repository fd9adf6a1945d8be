"""Runs a command with PostgreSQL found or installed: with_postgres.py COMMAND…

`PGBIN` names its programs, `HOLOLOAD_TEST_PGBIN11` those of PostgreSQL 11 where they can be had. Standard library only.
"""

from __future__ import annotations

import os
import sys

import preparation
from preparation import BUILD_TOOLS, Missing
from steps import fail, note

VARIABLE_11 = "HOLOLOAD_TEST_PGBIN11"


def main() -> int:
    try:
        os.environ["PGBIN"] = str(preparation.prepare_postgres(BUILD_TOOLS))
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    if VARIABLE_11 not in os.environ:
        if folder := preparation.find_postgres_11():
            os.environ[VARIABLE_11] = str(folder)
        else:
            note("warning: no PostgreSQL 11 here; the stand-in of Hologres runs on the usual one, which takes newer SQL")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
