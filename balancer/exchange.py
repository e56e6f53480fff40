"""One request on its way: a backend is chosen, tried, perhaps another one, the answer relayed.

Runs on callbacks alone: no task and no future per request, except while a new connection to a
backend is being made.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .backends import Backend
from .generated import Problem, ProxyError, error_of, error_of_connect, prefers_text
from .pace import Pace
from .request_head import Field, RequestHead
from .response_head import ResponseHead, block, is_event_stream, switch_block
from .retry import RETRIED_STATUSES, Attempts, Failure, is_repeatable, may_retry
from .tunnel import Tunnel
from .upstream import BackendConnection

if TYPE_CHECKING:
    from .client import ClientConnection
    from .proxy import Proxy

_CHUNKS_END = b"0\r\n\r\n"
SWITCHING = 101
_ERRORS: dict[Failure, ProxyError] = {
    "stale": "connection_terminated",
    "reset": "connection_terminated",
    "timeout": "http_response_timeout",
    "protocol": "http_protocol_error",
}
# What a client is told instead of what the log says: no address and no byte of a backend.
_TOLD: dict[Failure, str] = {
    "connect": "the backend cannot be reached",
    "protocol": "the backend's answer is not valid HTTP",
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """One request and its answer.

    The client connection feeds it the body and is told to write the answer; the backend
    connection is fed and tells. `ended` says how it went, in the words of the access log.
    """

    def __init__(
        self, proxy: Proxy, client: ClientConnection, head: RequestHead, started: float
    ) -> None:
        self.proxy = proxy
        self.client = client
        self.head = head
        self.method = head.method
        self.may_switch = head.websocket
        self.started = started
        self.backend: Backend | None = None
        self.attempts = Attempts()
        self.status = 0
        self.bytes_sent = 0
        self.bytes_received = 0  # of the body, as sent on
        self.ended = ""
        self.error: ProxyError | None = None  # why it was answered here
        self.reason = ""  # the same for the log, or why it was cut
        self.switched_at = 0.0  # when it became a tunnel
        self._tunnel: Tunnel | None = None
        self._pace: Pace | None = None
        self.request_complete = head.framing == "none"
        self.close_after = False
        self._connection: BackendConnection | None = None
        self._unsent: list[bytes] = []  # goes to it in one write with what was read with it
        self._connecting: asyncio.Task[None] | None = None
        self._body: list[bytes] = []  # what was sent or waits to be sent, as on the wire
        self._body_bytes = 0
        self._replayable = True
        self._answer: ResponseHead | None = None
        self._chunked = False
        self.total = proxy.settings.total_timeout
        self._own_time = 0 < head.fields.timeout_ms < self.total * 1000
        if self._own_time:
            self.total = head.fields.timeout_ms / 1000
        self._deadline = started + self.total
        self._continued = not head.expects_continue
        self._request_held = False  # the backend takes the body more slowly than it comes
        self._connect_deadline = self._attempt_deadline = 0.0
        self._sent_at = 0.0
        self._last_progress = started
        self._counted = False

    # The request

    def start(self) -> None:
        """Send the request to the first backend."""
        self._counted = True
        self.proxy.started()
        self._last_progress = self.proxy.now()  # waiting behind others is nobody's fault
        self._deadline = self._last_progress + self.total
        backend = self.proxy.choose()
        if backend is None:
            self.proxy.counts.shed("backends")
            why = "every backend is draining or has as many requests as it may"
            self.refuse(503, why, "destination_unavailable")
        else:
            self._go_to(backend, by_new_connection=False)

    def request_body(self, data: bytes) -> None:
        """A piece of the body, as the parser cut it."""
        wire = b"%x\r\n%b\r\n" % (len(data), data) if self.head.framing == "chunked" else data
        self._body_piece(wire)

    def request_end(self) -> None:
        if not self.request_complete:
            self.request_complete = True
            self._deadline = self.proxy.now() + self.total
            if self.head.framing == "chunked":
                self._body_piece(_CHUNKS_END)

    def _body_piece(self, wire: bytes) -> None:
        if self.ended:
            return
        self._last_progress = self.proxy.now()
        self.bytes_received += len(wire)
        if self._connection is not None:
            if self.client.is_feeding:
                self._unsent.append(wire)
            else:
                self._connection.transport.write(wire)
        if self._replayable or self._connection is None:
            self._body.append(wire)
            self._body_bytes += len(wire)
            if self._body_bytes > self.proxy.settings.max_replay:
                self._too_long_to_keep()

    def flush_request(self) -> None:
        """One write for all that was read at once: the head and a body that came with it."""
        if self._unsent:
            wire = b"".join(self._unsent)
            self._unsent.clear()
            if self._connection is not None:
                self._connection.transport.write(wire)

    def _too_long_to_keep(self) -> None:
        if self._connection is None:
            self.client.pause_reading()  # until a backend takes it
        else:
            self._replayable = False
            self._body.clear()

    # Attempts

    def _go_to(self, backend: Backend, *, by_new_connection: bool) -> None:
        self._leave_backend()
        self.backend = backend
        backend.in_flight += 1
        self._attempt_deadline = self.proxy.awake() + self.proxy.settings.first_byte_timeout
        connection = None if by_new_connection else self.proxy.pools[backend].take()
        if connection is not None:
            self._send(connection)
        else:
            self._connect_deadline = self.proxy.awake() + self.proxy.settings.connect_timeout
            self._connecting = asyncio.create_task(self._connect(backend))

    async def _connect(self, backend: Backend) -> None:
        pool = self.proxy.pools[backend]
        try:
            connection = await pool.connect()
        except OSError as error:
            self._connecting = None
            self._connect_failed(error)
            return
        self._connecting = None
        if self.ended:  # the client went away meanwhile
            pool.keep(connection)
        else:
            self._send(connection)

    def _connect_failed(self, error: OSError) -> None:
        backend = self.backend
        assert backend is not None  # noqa: S101
        self.proxy.connect_failed(backend, error)
        self.error = error_of_connect(error)
        self._attempt_failed("connect", f"{backend.label} cannot be reached")

    def _send(self, connection: BackendConnection) -> None:
        self._connection = connection
        self._sent_at = self.proxy.now()
        remaining_ms = max(1, int((self._deadline - self._sent_at) * 1000))
        begun = self.head.block(remaining_ms) + b"".join(self._body)
        if self.request_complete or not self.client.is_feeding:
            connection.send(self, begun)
        else:
            connection.receiver = self
            self._unsent.append(begun)
        if self._body_bytes > self.proxy.settings.max_replay:
            self._too_long_to_keep()
            self.client.resume_reading()
        if self.client.write_paused:
            connection.hold(True)
        if not self._continued:
            # Only now is there somebody to take the body.
            self._continued = True
            if not self.request_complete and not self._body_bytes:
                self.client.write(_CONTINUE)
                self.client.flush()

    def _attempt_failed(self, failure: Failure, reason: str, *, forbidden: bool = False) -> None:
        """Try another backend if that is safe, else answer with the failure."""
        failed = self.backend
        assert failed is not None  # noqa: S101
        self.proxy.attempt_failed(failed, failure)
        self._drop_connection()
        allowed = self._answer is None and self._may_retry(failure, forbidden=forbidden)
        if allowed and failure == "stale" and not self.attempts.free_tries:
            self.attempts.free_tries += 1
            self.proxy.retried(failure)
            self._go_to(failed, by_new_connection=True)
        elif allowed and (other := self.proxy.choose_again(failed)):
            self._retry(other, failure)
        elif self._answer is not None:
            self.reason = reason
            self._cut("backend_cut")
        else:
            self.reason = reason
            error = self.error if failure == "connect" else _ERRORS.get(failure)
            told = _TOLD.get(failure, reason)
            self.refuse(504 if failure == "timeout" else 502, told, error)

    def _may_retry(self, failure: Failure, *, forbidden: bool) -> bool:
        return self.proxy.now() < self._deadline and may_retry(
            failure,
            attempts=self.attempts,
            repeatable=is_repeatable(self.method, self.head.forwarded),
            replayable=self._replayable,
            forbidden=forbidden,
        )

    def _retry(self, other: Backend, failure: Failure) -> None:
        self.attempts.retries += 1
        self.proxy.retried(failure)
        # Where one kept connection was dead others may be: a second try goes by a new one.
        self._go_to(other, by_new_connection=True)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        self._unsent.clear()
        if connection is not None:
            connection.close()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None

    def _leave_backend(self) -> None:
        if self.backend is not None:
            self.backend.in_flight -= 1
            self.backend = None

    # Receiver of the answer

    def response_interim(self, block: bytes) -> None:
        if not self.head.http_1_0:
            self.client.write(block)

    def response_head(self, head: ResponseHead) -> None:
        if head.load is not None and self.backend is not None and self.head.framing == "none":
            self.backend.concurrency.reported(head.load, self._sent_at, self.proxy.now())
        if head.status in RETRIED_STATUSES and self._other_backend_asked(head):
            return
        self._answer = head
        self.status = head.status
        ends_by_close = False
        if head.body_end in ("chunked", "close"):
            self._chunked = not self.head.http_1_0
            ends_by_close = self.head.http_1_0
        self.close_after = (
            ends_by_close
            or not self.head.keep_alive
            or not self.request_complete
            or self.proxy.draining
        )
        self.client.write(block(head, self.head, chunked=self._chunked, close=self.close_after))
        self._last_progress = self.proxy.now()

    def _other_backend_asked(self, head: ResponseHead) -> bool:
        """Whether a 502, 503 or 504 was put aside because another backend is being tried."""
        failed = self.backend
        allowed = self._may_retry("status", forbidden=head.no_retry)
        if not allowed or failed is None or not self.proxy.has_other(failed):
            return False
        other = self.proxy.choose_again(failed)
        if other is None:
            return False
        self.proxy.attempt_failed(failed, "status")
        self._drop_connection()
        self._retry(other, "status")
        return True

    def response_body(self, data: bytes) -> None:
        self._last_progress = self.proxy.now()
        self.bytes_sent += len(data)
        if self._chunked:
            self.client.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self.client.write(data)

    def response_end(self) -> None:
        if self._chunked:
            self.client.write(_CHUNKS_END)
        connection, self._connection = self._connection, None
        if connection is not None:
            if self.request_complete:
                connection.release()
            else:
                connection.close()
        backend, answer = self.backend, self._answer
        if backend is not None and answer is not None:
            if self.status in RETRIED_STATUSES and not answer.no_retry:
                self.proxy.backend_is_ill(backend)
            else:
                backend.outlier.passed()
        self._end("ok")

    def response_failed(self, why: str, *, protocol: bool) -> None:
        connection = self._connection
        if self._answer is None and connection is not None and connection.was_idle and not protocol:
            self._attempt_failed("stale", why)
        else:
            self._attempt_failed("protocol" if protocol else "reset", why)

    def response_flush(self) -> None:
        self.client.flush()

    def response_switched(self, fields: list[Field], behind: bytes) -> None:
        """It is a WebSocket from now on; what comes is passed on unread."""
        connection, self._connection = self._connection, None
        if connection is None or self.backend is None:
            return
        self.backend.outlier.passed()
        connection.receiver = None
        self.status = SWITCHING
        self.switched_at = self.proxy.now()
        self.client.write(switch_block(fields, self.head))
        sides: dict[str, ClientConnection | BackendConnection] = {
            "client": self.client,
            "backend": connection,
        }
        self._tunnel = Tunnel(
            self.client.transport,
            connection.transport,
            idle=self.proxy.settings.tunnel_idle,
            now=self.proxy.now,
            ended=self._tunnel_ended,
            lost=lambda side: sides[side].connection_lost(None),
        )
        self.proxy.tunnels += 1
        self.client.switch(self._tunnel, behind)

    def _tunnel_ended(self, how: str) -> None:
        if self._tunnel is not None:
            self.proxy.tunnels -= 1
            self.bytes_sent = self._tunnel.bytes_sent
        self._end(how)

    def request_paused(self, paused: bool) -> None:
        self._request_held = paused
        if paused:
            self.client.pause_reading()
        else:
            self.client.resume_reading()

    def answer_paused(self, paused: bool) -> None:
        """The client reads slowly, or again."""
        if self._connection is not None:
            self._connection.hold(paused)

    # Ends

    def refuse(self, status: int, reason: str, error: ProxyError | None = None) -> None:
        """Answer here: no backend did, or none may."""
        self._drop_connection()
        self.status = status
        self.error = error or error_of(status)
        self.reason = self.reason or reason
        self.close_after = (
            not self.request_complete or not self.head.keep_alive or self.proxy.draining
        )
        text = prefers_text(self.head.forwarded)
        problem = Problem(status, reason, self.head.request_id, self.error, text)
        self.client.write(problem.answer(close=self.close_after, head=self.method == b"HEAD"))
        self._end("refused")

    def request_broken(self, status: int, reason: str) -> None:
        """The rest of the request has no meaning: never complete it at the backend."""
        if self._answer is None:
            self.refuse(status, reason)
        else:
            self._drop_connection()
            self._cut("request_broken")

    def client_lost(self) -> None:
        """The client went away: stop the work, which is nobody's failure."""
        self._drop_connection()
        self.status = self.status or 499
        self._end("client_gone")

    def check(self, now: float) -> None:
        """Called by the coarse timer."""
        if not self._counted:  # its turn comes with the loop's next one
            return
        if self._answer is not None:
            self._check_answer(now)
        elif self._connecting is not None and self.proxy.awake() > self._connect_deadline:
            self._connect_failed(TimeoutError())
        elif not self.request_complete and self._connection is not None:
            self._attempt_deadline = self.proxy.awake() + self.proxy.settings.first_byte_timeout
            self._check_body(now)
        elif self.proxy.awake() > self._attempt_deadline:
            self._attempt_failed("timeout", "no backend answered in time")
        elif now > self._deadline:
            if self._own_time:  # a client that asks for too little is no backend's failure
                self.refuse(504, "the time that the request set itself is over")
            else:
                self._attempt_failed("timeout", "no backend answered in time")

    def _check_body(self, now: float) -> None:
        """Of a request that is not complete."""
        stopped = now - self._last_progress > self.proxy.settings.body_timeout
        if self._request_held:
            if stopped:
                self._attempt_failed("timeout", "the backend takes no more of the request body")
        elif stopped:
            self.refuse(408, "the request body stopped")
        elif self._too_slow(now, self.bytes_received, waited_for=not self.client.write_paused):
            self.refuse(408, "the request body comes too slowly")

    def _check_answer(self, now: float) -> None:
        """Of an answer that is not complete."""
        waits = self.client.write_paused
        silent = now - self._last_progress
        if silent > self.proxy.settings.body_timeout and (waits or silent > self._may_be_silent()):
            how = "client_too_slow" if waits else "timeout"
        elif waits and self._too_slow(now, self.client.taken(self.bytes_sent), waited_for=True):
            how = "client_too_slow"
        else:
            if self._pace is not None and not waits:
                self._too_slow(now, self.client.taken(self.bytes_sent), waited_for=False)
            return
        if how == "timeout" and self.backend is not None:
            self.proxy.attempt_failed(self.backend, "timeout")
        self._drop_connection()
        self._cut(how)

    def _may_be_silent(self) -> float:
        """For how many seconds the backend may send nothing of its answer. A stream of events is
        as long silent as nothing happens, like a WebSocket."""
        settings = self.proxy.settings
        streams = self._answer is not None and is_event_stream(self._answer)
        return settings.tunnel_idle if streams else settings.body_timeout

    def _too_slow(self, now: float, moved: int, *, waited_for: bool) -> bool:
        if self._pace is None:
            settings = self.proxy.settings
            self._pace = Pace(settings.body_timeout, settings.min_rate, now)
        return self._pace.too_slow(now, moved, waited_for=waited_for)

    def _cut(self, how: str) -> None:
        """End an answer that cannot be completed so that the client can see it."""
        self.client.abort()
        self._end(how)

    def _end(self, how: str) -> None:
        if self.ended:
            return
        self.ended = how
        label = self.backend.label if self.backend is not None else ""
        self._leave_backend()
        if self._counted:
            self.proxy.ended()
        self.proxy.finished(self, label)
        self.client.exchange_ended(self)
