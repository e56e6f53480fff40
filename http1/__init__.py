"""HTTP/1.1 connections to servers that are not trusted. Imports nothing of ours.

`answer.py` decides what an answer's head means, `connection.py` is one connection, which serves
one `Receiver` at a time, `pool.py` keeps connections, and `client.py` asks for whole answers::

    client = Client(Origin("127.0.0.1", 4000), connections=256)
    answer = await client.get(b"/data")
"""

from .answer import AnswerHead, BadAnswerError, Field, read_head
from .client import Answer, AnswerCutError, Client
from .connection import Connection, Receiver
from .pool import Origin, Pool

__all__ = [
    "Answer",
    "AnswerCutError",
    "AnswerHead",
    "BadAnswerError",
    "Client",
    "Connection",
    "Field",
    "Origin",
    "Pool",
    "Receiver",
    "read_head",
]
