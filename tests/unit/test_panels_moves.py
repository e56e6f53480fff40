"""When `make panels` says that a panel moved, and that each of its expectations names one."""

from __future__ import annotations

import json

import pytest

from tests.dashboard_queries import queries
from tests.panels.__main__ import BOARDS
from tests.panels.faults import faults
from tests.panels.moves import last_values, moved, total


@pytest.mark.parametrize(
    ("before", "after", "direction", "verdict"),
    [
        (0.0, 1.0, "rises", True),
        (0.0, 1.0, "falls", False),
        (0.0, 0.0, "rises", False),
        (0.0, 0.2, "rises", False),  # noise
        (20.0, 22.0, "rises", False),  # noise of more traffic
        (20.0, 30.0, "rises", True),
        (20.0, 0.0, "falls", True),
        (1.0, 0.0, "falls", True),
        (1.0, 0.0, "rises", False),
    ],
)
def test_a_line_moves_when_it_does_more_than_tremble(before, after, direction, verdict):
    assert moved(before, after, direction) is verdict


def test_what_is_no_longer_drawn_counts_as_nothing_and_lines_are_chosen_by_labels():
    lines = [
        {"metric": {"shard": "redis1", "op": "get"}, "values": [(100.0, "1"), (105.0, "2")]},
        {"metric": {"shard": "redis1", "op": "set"}, "values": [(105.0, "4"), (106.0, "NaN")]},
        {"metric": {"shard": "redis2", "op": "get"}, "values": [(90.0, "8")]},
    ]
    look = last_values(lines, not_before=100.0)
    assert total(look, {"shard": "redis1"}) == 6
    assert total(look, {"op": "get"}) == 2
    assert total(look, {"shard": "redis2"}) == 0


def test_every_expectation_names_a_query_of_a_dashboard():
    there = {
        (board["title"], query.panel)
        for board in (json.loads(file.read_text()) for file in BOARDS)
        for query in queries(board)
    }
    expected = [one for fault in faults("x") for one in (*fault.expected, *fault.afterwards)]
    assert expected
    assert {(one.board, one.panel) for one in expected} <= there
