# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a display channel does otherwise on a slow line.

As to a line there are two questions. Is it slow, so that JPEG and deflated GLZ, which
cost time and detail, are worth their while? Is it narrow, so that what is on its way is
felt? Then pixels are painted in pieces that take it a moment each, the oldest part
first: nothing that is outdated before it is sent waits in front of them.
"""

from __future__ import annotations

from typing import Any

from spicemig.channels.bandwidth import Bandwidth
from spicemig.channels.display_bands import Band
from spicemig.channels.display_images import PackedDrawing
from spicemig.channels.display_pipe import MAX_WAITING_BYTES
from spicemig.channels.flow import Flow
from spicemig.channels.lossy_regions import LossyRegions, may_be_lossy
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import SurfaceFormat

EXACT_AFTER_SECONDS = 0.5  # without lossy images: then lossy parts are painted again
PIECE_SECONDS = 0.2  # of the line, for which pixels are painted at once
WAITING_PIECES = 2  # that may wait as drawings on a narrow line
PIXEL_BYTES = 4
MIN_PIECE_PIXELS, MAX_PIECE_PIXELS = 4096, 128 * 1024
USUAL_PIXEL_BYTES, USUAL_EXACT_PIXEL_BYTES = 0.5, 1.5  # on the line, before anything was painted
# counted for one that took less: the next ones may be other ones, photographs among them
MIN_PIXEL_BYTES, MIN_EXACT_PIXEL_BYTES = 0.2, 0.5

_LOSSY_FORMATS = frozenset((SurfaceFormat.XRGB32, SurfaceFormat.ARGB32))


class DisplayLine:
    """
    The line of one display channel: what may be sent on it, and what came there lossy.

    Without ``bandwidth`` nothing is measured and nothing bounded.
    """

    def __init__(self, settings: Any, bandwidth: Bandwidth | None) -> None:
        self.settings = settings
        self.bandwidth = bandwidth
        self.flow = None if bandwidth is None else Flow(bandwidth)
        self.lossy = LossyRegions()
        self.lossy_at = 0.0  # the last time that something lossy was sent
        self._was_narrow = False
        # that a pixel of the last bands took: of others and of exact ones
        self._pixel_bytes = {False: USUAL_PIXEL_BYTES, True: USUAL_EXACT_PIXEL_BYTES}

    @property
    def slow(self) -> bool:
        """Whether the line was measured and found slow."""
        return self.bandwidth is not None and self.bandwidth.slow

    @property
    def jpeg(self) -> bool:
        """Whether images may be sent lossy."""
        return self._used(self.settings.jpeg_wan)

    @property
    def zlib_glz(self) -> bool:
        """Whether what GLZ makes is deflated."""
        return self._used(self.settings.zlib_glz_wan)

    def _used(self, setting: str) -> bool:
        return setting == "always" or setting == "auto" and self.slow

    @property
    def narrow(self) -> bool:
        """Whether what is on its way is felt."""
        return self.flow is not None and self.flow.narrow

    @property
    def wide(self) -> bool:
        """Whether it is known that it is not felt, or nobody measures it."""
        if self.flow is None:
            return True
        bandwidth = self.flow.bandwidth
        return bandwidth.bits_per_second is not None and not bandwidth.narrow

    def became_narrow(self) -> bool:
        """Whether it is so since this was asked for the last time."""
        was, self._was_narrow = self._was_narrow, self.narrow
        return self._was_narrow and not was

    @property
    def quiet(self) -> bool:
        """Whether all that was sent has arrived."""
        return self.flow is None or self.flow.quiet

    def piece_pixels(self, *, exact: bool = False) -> int:
        """About so many pixels take the line a moment; ``exact``: after they were lossy."""
        carried = None if self.bandwidth is None else self.bandwidth.bytes_within(PIECE_SECONDS)
        if carried is None:
            return MAX_PIECE_PIXELS
        return min(max(MIN_PIECE_PIXELS, int(carried / self._pixel_bytes[exact])), MAX_PIECE_PIXELS)

    @property
    def waiting_bytes(self) -> int:
        """The most that drawings may hold while they wait; what is more is painted in pieces."""
        return WAITING_PIECES * PIXEL_BYTES * self.piece_pixels() if self.narrow else MAX_WAITING_BYTES

    def take_lossy(self) -> dict[int, list[Rect]]:
        """A piece of what is lossy, the newest first; it is to be painted without loss."""
        piece = self.lossy.parts.take_piece(self.piece_pixels(exact=True), newest=True)
        for surface, rects in piece.items():
            for rect in rects:
                self.lossy.wanted.add(surface, rect)
        return piece

    def may_be_lossy(self, drawable: Any, surface_format: int) -> bool:
        """Whether images of a drawable, or of a band, may be sent lossy now."""
        if not self.jpeg:
            return False
        if isinstance(drawable, Band):
            return not drawable.exact and surface_format in _LOSSY_FORMATS
        return may_be_lossy(drawable, surface_format)

    def sent(self, drawable: Any, packed: PackedDrawing, now: float) -> None:
        """A drawable, or a band, was sent."""
        if packed.lossy:
            self.lossy_at = now
        if not isinstance(drawable, Band):
            self.lossy.drawn(drawable, lossy=packed.lossy)
            return
        self.lossy.painted(drawable.surface, drawable.box, lossy=packed.lossy)
        taken = sum(map(len, packed.parts)) / (drawable.image.width * drawable.image.height)
        known = self._pixel_bytes[drawable.exact]
        least = MIN_PIXEL_BYTES if self.jpeg and not drawable.exact else MIN_EXACT_PIXEL_BYTES
        self._pixel_bytes[drawable.exact] = max(taken, least, (taken + known) / 2)
