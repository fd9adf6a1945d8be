"""statemachine/backfill.asl.json: read, with its substitutions filled in, and held to what no validator checks."""

from __future__ import annotations

import json
from typing import Any

from preparation import ROOT

DEFINITION = ROOT / "statemachine" / "backfill.asl.json"

Definition = dict[str, Any]


def read(**substitutions: str) -> Definition:
    """The definition as CloudFormation would deploy it, which replaces text, wherever it stands."""
    text = DEFINITION.read_text()
    for name, value in substitutions.items():
        text = text.replace(f"${{{name}}}", value)
    return json.loads(text)


def maps(definition: Definition) -> dict[str, Definition]:
    """The map states by their labels."""
    return {state["Label"]: state for state in definition["States"].values() if state["Type"] == "Map"}


def differing_maps(definition: Definition) -> list[str]:
    """The labels of maps that do something else with their objects than the first map does.

    The language has no way to say it once, and wants all names of states to differ: each has its map's label behind it.
    """
    [(first_label, first), *others] = maps(definition).items()
    wanted = _without_reader(first, first_label)
    return [label for label, state in others if _without_reader(state, label) != wanted]


def _without_reader(state: Definition, label: str) -> Definition:
    rest = {name: value for name, value in state.items() if name not in ("Comment", "Label", "ItemReader")}
    return json.loads(json.dumps(rest).replace(f" ({label.lower()})", ""))
