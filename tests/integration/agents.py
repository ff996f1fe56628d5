"""First requests of two coding agents: their fields, sizes and headers, with texts of our own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_PROSE = (
    "Use this when the task asks for it and say in one line what was done. Paths are absolute; nothing is "
    "changed that was not asked for. Output beyond 30000 characters is cut in the middle, so narrow it down. "
)


def prose(size: int) -> str:
    """Words of about so many characters."""
    return (_PROSE * (size // len(_PROSE) + 1))[:size].strip()


# ── Claude Code ───────────────────────────────────────────────────────────────────────

BILLING = "x-anthropic-billing-header: cc_version=2.1.197.4f2; cc_entrypoint=cli; cch=00000;"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_STRING = {"type": "string"}


def _schema(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "$schema": _DRAFT,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _text(words: str, **more: Any) -> dict[str, Any]:
    return {"description": words, "type": "string", **more}


_TODO = _schema(
    ["content", "status", "activeForm"],
    content={"type": "string", "minLength": 1},
    status={"type": "string", "enum": ["pending", "in_progress", "completed"]},
    activeForm={"type": "string", "minLength": 1},
)
_OPTION = _schema(["label", "description"], label=_text("Short."), description=_text("Long."), preview=_text("Sample."))
_QUESTION = _schema(
    ["question", "header", "options", "multiSelect"],
    question=_text("What is asked."),
    header=_text("A word."),
    options={"type": "array", "items": _OPTION, "minItems": 2, "maxItems": 4},
    multiSelect={"type": "boolean", "default": False},
)
_NUMBER = {"description": "How many.", "type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991}

CLAUDE_TOOLS: Mapping[str, dict[str, Any]] = {
    "Agent": _schema(
        ["description", "prompt"],
        description=_text("What it is about."),
        prompt=_text("The task."),
        subagent_type=_text("Which one."),
        model=_text("Which model.", enum=["sonnet", "opus", "haiku"]),
        run_in_background={"type": "boolean"},
        isolation=_text("Where.", enum=["worktree"]),
    ),
    "AskUserQuestion": _schema(
        ["questions"],
        questions={"type": "array", "items": _QUESTION, "minItems": 1, "maxItems": 4},
        answers={"type": "object", "propertyNames": _STRING, "additionalProperties": _STRING},
        annotations={
            "type": "object",
            "propertyNames": _STRING,
            "additionalProperties": {"type": "object", "properties": {"notes": _STRING}, "additionalProperties": False},
        },
    ),
    "Bash": _schema(
        ["command"],
        command=_text("The command."),
        timeout={"description": "Milliseconds.", "type": "number"},
        description=_text("What it does."),
        run_in_background={"type": "boolean"},
        dangerouslyDisableSandbox={"type": "boolean"},
    ),
    "Edit": _schema(
        ["file_path", "old_string", "new_string"],
        file_path=_text("Where."),
        old_string=_text("What."),
        new_string=_text("For what."),
        replace_all={"type": "boolean", "default": False},
    ),
    "EnterPlanMode": _schema([]),
    "EnterWorktree": _schema([], name=_text("Which.")),
    "ExitPlanMode": {
        "$schema": _DRAFT,
        "type": "object",
        "properties": {
            "allowedPrompts": {
                "type": "array",
                "items": _schema(["tool", "prompt"], tool={"type": "string", "enum": ["Bash"]}, prompt=_STRING),
            }
        },
        "additionalProperties": {},
    },
    "Glob": _schema(["pattern"], pattern=_text("Which."), path=_text("Where.")),
    "Grep": _schema(
        ["pattern"],
        pattern=_text("What."),
        path=_text("Where."),
        output_mode=_text("How.", enum=["content", "files_with_matches", "count"]),
        **{"-A": {"type": "number"}, "-B": {"type": "number"}, "-n": {"type": "boolean"}, "-i": {"type": "boolean"}},
        head_limit={"type": "number"},
        multiline={"type": "boolean"},
    ),
    "ListMcpResourcesTool": _schema([], server=_text("Which.")),
    "NotebookEdit": _schema(
        ["notebook_path", "new_source"],
        notebook_path=_text("Where."),
        new_source=_text("What."),
        cell_type=_text("Kind.", enum=["code", "markdown"]),
        edit_mode=_text("How.", enum=["replace", "insert", "delete"]),
    ),
    "Read": _schema(
        ["file_path"], file_path=_text("Which."), offset=_NUMBER, limit=_NUMBER, pages=_text("Pages of a document.")
    ),
    "ReadMcpResourceTool": _schema(["server", "uri"], server=_STRING, uri=_STRING),
    "Skill": _schema(["skill"], skill=_text("Which."), args=_text("With what.")),
    "TaskOutput": _schema(
        ["task_id", "block", "timeout"],
        task_id=_STRING,
        block={"type": "boolean", "default": True},
        timeout={"type": "number", "default": 30000, "minimum": 0, "maximum": 600000},
    ),
    "TaskStop": _schema([], task_id=_STRING, shell_id=_STRING),
    "TodoWrite": _schema(["todos"], todos={"type": "array", "items": _TODO}),
    "WebFetch": _schema(["url", "prompt"], url={"type": "string", "format": "uri"}, prompt=_text("What for.")),
    "WebSearch": _schema(
        ["query"],
        query={"type": "string", "minLength": 2},
        allowed_domains={"type": "array", "items": _STRING},
        blocked_domains={"type": "array", "items": _STRING},
    ),
    "Write": _schema(["file_path", "content"], file_path=_text("Where."), content=_text("What.")),
    "mcp__github__create_issue": _schema(
        ["owner", "title"],
        owner=_STRING,
        title=_STRING,
        labels={"anyOf": [{"type": "array", "items": _STRING}, {"type": "null"}]},
        milestone={"oneOf": [{"type": "integer"}, {"type": "string"}]},
    ),
    "mcp__github__search": _schema(["q"], q=_STRING, sort={"const": "updated"}, page={"type": ["integer", "null"]}),
    "mcp__tree__walk": {
        "type": "object",
        "properties": {"node": {"$ref": "#/$defs/node"}},
        "required": ["node"],
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"name": _STRING, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                "required": ["name"],
            }
        },
    },
    "mcp__clock__now": {"type": "object"},
}
"""Its tools: the shapes of schemas that it and MCP servers send."""

CLAUDE_HEADERS: Mapping[str, str] = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,"
    "context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,effort-2025-11-24",
    "anthropic-dangerous-direct-browser-access": "true",
    "authorization": "Bearer none",
    "x-app": "cli",
    "user-agent": "claude-cli/2.1.197 (external, cli)",
    "x-stainless-lang": "js",
    "x-stainless-retry-count": "0",
    "x-stainless-timeout": "600",
    "accept-encoding": "gzip, deflate, br, zstd",
}


def claude_code(model: str) -> dict[str, Any]:
    """The first request of a session, about 77 KB."""
    lasting = {"type": "ephemeral", "ttl": "1h"}
    user_id = json.dumps(
        {"device_id": "d" * 64, "account_uuid": "", "session_id": "0b0c5f5e-1111-4222-8333-444455556666"}
    )
    return {
        "model": model,
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": BILLING},
            {"type": "text", "text": "You are an agent in a terminal.", "cache_control": lasting},
            {"type": "text", "text": prose(14000), "cache_control": lasting},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": f"<system-reminder>\n{prose(3000)}\n</system-reminder>"},
                    {"type": "text", "text": "List the files.", "cache_control": {"type": "ephemeral"}},
                ],
            },
            {"role": "system", "content": [{"type": "text", "text": "The user has switched to plan mode."}]},
        ],
        "tools": [
            {"name": name, "description": prose(2060), "input_schema": schema} for name, schema in CLAUDE_TOOLS.items()
        ],
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": user_id},
        "stream": True,
    }


# ── Codex ─────────────────────────────────────────────────────────────────────────────

_PATCH = """start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?
hunk: "*** Add File: " filename LF add_line+
filename: /(.+)/
add_line: "+" /(.*)/ LF
%import common.LF
"""

CODEX_HEADERS: Mapping[str, str] = {
    "authorization": "Bearer none",
    "originator": "codex_exec",
    "session-id": "019a0000-1111-7222-8333-444455556666",
    "thread-id": "019a0000-1111-7222-8333-444455556666",
    "x-client-request-id": "019a0000-1111-7222-8333-444455556666",
    "x-codex-turn-metadata": json.dumps({"turn_id": "019a", "workspaces": {"/home/user/project": {"note": "n" * 600}}}),
    "accept": "text/event-stream",
    "user-agent": "codex_exec/0.169.0 (Debian; x86_64)",
}


def _function(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": sorted(properties)[:1],
        "additionalProperties": False,
    }
    return {"type": "function", "name": name, "description": prose(900), "strict": False, "parameters": parameters}


def codex(model: str) -> dict[str, Any]:
    """The first request of a session, about 40 KB."""
    return {
        "model": model,
        "instructions": prose(22500),
        "input": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": f"<permissions>{prose(5000)}</permissions>"}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": f"<environment_context>{prose(1500)}</environment_context>"}
                ],
            },
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List the files."}]},
        ],
        "tools": [
            _function(
                "exec_command", cmd=_text("The command."), workdir=_text("Where."), yield_time_ms={"type": "number"}
            ),
            _function("write_stdin", session_id={"type": "number"}, chars=_text("What.")),
            _function(
                "update_plan",
                plan={"type": "array", "items": {"type": "object", "properties": {"step": _STRING, "status": _STRING}}},
                explanation=_STRING,
            ),
            _function("view_image", path=_text("Which.")),
            {
                "type": "custom",
                "name": "apply_patch",
                "description": prose(600),
                "format": {"type": "grammar", "syntax": "lark", "definition": _PATCH},
            },
            {
                "type": "namespace",
                "name": "mcp__docs",
                "description": "Documentation.",
                "tools": [_function("read_page", url=_STRING), _function("find_pages", query=_STRING)],
            },
            {
                "type": "namespace",
                "name": "multi_agent",
                "description": "Other agents.",
                "tools": [_function("spawn", task=_STRING), _function("wait", ids={"type": "array", "items": _STRING})],
            },
            {"type": "web_search", "external_web_access": True},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019a0000-1111-7222-8333-444455556666",
        "text": {"verbosity": "low"},
        "client_metadata": {"x-codex-installation-id": "6f1e7b4c-1111-4222-8333-444455556666"},
    }
