"""Names of tools that are declared in a namespace.

A namespace groups functions under one name, and its functions may be called as others elsewhere are.
Providers that know plain functions only get each under a flat name that holds both; the way back needs
nothing but the namespace that `relay.chat.Tool` and `relay.chat.ToolCall` remember.

See: https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools (read 2026-11).
"""

from __future__ import annotations

import re

from relay.dialects.carry import made_id

LONGEST = 64
"""Characters that a function's name may have with OpenAI and most who follow it."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def flat(namespace: str, name: str) -> str:
    """The name of a namespace's function among all functions; the name itself without a namespace."""
    if not namespace:
        return name
    whole = _plain_prefix(namespace) + name
    if len(whole) <= LONGEST and _PLAIN.fullmatch(namespace):
        return whole
    return _short_prefix(namespace) + name


def own(namespace: str, name: str) -> str:
    """The function's name within its namespace: the inverse of `flat`."""
    if namespace:
        for prefix in (_plain_prefix(namespace), _short_prefix(namespace)):
            if name.startswith(prefix) and len(name) > len(prefix):
                return name[len(prefix) :]
    return name


def _plain_prefix(namespace: str) -> str:
    return namespace if namespace.endswith("__") else f"{namespace}__"


def _short_prefix(namespace: str) -> str:
    return made_id("ns", namespace, length=8) + "__"
