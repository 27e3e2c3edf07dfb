# SPDX-License-Identifier: LGPL-2.1-or-later
"""The specification of the kernel that looks for headers; see ``_kernels/scan.h``."""

from __future__ import annotations

from spicemig.wire.framing import HEADER_FULL, HEADER_MINI

NUMBERS = 512  # that a mask can tell apart; no channel has higher ones


def scan_headers(
    data: bytes | memoryview, at: int, mini: bool, whole: int, wanted: bytes
) -> tuple[int, int, int, bool]:
    """
    Step from header to header, from the one at ``at`` to the first message whose
    number is marked in ``wanted`` (:data:`NUMBERS` bytes), or to the end. Messages
    of up to ``whole`` bytes, with their header, are stepped over if they are complete.

    Returns where that is, how many messages were stepped over, the serial of the
    last of them (0 without any, and with mini headers), and whether a wanted one
    is there. Otherwise the next header begins there: beyond the data if a larger body
    is not complete, within it if the header, or the smaller message, is not.
    """
    if len(wanted) != NUMBERS:
        raise ValueError(f"wanted: not {NUMBERS} bytes")
    if not 0 <= at <= len(data):
        raise ValueError("at: outside the data")
    if whole < 0:
        raise ValueError("whole: not a number of bytes")
    header = HEADER_MINI if mini else HEADER_FULL
    messages = serial = 0
    while at + header.size <= len(data):
        if mini:
            number, size = header.unpack_from(data, at)
            this = 0
        else:
            this, number, size, _sub_list = header.unpack_from(data, at)
        if number < NUMBERS and wanted[number]:
            return at, messages, serial, True
        if len(data) - at < header.size + size <= whole:
            break
        serial = this
        messages += 1
        at += header.size + size
    return at, messages, serial, False
