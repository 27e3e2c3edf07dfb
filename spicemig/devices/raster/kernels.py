# SPDX-License-Identifier: LGPL-2.1-or-later
"""The inner loops: those in C if they were built, else their twins in Python."""

from __future__ import annotations

from types import ModuleType

from spicemig.devices.raster import reference

try:
    from spicemig import _kernels
except ImportError:
    kernels: ModuleType = reference
else:
    kernels = _kernels

PUT = 12  # the raster operation that takes the source and forgets the destination

fill_rect = kernels.fill_rect
copy_rect = kernels.copy_rect
move_rect = kernels.move_rect
scale_nearest = kernels.scale_nearest
convert_rows = kernels.convert_rows

__all__ = ["PUT", "convert_rows", "copy_rect", "fill_rect", "kernels", "move_rect", "scale_nearest"]
