# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads units of systemd, as far as tests need it; imports nothing but the standard library."""

from __future__ import annotations

from pathlib import Path

UNITS = Path(__file__).resolve().parent.parent / "systemd"


def unit_file(daemon: str, directory: Path = UNITS) -> Path:
    """The unit of one of the daemons; for several guests on a host, or for one relay."""
    return directory / ("spice-relay.service" if daemon == "relay" else f"spice-{daemon}@.service")


def values(unit: Path, key: str, instance: str = "%i") -> list[str]:
    """What a unit gives for a key, line by line, for an instance as a service of the system."""
    text = unit.read_text().replace("\\\n", " ")
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return [_meant(value, unit, instance) for name, _, value in lines if name == key]


def _meant(value: str, unit: Path, instance: str) -> str:
    full_name = unit.stem + instance if unit.stem.endswith("@") else unit.stem
    for specifier, meaning in (("%N", full_name), ("%i", instance), ("%S", "/var/lib"), ("%t", "/run")):
        value = value.replace(specifier, meaning)
    return " ".join(value.split())
