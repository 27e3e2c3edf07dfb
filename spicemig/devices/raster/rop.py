# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Raster operation descriptors as truth tables.

Source: spice-protocol, enums.h, SPICE_ROPD_*; spice-common, canvas_base.c, for what
counts when several are set. A descriptor says which inputs are inverted, which
operation joins them, and whether the result is inverted; all of these together
are one of the sixteen tables that the kernels know.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from spicemig.wire.enums import Ropd

# of several operations in one descriptor the first counts, as at the client
_OPERATIONS: tuple[tuple[Ropd, Callable[[int, int], int]], ...] = (
    (Ropd.OP_PUT, lambda source, below: source),
    (Ropd.OP_OR, lambda source, below: source | below),
    (Ropd.OP_AND, lambda source, below: source & below),
    (Ropd.OP_XOR, lambda source, below: source ^ below),
)
# these are what they are, whatever else is set
_CONSTANT = ((Ropd.OP_BLACKNESS, 0b0000), (Ropd.OP_WHITENESS, 0b1111), (Ropd.OP_INVERS, 0b0101))


@cache
def truth_table(descriptor: int, inverted_source: int, inverted_below: int = Ropd.INVERS_DEST) -> int:
    """
    The table whose bit ``2 * source + destination`` is the result.

    ``inverted_source`` is the flag that inverts what this operation draws with,
    ``INVERS_SRC`` or ``INVERS_BRUSH``; ``inverted_below`` the one for what it draws
    on. A descriptor without operation puts the source as it is.
    """
    operation = next((operation for flag, operation in _OPERATIONS if descriptor & flag), None)
    if operation is None:
        return next((table for flag, table in _CONSTANT if descriptor & flag), 0b1100)
    table = 0
    for source in (0, 1):
        for below in (0, 1):
            bit = operation(
                source ^ bool(descriptor & inverted_source), below ^ bool(descriptor & inverted_below)
            )
            bit ^= bool(descriptor & Ropd.INVERS_RES)
            table |= bit << (2 * source + below)
    return table
