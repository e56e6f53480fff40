"""What the numbers of a machine mean for this stack. Pure; None stands for "no limit" or, where
the system does not tell a number, for "not known"."""

from __future__ import annotations

from .finding import Finding

BACKLOG = 4096  # what the pools ask for (workers/settings.py)
# 16,384 clients, a backend's connection for each of 1,024 requests, and the rest
DESCRIPTORS, LEAST_DESCRIPTORS = 17_600, 1024
MB = 1_000_000
# Logs and the two shards, of 512 MB each, with their files rewritten
DISK_BYTES, LEAST_DISK_BYTES = 3_000 * MB, 300 * MB
MEMORY_BYTES, LEAST_MEMORY_BYTES = 1_000 * MB, 250 * MB


def open_files(hard: int | None) -> Finding:
    """Programs raise the soft limit themselves, as far as the hard one lets them."""
    if hard is None or hard >= DESCRIPTORS:
        return Finding("open files", "ok", "no limit" if hard is None else f"up to {hard:,}")
    fix = f"ulimit -Hn {DESCRIPTORS} as root, or LimitNOFILE={DESCRIPTORS} in the service unit"
    if hard >= LEAST_DESCRIPTORS:
        seen = f"{hard:,} at most: the balancer takes fewer than its 16,384 connections"
        return Finding("open files", "note", seen, fix)
    return Finding("open files", "problem", f"{hard:,} at most are too few", fix)


def accept_queue(somaxconn: int | None) -> Finding:
    if somaxconn is None:
        return Finding("accept queue", "ok", "its limit is not known here")
    if somaxconn >= BACKLOG:
        return Finding("accept queue", "ok", f"somaxconn {somaxconn}")
    seen = f"somaxconn {somaxconn}: bursts of more connections at once are refused"
    return Finding("accept queue", "note", seen, f"sudo sysctl -w net.core.somaxconn={BACKLOG}")


def overcommit(mode: int | None) -> Finding:
    """redis-server forks to rewrite its file; the kernel may refuse the copy of its memory that
    is never made. https://redis.io/docs/latest/develop/get-started/faq/"""
    if mode not in {0, 2}:
        return Finding("overcommit", "ok", "not known here" if mode is None else "memory is given")
    seen = (
        f"vm.overcommit_memory {mode}: redis may be unable to rewrite its file when memory is low"
    )
    return Finding("overcommit", "note", seen, "sudo sysctl -w vm.overcommit_memory=1")


def disk(free: int, folder: str) -> Finding:
    seen = f"{size(free)} free in {folder}"
    if free >= DISK_BYTES:
        return Finding("disk", "ok", seen)
    fix = f"free some, or move the project; the shards and logs want {size(DISK_BYTES)}"
    return Finding("disk", "note" if free >= LEAST_DISK_BYTES else "problem", seen, fix)


def memory(available: int) -> Finding:
    seen = f"{size(available)} available"
    if available >= MEMORY_BYTES:
        return Finding("memory", "ok", seen)
    fix = "end other programs, or fewer workers: APP_WORKERS=1 make up"
    return Finding("memory", "note" if available >= LEAST_MEMORY_BYTES else "problem", seen, fix)


def size(number: float) -> str:
    """`812 MB`, `24.5 GB`."""
    return f"{number / MB:.0f} MB" if number < 1000 * MB else f"{number / 1000 / MB:.1f} GB"
