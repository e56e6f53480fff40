"""Whether a peer that is waited for keeps moving. Pure.

A time-out between two bytes alone lets a peer hold its place for ever with a byte now and then, so
in every window so many bytes must move, as Apache's mod_reqtimeout has it (500 bytes/s there).
"""

from __future__ import annotations


class Pace:
    """Asked again and again by a timer; costs the bytes themselves nothing.

    Args:
        window: seconds.
        least: bytes per second; 0 asks nothing.
        now: of the first window's beginning.
    """

    def __init__(self, window: float, least: float, now: float) -> None:
        self._window = window
        self._least = least * window
        self._since = now
        self._moved = 0

    def too_slow(self, now: float, moved: int, *, waited_for: bool) -> bool:
        """Whether the peer moved too little in a whole window.

        Args:
            moved: bytes in all so far.
            waited_for: False while others hold it up; that is not held against it.
        """
        if not waited_for:
            self._since, self._moved = now, moved
            return False
        if now - self._since < self._window:
            return False
        slow = moved - self._moved < self._least
        self._since, self._moved = now, moved
        return slow
