"""The two configurations of the servers: the same but for number and port, and safe."""

from pathlib import Path

import pytest

SHARDS = Path(__file__).parents[2] / "shards"


def directives(name: str) -> dict[str, str]:
    lines = (SHARDS / name).read_text().splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def test_the_second_differs_from_the_first_in_port_and_folder_only():
    first, second = directives("redis1.conf"), directives("redis2.conf")
    different = {key for key in first | second if first.get(key) != second.get(key)}
    assert different == {"port", "dir"}
    assert (first["port"], first["dir"]) == ("6379", "var/redis1")
    assert (second["port"], second["dir"]) == ("6380", "var/redis2")


@pytest.mark.parametrize("name", ["redis1.conf", "redis2.conf"])
def test_nothing_acknowledged_is_evicted_or_kept_in_memory_only(name: str):
    conf = directives(name)
    assert conf["appendonly"] == "yes"
    assert conf["appendfsync"] == "everysec"
    assert conf["maxmemory-policy"] == "noeviction"
    assert conf["maxmemory"] not in ("0", "")


@pytest.mark.parametrize("name", ["redis1.conf", "redis2.conf"])
def test_a_shard_listens_on_this_machine_only(name: str):
    assert directives(name)["bind"] == "127.0.0.1"
    assert directives(name)["protected-mode"] == "yes"
    assert directives(name)["daemonize"] == "no"


@pytest.mark.parametrize("name", ["redis1.conf", "redis2.conf"])
def test_every_group_of_directives_says_why(name: str):
    for group in (SHARDS / name).read_text().split("\n\n"):
        assert group.lstrip().startswith("#"), f"no reason given for: {group}"
