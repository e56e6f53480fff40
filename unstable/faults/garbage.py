"""A well-framed 200 that says it is JSON and is not. Only reading it finds that out."""

from __future__ import annotations

from aiohttp import web

from .exchange import Exchange
from .fault import Fault

# Starts like the good answer, then bytes that no UTF-8 text and no JSON document can hold.
BODY = b'{"timestamp": \xff\xfe\x00\x80<html>\x01\xc3\x28'


class Garbage(Fault):
    kind = "garbage"
    help = "answered 200 with a body that is not JSON."

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        return web.Response(body=BODY, content_type="application/json")
