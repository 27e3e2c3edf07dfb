# SPDX-License-Identifier: LGPL-2.1-or-later
"""spice-source: serves a guest, and hands it and its clients to another host."""

from __future__ import annotations

from spicemig.daemons.program import DaemonOptions
from spicemig.daemons.service import Daemon


class Options(DaemonOptions):
    """The command line of spice-source."""

    daemon = "source"


def makeService(options: Options) -> Daemon:
    """The service that twistd starts; opens nothing yet."""
    return Daemon.for_twistd(options)
