"""Runs a command with PostgreSQL found or installed: with_postgres.py COMMAND…; `PGBIN` names its programs. Standard library only."""

from __future__ import annotations

import os
import sys

import preparation
from preparation import BUILD_TOOLS, Missing
from steps import fail


def main() -> int:
    try:
        os.environ["PGBIN"] = str(preparation.prepare_postgres(BUILD_TOOLS))
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
