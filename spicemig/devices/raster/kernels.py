# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The inner loops: those in C if they were built, else their twins in Python.

The twins of one family of operations are a module ``reference_FAMILY.py``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from spicemig.devices.raster import (
    reference,
    reference_composite,
    reference_curves,
    reference_glyphs,
    reference_keyed,
    reference_lines,
    reference_log,
    reference_rops,
    reference_scale,
)

native: ModuleType | None
try:
    from spicemig import _kernels as native
except ImportError:
    native = None

PUT = 12  # the raster operation that takes the source and forgets the destination


def kernel(twin: Any) -> Any:
    """The function in C that has this twin's name; the twin itself if there is none."""
    return getattr(native, twin.__name__, twin)


fill_rect = kernel(reference.fill_rect)
copy_rect = kernel(reference.copy_rect)
move_rect = kernel(reference.move_rect)
convert_rows = kernel(reference.convert_rows)
tile_rect = kernel(reference_rops.tile_rect)
rop3_rect = kernel(reference_rops.rop3_rect)
settle_rect = kernel(reference_rops.settle_rect)
scale_part = kernel(reference_scale.scale_part)
composite = kernel(reference_composite.composite)
copy_keyed = kernel(reference_keyed.copy_keyed)
curve_points = kernel(reference_curves.curve_points)
draw_lines = kernel(reference_lines.draw_lines)
draw_dashes = kernel(reference_lines.draw_dashes)
add_glyphs = kernel(reference_glyphs.add_glyphs)
blend_mask = kernel(reference_glyphs.blend_mask)
take_batch = kernel(reference_log.take_batch)
cull_log = kernel(reference_log.cull_log)
split_log = kernel(reference_log.split_log)
renumber_log = kernel(reference_log.renumber_log)
mark_tiles = kernel(reference_log.mark_tiles)
draw_log = kernel(reference_log.draw_log)
