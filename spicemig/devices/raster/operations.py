# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which function draws which display message.

An operation is called with the surface to draw on, the message, and all surfaces
by id, whose pixels are current. It raises ``ValueError`` for a message that cannot
be drawn. A family of operations is a module of its own, whose table goes in here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.raster import alpha, composite, copy, fill, rop3, stroke, text, transparent
from spicemig.devices.surfaces import Surface

Operation = Callable[[Surface, Any, Mapping[int, Surface]], None]

OPERATIONS: dict[type, Operation] = {
    **fill.OPERATIONS,
    **copy.OPERATIONS,
    **rop3.OPERATIONS,
    **stroke.OPERATIONS,
    **text.OPERATIONS,
    **transparent.OPERATIONS,
    **alpha.OPERATIONS,
    **composite.OPERATIONS,
}
