# SPDX-License-Identifier: LGPL-2.1-or-later
"""What systemd is told of a daemon; sd_notify(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(*states: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send states such as ``READY=1``; whether anybody listens."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto("\n".join(states).encode(), address.replace("@", "\0", 1))
        except OSError:
            return False  # systemd will notice by itself
    return True


def watchdog_interval_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often ``WATCHDOG=1`` is to be sent: half of what systemd allows. None: it does not watch."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdigit() and int(microseconds) else None
