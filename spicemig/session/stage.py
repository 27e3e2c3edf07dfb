# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a host is doing with its guest."""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """What the host is doing."""

    EMPTY = "empty"  # no guest; one may arrive
    SERVING = "serving"
    FROZEN = "frozen"  # the guest stands still, to be handed over or to go on
    GIVEN = "given"  # another host owns the guest; clients are being sent there
    ARRIVING = "arriving"  # a guest and its clients are on their way
