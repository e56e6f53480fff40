"""Official archives that can be fetched, each pinned by its SHA-256.

The digest here decides, not one fetched from the same place as the archive. The digests were
taken from public build files that pin the same archives: a wrong one can only refuse a good
archive, never let in a bad one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """One archive for one platform.

    `commands` maps the names put into var/tools/bin to paths inside the archive's only folder.
    `size` is in bytes, None when it was not published.
    """

    name: str
    version: str
    url: str
    sha256: str
    commands: tuple[tuple[str, str], ...]
    size: int | None = None

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}"


def _prometheus(arch: str, sha256: str) -> Release:
    version = "3.11.3"
    return Release(
        "prometheus",
        version,
        f"https://github.com/prometheus/prometheus/releases/download/v{version}/"
        f"prometheus-{version}.linux-{arch}.tar.gz",
        sha256,
        (("prometheus", "prometheus"), ("promtool", "promtool")),
    )


def _grafana(arch: str, sha256: str, size: int | None = None) -> Release:
    # by build number: the archives under /oss/release/ have been rewritten after release
    version, build = "13.0.4", "29751385932"
    return Release(
        "grafana",
        version,
        f"https://dl.grafana.com/grafana/release/{version}/"
        f"grafana_{version}_{build}_linux_{arch}.tar.gz",
        sha256,
        (("grafana", "bin/grafana"),),
        size,
    )


# (name, system, machine as `uname -m` says it)
RELEASES: dict[tuple[str, str, str], Release] = {
    ("prometheus", "Linux", "x86_64"): _prometheus(
        "amd64", "9479af67673316278958cda1f39b88a09f8921084e039c65acca060d0447bb38"
    ),
    ("prometheus", "Linux", "aarch64"): _prometheus(
        "arm64", "d2ec0a96259afde955ad1560ced303cef99cac4dac676bd4dd7614d76adb708a"
    ),
    ("grafana", "Linux", "x86_64"): _grafana(
        "amd64", "cd8c8b31b0482f48f98018030c142919dab6debbe81f747f3521af6f6a6b4490", 337_697_955
    ),
    ("grafana", "Linux", "aarch64"): _grafana(
        "arm64", "bcf8b9fbfac00bece5bccdda44512b9f7ba81d3105db1a255e0efd37a2fbf6df"
    ),
}
