# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line that all daemons have, as twistd wants it."""

from __future__ import annotations

import os
from typing import Any

from twisted.python import usage

from spicemig.daemons.config import Settings
from spicemig.errors import ConfigError


class DaemonOptions(usage.Options):
    """Reads the settings; ``self["settings"]`` has them."""

    daemon = ""  # source, target or relay
    optParameters = [["config", "c", None, "Settings to read."]]

    def __init__(self) -> None:
        super().__init__()
        self.overrides: list[str] = []

    def opt_set(self, override: str) -> None:
        """Set an option over the file: section.option=value. May be given several times."""
        self.overrides.append(override)

    def getSynopsis(self) -> str:
        return f"Usage: twistd [-n] spice-{self.daemon} [--config FILE] [--set SECTION.OPTION=VALUE]..."

    def postOptions(self) -> None:
        # not relative: it is read again on SIGHUP, wherever twistd is by then
        self.file = os.path.abspath(self["config"] or f"/etc/spicemig/{self.daemon}.ini")
        try:
            self["settings"] = self.read_again()
        except ConfigError as error:
            raise SystemExit(f"spice-{self.daemon}: {error}") from error

    def read_again(self) -> Any:
        """The settings as they are now; raises :class:`ConfigError`."""
        return self.read_settings(self.file)

    def read_settings(self, file: str) -> Any:
        """The settings in this file and of the command line; raises :class:`ConfigError`."""
        return Settings.read(file, self.daemon, self.overrides)

    def twistd(self, name: str) -> Any:
        """An option of the twistd command that this one stands in."""
        return self.parent.get(name) if self.parent is not None else None
