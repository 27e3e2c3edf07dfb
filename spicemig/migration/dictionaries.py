# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The windows of clients' GLZ dictionaries on their way to the target.

An image in a window never changes, so each is sent once: those that are there ahead
of the pause, those that were encoded meanwhile in it. A window is rebuilt from them
in order, and what the source's has forgotten, the target's forgets by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from spicemig.channels.glz_dictionary import MAX_WINDOW_PIXELS
from spicemig.codecs.glz import FORMATS, GlzImage
from spicemig.codecs.pixels import row_bytes
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.messages.migration import CHUNK_BYTES, DictionaryBlock

PIXEL_BYTES = 4  # at most, for the estimate of what is not sent yet


@dataclass(slots=True, eq=False)
class _Window:
    """How far a client's window has been sent."""

    next_id: int = 0
    last_id: int = -1  # of what is to be sent in this round
    pixels: int = 0  # sent, or forgotten before they were


class OutgoingImages:
    """
    What of the windows was not sent yet.

    ``dictionaries()`` gives those that are to go, as (connection id, ``GlzDictionary``).
    """

    def __init__(self, dictionaries: Callable[[], Iterable[tuple[int, Any]]]) -> None:
        self._dictionaries = dictionaries
        self._sent: dict[int, _Window] = {}

    def _each(self) -> Iterator[tuple[int, Any, _Window]]:
        for connection_id, dictionary in self._dictionaries():
            if dictionary.usable:
                yield connection_id, dictionary, self._sent.setdefault(connection_id, _Window())

    def waiting_bytes(self) -> int:
        """How much would have to be sent now, at most."""
        pixels = (
            min(dictionary.window.taken, dictionary.pixels_ever - sent.pixels)
            for _id, dictionary, sent in self._each()
        )
        return PIXEL_BYTES * sum(pixels)

    def begin_round(self) -> None:
        """What is there by now is to be sent."""
        for _id, dictionary, sent in self._each():
            sent.last_id = dictionary.next_id - 1

    def next_blocks(self) -> list[DictionaryBlock]:
        """The next image of this round in pieces; nothing if none is left."""
        for connection_id, dictionary, sent in self._each():
            if sent.next_id > sent.last_id:
                continue
            window = dictionary.window
            image = next(window.images(sent.next_id), None)
            if image is None or image.id > sent.last_id:  # those before it were forgotten
                sent.next_id = sent.last_id + 1
                continue
            sent.pixels += image.width * image.height
            if image.id == window.next_id - 1:
                sent.pixels = dictionary.pixels_ever
            sent.next_id = image.id + 1
            return list(_pieces(connection_id, window.size, image))
        return []


def _pieces(connection_id: int, size: int, image: GlzImage) -> Iterator[DictionaryBlock]:
    data = memoryview(image.data)
    for first in range(0, len(data), CHUNK_BYTES):
        yield DictionaryBlock(
            connection_id=connection_id,
            window_pixels=size,
            image_id=image.id,
            format=image.format,
            width=image.width,
            height=image.height,
            first=first,
            data=data[first : first + CHUNK_BYTES],
        )


@dataclass(slots=True, eq=False)
class IncomingImages:
    """Puts images together; ``put(connection id, pixels of the window, image)`` gets them whole."""

    put: Callable[[int, int, GlzImage], None]
    _begun: dict[int, bytearray] = field(default_factory=dict)  # by connection id

    def take(self, block: DictionaryBlock) -> None:
        """A piece; raises ``ProtocolError`` if it is not the next one of a possible image."""
        pixels = block.width * block.height
        if block.format not in FORMATS or not pixels <= block.window_pixels <= MAX_WINDOW_PIXELS:
            raise ProtocolError(LinkError.INVALID_DATA, "an image that no dictionary holds")
        size = row_bytes(block.format, block.width) * block.height
        data: Any = self._begun.setdefault(block.connection_id, bytearray())
        if block.first != len(data) or not 0 < len(block.data) <= size - len(data):
            raise ProtocolError(LinkError.INVALID_DATA, "a piece of an image out of its place")
        data += block.data
        if len(data) == size:
            del self._begun[block.connection_id]
            image = GlzImage(block.image_id, block.format, block.width, block.height, bytes(data))
            self.put(block.connection_id, block.window_pixels, image)
