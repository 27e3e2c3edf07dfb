# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the cursor channel.

Source: spice.proto, CursorChannel.
"""

from spicemig.wire.declare import message, u8, u16, u64
from spicemig.wire.drawing import Cursor, Point16


@message("cursor", to="client", number=101)
class Init:
    """The cursor at the start; the cache of shapes is empty."""

    position: Point16
    trail_length: u16
    trail_frequency: u16
    visible: u8
    cursor: Cursor


@message("cursor", to="client", number=102)
class Reset:
    """No cursor, and an empty cache."""


@message("cursor", to="client", number=103)
class Set:
    """Another shape, at this position."""

    position: Point16
    visible: u8
    cursor: Cursor


@message("cursor", to="client", number=104)
class Move:
    """The cursor is here now, and visible."""

    position: Point16


@message("cursor", to="client", number=105)
class Hide:
    """The cursor is not seen."""


@message("cursor", to="client", number=106)
class Trail:
    """How the cursor's trail looks."""

    length: u16
    frequency: u16


@message("cursor", to="client", number=107)
class InvalOne:
    """Forget one shape."""

    id: u64


@message("cursor", to="client", number=108)
class InvalAll:
    """Forget all shapes."""
