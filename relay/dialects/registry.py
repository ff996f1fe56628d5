"""The dialects that relay knows, by the name that provider files use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from relay.dialects.anthropic.dialect import ANTHROPIC
from relay.dialects.base import Dialect
from relay.dialects.bedrock.dialect import BEDROCK
from relay.dialects.cohere.dialect import COHERE
from relay.dialects.gemini.dialect import GEMINI
from relay.dialects.ollama.dialect import OLLAMA
from relay.dialects.openai.dialect import OPENAI
from relay.dialects.responses.dialect import RESPONSES

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (OPENAI, RESPONSES, ANTHROPIC, GEMINI, OLLAMA, COHERE, BEDROCK)}
)
"""Name → dialect. A new dialect is its modules and one word here."""
