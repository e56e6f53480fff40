"""What must be decided and done on a server in one step. Lua, for EVAL; pure.

SELECT within a script does not outlive it (https://redis.io/docs/latest/commands/eval/).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .layout import (
    FIRST_COPIES,
    FURTHER_COPIES,
    HOUSEKEEPING,
    IDENTITY,
    MAPS,
    REBALANCE,
    Command,
    hints_key,
    writer_key,
)
from .maps import UNSURE
from .records import key_of

_SURE = b"""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('SREM', KEYS[2], ARGV[2]) end
return 0
"""

_REMOVE = b"""
redis.call('SELECT', ARGV[2])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('SELECT', ARGV[3])
local removed = 0
for i = 2, #KEYS do removed = removed + redis.call('DEL', KEYS[i]) end
return removed
"""

_FORGET = b"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
for i = 3, #KEYS do if redis.call('EXISTS', KEYS[i]) == 1 then return -2 end end
for i = 2, #ARGV do redis.call('SREM', KEYS[2], ARGV[i]) end
return 1
"""

# Of Redis 7 and Valkey: https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags
_EVEN_IF_FULL = b"""#!lua flags=allow-oom
local replies, at = {}, 1
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  replies[#replies + 1] = redis.call(unpack(ARGV, at + 1, last))
  at = last + 1
end
return replies
"""

_FORGET_EXPIRED = b"""
local left = {}
for i = 4, #ARGV do left[#left + 1] = i end
for d = 2, 3 do
  redis.call('SELECT', ARGV[d])
  local gone = {}
  for _, i in ipairs(left) do
    if redis.call('EXISTS', KEYS[i - 2]) == 0 then gone[#gone + 1] = i end
  end
  left = gone
end
redis.call('SELECT', ARGV[1])
for n, i in ipairs(left) do left[n] = ARGV[i] end
if #left == 0 then return 0 end
return redis.call('SREM', KEYS[1], unpack(left))
"""

_LET_GO = b"""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


def sure_if(identity: bytes) -> Command:
    """Takes UNSURE away from a server that is still the one of that identity."""
    return (b"EVAL", _SURE, 2, IDENTITY, MAPS, identity, UNSURE)


def remove_if_leased(token: bytes, database: int, keys: Collection[bytes]) -> Command:
    """Removes keys while the rebalance is ours; their number, -1 when it is not."""
    return (
        b"EVAL", _REMOVE, len(keys) + 1, REBALANCE, *keys, token, HOUSEKEEPING, database,
    )  # fmt: skip


def forget_maps_if_leased(token: bytes, maps: Collection[bytes]) -> Command:
    """Takes maps away by which nobody writes any more: 1; -1 when the rebalance is not ours,
    -2 when somebody writes by one of them."""
    writers = [writer_key(one) for one in maps]
    return (b"EVAL", _FORGET, len(writers) + 2, REBALANCE, MAPS, *writers, token, *maps)


def even_if_full(commands: Collection[Command]) -> Command:
    """Replies to commands that are done though the server has no memory left for records."""
    told = (part for command in commands for part in (len(command), *command))
    return (b"EVAL", _EVEN_IF_FULL, 0, *told)


def forget_expired(target: str, ids: Collection[int]) -> Command:
    """Takes out those hints of records that are in neither database; how many they were."""
    databases = (HOUSEKEEPING, FIRST_COPIES, FURTHER_COPIES)
    keys = (hints_key(target), *map(key_of, ids))
    return (b"EVAL", _FORGET_EXPIRED, len(keys), *keys, *databases, *ids)


def let_go(key: bytes, token: bytes) -> Command:
    """Ends a lease that is still ours."""
    return (b"EVAL", _LET_GO, 1, key, token)


def hinted_anew(old: bytes, moves: Iterable[tuple[int, list[str]]]) -> list[Command]:
    """Commands of one transaction: instead of `old`, hints name others, for each id."""
    commands: list[Command] = []
    for record_id, names in moves:
        commands += [(b"SADD", hints_key(name), record_id) for name in names]
        commands.append((b"SREM", old, record_id))
    return commands
