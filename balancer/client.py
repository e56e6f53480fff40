"""A client's connection: parses requests, keeps their order, writes the answers."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, cast

from .exchange import Exchange
from .forwarding import Peer
from .generated import Problem, ProxyError, error_of, prefers_text
from .request_head import ParsedRequest, RequestHead
from .request_line import RefusedError
from .request_parser import RequestParser
from .tunnel import Tunnel

if TYPE_CHECKING:
    from .proxy import Proxy

LINGER_SECONDS = 2.0
TOO_MANY = 503
_TCP_CLOSE = 7  # linux/tcp_states.h


class ClientConnection:
    """One client, an asyncio.Protocol in all but inheritance, which its compiled form cannot have.

    Pipelined requests wait for their turn; reading pauses while any waits.
    """

    transport: asyncio.Transport

    peer: Peer

    def __init__(self, proxy: Proxy, address: str | None = None) -> None:
        """`address` is the client's, if a proxy that passes its connection on has told it."""
        self.proxy = proxy
        self._address = address
        self._parser = RequestParser(self, proxy.request_heads.known, proxy.settings)
        self._receiving: Exchange | None = None  # whose body is being read
        self._waiting: deque[Exchange] = deque()  # in order; the first one is being answered
        self._out: list[bytes] = []
        self._refusal: tuple[int, str] | None = None
        self._refused: ParsedRequest | None = None  # as far as it was understood
        self.tunnel: Tunnel | None = None
        self.write_paused = False  # the client reads more slowly than answers come
        self.is_feeding = False  # what is read at the moment is being parsed
        self._closing = False
        self._lingers_until = self._lingers_at_most = 0.0
        self._half_closed = False
        self._since = proxy.now()  # of the last thing the client did
        self._head_since = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        peer = self.transport.get_extra_info("peername")
        address: str = self._address or (peer[0] if peer else "")
        self.peer = self.proxy.trusted_proxies.peer(address)
        self.proxy.client_connected(self)
        if len(self.proxy.clients) > self.proxy.settings.max_connections:
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None or self._closing:
            if self._lingers_until:  # it still sends, so it still reads
                self._lingers_until = min(self.proxy.now() + LINGER_SECONDS, self._lingers_at_most)
            return  # what follows a refused request has no meaning
        self._since = self.proxy.now()
        in_head = self._parser.in_head
        self.is_feeding = True
        self._parser.feed(data)
        self.is_feeding = False
        if not in_head:
            self._head_since = self._since
        if self._waiting:
            self._waiting[0].flush_request()
        self.flush()

    def eof_received(self) -> bool:
        self._half_closed = True
        # A client may stop sending and still read the answers it asked for (RFC 9112 9.6), but
        # not in the middle of a request.
        return bool(self._waiting) and self._receiving is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self.proxy.client_disconnected(self)
        for exchange in list(self._waiting):
            exchange.client_lost()
        self._waiting.clear()
        asyncio.get_running_loop().call_soon(self._parser.release)  # it may be parsing now

    def pause_writing(self) -> None:
        self.write_paused = True
        self.pause_reading()
        if self._waiting:
            self._waiting[0].answer_paused(True)

    def resume_writing(self) -> None:
        self.write_paused = False
        self.resume_reading()
        if self._waiting:
            self._waiting[0].answer_paused(False)

    # The parser's calls

    def request_head(self, parsed: ParsedRequest) -> RequestHead:
        try:
            head = self.proxy.request_heads.read(parsed, self.peer)
        except RefusedError:
            self._refused = parsed
            raise
        if head.websocket:
            self._parser.hold()
        self._accept(head)
        return head

    def _accept(self, head: RequestHead) -> None:
        exchange = Exchange(self.proxy, self, head, self.proxy.now())
        self._receiving = exchange
        self._waiting.append(exchange)
        if len(self._waiting) > 1:
            self.pause_reading()
            return
        self._start(exchange)

    def _start(self, exchange: Exchange) -> None:
        if exchange.ended:
            return
        if self.proxy.in_flight >= self.proxy.settings.max_in_flight:
            self.proxy.counts.shed("in_flight")
            exchange.refuse(503, "too many requests in flight", "connection_limit_reached")
        else:
            exchange.start()

    def request_body(self, data: bytes) -> None:
        if self._receiving is not None:
            self._receiving.request_body(data)

    def request_end(self) -> None:
        exchange, self._receiving = self._receiving, None
        if exchange is not None:
            exchange.request_end()

    # Answers

    def write(self, data: bytes) -> None:
        self._out.append(data)

    def flush(self) -> None:
        """One write for all that was put out in one turn."""
        if self._out and not self._closing:
            self.transport.write(b"".join(self._out))
        self._out.clear()

    def exchange_ended(self, exchange: Exchange) -> None:
        """The first waiting exchange is over; the next one's turn."""
        self.flush()
        self._since = self.proxy.now()
        if self._closing:
            return
        self._waiting.popleft()
        if exchange.close_after or (self._half_closed and not self._waiting):
            self.close()
        elif self._waiting:
            # Not called from here: a long row of pipelined refusals would recurse.
            asyncio.get_running_loop().call_soon(self._start, self._waiting[0])
            self.resume_reading()  # its body may still be coming
        elif self._refusal is not None:
            self._answer_refusal()
        else:
            self.resume_reading()
            if self._parser.held:  # it stays HTTP
                asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if not self._closing and self._refusal is None:
            self._parser.go_on()
            self.flush()

    def switch(self, tunnel: Tunnel, from_backend: bytes) -> None:
        """Nothing more is HTTP on this connection."""
        self.flush()
        self._closing = True
        self.tunnel = tunnel
        tunnel.client.write_paused = self.write_paused
        tunnel.begin(
            from_client=self._parser.behind,
            from_backend=from_backend,
            client_half_closed=self._half_closed,
        )

    def taken(self, written: int) -> int:
        """How much of what was written the client, or the kernel for it, has taken."""
        return written - self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Make it visible that the answer is not complete."""
        if self.tunnel is not None:
            self.tunnel.abort()
            return
        self.flush()
        self._closing = True
        self.transport.abort()

    def close(self) -> None:
        """Close once what was written is sent.

        While the client is still sending, closing at once would reset the connection and might
        take the answer with it: the answer is ended, and the rest is read and thrown away.
        """
        self.flush()
        if self._closing:
            return
        self._closing = True
        still_sending = self._refusal is not None or self._receiving is not None
        if still_sending and not self._half_closed and self.transport.can_write_eof():
            self._lingers_until = self.proxy.now() + LINGER_SECONDS
            self._lingers_at_most = self.proxy.now() + self.proxy.settings.body_timeout
            self.transport.write_eof()
            self.transport.resume_reading()
        else:
            self.transport.close()

    def refuse(self, status: int, reason: str) -> None:
        """The bytes have no single meaning: say so after the answers that are still due, and
        close, because nobody can tell where a next request would begin."""
        if self._refusal is not None:
            return
        self._refusal = (status, reason)
        self._parser.stop()
        broken, self._receiving = self._receiving, None
        if broken is not None and broken.ended:
            broken = None  # answered while its body was still coming in
        if broken is not None and broken is self._waiting[0]:
            broken.request_broken(status, reason)
            return
        if broken is not None:
            self._waiting.remove(broken)
        if not self._waiting:
            self._answer_refusal()

    def _turn_away(self) -> None:
        """One connection too many: it is told so. While many of those stay to read it, others
        are closed without a word."""
        limit = self.proxy.settings.max_connections
        self.proxy.counts.shed("connections")
        if len(self.proxy.clients) <= limit + limit // 8 + 16:
            self.refuse(503, "too many connections")
        else:
            self.abort()

    def _answer_refusal(self) -> None:
        assert self._refusal is not None  # noqa: S101  narrows the type
        status, reason = self._refusal
        parsed = self._refused
        error: ProxyError = "connection_limit_reached" if status == TOO_MANY else error_of(status)
        problem = Problem(
            status,
            reason,
            self.proxy.new_request_id(),
            error,
            text=parsed is not None and prefers_text(parsed.block),
        )
        self.proxy.refused(self.peer.address, problem, parsed)
        is_head = parsed is not None and parsed.method == b"HEAD"
        self.write(problem.answer(close=True, head=is_head))
        self.close()

    def pause_reading(self) -> None:
        if not self._closing:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._closing and len(self._waiting) <= 1 and not self.write_paused:
            self.transport.resume_reading()

    # The coarse timer

    def check(self, now: float) -> None:
        settings = self.proxy.settings
        if self.tunnel is not None:
            self.tunnel.check(now)
        elif self._closing and now - self._since > settings.body_timeout:
            self.transport.abort()  # it does not read what was sent last
        elif self._lingers_until:
            if now > self._lingers_until:
                self.transport.abort()
        elif self._waiting:
            if self._half_closed and self._is_reset():
                self.transport.abort()
            else:
                self._waiting[0].check(now)
        elif self._parser.in_head and now - self._head_since > settings.head_timeout:
            self.refuse(408, "the request head did not come in time")
        elif now - self._since > settings.keepalive_timeout:
            self.close()

    def _is_reset(self) -> bool:
        """Whether a client that said it sends no more has also stopped to read. The loop no longer
        watches what comes from it, so the kernel is asked."""
        connection = self.transport.get_extra_info("socket")
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        state: bytes = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        return state[0] == _TCP_CLOSE

    @property
    def idle(self) -> bool:
        return not self._waiting
