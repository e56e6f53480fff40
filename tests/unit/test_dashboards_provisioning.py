"""Grafana's own files: they fit each other, the dashboards and the rest of the stack."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from monitoring.dashboards.__main__ import BOARDS, FOLDER

ROOT = Path(__file__).parent.parent.parent
GRAFANA = ROOT / "monitoring" / "grafana"
DATA_SOURCE = (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text()
PROVIDER = (GRAFANA / "provisioning" / "dashboards" / "stack.yml").read_text()


def ini() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((GRAFANA / "grafana.ini").read_text())
    return parser


def setting(yaml: str, key: str) -> str:
    """The one value of a key, wherever it stands."""
    (value,) = re.findall(rf"^[\s-]*{key}: *([^\s#]+)", yaml, re.MULTILINE)
    return str(value)


def test_only_this_machine_reaches_grafana_with_the_documented_password():
    settings = ini()
    assert settings["server"]["http_addr"] == "127.0.0.1"
    assert settings["security"]["admin_user"] == "admin"
    assert settings["security"]["admin_password"] == "admin"
    assert settings["auth.anonymous"]["org_role"] == "Viewer"


def test_the_port_is_the_one_that_supervisord_gives():
    given = re.findall(r"GRAFANA_PORT:-(\d+)", (ROOT / "supervisord.conf").read_text())
    assert set(given) == {ini()["server"]["http_port"]}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("news", "news_feed_enabled", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("plugins", "public_key_retrieval_disabled", "true"),
        ("snapshots", "external_enabled", "false"),
        ("security", "disable_gravatar", "true"),
    ],
)
def test_grafana_talks_to_nobody_outside(section, key, value):
    assert ini()[section][key] == value


def test_the_home_page_is_a_dashboard_that_exists():
    path = ini()["dashboards"]["default_home_dashboard_path"]
    folder, _, name = path.rpartition("/")
    assert folder == "$__env{STACK_DASHBOARDS}"
    assert (FOLDER / name).is_file()


def test_the_data_source_has_a_fixed_uid_and_the_address_that_the_stack_gives():
    assert setting(DATA_SOURCE, "uid") == "prometheus"
    assert setting(DATA_SOURCE, "type") == "prometheus"
    assert setting(DATA_SOURCE, "url") == "${STACK_PROMETHEUS_URL}"
    assert setting(DATA_SOURCE, "isDefault") == "true"


def test_the_rate_interval_is_reckoned_from_the_real_scrape_interval():
    scraped = (ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text()
    assert setting(DATA_SOURCE, "timeInterval") == setting(scraped, "scrape_interval")


def test_the_dashboards_are_read_from_the_folder_that_the_stack_gives():
    assert setting(PROVIDER, "path") == "${STACK_DASHBOARDS}"
    assert setting(PROVIDER, "allowUiUpdates") == "false"
    assert FOLDER == GRAFANA / "dashboards"
    assert BOARDS


@pytest.mark.parametrize("kind", ["datasources", "dashboards", "alerting", "plugins"])
def test_every_folder_that_grafana_looks_into_has_a_file(kind):
    """Grafana logs an error at each start for one that is missing, and git keeps no empty one."""
    assert list((GRAFANA / "provisioning" / kind).glob("*.yml"))
