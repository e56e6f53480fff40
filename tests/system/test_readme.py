"""Every command of the README works, in the order in which a reader meets them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from monitoring.topology import read_topology
from tests.running_stack import PORTS, PROJECT, RunningStack

README = (PROJECT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
OUTSIDE_BLOCKS = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`([^`\n]+)`", OUTSIDE_BLOCKS)

# What must be seen after a block that holds the command.
SEEN = {
    "stop unstable": '"data":{"message":"Fallback response"}',
    "start nginx": "nginx: started",
    "stop app1": '"data":',
    "balancer drain": "is drained: nothing is in flight",
    "kill -9": '"data":',
    "stop redis1": '"stored":',
    '"failure_rate": 0.8': '"hang_rate": 0.2',
    "data/1234": '{"error": "Data not found"}',
    "make down": "nothing is left behind",
    "make status": "balancer 1 of 1 ready",
    "make doctor": "former runs",
    "make logs REQ": "unstable (",
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    stack = RunningStack(tmp_path_factory.mktemp("readme"))
    stack.has_its_own_venv()
    yield stack
    stack.monitoring("down")


def compact(text: str) -> str:
    return text.replace('": ', '":')


def run_block(stack: RunningStack, block: str) -> str:
    script = stack.moved(block)
    # These take long; test_drills.py, test_bench_*.py and test_compilation.py run what they run.
    script = re.sub(r"^make (test|drill|bench|compile)$", r"make -n \1", script, flags=re.MULTILINE)
    return stack.run("bash", "-c", f"source .venv/bin/activate; set -e\n{script}").stdout


def test_there_is_a_block_for_each_command_whose_output_is_known():
    assert len(BLOCKS) >= 10
    assert all(any(command in block for block in BLOCKS) for command in SEEN)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition("\n")[0])
def test_the_blocks_of_commands_work_from_top_to_bottom(reader: RunningStack, block: str):
    output = run_block(reader, block)
    for command, expected in SEEN.items():
        if command in block:
            assert compact(expected) in compact(output)


def test_the_first_answer_looks_as_the_readme_shows_it(reader: RunningStack):
    run_block(reader, "make up")
    shown = re.search(r'^{"instance".*}$', README, re.MULTILINE)
    assert shown is not None
    assert set(reader.get("/").json) == set(json.loads(shown[0]))


@pytest.mark.parametrize("command", [text for text in INLINE if text.startswith("make ")])
def test_a_make_target_named_in_the_text_exists(reader: RunningStack, command: str):
    target = re.match(r"make ([a-z]+)", command)
    assert target is not None
    reader.run("make", "-n", target[1])


@pytest.mark.parametrize(
    "command", [text for text in INLINE if re.match(r"python -m [\w.]+ --", text)]
)
def test_options_named_in_the_text_are_known(reader: RunningStack, command: str):
    program, *options = re.findall(r"(?:-m (\w+))|(--[a-z-]+)", command)
    said = reader.run(".venv/bin/python", "-m", program[0], "--help").stdout
    for _module, option in options:
        assert option in said


def test_each_setting_of_the_table_is_an_option_with_that_default(reader: RunningStack):
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| ([^|]+) \|", README, re.MULTILINE)
    wanted = {
        name: default.strip()
        for names, defaults in rows
        for name, default in zip(
            re.findall(r"\w+", names),
            (defaults.split(",") * 9 if "`," in names else [defaults]),
            strict=False,
        )
        if name.split("_")[0] in ("APP", "STORE", "BALANCER", "UNSTABLE")
    }
    said = " ".join(
        " ".join(reader.run(".venv/bin/python", "-m", module, "--help").stdout.split())
        for module in ("app", "balancer", "unstable")
    )
    for name, default in wanted.items():
        found = re.search(rf"env var: {name}\b[^\]]*", said)
        assert found, f"{name} is no option's variable"
        if re.fullmatch(r"[\d.]+", default):
            shown = re.search(r"default: ([\d.]+)", found[0])
            assert shown, (name, found[0])
            assert float(shown[1]) == float(default), name


def test_the_ports_of_the_table_are_those_of_supervisord_conf():
    topology = (PROJECT / "supervisord.conf").read_text()
    for variable, port in set(re.findall(r"\$\{(\w+_PORT):-(\d+)\}", topology)):
        row = next(line for line in README.splitlines() if f"`{variable}`" in line and "|" in line)
        assert f":{port}" in row or "the balancer's port" in row, variable


def test_the_second_copys_command_moves_every_port_to_another():
    given = dict(re.findall(r"(\w+_PORT)=(\d+)(?= )", README.partition("beside the first:")[2]))
    assert set(given) == set(PORTS)
    text = (PROJECT / "supervisord.conf").read_text()
    moves = read_topology(text, given, PROJECT).moves  # refuses two programs on one port
    assert len(moves) == len(PORTS)
    assert not set(moves) & set(moves.values())


def test_a_refused_setting_reads_as_the_troubleshooting_table_has_it(reader: RunningStack):
    shown = re.search(r"`(Invalid value for '--workers'[^`]*)`", README)
    assert shown is not None
    reader.environ["APP_WORKERS"] = "0"
    try:
        done = reader.run(
            ".venv/bin/python", "-m", "app", "--name", "app1", "--listen", "127.0.0.1:0",
            "--upstream", "http://127.0.0.1:1/", "--store", "redis://127.0.0.1:1", check=False,
        )  # fmt: skip
    finally:
        del reader.environ["APP_WORKERS"]
    assert done.returncode == 2
    assert shown[1] in done.stdout


def test_the_errors_of_the_troubleshooting_table_are_the_real_ones():
    table = README.partition("## Troubleshooting")[2].partition("## How it is tested")[0]
    sources = "\n".join(
        path.read_text()
        for folder in ("monitoring", "app", "balancer", "workers", "unstable")
        for path in sorted((PROJECT / folder).rglob("*.py"))
    )
    texts = (
        "is in use by", "It already runs", "is not installed", "is not writable", "Interrupted: ",
        "pip could not install the packages: ", "supervisord does not answer; ",
        "programs of an earlier start still run and no supervisord answers for them",
        "no line of the access logs tells of request",
    )  # fmt: skip
    for text in texts:
        assert text in sources
        assert text.removesuffix(" by") in table
    message = "Python 3.11 or newer is needed"
    assert message in table
    done = subprocess.run(
        ["make", "up", "PYTHON=no-such-python"], cwd=PROJECT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert message in done.stderr
    assert shlex.split(done.stderr)[0] == "error:"
