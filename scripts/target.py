"""Options that say what the main job loads into, shared by `run.py` and `check_result.py`. Standard library only."""

from __future__ import annotations

import argparse

PROFILES = ["2.2", "3.1", "4.1"]


def add_target_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the database")
    group.add_argument("--target", choices=["postgresql", "hologres"], default="postgresql", help="which one (postgresql)")
    add_standin_options(group)


def add_standin_options(parser: argparse._ActionsContainer) -> None:
    """How the stand-in of Hologres behaves."""
    parser.add_argument("--profile", choices=PROFILES, default="3.1", help="hologres: the version it behaves like (3.1)")
    parser.add_argument(
        "--extended-copy",
        choices=["on", "off"],
        default="on",
        help="hologres: whether it takes COPY in the extended protocol, which nobody has confirmed of the real one (on)",
    )
