# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How much memory a QXL card has, and which sizes of the screen old drivers may choose.

Source: qxl.c of QEMU 7.2 for the modes.
"""

from __future__ import annotations

from dataclasses import dataclass

from spicemig.devices.guest_layout import RAM_HEADER_BYTES, GuestMode
from spicemig.devices.memory import PAGE

LARGEST_BAR = 256 << 20  # bytes

SIZES = (
    (640, 480), (800, 480), (800, 600), (832, 624), (960, 640), (1024, 600), (1024, 768), (1152, 864),
    (1152, 870), (1280, 720), (1280, 760), (1280, 768), (1280, 800), (1280, 960), (1280, 1024), (1360, 768),
    (1366, 768), (1400, 1050), (1440, 900), (1600, 900), (1600, 1200), (1680, 1050), (1920, 1080),
    (1920, 1200), (1920, 1440), (2000, 2000), (2048, 1536), (2048, 2048), (2560, 1440), (2560, 1600),
    (2560, 2048), (2800, 2100), (3200, 2400), (3840, 2160), (4096, 2160), (7680, 4320), (8192, 4320),
)  # fmt: skip
"""The modes, each in 16 and 32 bits, upright and turned."""

_PIXEL_MILLIMETRES = 0.2936875


@dataclass(frozen=True, slots=True)
class CardSize:
    """How much memory a card has; ``surface0_bytes`` of the RAM are for the primary surface."""

    ram_bytes: int = 64 << 20
    vram_bytes: int = 64 << 20
    surface0_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        for size in (self.ram_bytes, self.vram_bytes, self.surface0_bytes):
            if not 0 < size <= LARGEST_BAR or size % PAGE:
                raise ValueError(f"{size} is not a possible size of device memory")
        if self.surface0_bytes + RAM_HEADER_BYTES > self.ram_bytes:
            raise ValueError("the RAM is too small for the primary surface")


def modes_of(size: CardSize) -> list[GuestMode]:
    """The modes whose pictures fit into the memory of the primary surface."""
    modes = []
    for index, (width, height) in enumerate(SIZES):
        for turned in range(2):
            for deep in range(2):
                bits = (16, 32)[deep]
                stride = width * bits // 8
                if height * stride <= size.surface0_bytes:
                    millimetres = int(_PIXEL_MILLIMETRES * width), int(_PIXEL_MILLIMETRES * height)
                    number = 4 * index + 2 * turned + deep
                    modes.append(GuestMode(number, width, height, bits, stride, *millimetres, turned))
    return modes
