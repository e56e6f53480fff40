"""What a request may ask for (`?fail=`, `?delay=`) and who may change the faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unstable.loopback import NotLocalError, check_local, is_loopback_host
from unstable.overrides import BadOverrideError, override


@given(value=st.text().filter(lambda text: text not in ("true", "false")))
def test_anything_but_true_and_false_is_refused_by_name(value: str):
    with pytest.raises(BadOverrideError, match=r"^fail must be true or false, got "):
        override("fail", [value])


@pytest.mark.parametrize(
    ("values", "meaning"),
    [([], None), (["true"], True), (["false"], False), (["true", "true"], True)],
)
def test_a_parameter_says_true_or_false_or_nothing(values, meaning):
    assert override("delay", values) is meaning


def test_a_parameter_that_contradicts_itself_is_refused():
    with pytest.raises(BadOverrideError, match="delay is given 2 times with different values"):
        override("delay", ["true", "false"])


LOCAL_HOSTS = [
    "127.0.0.1",
    "127.0.0.1:4000",
    "127.9.9.9",
    "localhost",
    "LocalHost:1",
    "[::1]",
    "[::1]:4000",
    "x.localhost:80",
]
OTHER_HOSTS = [
    "evil.example",
    "evil.example:4000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    "10.0.0.1",
    "0.0.0.0",
    "1270.0.1",
    "localhost:x",
    "localhost:99999",
    "[::1",
    "::1",
    "a@localhost",
    "localhost/x",
    "localhost?x",
]


@pytest.mark.parametrize("host", LOCAL_HOSTS)
def test_loopback_names_and_addresses_are_local(host: str):
    assert is_loopback_host(host)
    check_local("127.0.0.1", [host], [])


@pytest.mark.parametrize("host", ["", *OTHER_HOSTS])
def test_a_page_that_rebinds_its_name_to_loopback_changes_nothing(host: str):
    assert not is_loopback_host(host)
    with pytest.raises(NotLocalError, match="loopback name"):
        check_local("127.0.0.1", [host], [])


@pytest.mark.parametrize("hosts", [[], ["localhost", "localhost"]])
def test_no_host_or_two_are_refused(hosts):
    with pytest.raises(NotLocalError):
        check_local("127.0.0.1", hosts, [])


@pytest.mark.parametrize(
    "peer", ["10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1", "fe80::1", "", None, "localhost"]
)
def test_other_machines_change_nothing_whatever_host_they_claim(peer):
    with pytest.raises(NotLocalError, match="from this machine only"):
        check_local(peer, ["localhost"], [])


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_every_form_of_the_loopback_address_is_this_machine(peer):
    check_local(peer, ["localhost"], [])


def test_what_a_proxy_forwards_changes_nothing():
    with pytest.raises(NotLocalError, match="through a proxy, and the request has Forwarded"):
        check_local("127.0.0.1", ["localhost"], ["Forwarded"])


@given(host=st.text())
def test_no_host_header_breaks_the_check(host: str):
    assert is_loopback_host(host) in (True, False)
