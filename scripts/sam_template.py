"""What `sam build` made, changed for the local stack: CloudFormation's short forms become long ones, so that JSON can hold it."""

from __future__ import annotations

from typing import Any

import yaml

from preparation import ROOT
from service import Failure

BUILD = ROOT / ".aws-sam" / "build"
FUNCTION = "LoaderFunction"
BACKFILL = "BackfillStateMachine"


class TemplateLoader(yaml.SafeLoader):
    """Reads `!Ref`, `!Sub` and the like."""

    def long_form(self, name: str, node: yaml.Node) -> dict[str, Any]:
        if isinstance(node, yaml.ScalarNode):
            value = self.construct_scalar(node)
            return {name: value} if name in ("Ref", "Condition") else {f"Fn::{name}": value}
        if isinstance(node, yaml.SequenceNode):
            return {f"Fn::{name}": self.construct_sequence(node, deep=True)}
        return {f"Fn::{name}": self.construct_mapping(node, deep=True)}


TemplateLoader.add_multi_constructor("!", TemplateLoader.long_form)


def load_built_template() -> dict[str, Any]:
    """The built template, with the package's folder and the state machine's file as absolute paths."""
    built = BUILD / "template.yaml"
    if not built.exists():
        raise Failure("nothing is built", "run `sam build` first")
    template = yaml.load(built.read_text(), TemplateLoader)
    function = function_properties(template)
    function["CodeUri"] = str(BUILD / function["CodeUri"])
    backfill = template["Resources"][BACKFILL]["Properties"]
    backfill["DefinitionUri"] = str((BUILD / backfill["DefinitionUri"]).resolve())
    return template


def load_template() -> dict[str, Any]:
    """template.yaml as it is."""
    return yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)


def function_properties(template: dict[str, Any]) -> dict[str, Any]:
    return template["Resources"][FUNCTION]["Properties"]
