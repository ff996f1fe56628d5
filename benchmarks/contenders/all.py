"""Every contender, in the order in which tables show them."""

from __future__ import annotations

from benchmarks.contenders.base import Contender
from benchmarks.contenders.peers import AIOHTTP, LITELLM, PORTKEY, SGLANG
from benchmarks.contenders.proxies import HAPROXY, NGINX
from benchmarks.contenders.relay import RELAY, STOCK

CONTENDERS: dict[str, Contender] = {
    contender.name: contender for contender in (RELAY, STOCK, NGINX, HAPROXY, AIOHTTP, SGLANG, PORTKEY, LITELLM)
}

REFERENCE = "nginx"
"""The one that the others' figures are divided by."""
