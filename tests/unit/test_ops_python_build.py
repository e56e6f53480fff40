"""Whether Python was built with its optimisations, from what `sysconfig` says."""

from __future__ import annotations

import pytest

from monitoring.stack.python_build import is_optimised

PLAIN = "'--prefix=/home/me/.pyenv/versions/3.11.7' '--enable-shared'"


@pytest.mark.parametrize(
    ("variables", "base_prefix", "expected"),
    [
        ({"CONFIG_ARGS": PLAIN}, "/home/me/.pyenv/versions/3.11.7", False),
        ({"CONFIG_ARGS": f"{PLAIN} '--enable-optimizations'"}, "/opt/python", True),
        ({"CONFIG_ARGS": PLAIN, "PY_CFLAGS_NODIST": "-O3 -fprofile-use"}, "/opt/python", True),
        ({"CONFIG_ARGS": "'--prefix=/usr'"}, "/usr", True),
        ({"CONFIG_ARGS": None}, "/opt/python", True),
        ({}, "/opt/python", True),
    ],
    ids=["pyenv", "asked for", "by its flags", "a distribution's", "unknown", "nothing known"],
)
def test_only_a_build_that_surely_lacks_them_is_called_slow(
    variables: dict[str, str | None], base_prefix: str, expected: bool
):
    assert is_optimised(variables, base_prefix) is expected
