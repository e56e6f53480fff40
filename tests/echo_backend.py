"""A small aiohttp application behind the balancer: echo, Server-Sent Events, WebSocket, a page."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

from balancer.settings import Address

EVENTS = 5
EVENT_SECONDS = 0.1
PAGE = """<!doctype html><title>door</title><script>
(async () => {
  const told = {};
  told.fetched = (await (await fetch('/echo', {method: 'POST', body: 'x'.repeat(200000)})).json());
  told.events = await new Promise((done, failed) => {
    const seen = [], source = new EventSource('/sse');
    source.onmessage = event => {
      seen.push(event.data);
      if (seen.length === 5) { source.close(); done(seen); }
    };
    source.onerror = () => failed('sse');
  });
  told.words = await new Promise((done, failed) => {
    const seen = [], socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onopen = () => { socket.send('hello'); socket.send('x'.repeat(100000)); };
    socket.onmessage = event => {
      seen.push(event.data.length);
      if (seen.length === 2) { socket.close(1000, 'enough'); }
    };
    socket.onclose = event => done([...seen, event.code, event.wasClean]);
    socket.onerror = () => failed('ws');
  });
  return told;
})().catch(error => ({error: String(error)}))
    .then(told => fetch('/result', {method: 'POST', body: JSON.stringify(told)}));
</script>"""


class EchoBackend:
    """Listens on a free port; `result` is what the page told last."""

    def __init__(self) -> None:
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.address = Address("127.0.0.1", 1)

    async def echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        return web.json_response(
            {
                "method": request.method,
                "version": f"{request.version.major}.{request.version.minor}",
                "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
                "headers": {name.lower(): value for name, value in request.headers.items()},
            }
        )

    async def sse(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(EVENTS):
            await response.write(b"data: %d\n\n" % number)
            await asyncio.sleep(EVENT_SECONDS)
        return response

    async def ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def told(self, request: web.Request) -> web.Response:
        self.result.set_result(await request.json())
        return web.Response()


@asynccontextmanager
async def echo_backend() -> AsyncIterator[EchoBackend]:
    backend = EchoBackend()
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/echo", backend.echo)
    application.router.add_get("/sse", backend.sse)
    application.router.add_get("/ws", backend.ws)
    application.router.add_get("/page", backend.page)
    application.router.add_post("/result", backend.told)
    application.router.add_get("/readyz", backend.page)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    backend.address = Address(*runner.addresses[0][:2])
    try:
        yield backend
    finally:
        await runner.cleanup()
