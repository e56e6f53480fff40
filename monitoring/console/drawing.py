"""The diagram as SVG, wide for a desk and narrow for a phone. Pure.

No style attributes (the page's content security policy forbids them): classes only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from .diagram import Diagram, Edge, Health, Node

SIGNS: Mapping[Health, str] = {"good": "●", "warn": "◐", "bad": "✕", "idle": "○"}
_LINE = 17.0


@dataclass(frozen=True)
class Layout:
    """Places of the middles of rows of nodes, by kind, along and across the way of a request."""

    name: str
    width: int
    height: int
    box: tuple[int, int]
    ways: Mapping[str, int]
    upright: bool  # requests go down


WIDE = Layout(
    "wide", 960, 400, (146, 96),
    {"clients": 78, "balancer": 322, "app": 566, "last": 882}, upright=False,
)  # fmt: skip
NARROW = Layout(
    "narrow", 372, 640, (118, 92),
    {"clients": 48, "balancer": 186, "app": 350, "last": 586}, upright=True,
)  # fmt: skip


def draw(diagram: Diagram, layout: Layout) -> str:
    """One `<svg>`; every node and edge has its whole story as `<title>`."""
    places = _places(diagram, layout)
    lines = [_line(edge, layout, places) for edge in diagram.edges]
    labels = [_label(edge, layout, places) for edge in diagram.edges]  # above every line
    nodes = [_node(node, layout, places[node.name]) for node in diagram.nodes]
    shapes = "".join(lines + labels + nodes)
    return (
        f'<svg class="diagram {layout.name}" viewBox="0 0 {layout.width} {layout.height}" '
        f'role="img" aria-label="What asks what, and how it goes">{shapes}</svg>'
    )


def _places(diagram: Diagram, layout: Layout) -> dict[str, tuple[float, float]]:
    """The external service stands between the shards."""
    rows: dict[str, list[str]] = {}
    for node in diagram.nodes:
        if node.kind in ("clients", "balancer", "app"):
            rows.setdefault(node.kind, []).append(node.name)
    shards = [node.name for node in diagram.nodes if node.kind == "shard"]
    others = [node.name for node in diagram.nodes if node.kind == "unstable"]
    half = (len(shards) + 1) // 2
    rows["last"] = [*shards[:half], *others, *shards[half:]]
    across = layout.width if layout.upright else layout.height
    places = {}
    for kind, names in rows.items():
        for number, name in enumerate(names):
            along, beside = float(layout.ways[kind]), across * (number + 0.5) / len(names)
            places[name] = (beside, along) if layout.upright else (along, beside)
    return places


def _node(node: Node, layout: Layout, place: tuple[float, float]) -> str:
    x, y = place
    width, height = layout.box
    words = [f"{SIGNS[node.health]} {node.word}"] if node.word else []
    lines = [node.name, *words, *node.lines]
    top = y - _LINE * (len(lines) - 1) / 2 + 4.5
    texts = "".join(
        f'<text x="{x:.0f}" y="{top + _LINE * number:.0f}" class="{_line_class(number)}">'
        f"{escape(line)}</text>"
        for number, line in enumerate(lines)
    )
    told = escape(f"{node.name}: {', '.join([node.word, *node.lines])}")
    return (
        f'<g class="node {node.health}" data-node="{escape(node.name)}"><title>{told}</title>'
        f'<rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}" '
        f'height="{height}" rx="9"/>{texts}</g>'
    )


def _line_class(number: int) -> str:
    return ("name", "word")[number] if number < 2 else "line"


def _line(edge: Edge, layout: Layout, places: Mapping[str, tuple[float, float]]) -> str:
    (x1, y1), (x2, y2) = _ends(places[edge.source], places[edge.target], layout)
    return (
        f'<g class="edge {edge.health}" data-edge="{escape(edge.source)}-{escape(edge.target)}">'
        f"<title>{_story(edge)}</title>"
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"/></g>'
    )


def _label(edge: Edge, layout: Layout, places: Mapping[str, tuple[float, float]]) -> str:
    (x1, y1), (x2, y2) = _ends(places[edge.source], places[edge.target], layout)
    share = _label_place(places[edge.source], places[edge.target], layout)
    x, y = x1 + share * (x2 - x1), y1 + share * (y2 - y1)
    sign = "✕ " if edge.health == "bad" else ""
    label = f"{sign}{edge.label}"
    wide = 7.1 * len(label) + 8
    return (
        f'<g class="edge {edge.health}"><title>{_story(edge)}</title>'
        f'<rect x="{x - wide / 2:.0f}" y="{y - 10:.0f}" width="{wide:.0f}" height="19" rx="4"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}">{escape(label)}</text></g>'
    )


def _story(edge: Edge) -> str:
    return escape(f"{edge.source} to {edge.target}: {edge.story}")


def _ends(
    source: tuple[float, float], target: tuple[float, float], layout: Layout
) -> tuple[tuple[float, float], tuple[float, float]]:
    (x1, y1), (x2, y2) = source, target
    width, height = layout.box
    if layout.upright:
        return (x1, y1 + height / 2), (x2, y2 - height / 2)
    return (x1 + width / 2, y1), (x2 - width / 2, y2)


def _label_place(source: tuple[float, float], target: tuple[float, float], layout: Layout) -> float:
    """Where along the line the label stands: short ways early, long ways late, so that the
    labels of lines that cross keep apart."""
    index = 0 if layout.upright else 1
    away = abs(source[index] - target[index])
    across = layout.width if layout.upright else layout.height
    if away > 0.45 * across:
        return 0.78
    middle = across / 2
    if layout.upright and abs(target[index] - middle) < abs(source[index] - middle):
        return 0.42  # two that meet in the middle would not have room side by side there
    return 0.26 if 0 < away < 0.12 * across else 0.5
