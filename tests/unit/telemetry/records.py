"""Records as the gateway makes them, for the tests of observers."""

from __future__ import annotations

from typing import Any

import msgspec

from relay.exchange import GAP_BOUNDS, AttemptRecord, ExchangeRecord, KeyInfo, Usage
from relay.outcome import Outcome, Stage

CHAT = "/v1/chat/completions"

STREAMED = ExchangeRecord(
    id="0123456789abcdef0123456789abcdef",
    time=1_795_000_000.0,
    method="POST",
    endpoint=CHAT,
    status=200,
    outcome=Outcome.COMPLETE,
    duration=1.25,
    key=KeyInfo(id="ci", name="ci", configured=True),
    client="127.0.0.1",
    upstream_id="req_upstream",
    front="openai",
    back="openai",
    provider="openai",
    deployment="openai/gpt-4o-2024-08-06",
    model="gpt-4o",
    model_label="gpt-4o",
    upstream_model="gpt-4o-2024-08-06",
    stream=True,
    attempts=1,
    upstream_duration=1.2,
    ttft=0.3,
    chunks=4,
    gaps=(1, 2, *[0] * (len(GAP_BOUNDS) - 1)),
    gap_sum=0.018,
    bytes_in=120,
    bytes_out=3400,
    usage=Usage(input=100, cached=40, cache_write=0, output=25, reasoning=5),
    finish="stop",
    generation=3,
)
"""A streamed exchange that went well."""

SUCCESS = AttemptRecord(
    exchange="0123456789abcdef",
    provider="openai",
    deployment="openai/gpt-4o",
    result="ok",
    stage=None,
    upstream_status=None,
    elapsed=1.2,
)
"""An attempt that went well."""


def settled(**changes: Any) -> ExchangeRecord:
    """`STREAMED` with some attributes changed."""
    return msgspec.structs.replace(STREAMED, **changes)


def failed(result: str, status: int | None = None, provider: str = "openai") -> AttemptRecord:
    """An attempt that failed with a code, and with the provider's status if one came."""
    return msgspec.structs.replace(
        SUCCESS, provider=provider, result=result, stage=Stage.CONNECT, upstream_status=status
    )
