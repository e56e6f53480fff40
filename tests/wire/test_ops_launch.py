"""What supervisord.conf calls to become a server: real nginx, fake prometheus and grafana."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from monitoring.launch import LINGER_SECONDS
from monitoring.launch import launch as launch_command
from tests.ops_stack import ROOT, eventually, free_port

FAKE = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("prometheus, version 3.11.3 (branch: HEAD)")
    raise SystemExit
print(json.dumps({{"arguments": sys.argv[1:], "environ": dict(os.environ), "pid": os.getpid()}}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder with the real configuration files."""
    shutil.copy(ROOT / "supervisord.conf", tmp_path)
    for name in ("balancer", "monitoring/prometheus", "monitoring/grafana"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def fake(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(0o755)
    return path


def environment(**changes: str) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith("_PORT") and not key.startswith(("GF_", "GRAFANA"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def launch(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "monitoring.launch", *arguments),
        cwd=folder, env=environment(**environ), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


GRAFANA = ("grafana", "monitoring/grafana/grafana.ini", "--port", "3102", "--data", "var/grafana",
           "--prometheus", "http://127.0.0.1:9191")  # fmt: skip
PROMETHEUS = ("prometheus", "monitoring/prometheus/prometheus.yml", "--port", "9191",
              "--data", "var/prometheus")  # fmt: skip


def test_a_server_that_was_named_wrongly_fails_with_one_line(folder: Path):
    done = launch(
        folder, "redis-server", "balancer/nginx.conf", "--port", "1", "--data", "var/r",
        REDIS_SERVER="/nowhere/redis-server",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "error: REDIS_SERVER='/nowhere/redis-server' is not a program that can be run\n"
    )


def test_an_optional_server_that_is_missing_ends_well_after_the_start_check(folder: Path):
    began = time.monotonic()
    done = launch(folder, *GRAFANA)
    assert time.monotonic() - began >= LINGER_SECONDS
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "grafana is not installed. To get it: make grafana (about 350 MB). "
        "Everything else runs without it.\n"
    )


def test_grafana_gets_its_command_line_and_the_environment_its_files_ask_for(folder: Path):
    home = folder / "var/tools/grafana-13.0.4"
    fake(home / "bin/grafana")
    (home / "conf").mkdir()
    (home / "conf/defaults.ini").write_text("")
    (folder / "var/tools/bin").mkdir()
    (folder / "var/tools/bin/grafana").symlink_to("../grafana-13.0.4/bin/grafana")
    told = json.loads(launch(folder, *GRAFANA, GF_LOG_LEVEL="debug").stdout)
    grafana = folder / "monitoring/grafana"
    assert told["arguments"] == [
        *("server", "--homepath", str(home), "--config", str(grafana / "grafana.ini")),
    ]
    environ = told["environ"]
    assert environ["GF_PATHS_PROVISIONING"] == str(grafana / "provisioning")
    assert environ["STACK_DASHBOARDS"] == str(grafana / "dashboards")
    assert environ["STACK_PROMETHEUS_URL"] == "http://127.0.0.1:9191"
    assert environ["GF_SERVER_HTTP_PORT"] == "3102"
    assert environ["GF_PATHS_DATA"] == str(folder / "var/grafana")
    assert environ["GF_LOG_LEVEL"] == "debug"
    assert (folder / "var/log/grafana").is_dir()


def test_a_grafana_home_can_be_named(folder: Path, tmp_path: Path):
    home = tmp_path / "elsewhere"
    fake(home / "bin/grafana-server")
    told = json.loads(launch(folder, *GRAFANA, GRAFANA_HOME=str(home)).stdout)
    assert told["arguments"][:2] == ["--homepath", str(home)]


def test_a_grafana_without_its_home_is_one_line(folder: Path):
    lonely = fake(folder / "lonely" / "grafana")
    done = launch(folder, *GRAFANA, GRAFANA=str(lonely))
    assert done.returncode == 1
    assert "GRAFANA_HOME" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_prometheus_keeps_the_data_of_each_major_version_apart(folder: Path):
    binary = fake(folder / "fake/prometheus")
    told = json.loads(launch(folder, *PROMETHEUS, PROMETHEUS=str(binary)).stdout)
    assert f"--storage.tsdb.path={folder}/var/prometheus/v3" in told["arguments"]
    assert "--config.file=monitoring/prometheus/prometheus.yml" in told["arguments"]
    assert "--web.listen-address=127.0.0.1:9191" in told["arguments"]
    assert (folder / "var/prometheus/v3").is_dir()


def test_moved_ports_reach_prometheus_in_a_copy_and_the_original_stays(folder: Path):
    binary = fake(folder / "fake/prometheus")
    original = (folder / "monitoring/prometheus/prometheus.yml").read_text()
    told = json.loads(launch(folder, *PROMETHEUS, PROMETHEUS=str(binary), APP1_PORT="3100").stdout)
    (copy,) = [
        argument.partition("=")[2]
        for argument in told["arguments"]
        if argument.startswith("--config.file=")
    ]
    text = (folder / copy).read_text()
    assert "127.0.0.1:3100" in text
    assert "127.0.0.1:3000" not in text
    assert text.replace("127.0.0.1:3100", "127.0.0.1:3000") == original
    assert (folder / "monitoring/prometheus/prometheus.yml").read_text() == original


def test_the_process_becomes_the_server_so_that_supervisord_watches_the_right_one(folder: Path):
    binary = fake(folder / "fake/prometheus")
    process = subprocess.Popen(
        (sys.executable, "-m", "monitoring.launch", *PROMETHEUS),
        cwd=folder, env=environment(PROMETHEUS=str(binary)), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    told, _ = process.communicate(timeout=30)
    assert json.loads(told)["pid"] == process.pid


EXPORTER = ("redis-exporter", "monitoring/prometheus/prometheus.yml", "--port", "9221")
SHARDS = ("--shard", "redis1=redis://127.0.0.1:6479", "--shard", "redis2=redis://127.0.0.1:6480")


@pytest.mark.parametrize("moved", [{}, {"APP1_PORT": "3100"}], ids=["as it is", "moved ports"])
def test_prometheus_finds_the_shards_where_redis_exporter_is_installed(
    folder: Path, moved: dict[str, str]
):
    binary = fake(folder / "fake/redis_exporter")
    told = json.loads(
        launch(folder, *EXPORTER, *SHARDS, REDIS_EXPORTER=str(binary), **moved).stdout
    )
    assert "-web.listen-address=127.0.0.1:9221" in told["arguments"]
    prometheus = fake(folder / "fake/prometheus")
    told = json.loads(launch(folder, *PROMETHEUS, PROMETHEUS=str(prometheus), **moved).stdout)
    (named,) = [argument for argument in told["arguments"] if "config.file" in argument]
    configuration = folder / named.partition("=")[2]
    (relative,) = re.findall(r'- files: \["(.+)"\]', configuration.read_text())
    targets = json.loads((configuration.parent / relative).read_text())
    assert [target["labels"]["instance"] for target in targets] == ["redis1", "redis2"]
    assert [target["labels"]["__param_target"] for target in targets] == [
        part.partition("=")[2] for part in SHARDS[1::2]
    ]
    assert {address for target in targets for address in target["targets"]} == {"127.0.0.1:9221"}


def test_without_redis_exporter_prometheus_has_nothing_more_to_scrape(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    targets = folder / "var/run/prometheus/redis.json"
    targets.parent.mkdir(parents=True)
    targets.write_text("[]")  # it was installed once
    monkeypatch.chdir(folder)
    monkeypatch.setattr("monitoring.launch.LINGER_SECONDS", 0)
    monkeypatch.setattr("monitoring.launch.find", lambda *_: None)
    done = CliRunner().invoke(launch_command, [*EXPORTER, *SHARDS])
    assert done.exit_code == 0
    assert done.output.startswith("redis_exporter is not installed. To get it: ")
    assert not targets.exists()


def test_a_shard_without_a_name_is_refused_with_the_form(folder: Path):
    done = launch(folder, *EXPORTER, "--shard", "redis://127.0.0.1:6479")
    assert done.returncode == 2
    assert "'redis://127.0.0.1:6479' is not NAME=redis://HOST:PORT" in done.stderr


def test_real_nginx_starts_from_the_real_configuration_on_a_moved_port(folder: Path):
    port = free_port()
    process = subprocess.Popen(
        (sys.executable, "-m", "monitoring.launch", "nginx", "balancer/nginx.conf"),
        cwd=folder, env=environment(BALANCER_PORT=str(port)), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 502  # no app behind it
        except OSError:
            return False

    try:
        eventually(lambda: answers() or process.poll() is not None)
        assert process.poll() is None
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    assert "[emerg]" not in output
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert {line["path"] for line in lines} == {"/"}, "the access log goes to stdout"
    assert {type(line["duration_ms"]) for line in lines} == {int}
    assert process.returncode == 0


@given(st.integers(0, 10**7))
def test_nginx_logs_milliseconds_as_numbers_though_it_knows_seconds(milliseconds: int):
    text = (ROOT / "balancer/nginx.conf").read_text()
    block = re.search(r"map \$request_time \$milliseconds \{(.*?)\}\n\n", text, re.DOTALL)
    assert block is not None
    seconds = f"{milliseconds // 1000}.{milliseconds % 1000:03d}"  # as NGINX has it
    rules = re.findall(r'"~(\S+)"\s+(\S+);', block[1])
    (written,) = [
        re.sub(pattern.replace("(?<", "(?P<"), re.sub(r"\$(\w+)", r"\\g<\1>", value), seconds)
        for pattern, value in rules
        if re.search(pattern.replace("(?<", "(?P<"), seconds)
    ]
    assert json.loads(written) == milliseconds


def test_a_bad_port_is_refused_naming_option_and_range(folder: Path):
    done = launch(folder, *PROMETHEUS[:3], "99999", *PROMETHEUS[4:])
    assert done.returncode == 2
    assert "'--port': '99999' is not a whole number from 1 to 65535" in done.stderr


@pytest.mark.parametrize(
    ("environ", "said"), [({}, "everysec"), ({"REDIS_FSYNC": "always"}, "always")]
)
def test_one_variable_makes_a_shard_flush_before_it_answers(
    tmp_path: Path, environ: dict[str, str], said: str
):
    port = free_port()
    shard = subprocess.Popen(
        (sys.executable, "-m", "monitoring.launch", "redis-server",
         str(ROOT / "shards" / "redis1.conf"), "--port", str(port), "--data", "var/redis1"),
        cwd=tmp_path, env=environment(**environ), stdout=subprocess.DEVNULL,
    )  # fmt: skip

    def asked() -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"CONFIG GET appendfsync\r\n")
                return connection.recv(1000)
        except OSError:
            return b""

    try:
        eventually(lambda: said.encode() in asked())
    finally:
        shard.kill()
        shard.wait()


def test_a_way_to_flush_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path):
    configuration = str(ROOT / "shards" / "redis1.conf")
    ended = launch(
        tmp_path, "redis-server", configuration, "--port", "1", "--data", "d", REDIS_FSYNC="never"
    )
    assert ended.returncode == 2
    assert "REDIS_FSYNC" in ended.stderr
    assert "'everysec', 'always'" in ended.stderr
