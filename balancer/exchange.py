"""One request on its way: a backend is chosen, tried, perhaps another one, the answer relayed.

Runs on callbacks alone: no task and no future per request, except while a new connection to a
backend is being made.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .backends import Backend
from .request_head import RequestHead
from .response_head import ResponseHead, block
from .retry import RETRIED_STATUSES, Attempts, Failure, is_repeatable, may_retry
from .upstream import BackendConnection

if TYPE_CHECKING:
    from .client import ClientConnection
    from .proxy import Proxy

_CHUNKS_END = b"0\r\n\r\n"


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
        self.started = started
        self.backend: Backend | None = None
        self.attempts = Attempts()
        self.status = 0
        self.bytes_sent = 0
        self.ended = ""
        self.request_complete = head.framing == "none"
        self.close_after = False
        self._connection: BackendConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._body: list[bytes] = []  # what was sent or waits to be sent, as on the wire
        self._body_bytes = 0
        self._replayable = True
        self._answer: ResponseHead | None = None
        self._chunked = False
        self._deadline = started + proxy.settings.total_timeout
        self._attempt_deadline = 0.0
        self._last_progress = started
        self._counted = False

    # The request

    def start(self) -> None:
        """Send the request to the first backend."""
        self._counted = True
        self.proxy.started()
        self._last_progress = self.proxy.now()  # waiting behind others is nobody's fault
        self._deadline = self._last_progress + self.proxy.settings.total_timeout
        backend = self.proxy.choose()
        if backend is None:
            self.proxy.counts.shed("backends")
            self.refuse(503, "every backend is draining or has as many requests as it may")
        else:
            self._go_to(backend, by_new_connection=False)

    def request_body(self, data: bytes) -> None:
        """A piece of the body, as the parser cut it."""
        wire = b"%x\r\n%b\r\n" % (len(data), data) if self.head.framing == "chunked" else data
        self._body_piece(wire)

    def request_end(self) -> None:
        if not self.request_complete:
            self.request_complete = True
            self._deadline = self.proxy.now() + self.proxy.settings.total_timeout
            if self.head.framing == "chunked":
                self._body_piece(_CHUNKS_END)

    def _body_piece(self, wire: bytes) -> None:
        if self.ended:
            return
        self._last_progress = self.proxy.now()
        if self._connection is not None:
            self._connection.transport.write(wire)
        if self._replayable or self._connection is None:
            self._body.append(wire)
            self._body_bytes += len(wire)
            if self._body_bytes > self.proxy.settings.max_replay:
                self._too_long_to_keep()

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
        self._attempt_deadline = self.proxy.now() + self.proxy.settings.first_byte_timeout
        connection = None if by_new_connection else self.proxy.pools[backend].take()
        if connection is not None:
            self._send(connection)
        else:
            self._connecting = asyncio.create_task(self._connect(backend))

    async def _connect(self, backend: Backend) -> None:
        pool = self.proxy.pools[backend]
        try:
            connection = await pool.connect()
        except OSError as error:
            self._connecting = None
            self.proxy.connect_failed(backend, error)
            self._attempt_failed("connect", f"{backend.label} cannot be reached")
            return
        self._connecting = None
        if self.ended:  # the client went away meanwhile
            pool.keep(connection)
        else:
            self._send(connection)

    def _send(self, connection: BackendConnection) -> None:
        self._connection = connection
        remaining_ms = max(1, int((self._deadline - self.proxy.now()) * 1000))
        connection.send(self, self.head.block(remaining_ms) + b"".join(self._body))
        if self._body_bytes > self.proxy.settings.max_replay:
            self._too_long_to_keep()
            self.client.resume_reading()
        if self.client.write_paused:
            connection.hold(True)

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
            self._cut("backend_cut")
        else:
            self.refuse(504 if failure == "timeout" else 502, reason)

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

    def response_head(self, head: ResponseHead) -> None:
        if head.queue_seconds is not None and self.backend is not None:
            self.backend.concurrency.reported(head.queue_seconds)
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

    def request_paused(self, paused: bool) -> None:
        if paused:
            self.client.pause_reading()
        else:
            self.client.resume_reading()

    def answer_paused(self, paused: bool) -> None:
        """The client reads slowly, or again."""
        if self._connection is not None:
            self._connection.hold(paused)

    # Ends

    def refuse(self, status: int, reason: str) -> None:
        """Answer here: no backend did, or none may."""
        self._drop_connection()
        self.status = status
        self.close_after = (
            not self.request_complete or not self.head.keep_alive or self.proxy.draining
        )
        self.client.write_generated(
            status,
            reason,
            self.head.request_id,
            close=self.close_after,
            head=self.method == b"HEAD",
        )
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
        if self._answer is None:
            if not self.request_complete and self._connection is not None:
                self._attempt_deadline = now + self.proxy.settings.first_byte_timeout
                self._check_progress(now, "the request body stopped")
            elif now > self._deadline or now > self._attempt_deadline:
                self._attempt_failed("timeout", "no backend answered in time")
        else:
            self._check_progress(now, "")

    def _check_progress(self, now: float, refusal: str) -> None:
        if now - self._last_progress <= self.proxy.settings.body_timeout:
            return
        if refusal:
            self.refuse(408, refusal)
        else:
            self._drop_connection()
            self._cut("timeout")

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
