# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reads the units in ``systemd/``, as far as tests need it.

As a program it prints how systemd would start one: ``python tests/units.py source win``.
"""

from __future__ import annotations

import sys
from pathlib import Path

UNITS = Path(__file__).resolve().parent.parent / "systemd"


def unit_file(daemon: str) -> Path:
    """The unit of one of the daemons; for several guests on a host, or for one relay."""
    return UNITS / ("spice-relay.service" if daemon == "relay" else f"spice-{daemon}@.service")


def values(unit: Path, key: str) -> list[str]:
    """What a unit gives for a key, line by line."""
    text = unit.read_text().replace("\\\n", " ")
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return [value.strip() for name, _, value in lines if name == key]


def command_line(daemon: str, instance: str) -> str:
    """``ExecStart`` for an instance, with the directories that services of the system have."""
    (line,) = values(unit_file(daemon), "ExecStart")
    for specifier, meaning in (("%i", instance), ("%S", "/var/lib"), ("%t", "/run")):
        line = line.replace(specifier, meaning)
    return " ".join(line.split())


if __name__ == "__main__":
    print(command_line(*sys.argv[1:3]))
