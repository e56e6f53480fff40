"""The sentence on the page names the broken part, for every drill, and is calm otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from monitoring.console.diagram import diagram
from monitoring.console.drawing import NARROW, WIDE, draw
from monitoring.console.events import events_between
from monitoring.console.figures import chart_point, six_numbers
from monitoring.console.findings import findings, verdict
from monitoring.console.readings import Change, Readings, parse
from monitoring.console.snapshot import Role, Snapshot
from monitoring.stack.state import Condition, ProgramState, StackState
from tests.drills.scenarios import all_drills

ROLES: dict[str, Role] = {
    "redis1": "shard", "redis2": "shard", "unstable": "unstable", "app1": "app", "app2": "app",
    "balancer": "balancer", "console": "other",
}  # fmt: skip
NOW = 1_000_000.0
PORTS = {"app1": 3000, "app2": 3001}


def program(
    name: str, condition: Condition = "ready", *, died: float = 0, up: int = 600, note: str = ""
) -> ProgramState:
    running = condition in ("ready", "starting")
    url = f"http://127.0.0.1:{PORTS[name]}/" if name in PORTS else None
    return ProgramState(
        name, condition, "RUNNING" if running else "STOPPED", None, 7 if running else 0, up,
        int(died), url, False, note,
    )  # fmt: skip


def grown(text: str) -> Change:
    """Series that had 0 a second ago and now have this."""
    now = parse(text, 2.0)
    zeros = {name: dict.fromkeys(series, 0.0) for name, series in now.samples.items()}
    return Change(now, Readings(1.0, zeros))


CALM_APP = """\
answers_total{source="live"} 100
external_requests_total{outcome="ok"} 100
external_requests_total{outcome="http_error"} 43
external_breaker_state 0
redis_operations_total{op="set",result="ok",shard="redis1"} 100
redis_keys_total{shard="redis1"} 500
redis_keys_total{shard="redis2"} 500
"""
CALM_DOOR = """\
balancer_requests_total{backend="127.0.0.1:3000",method="GET",status="200"} 100
balancer_backend_up{backend="127.0.0.1:3000"} 1
balancer_connections{side="client"} 40
"""
CALM_EXTERNAL = 'fault_rate{kind="failure"} 0.3\nfault_rate{kind="delay"} 0.3\n'


def worker(pid: int = 11, **told: Any) -> dict[str, Any]:
    return {
        "slot": 0, "pid": pid, "state": "ready", "age": 600.0, "silent": 0.2, "in_flight": 0,
        "requests": 5, "connections": 1, "rss": 5e7, **told,
    }  # fmt: skip


def pool(*workers: dict[str, Any], **told: Any) -> dict[str, Any]:
    return {
        "pid": 10, "wanted": 2, "respawn_in": 0.0, "restarts": {"crash": 0, "reload": 0},
        "workers": list(workers or (worker(11), worker(12))), **told,
    }  # fmt: skip


def snapshot(
    *broken: ProgramState,
    app: str = "",
    door: str = "",
    external: str = CALM_EXTERNAL,
    pools: Mapping[str, Any] | None = None,
    restarts: Mapping[str, Mapping[str, int]] | None = None,
) -> Snapshot:
    """A stack under steady load; `app` and `door` are further lines of their metrics."""
    others = {one.name: one for one in broken}
    programs = tuple(others.get(name) or program(name) for name in ROLES)
    state = StackState("ok", f"All is well: {len(programs)} programs are ready.", 1, programs)
    texts = {
        "app1": CALM_APP + app, "app2": CALM_APP + app, "balancer": CALM_DOOR + door,
        "unstable": external,
    }  # fmt: skip
    running = {one.name for one in programs if one.pid}
    return Snapshot(
        at=NOW,
        state=state,
        roles=ROLES,
        changes={name: grown(text) for name, text in texts.items() if name in running},
        pools=pools if pools is not None else {"app1": pool(), "app2": pool()},
        restarts=restarts or {},
    )


def outcome(kind: str, count: int) -> str:
    return f'external_requests_total{{outcome="{kind}"}} {count}\n'


def shard(result: str, op: str = "set") -> str:
    return f'redis_operations_total{{op="{op}",result="{result}",shard="redis1"}} 30\n'


def restarted(name: str) -> ProgramState:
    return program(name, died=NOW - 3, up=2)


SILENT = "no answer within 1 s"
DRILLS: dict[str, tuple[Snapshot, str]] = {
    "both-redis-down": (
        snapshot(program("redis1", "stopped"), program("redis2", "stopped")),
        "redis1 is stopped, nothing is stored; redis2 is stopped",
    ),
    "crash-loop": (
        snapshot(pools={"app1": pool(respawn_in=4.0)}, restarts={"app1": {"crash": 5}}),
        "workers of app1 keep crashing",
    ),
    "disk-full": (snapshot(app=shard("error")), "redis1 refuses writes"),
    "redis-full": (snapshot(app=shard("error")), "redis1 refuses writes"),
    "freeze-redis1": (
        snapshot(program("redis1", "starting", note=SILENT), app=shard("timeout")),
        "redis1 does not answer (no answer within 1 s), records are kept by redis2",
    ),
    "freeze-worker": (
        snapshot(pools={"app1": pool(worker(11, silent=5.0), worker(12))}),
        "worker 11 of app1 stands still since 5 s",
    ),
    "hang-worker": (
        snapshot(pools={"app1": pool(worker(11), worker(12, silent=7.0))}),
        "worker 12 of app1 stands still since 7 s",
    ),
    "kill-balancer": (
        snapshot(restarted("balancer")), "balancer ended and was started again 3 s ago",
    ),
    "kill-both-redis": (
        snapshot(restarted("redis1"), restarted("redis2")),
        "redis1 ended and was started again 3 s ago",
    ),
    "kill-parent": (
        snapshot(restarted("app1")), "app1 ended and was started again 3 s ago",
    ),
    "kill-redis2": (
        snapshot(restarted("redis2")), "redis2 ended and was started again 3 s ago",
    ),
    "kill-worker": (snapshot(restarts={"app2": {"crash": 2}}), "app2 lost 2 workers (crash)"),
    "overload": (
        snapshot(door='balancer_shed_total{reason="backends"} 300\n'),
        "overload: balancer refuses 300 requests/s",
    ),
    "random-shards": (
        snapshot(program("redis2", "stopped")), "redis2 is stopped, records are kept by redis1",
    ),
    "reload-balancer": (
        snapshot(restarts={"balancer": {"reload": 1}}), "balancer replaces its workers (reload)",
    ),
    "restart-app1": (snapshot(program("app1", "stopped")), "app1 is stopped, app2 does its work"),
    "rolling-restart": (
        snapshot(restarts={"app1": {"reload": 2}}), "app1 replaces its workers (reload)",
    ),
    "slow-clients": (
        snapshot(door='balancer_connections{side="client"} 560\n'),
        "slow clients: 560 connections are held open",
    ),
    "stop-redis1": (snapshot(program("redis1", "stopped")), "redis1 is stopped"),
    "stop-unstable": (
        snapshot(program("unstable", "stopped"), app="external_breaker_state 1\n"),
        "unstable is stopped, answers are fallbacks",
    ),
    "unstable-80": (
        snapshot(app=outcome("http_error", 400)), "unstable fails 80% of the attempts",
    ),
    "unstable-drip": (
        snapshot(external='fault_rate{kind="drip"} 1\n', app="external_breaker_state 1\n"),
        "unstable is set to answer byte by byte at 100% of the requests",
    ),
    "unstable-garbage": (
        snapshot(app=outcome("bad_answer", 400)), "with bytes that are no answer",
    ),
    "unstable-hang": (
        snapshot(external='fault_rate{kind="hang"} 1\n', app="external_breaker_state 1\n"),
        "unstable is set to hang at 100% of the requests",
    ),
    "unstable-reset": (
        snapshot(app=outcome("connect_error", 400)), "with connections refused or reset",
    ),
    "unstable-truncate": (
        snapshot(app=outcome("bad_answer", 400)), "with bytes that are no answer",
    ),
    "wipe-redis1": (
        snapshot(app='store_hints{shard="redis1"} 480\n'), "redis1 lacks 480 records",
    ),
}  # fmt: skip


def test_every_drill_has_its_sentence_here():
    assert set(DRILLS) == set(all_drills())


@pytest.mark.parametrize("name", DRILLS)
def test_the_verdict_names_what_the_drill_breaks(name: str):
    look, words = DRILLS[name]
    level, sentence = verdict(look, findings(look))
    assert words in sentence
    assert level == ("ok" if name in ("rolling-restart", "reload-balancer") else "degraded")


def test_stock_faults_under_load_are_no_alarm():
    look = snapshot()
    assert findings(look) == []
    assert verdict(look, []) == ("ok", "All is well: 7 programs are ready.")


def test_without_the_front_door_the_stack_is_down_and_the_sentence_says_why():
    look = snapshot(program("balancer", "stopped"), program("unstable", "stopped"))
    level, sentence = verdict(look, findings(look))
    assert level == "down"
    assert sentence.startswith("Down: balancer is stopped, nothing comes through the front door;")


def test_many_things_wrong_are_two_and_a_count():
    look = snapshot(
        program("redis1", "stopped"), program("app1", "stopped"), app=outcome("timeout", 900)
    )
    assert verdict(look, findings(look))[1].endswith("; and 1 more.")


def test_a_program_without_rates_yet_is_not_called_broken():
    look = Snapshot(NOW, StackState("ok", "All is well.", 1, ()), ROLES)
    assert findings(look) == []
    assert [number.value for number in six_numbers(look)] == ["0", "0", "–", "–", "–", "–"]


def test_the_diagram_shows_what_is_stopped_on_the_node_and_on_every_edge_to_it():
    drawn = diagram(snapshot(program("unstable", "stopped"), app="external_breaker_state 1\n"))
    assert (drawn.node("unstable").health, drawn.node("unstable").word) == ("bad", "stopped")
    assert drawn.edge("app1", "unstable").health == drawn.edge("app2", "unstable").health == "bad"
    assert drawn.edge("app1", "redis1").health == "good"
    assert "breaker open" in drawn.node("app1").lines


def test_the_diagram_tells_rates_errors_keys_and_healing():
    drawn = diagram(snapshot(app=shard("error") + 'store_hints{shard="redis1"} 4\n'))
    assert drawn.edge("app1", "redis1").label == "130/s ✕30"
    assert drawn.node("redis1").lines == ("500 records", "healing: lacks 4")
    assert drawn.edge("balancer", "app1").label == "100/s"
    assert drawn.node("unstable").lines == ("30% failure", "30% delay")


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
def test_no_line_is_drawn_over_a_label(layout):
    drawn = draw(diagram(snapshot()), layout)
    assert drawn.count("<line ") == drawn.count("data-edge=") > 5
    assert drawn.rindex("<line ") < drawn.index("<text ")


def test_a_chart_point_has_every_kind_of_answer():
    point = chart_point(snapshot(door='balancer_requests_total{status="503"} 7\n'))
    assert point["kinds"] == {
        "live": 200, "read back": 0, "stale": 0, "fallback": 0, "refused": 7, "failed": 0,
    }  # fmt: skip
    assert point["attempts"]["attempts"] == pytest.approx(1.43)
    assert point["shards"]["redis1"] == 200


def test_what_changed_between_two_looks_is_an_event():
    before = snapshot()
    now = snapshot(
        program("redis1", "stopped"), app="external_breaker_state 1\n",
        pools={"app1": pool(restarts={"crash": 2})},
    )  # fmt: skip
    assert [event.what for event in events_between(before, now)] == [
        "redis1 stopped", "app1: 2 workers replaced (crash)", "breaker open",
    ]  # fmt: skip
    assert events_between(now, now) == []
