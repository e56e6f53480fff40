"""All raw requests."""

from . import chunks, connections, fields, framing, lines, targets
from .model import Case

CASES: list[Case] = [
    *lines.CASES,
    *targets.CASES,
    *fields.CASES,
    *framing.CASES,
    *chunks.CASES,
    *connections.CASES,
]
BY_NAME = {case.name: case for case in CASES}
