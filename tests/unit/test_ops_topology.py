"""supervisord.conf read as the topology, and ports moved in literal configurations."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.launch import LINGER_SECONDS
from monitoring.topology import SettingError, Topology, expand, read_topology, relocate

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "supervisord.conf").read_text()
HERE = Path("/somewhere/stack")

PORTS = {
    "BALANCER_PORT": 8080,
    "BALANCER_ADMIN_PORT": 8082,
    "CONSOLE_PORT": 8081,
    "APP1_PORT": 3000,
    "APP2_PORT": 3001,
    "UNSTABLE_PORT": 4000,
    "REDIS1_PORT": 6379,
    "REDIS2_PORT": 6380,
    "PROMETHEUS_PORT": 9090,
    "REDIS_EXPORTER_PORT": 9121,
    "GRAFANA_PORT": 3002,
}


def real(**environ: str) -> Topology:
    return read_topology(TEXT, environ, HERE)


def program(name: str, extra: str) -> str:
    return f"[program:{name}]\ncommand=/bin/true\n{extra}\n"


def test_every_program_of_the_picture_is_in_the_file():
    names = {one.name for one in real().programs}
    assert names == {
        *("redis1", "redis2", "unstable", "app1", "app2", "balancer", "nginx"),
        *("console", "prometheus", "redis-exporter", "grafana", "guardian"),
    }


def test_programs_come_in_the_order_in_which_they_are_started():
    names = [one.name for one in real().programs]
    order = ["guardian", "redis1", "redis2", "unstable", "app1", "app2", "balancer", "console"]
    assert [name for name in names if name in order] == order


def test_only_nginx_waits_to_be_started_and_only_monitoring_servers_are_optional():
    topology = real()
    assert {one.name for one in topology.programs if not one.autostart} == {"nginx"}
    optional = {"prometheus", "redis-exporter", "grafana"}
    assert {one.name for one in topology.programs if one.optional} == optional


def test_everything_that_listens_says_how_to_know_that_it_is_ready():
    for one in real().programs:
        assert one.name == "guardian" or (one.url and one.ready and one.ports)


@pytest.mark.parametrize(("variable", "default"), PORTS.items())
def test_each_port_has_its_default_and_moves_with_its_variable(variable: str, default: int):
    def numbers(topology: Topology) -> set[int]:
        return {p.number for one in topology.programs for p in one.ports if p.variable == variable}

    assert numbers(real()) == {default}
    assert numbers(real(**{variable: "12345"})) == {12345}
    assert real(**{variable: "12345"}).moves == {default: 12345}


def test_no_address_stands_in_the_file_without_a_variable_for_its_port():
    for line in TEXT.splitlines():
        if not line.startswith(";"):
            assert not re.search(r"127\.0\.0\.1:\d", line), line


def test_moved_ports_reach_the_commands_of_those_who_call_them():
    topology = real(APP1_PORT="3100", REDIS2_PORT="6390", UNSTABLE_PORT="4100")
    assert "--backend 127.0.0.1:3100" in topology["balancer"].command
    assert "redis://127.0.0.1:6390" in topology["app1"].command
    assert "http://127.0.0.1:4100/data" in topology["app2"].command
    assert "--port 6390" in topology["redis2"].command


def test_an_empty_variable_means_the_default_as_in_a_shell():
    assert real(APP1_PORT="").moves == {}
    assert expand("${A:-1} ${B:-2}", {"A": "", "B": "x"}) == "1 x"


def test_defaults_may_hold_variables_as_in_a_shell():
    nested = "${STORE:-redis://h:${A:-1},redis://h:${B:-2}}"
    assert expand(nested, {}) == "redis://h:1,redis://h:2"
    assert expand(nested, {"B": "3"}) == "redis://h:1,redis://h:3"
    assert expand(nested, {"STORE": "redis://mine"}) == "redis://mine"


def test_a_variable_that_holds_itself_ends():
    assert expand("${A:-1}", {"A": "${A:-2}"})


def test_a_shell_expands_every_command_to_the_same_words():
    environ = {"APP1_PORT": "3100", "STORE_URL": "redis://127.0.0.1:7000"}
    for one in real(**environ).programs:
        program_and_script = shlex.split(
            TEXT.partition(f":{one.name}]")[2].partition("command=")[2].partition("\ndirectory")[0]
        )
        script = program_and_script[2].replace("exec ", "printf '%s\\n' ", 1)
        words = subprocess.run(
            ("/bin/sh", "-c", script), env=environ, capture_output=True, text=True, check=True
        ).stdout.split("\n")[:-1]
        assert shlex.split(shlex.split(one.command)[2].replace("\\\n", ""))[1:] == words


def test_what_a_person_exports_wins_over_the_page():
    exported = {
        "APP_UPSTREAM": "http://127.0.0.1:9/mine",
        "STORE_URL": "redis://127.0.0.1:7000",
        "APP_ACCESS_LOG": "off",
        "APP_UPSTREAM_DEADLINE": "7",
        "BALANCER_TOTAL_TIMEOUT": "9",
    }
    topology = real(**exported)
    commands = topology["app2"].command + topology["balancer"].command
    for value in exported.values():
        assert f" {value}" in commands


def test_defaults_on_the_page_are_those_of_the_programs_themselves():
    """So that a program started by hand behaves as in the stack."""
    for name, module in (("app1", "app"), ("balancer", "balancer")):
        told = subprocess.run(
            (sys.executable, "-m", module, "--help"),
            cwd=ROOT, env={"COLUMNS": "400", "PATH": "/usr/bin:/bin"}, capture_output=True,
            text=True, check=True,
        ).stdout  # fmt: skip
        own = dict(re.findall(r"\[env var: (\w+); default: ([\d.]+)", " ".join(told.split())))
        section = TEXT.partition(f"[program:{name}]")[2].partition("\n[")[0]
        page = dict(re.findall(r"\$\{(\w+):-([\d.]+)\}", section))
        both = {key for key in page if key in own}
        assert len(both) >= 4
        assert {key: float(page[key]) for key in both} == {key: float(own[key]) for key in both}


@pytest.mark.parametrize("bad", ["0", "65536", "-1", "http", "80.5", "٣", "1e3", " 80", "9" * 5000])
def test_a_port_that_is_none_is_refused_in_one_line_with_what_is_allowed(bad: str):
    with pytest.raises(SettingError) as refused:
        real(APP1_PORT=bad)
    text = str(refused.value)
    assert "APP1_PORT" in text
    assert repr(bad)[:20] in text
    assert len(text) < 200
    assert "1 to 65535" in text
    assert "\n" not in text


def test_two_programs_on_one_port_are_refused_naming_both_and_their_variables():
    with pytest.raises(SettingError, match=r"port 3001 .*app1 \(APP1_PORT\).*app2 \(APP2_PORT\)"):
        real(APP1_PORT="3001")


def test_one_program_cannot_have_both_its_ports_on_one_number():
    with pytest.raises(SettingError, match="port 8080"):
        real(BALANCER_ADMIN_PORT="8080")


def test_nginx_may_have_the_balancers_port_because_it_takes_its_place():
    topology = real(BALANCER_PORT="9999")
    assert topology["nginx"].url == topology["balancer"].url == "http://127.0.0.1:9999/"


def test_literal_ports_clash_too():
    text = program("a", "stack_url=http://127.0.0.1:7000/") + program(
        "b", "stack_url=http://127.0.0.1:${B_PORT:-7000}/"
    )
    with pytest.raises(SettingError, match="port 7000"):
        read_topology(text, {}, HERE)


def test_one_variable_with_two_defaults_is_refused():
    text = program("a", "stack_url=http://127.0.0.1:${X:-1}/") + program("b", "x=${X:-2}")
    with pytest.raises(SettingError, match="X two defaults, 1 and 2"):
        read_topology(text, {}, HERE)


def test_a_file_that_is_no_configuration_is_refused_in_one_line():
    with pytest.raises(SettingError, match=r"supervisord\.conf cannot be read") as refused:
        read_topology("no section\nat all", {}, HERE)
    assert "\n" not in str(refused.value)


def test_files_of_supervisord_lie_under_var():
    topology = real()
    assert topology.socket == HERE / "var/run/supervisor.sock"
    assert topology.pid_file == HERE / "var/run/supervisord.pid"
    assert topology.log == HERE / "var/log/supervisord.log"
    for one in topology.programs:
        assert one.log == HERE / f"var/log/{one.name}.log"


def test_supervisord_has_no_network_port_and_a_private_socket():
    assert "inet_http_server" not in TEXT
    assert "chmod=0700" in TEXT


def test_every_program_rotates_its_log_and_is_killed_with_its_children():
    sections = re.split(r"^\[(?=program:|eventlistener:)", TEXT, flags=re.M)[1:]
    for section in sections:
        assert re.search(r"logfile_maxbytes=\d+MB", section), section
        assert "logfile_backups=2" in section
        assert "killasgroup=true" in section
        assert "stopasgroup=false" in section
        assert "startretries=20" in section


def test_a_server_that_is_not_installed_outlives_the_start_check_so_that_it_is_not_fatal():
    for name in ("prometheus", "redis-exporter", "grafana"):
        section = TEXT.partition(f"[program:{name}]")[2].partition("\n[")[0]
        seconds = re.search(r"startsecs=(\d+)", section)
        assert seconds is not None
        assert int(seconds[1]) < LINGER_SECONDS
        assert "autorestart=unexpected" in section


def test_relocation_moves_addresses_and_listen_lines_and_nothing_else():
    text = (
        "listen 8080; listen 127.0.0.1:8080; server localhost:3000;\n"
        "targets: ['127.0.0.1:3000', '[::1]:3000']\n"
        "timeout 3000; id 127.0.0.1:30000; 10.0.0.1:3000; listen 127.0.0.1;\n"
    )
    assert relocate(text, {8080: 9000, 3000: 3100}) == (
        "listen 9000; listen 127.0.0.1:9000; server localhost:3100;\n"
        "targets: ['127.0.0.1:3100', '[::1]:3100']\n"
        "timeout 3000; id 127.0.0.1:30000; 10.0.0.1:3000; listen 127.0.0.1;\n"
    )


def test_two_ports_can_change_places():
    swapped = relocate("127.0.0.1:3000 127.0.0.1:3001", {3000: 3001, 3001: 3000})
    assert swapped == "127.0.0.1:3001 127.0.0.1:3000"


@given(
    ports=st.lists(st.integers(1, 65535), min_size=1, max_size=8),
    moves=st.dictionaries(st.integers(1, 65535), st.integers(1, 65535), max_size=8),
    filler=st.text(alphabet=" \n;{}'\"abc", max_size=5),
)
def test_relocation_maps_every_address_exactly_once(
    ports: list[int], moves: dict[int, int], filler: str
):
    moves = {**moves, ports[0]: 1}
    text = "".join(f"127.0.0.1:{port} {filler}" for port in ports)
    assert relocate(text, moves) == "".join(
        f"127.0.0.1:{moves.get(port, port)} {filler}" for port in ports
    )


@given(st.text())
def test_relocation_without_moves_changes_no_text_at_all(text: str):
    assert relocate(text, {}) == text


@given(value=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
def test_any_port_variable_either_works_or_is_refused(value: str):
    try:
        topology = read_topology(TEXT, {"APP1_PORT": value}, HERE)
    except SettingError:
        return
    (port,) = topology["app1"].ports
    assert 1 <= port.number <= 65535


def test_no_log_grows_without_bound():
    parser = RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    parser.read_string(TEXT)
    logs = [
        (section, stream)
        for section in parser.sections()
        for stream in ("stdout", "stderr")
        if parser.get(section, f"{stream}_logfile", fallback="NONE") != "NONE"
    ]
    assert len(logs) >= 12
    for section, stream in logs:
        assert parser.get(section, f"{stream}_logfile_maxbytes") in ("5MB", "20MB")
        assert parser.getint(section, f"{stream}_logfile_backups") == 2


def test_nginx_writes_no_log_that_supervisord_does_not_rotate():
    text = (ROOT / "balancer" / "nginx.conf").read_text()
    places = re.findall(r"^\s*(?:access|error)_log (\S+)", text, re.MULTILINE)
    assert set(places) == {"stderr", "/dev/stdout"}


def test_the_log_of_a_program_is_where_its_errors_are():
    assert real()["nginx"].log == HERE / "var/log/nginx.log"
    assert real()["app1"].log == HERE / "var/log/app1.log"
    assert real()["guardian"].log == HERE / "var/log/guardian.log"
