"""Which backends are wanted: those of the settings, as changed by a person since. Pure.

Changes are kept apart from the settings, so that a reload with other settings keeps them and
forgetting them brings back what the settings say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .settings import MOST_BACKENDS, MOST_WEIGHT, Address, Member

_VERSION = 1


@dataclass(frozen=True)
class Change:
    """What was changed about one backend; `added` is one that the settings do not have."""

    weight: int | None = None
    draining: bool = False
    added: bool = False
    removed: bool = False


Changes = Mapping[Address, Change]


@dataclass(frozen=True)
class Recorded:
    """All changes; `serial` grows with each new one, so that workers can tell what they know."""

    serial: int
    changes: Changes


class RefusedChangeError(Exception):
    """A change that cannot be made: an HTTP status, what is wrong, and what is possible."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BadChangesError(Exception):
    """A text that holds no changes; the message says where it is wrong."""


def wanted(configured: Sequence[Member], changes: Changes) -> tuple[Member, ...]:
    """The members, changes applied; a removed one is not among them."""
    members = []
    addresses = {member.address for member in configured}
    added = [Member(address) for address, change in changes.items() if change.added]
    for member in [*configured, *(new for new in added if new.address not in addresses)]:
        change = changes.get(member.address, Change())
        if not change.removed:
            weight = change.weight or member.weight
            members.append(replace(member, weight=weight, draining=change.draining))
    return tuple(members)


def add(
    configured: Sequence[Member], changes: Changes, address: Address, weight: int = 1
) -> dict[Address, Change]:
    """The changes with a new backend. Raises RefusedChangeError."""
    members = wanted(configured, changes)
    if any(member.address == address for member in members):
        raise RefusedChangeError(409, f"{address} is a backend already")
    if len(members) >= MOST_BACKENDS:
        raise RefusedChangeError(409, f"there are {MOST_BACKENDS} backends, which is the most")
    known = any(member.address == address for member in configured)
    return _with(changes, address, Change(weight=weight, added=not known))


def alter(
    configured: Sequence[Member],
    changes: Changes,
    address: Address,
    *,
    weight: int | None = None,
    draining: bool | None = None,
) -> dict[Address, Change]:
    """The changes with another weight, or with one that drains or no longer does. Raises
    RefusedChangeError, also for the last one that would drain."""
    members = wanted(configured, changes)
    _known(members, address)
    if draining:
        _not_the_last(members, address, "drain")
    change = changes.get(address, Change())
    if weight is not None:
        change = replace(change, weight=weight)
    if draining is not None:
        change = replace(change, draining=draining)
    return _with(changes, address, change)


def remove(
    configured: Sequence[Member], changes: Changes, address: Address
) -> dict[Address, Change]:
    """The changes without a backend. Raises RefusedChangeError, also for the last one."""
    members = wanted(configured, changes)
    _known(members, address)
    _not_the_last(members, address, "be removed")
    if any(member.address == address for member in configured):
        return _with(changes, address, Change(removed=True))
    return {other: change for other, change in changes.items() if other != address}


def describe(change: Change) -> str:
    """For people: "added, weight 2"."""
    said = {
        "removed": change.removed,
        "added": change.added,
        "draining": change.draining,
        f"weight {change.weight}": change.weight is not None,
    }
    return ", ".join(word for word, true in said.items() if true)


def dump(recorded: Recorded) -> str:
    """As text that `load` reads."""
    changes = {
        str(address): {name: value for name, value in asdict(change).items() if value}
        for address, change in recorded.changes.items()
    }
    content = {"version": _VERSION, "serial": recorded.serial, "changes": changes}
    return json.dumps(content, indent=2) + "\n"


def load(text: str) -> Recorded:
    """Raises BadChangesError."""
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("version") != _VERSION:
            raise BadChangesError(f"it is not of version {_VERSION}")
        changes = {
            Address.parse(address): _change(address, fields)
            for address, fields in content["changes"].items()
        }
        return Recorded(int(content["serial"]), changes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadChangesError(f"it does not hold changes of backends: {error}") from None


def valid_weight(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_WEIGHT


def _change(address: str, fields: Any) -> Change:
    if not isinstance(fields, dict):
        raise BadChangesError(f"{address}: {fields!r} is no object")
    for name, value in fields.items():
        good = valid_weight(value) if name == "weight" else isinstance(value, bool)
        if name not in Change.__dataclass_fields__ or not good:
            raise BadChangesError(f"{address}: {name} {value!r}")
    return Change(**fields)


def _with(changes: Changes, address: Address, change: Change) -> dict[Address, Change]:
    new = {**changes, address: change}
    return {address: change for address, change in new.items() if change != Change()}


def _known(members: Sequence[Member], address: Address) -> None:
    if not any(member.address == address for member in members):
        known = ", ".join(str(member.address) for member in members)
        raise RefusedChangeError(404, f"{address} is no backend; there are {known}")


def _not_the_last(members: Sequence[Member], address: Address, what: str) -> None:
    if all(member.draining for member in members if member.address != address):
        raise RefusedChangeError(
            409,
            f"{address} cannot {what}: it is the last backend that takes requests;"
            " add another one or undrain it first",
        )
