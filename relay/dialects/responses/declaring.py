"""Tools, the choice among them and the form of the answer, in the provider's words.

Also what a response repeats of its request.

See: https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import Reasoning, ResponseFormat, Tool, ToolChoice
from relay.dialects.carry import made_id
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.responses.names import LONGEST, own
from relay.dialects.responses.tools import ORIGIN

_ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOSTED: Mapping[str, Mapping[str, Any]] = {
    "web_search": {"type": "web_search"},
    "code_execution": {"type": "code_interpreter", "container": {"type": "auto"}},
}
"""Tools that the provider runs and that other dialects have, too: kind → declaration."""

LOW_BUDGET = 4096
MEDIUM_BUDGET = 16384
"""Most tokens to think that still count as low and as medium effort."""


def name_for(name: str) -> str:
    """The name of a tool as OpenAI takes it: letters, digits, ``_`` and ``-``, at most 64."""
    if _ALLOWED.fullmatch(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return f"{plain[: LONGEST - 9]}_{made_id('', name, length=8)}"


def declare(tools: Iterable[Tool], lost: list[str], names: dict[str, str]) -> list[Any]:
    """The ``tools`` of a request; namespaces are put together again where the first of their tools stands.

    Args:
        tools: the hub's.
        lost: gets the kinds of tools that cannot be declared here.
        names: gets names that are not the client's → the client's.
    """
    declared: list[Any] = []
    groups: dict[str, list[Any]] = {}
    for tool in tools:
        value = _declaration(tool, names)
        if value is None:
            lost.append(f"tools[].{tool.kind}")
        elif not tool.namespace:
            declared.append(value)
        elif tool.namespace in groups:
            groups[tool.namespace].append(value)
        else:
            groups[tool.namespace] = [value]
            declared.append(
                {
                    "type": "namespace",
                    "name": tool.namespace,
                    "description": f"Tools of {tool.namespace}.",
                    "tools": groups[tool.namespace],
                }
            )
    return declared


def sent_name(tool: Tool) -> str:
    """What a tool is called in the request: in a namespace its own name."""
    return own(tool.namespace, tool.name) if tool.namespace else name_for(tool.name)


def _declaration(tool: Tool, names: dict[str, str]) -> Any:
    """One tool, or None if this dialect has none like it."""
    if tool.kind not in ("function", "custom"):
        return _hosted(tool)
    if tool.origin == ORIGIN and tool.native:
        return Raw(tool.native)
    name = sent_name(tool)
    if name != tool.name and not tool.namespace:
        names[name] = tool.name
    value: dict[str, Any] = {"type": tool.kind, "name": name}
    if tool.description:
        value["description"] = tool.description
    if tool.kind == "custom":
        if form := _grammar(tool):
            value["format"] = form
        return value
    value["parameters"] = _schema(tool.parameters)
    value["strict"] = bool(tool.strict)  # absent means true here, and false in every other dialect
    return value


def _schema(parameters: bytes) -> Any:
    """A schema that is an object's, whatever was left out of it."""
    schema = mapping(load(parameters)) if parameters else {}
    if schema.get("type") == "object" and "properties" in schema:
        return Raw(parameters)
    if any(word in schema for word in ("anyOf", "oneOf", "allOf", "$ref")):
        return Raw(parameters)
    return {**schema, "type": "object", "properties": mapping(schema.get("properties"))}


def _grammar(tool: Tool) -> Mapping[str, object]:
    """The ``format`` of a custom tool that OpenAI's Chat dialect declared."""
    form = mapping(mapping(mapping(load(tool.native)).get("custom")).get("format")) if tool.native else {}
    grammar = mapping(form.get("grammar"))
    return {"type": "grammar", **grammar} if grammar else form


def _hosted(tool: Tool) -> Any:
    """A tool that the provider runs: as it was, or the like of what another dialect calls so."""
    if tool.origin == ORIGIN and tool.native:
        return Raw(tool.native)
    known = _HOSTED.get(tool.kind)
    if known is None or tool.kind != "web_search":
        return known
    search = dict(known)
    wish = mapping(load(tool.native)) if tool.native else {}
    if domains := sequence(wish.get("allowed_domains")):
        search["filters"] = {"allowed_domains": domains}
    if place := mapping(wish.get("user_location")):
        search["user_location"] = place
    return search


def choose(choice: ToolChoice, tools: Iterable[Tool]) -> Any:
    """The ``tool_choice`` of a request."""
    known = {tool.name: tool for tool in tools}
    if choice.mode == "named" and choice.names:
        return _chosen(choice.names[0], known)
    if choice.names and choice.mode in ("auto", "required"):
        allowed = [_chosen(name, known) for name in choice.names]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": allowed}
    return choice.mode


def _chosen(name: str, known: Mapping[str, Tool]) -> dict[str, str]:
    tool = known.get(name)
    if tool is None:
        return {"type": "function", "name": name_for(name)}
    if tool.kind in ("function", "custom"):
        return {"type": tool.kind, "name": sent_name(tool)}
    declared = text(mapping(load(tool.native)).get("type")) if tool.origin == ORIGIN else ""
    return {"type": declared or text(_HOSTED.get(tool.kind, {}).get("type")) or tool.kind}


def form_of(wanted: ResponseFormat | None) -> dict[str, Any] | None:
    """The ``text.format`` of a request, None where plain text is wanted."""
    if wanted is None or wanted.kind == "text":
        return None
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    form: dict[str, Any] = {
        "type": "json_schema",
        "name": name_for(wanted.name or "answer"),
        "schema": Raw(wanted.schema or b"{}"),
    }
    if wanted.description:
        form["description"] = wanted.description
    if wanted.strict is not None:
        form["strict"] = wanted.strict
    return form


def effort_of(reasoning: Reasoning) -> str:
    """The effort asked for, or the one that comes nearest to a budget of tokens; "" if the model decides."""
    if reasoning.effort:
        return reasoning.effort
    if reasoning.adaptive or reasoning.budget is None:
        return ""
    if reasoning.budget == 0:
        return "none"
    if reasoning.budget <= LOW_BUDGET:
        return "low"
    return "medium" if reasoning.budget <= MEDIUM_BUDGET else "high"


def thinking_of(reasoning: Reasoning) -> dict[str, str]:
    """The ``reasoning`` of a request, maybe empty."""
    effort = effort_of(reasoning)
    summary = reasoning.summary or ("auto" if reasoning.visible and effort != "none" else "")
    return {name: value for name, value in (("effort", effort), ("summary", summary)) if value}


def plain_metadata(metadata: bytes) -> Any:
    """Metadata as OpenAI takes it: strings by name; None if it is anything else."""
    value = load(metadata)
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return msgspec.Raw(metadata)
    return None
