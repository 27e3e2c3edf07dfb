# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Raster operation descriptors as truth tables.

Source: spice-protocol, enums.h, SPICE_ROPD_*. A descriptor says which inputs are
inverted, which operation joins them, and whether the result is inverted; all of
these together are one of the sixteen tables that the kernels know.
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
    (Ropd.OP_BLACKNESS, lambda source, below: 0),
    (Ropd.OP_WHITENESS, lambda source, below: 1),
    (Ropd.OP_INVERS, lambda source, below: 1 - below),
)


@cache
def truth_table(descriptor: int, inverted_source: int) -> int:
    """
    The table whose bit ``2 * source + destination`` is the result.

    ``inverted_source`` is the flag that inverts what this operation draws with:
    ``INVERS_SRC`` or ``INVERS_BRUSH``. A descriptor without operation puts.
    """
    operation = next((make for flag, make in _OPERATIONS if descriptor & flag), _OPERATIONS[0][1])
    table = 0
    for source in (0, 1):
        for below in (0, 1):
            bit = operation(
                source ^ bool(descriptor & inverted_source),
                below ^ bool(descriptor & Ropd.INVERS_DEST),
            )
            bit ^= bool(descriptor & Ropd.INVERS_RES)
            table |= bit << (2 * source + below)
    return table
