# SPDX-License-Identifier: LGPL-2.1-or-later
"""spice-target: waits for a guest and its clients, then is what the source was."""

from __future__ import annotations

from spicemig.daemons.program import DaemonOptions
from spicemig.daemons.service import Daemon


class Options(DaemonOptions):
    """The command line of spice-target."""

    daemon = "target"


def makeService(options: Options) -> Daemon:
    """The service that twistd starts; opens nothing yet."""
    return Daemon.for_twistd(options)
