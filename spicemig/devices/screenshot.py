# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures of surfaces for people: PNG without alpha."""

from __future__ import annotations

from io import BytesIO

from spicemig.devices.surfaces import Surface


def png(surface: Surface) -> bytes:
    """
    A PNG of what this surface shows, as RGB.

    Give it what the device's ``render`` returns; commands that wait are not drawn here.
    """
    file = BytesIO()
    surface.image().convert("RGB").save(file, "PNG")
    return file.getvalue()
