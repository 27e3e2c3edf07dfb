# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Drawables that a client is sent at once, many in one call.

What every client draws alike, with no image or with one that is not cached, is
framed by a kernel, images included; it goes up to the first drawable that it does
not know, and the display core does that one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from spicemig.channels import display_packing_reference as reference
from spicemig.channels.display_encoding import goes_elsewhere
from spicemig.channels.display_images import INLINE_BYTES, MAX_PADDING_BYTES, MIN_ENCODED_BYTES
from spicemig.channels.display_kernels import kernel
from spicemig.channels.display_line import DisplayLine
from spicemig.channels.display_pipe import Waiting
from spicemig.channels.display_stock import DEPTHS
from spicemig.channels.glz_dictionary import GlzDictionary, InDictionary
from spicemig.channels.tallies import DisplayTally
from spicemig.codecs.compiled import choices
from spicemig.codecs.encoders import pixels_of
from spicemig.wire.declare import Buffer

SEPARATE_BYTES = 16 * 1024  # what is larger stays a buffer of its own
# of pixels in images that are not small, encoded in one call; more of them is for other threads
BUDGET_BYTES = 1024 * 1024

_U32 = struct.Struct("<I")
_SURFACE = struct.Struct("<5I")  # id, format, depth, width, height


pack_batch = kernel(reference.pack_batch)
pack_entries = kernel(reference.pack_entries)
boxes_of_batch = kernel(reference.boxes_of_batch)
entries_of_batch = kernel(reference.entries_of_batch)


class Packed(NamedTuple):
    """Framed messages, as buffers; ``next`` is the first drawable that is not done."""

    next: int
    messages: int
    size: int
    parts: list[Buffer]
    dropped: int  # drawables that were covered by others of the batch
    own_pixels: int  # in images that went into the client's dictionary unasked


class BatchPacker:
    """Packs drawables for one display channel, and counts their images."""

    def __init__(
        self,
        dictionary: GlzDictionary,
        line: DisplayLine,
        channel_id: int,
        *,
        mini: bool,
        client_lz4: bool,
        tally: DisplayTally,
    ) -> None:
        self._dictionary = dictionary
        self._line = line
        self._channel_id = channel_id
        self._mini = mini
        self._client_lz4 = client_lz4
        self._tally = tally
        self._surfaces = b""
        self._own: InDictionary | None = None  # the last one of a call
        self.budget_bytes = BUDGET_BYTES
        self.stream_boxes = b""  # where streams are; what draws or reads there is not packed
        self.stream_pixels = 0  # images of so many on the primary surface may be of a stream; 0: none is

    def tell_surfaces(self, surfaces: Iterable[Any]) -> None:
        """These are the surfaces that the client has."""
        self._surfaces = b"".join(
            _SURFACE.pack(surface.id, surface.format, DEPTHS[surface.format], surface.width, surface.height)
            for surface in surfaces
        )

    def batch(self, batch: Any, start: int, mode: int, serial: int, room: tuple[int, int]) -> Packed:
        """
        Drawables of a batch from this one on, while there is ``room``: messages, and bytes.

        Those covered by the ones behind them, and those on surfaces that the
        client does not have, are left out. ``serial`` is that of the last message.
        """
        drawn = batch.records, batch.index, start, batch.images, self._surfaces
        return self._packed(pack_batch, drawn, mode, serial, room)

    def entries(
        self, entries: list[Any], kind: type, mode: int, serial: int, room: tuple[int, int]
    ) -> Packed:
        """The first entries of a pipe, as far as they are of this class and not pinned."""
        return self._packed(pack_entries, (entries, kind), mode, serial, room)

    def boxes(self, batch: Any, start: int) -> tuple[int, dict[int, bytes]]:
        """
        Where drawables of a batch from this one on draw: by surface, packed boxes.

        Also the place of the first one that may be a frame of a stream; it is not among them.
        """
        found: tuple[int, dict[int, bytes]] = boxes_of_batch(
            batch.records, batch.index, start, batch.images, self._surfaces, self.stream_pixels
        )
        return found

    def waiting(self, batch: Any, start: int) -> tuple[int, list[Waiting]]:
        """
        Entries for a pipe of drawables of a batch from this one on.

        Also the place of the first one that must be looked at.
        """
        drawn = batch.records, batch.index, start, batch.images, self._surfaces, self.stream_pixels
        found: tuple[int, list[Waiting]] = entries_of_batch(*drawn, Waiting.plain, batch.single)
        return found

    def _packed(
        self,
        kernel: Callable[..., Any],
        drawn: tuple[Any, ...],
        mode: int,
        serial: int,
        room: tuple[int, int],
    ) -> Packed:
        dictionary = self._dictionary
        client = (
            self._mini,
            MIN_ENCODED_BYTES,
            MAX_PADDING_BYTES,
            SEPARATE_BYTES,
            INLINE_BYTES,
            self.stream_pixels,
            self.stream_boxes,
            choices(mode, self._client_lz4),
            self._in_dictionary if dictionary.usable else None,
            dictionary.window_for(self._channel_id) if not self._line.zlib_glz else None,
        )
        try:
            packed = Packed(
                *kernel(*drawn, client, serial, *room, self.budget_bytes, self._tally.for_kernels)
            )
        except BaseException:
            dictionary.end()  # it may have what will not be sent
            raise
        if self._own is not None:
            dictionary.sent(self._own, self._channel_id, serial + packed.messages)
            self._own = None
        if packed.own_pixels:
            dictionary.went(packed.own_pixels, self._channel_id, serial + packed.messages)
        return packed

    def _in_dictionary(self, image: Any, natural_apart: bool) -> Any:
        """
        What the client's dictionary makes of an image, which is sent then.

        None if other encoders are to take it, NotImplemented if it cannot go at once.
        """
        dictionary = self._dictionary
        pixels = pixels_of(image)
        if not dictionary.takes(pixels):
            return None
        if not dictionary.free_for(self._channel_id):
            return NotImplemented
        if natural_apart and goes_elsewhere(image, pixels, dictionary):
            return None
        own = dictionary.encode(pixels, self._channel_id, deflated=self._line.zlib_glz)
        if own is None:
            return None
        self._tally.image_encoded(own.image_type, own.nanoseconds)
        self._own = own
        dictionary.sent(own, self._channel_id, 0)  # with its serial at the end of the call
        return own.image_type, [bytes(own.head) + _U32.pack(own.size), *own.parts]
