"""The hub's tools as Gemini's, under names that it takes.

See: https://ai.google.dev/api/caching#FunctionDeclaration, https://ai.google.dev/api/caching#FunctionCallingConfig,
https://ai.google.dev/gemini-api/docs/tool-combination (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from relay.chat import ChatRequest, Tool, ToolChoice
from relay.dialects.codec import Target
from relay.dialects.gemini.naming import Names
from relay.dialects.gemini.parts import NAME, OUTPUT_TOOL
from relay.dialects.gemini.schema import declared, says_nothing, subset
from relay.dialects.gemini.thinking import Family
from relay.dialects.lenient import load, mapping
from relay.provider import Quirk

_BUILT_IN = {"web_search": "googleSearch", "code_execution": "codeExecution", "web_fetch": "urlContext"}
"""The hub's kinds of tools that Google runs as well."""

_FREE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


class Toolbox:
    """The tools of one request.

    Args:
        request: the hub's request.
        target: where it goes.
        model: what the model's name says.

    Attributes:
        functions: whether there are functions that may be called.
        names: what the functions are called on the way.
        carried: hub fields that are carried only because of what is in them.
        lost: what could not be carried, in order.
    """

    def __init__(self, request: ChatRequest, target: Target, model: Family) -> None:
        self.names = Names(request.tools)
        self.lost: list[str] = []
        self.carried = frozenset({"parallel"} if request.parallel is not False else ())
        self._vertex = Quirk.VERTEX in target.quirks
        self._model = model
        self._chosen = request.tool_choice is not None
        self._choice = request.tool_choice or ToolChoice("auto")
        self._called_choice = request.names.get("tool_choice", "tool_choice")
        self._answer: dict[str, Any] | None = None
        allowed = request.tools
        if self._choice.names and self._choice.mode in ("auto", "none"):
            allowed = tuple(tool for tool in allowed if tool.name in self._choice.names)
        self._functions = [tool for tool in allowed if tool.kind in ("function", "custom")]
        self._strict = any(tool.strict for tool in self._functions) and model.version >= (2, 5)
        for tool in request.tools:
            if tool.kind in ("function", "custom"):
                self._tell(tool)
        self._hosted = self._built_in([tool for tool in allowed if tool.kind not in ("function", "custom")])
        self.functions = bool(self._functions) and self._choice.mode != "none"

    def answer_with(self, schema: dict[str, Any]) -> None:
        """Let the answer come as arguments of a function of relay's own."""
        self._answer = schema

    def put(self, fields: dict[str, Any]) -> None:
        """Add ``tools`` and ``toolConfig`` to a request, where there are tools."""
        tools: list[Any] = list(self._hosted)
        declarations = [self._declaration(tool) for tool in self._functions]
        if self._answer is not None:
            description = "Gives the final answer to the user. Call it when no other function is needed."
            declarations.append({"name": OUTPUT_TOOL, "description": description, **self._schema(self._answer)})
        if declarations:
            tools.append({"functionDeclarations": declarations})
        if tools:
            fields["tools"] = tools
        config: dict[str, Any] = {}
        if declarations and (calling := self._calling()):
            config["functionCallingConfig"] = calling
        if not declarations and self._choice.mode in ("named", "required"):
            self.lost.append(self._called_choice)
        if declarations and self._hosted and not self._vertex:
            config["includeServerSideToolInvocations"] = True
        if config:
            fields["toolConfig"] = config

    # ── declarations ─────────────────────────────────────────────────────────────────

    def _declaration(self, tool: Tool) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self._sent(tool)}
        if tool.description:
            out["description"] = tool.description
        if tool.kind == "custom":
            return {**out, **self._schema(_FREE_TEXT)}
        schema = declared(tool.parameters, "tools[].function.parameters")
        if schema is None or says_nothing(schema):
            return out
        return {**out, **self._schema(schema)}

    def _schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Arguments as JSON Schema, or in Gemini's own form for what is not known to take that."""
        if self._model.version >= (2, 0):
            return {"parametersJsonSchema": schema}
        return {"parameters": subset(schema)}

    def _tell(self, tool: Tool) -> None:
        if tool.strict and not self._strict:
            self.lost.append("tools[].strict")
        if tool.kind == "custom" and tool.native:
            self.lost.append("tools[].format")
        if tool.cache is not None:
            self.lost.append("cache_control")

    def _built_in(self, tools: list[Tool]) -> list[Any]:
        """Tools that Google runs; before Gemini 3 they do not go beside functions."""
        out: list[Any] = []
        for tool in tools:
            together = self._model.version >= (3, 0) or not self._functions
            if tool.origin == NAME and together:
                out.append(msgspec.Raw(tool.native))
            elif tool.kind in _BUILT_IN and together:
                settings = mapping(load(tool.native)).keys() - {"type", "name"}
                self.lost += [f"tools[].{tool.name}.{setting}" for setting in sorted(settings)]
                out.append({_BUILT_IN[tool.kind]: {}})
            else:
                self.lost.append(f"tools[].{tool.name or tool.kind}")
        return out

    def _sent(self, tool: Tool) -> str:
        return self.names.sent(tool.name, tool.namespace, custom=tool.kind == "custom")

    # ── choice ───────────────────────────────────────────────────────────────────────

    def _calling(self) -> dict[str, Any]:
        """``functionCallingConfig``; {} for Gemini's own default."""
        mode, names = self._choice.mode, self._choice.names
        if mode == "none":
            return {"mode": "NONE"}
        if mode in ("named", "required"):
            allowed = [self._sent(tool) for tool in self._functions if tool.name in names]
            return {"mode": "ANY", "allowedFunctionNames": allowed} if allowed else {"mode": "ANY"}
        if self._answer is not None:
            return {"mode": "ANY"}
        if self._strict:
            return {"mode": "VALIDATED"}
        return {"mode": "AUTO"} if self._chosen else {}
