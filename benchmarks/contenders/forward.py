"""A proxy by hand on aiohttp and uvloop: what somebody writes who needs no more than forwarding.

It runs on an interpreter of its own, so it imports nothing of relay. Usage: ``forward.py PORT UPSTREAM``.
"""

from __future__ import annotations

import sys

import aiohttp
import uvloop
from aiohttp import web

_DROPPED = frozenset(("host", "connection", "content-length", "transfer-encoding", "content-encoding", "keep-alive"))


async def forward(request: web.Request) -> web.StreamResponse:
    """Pass one request on, and its answer back as it comes."""
    session = request.app[_SESSION]
    url = request.app[_UPSTREAM] + request.raw_path
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
    async with session.request(request.method, url, headers=headers, data=await request.read()) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _DROPPED}
        if "content-length" in answer.headers:
            return web.Response(status=answer.status, headers=kept, body=await answer.read())
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


_SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)
_UPSTREAM: web.AppKey[str] = web.AppKey("upstream", str)


async def application(upstream: int) -> web.Application:
    """The application with its connection pool."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app[_SESSION] = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
    )
    app[_UPSTREAM] = f"http://127.0.0.1:{upstream}"
    app.router.add_route("*", "/{path:.*}", forward)
    return app


if __name__ == "__main__":
    web.run_app(
        application(int(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        backlog=4096,
        loop=uvloop.new_event_loop(),
    )
