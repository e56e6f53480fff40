"""The compiled form of the request path: where it lies, and its use in this process.

`make compile` (`compilation.py`) has mypyc turn the modules of REQUEST_PATH into C: the same
sources, 1.3 times the requests/s of a core. What was compiled stands under a fingerprint of the
sources, so that after any change the changed sources run, interpreted, until the next
`make compile`.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = PROJECT / "var" / "compiled"
# Modules that every request goes through. Tunnels are left out: asyncio's own class, which a
# compiled one cannot inherit from, does the most there.
REQUEST_PATH = (
    "budget",
    "client",
    "concurrency",
    "counts",
    "ejection",
    "exchange",
    "generated",
    "own_lines",
    "pace",
    "proxy",
    "recent",
    "request_head",
    "request_id",
    "request_line",
    "request_parser",
    "response_head",
    "retry",
    "rush",
    "selection",
    "trace_context",
    "upstream",
)
_SEEN_BY_THEM = ("balancer/*.py", "monitoring/*.py", "workers/*.py")  # their types are compiled in


def folder() -> Path:
    """Where the compiled form of the present sources is, or would be, for this Python."""
    fingerprint = hashlib.sha256((sysconfig.get_config_var("EXT_SUFFIX") or "").encode())
    for pattern in _SEEN_BY_THEM:
        for source in sorted(PROJECT.glob(pattern)):
            text = source.read_bytes()
            fingerprint.update(b"%s\0%d\0" % (str(source.relative_to(PROJECT)).encode(), len(text)))
            fingerprint.update(text)
    return FOLDER / fingerprint.hexdigest()[:16]


def use() -> bool:
    """Have the imports that follow take the compiled request path, if there is one.

    Raises RuntimeError when a module of it is imported already: half of each is not possible.
    """
    found = folder()
    if not found.is_dir():
        return False
    package = sys.modules[__package__]
    too_late = [name for name in REQUEST_PATH if f"{__package__}.{name}" in sys.modules]
    if too_late:
        raise RuntimeError(f"imported before the compiled form was asked for: {too_late}")
    package.__path__.insert(0, str(found / "balancer"))
    sys.path.append(str(found))  # of the library that these modules share
    return True
