"""Figures into a text: what stands between markers is replaced by what the reports say. Edge.

    <!-- bench:begin balancer-requests -->
    ...
    <!-- bench:end -->

Figures in the README are made by this and never typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from . import drills, markdown, report

_BLOCK = re.compile(
    r"(?P<begin>^[ \t]*<!-- bench:begin (?P<name>[\w-]+) -->[ \t]*\n)"
    r"(?P<body>.*?)"
    r"(?P<end>^[ \t]*<!-- bench:end -->[ \t]*$)",
    re.DOTALL | re.MULTILINE,
)
_MARKER = re.compile(r"<!-- bench:(begin|end)\b.*?-->")


class PasteError(Exception):
    """A marker that means nothing, or no figures for it; one line."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The folder with bench.json and drills.json."""

    folder: Path

    def block(self, name: str) -> str:
        """Markdown. Raises PasteError and ReportError."""
        if name == "drills":
            return drills.markdown(self.folder / "drills.json")
        results = report.load(self.folder / "bench.json")
        if name == "summary":
            return markdown.summary(results)
        for result in results:
            if result.name == name:
                return markdown.table(result)
        known = ", ".join(["summary", "drills", *(result.name for result in results)])
        raise PasteError(f"no figures for bench:begin {name}; there are {known}")


def pasted(text: str, sources: Sources) -> str:
    """The text with every block renewed; the rest is left as it is, byte for byte.

    Raises PasteError when there is no marker, one without its other half, or an unknown name.
    """
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise PasteError("no line <!-- bench:begin NAME --> with its <!-- bench:end -->")
    if 2 * len(blocks) != len(_MARKER.findall(text)):
        raise PasteError("a bench:begin or bench:end without its other half")
    return _BLOCK.sub(lambda found: _renewed(found, sources), text)


def _renewed(found: re.Match[str], sources: Sources) -> str:
    if _MARKER.search(found["body"]):
        raise PasteError(f"bench:begin {found['name']} holds another marker")
    return f"{found['begin']}{sources.block(found['name'])}\n{found['end']}"
