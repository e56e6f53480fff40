"""The figures in four lines, for people. Pure."""

from __future__ import annotations

from .figures import Figures, PoolFigures, Rates, ShardFigures

Lines = list[tuple[str, str, bool]]  # heading, text, is it as it should be


def in_words(told: Figures) -> Lines:
    """Lines without anything to tell are left out."""
    lines: Lines = []
    if told.pools:
        full = all(pool.ready >= pool.wanted for pool in told.pools)
        lines.append(("workers", " · ".join(_pool(pool) for pool in told.pools), full))
    if told.shards:
        well = all(shard.up and not shard.copies_due for shard in told.shards)
        lines.append(("shards", " · ".join(_shard(shard) for shard in told.shards), well))
    if told.breaker is not None:
        lines.append(("breaker", told.breaker, told.breaker == "closed"))
    if told.rates is not None:
        lines.append(("rates", _rates(told.rates), not told.rates.failed))
    return lines


def _pool(pool: PoolFigures) -> str:
    text = f"{pool.program} {pool.ready} of {pool.wanted} ready"
    if pool.replaced:
        whys = ", ".join(f"{count} × {why}" for why, count in pool.replaced.items())
        text += f" (replaced: {whys})"
    return text


def _shard(shard: ShardFigures) -> str:
    text = f"{shard.shard} up" if shard.up else f"{shard.shard} does not answer"
    if shard.records is not None:
        text += f", {shard.records:,} records"
    if shard.copies_due:
        text += f", {shard.copies_due:,} copies due"
    return text


def _rates(rates: Rates) -> str:
    text = f"{rates.requests:,g} requests/s"
    if rates.requests:
        text += f", {rates.failed:,g} failed/s"
    if rates.shed:
        text += f", {rates.shed:,g} turned away/s"
    total = sum(rates.sources.values())
    if total:
        shares = (f"{name} {value / total:.0%}" for name, value in rates.sources.items() if value)
        text += f"; answers: {', '.join(shares)}; {rates.attempts / total:.1f} attempts each"
    return f"{text} (over {rates.seconds:.0f} s)"
