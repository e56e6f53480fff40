"""The README's example of wrapping any async function, as it stands there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def example() -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if "ResilientCall(" in block]
    return str(found)


@pytest.mark.parametrize(("works", "price"), [(True, 42.0), (False, 9.99)])
def test_any_async_function_is_wrapped_as_the_readme_shows(works: bool, price: float) -> None:
    asked = []

    async def ask_the_shop(product: str) -> float:
        asked.append(product)
        if not works or len(asked) < 2:
            raise ConnectionError("the shop is closed")
        return 42.0

    names: dict[str, Any] = {"ask_the_shop": ask_the_shop}
    exec(example(), names)  # noqa: S102  # the README's own words
    assert asyncio.run(names["price"]("tea")) == price
    assert len(asked) == (2 if works else 4)


def test_it_takes_about_ten_lines() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 10
