# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The GLZ dictionary of a client: the window of images that its display channels refer back to.

Every image that is encoded gets the next id and is in the client's window once
the client has decoded it. So whatever is encoded must be sent, in the order of
the ids: clients wait for an image that another one refers to, and forget old ones
only up to the first id that did not come. If that cannot be kept (a channel is
gone with an image that was encoded for it), the dictionary ends and its client's
images go out in other encodings from then on.

Source: spice-server 0.15.1, glz-encoder-dict.c and dcc.cpp; spice-gtk 0.42,
decode-glz.c and spice-session.c: one window for all display channels, its first
id is 0, emptied whenever a client connects from scratch.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from threading import Lock
from time import perf_counter_ns
from typing import Annotated, Any

from spicemig.channels.pixmap_cache import MAX_CHANNELS, CacheUse
from spicemig.codecs.encoders import Encoded
from spicemig.codecs.glz import GlzWindow, deflate
from spicemig.codecs.pixels import Pixels
from spicemig.codecs.sketch import Sketch
from spicemig.errors import LinkError, ProtocolError
from spicemig.state import carried, session_state
from spicemig.wire.declare import Counted, u8, u32, u64
from spicemig.wire.enums import ImageType

MAX_WINDOW_PIXELS = 16 << 20  # kept per client, whatever it asks for: 64 MiB, the most of spice-gtk
MIN_WINDOW_PIXELS = 1 << 12  # with less, nothing would ever be found
HIT_SHARE = 0.4  # of the places that a probe looks at: with more, the window makes an image small
NEARLY_SHARE = 0.75  # with more it makes even a photograph smaller than JPEG does
ELSEWHERE_PIXELS = 4 << 20  # remembered of images that went out without it
ELSEWHERE_SHARE = 0.8  # of an image that must be among them to be worth a place in the window


_U32 = struct.Struct("<I")


@session_state(magic=b"GLZD", version=1)
class GlzDictionaryState:
    """The dictionary as it travels; what is in the window goes ahead, image by image."""

    dictionary_id: u8 = carried(default=0)
    size: u32 = carried(default=0)  # in pixels; 0: no display channel has said it yet
    ended: u8 = carried(default=0)
    next_id: u64 = carried(default=0)
    oldest_id: u64 = carried(default=0)  # the first image that is in the window
    uses: Annotated[list[CacheUse], Counted(u8)] = carried(factory=list)  # last message with an image


@dataclass(frozen=True, slots=True)
class InDictionary(Encoded):
    """An image that one client's dictionary has under an id; it must be sent."""

    image_id: int = 0
    nanoseconds: int = 0  # that encoding it took


class GlzDictionary:
    """
    One client's dictionary, shared by its display channels.

    Nothing is thread-safe but :meth:`encode`.
    """

    def __init__(self) -> None:
        self.dictionary_id = 0
        self.size = 0
        self.window: GlzWindow | None = None
        self.ended = False
        self.busy = False  # whether a thread encodes for it
        self.pixels_ever = 0  # that were in the window
        self._lock = Lock()
        self._elsewhere: Sketch | None = None  # of images that went out without it, to know them again
        self._unsent: dict[int, int] = {}  # image id: channel that is to send it, in order
        self._sent: dict[int, int] = {}  # channel: serial of its last message with an image
        self._awaited: dict[tuple[int, int], int] = {}  # (channel, other): serial that was waited for

    @property
    def usable(self) -> bool:
        """Whether images may be encoded with it."""
        return self.window is not None and not self.ended

    @property
    def about_bytes(self) -> int:
        """What its window takes, within an image or so; a thread that encodes is not waited for."""
        return 4 * min(self.pixels_ever, self.size) if self.usable else 0

    @property
    def next_id(self) -> int:
        """The id of the image that is encoded next."""
        return self.window.next_id if self.window is not None else 0

    def open(self, dictionary_id: int, pixels: int) -> None:
        """A display channel says which dictionary it uses and how large it is; the first one decides."""
        if self.size:
            if dictionary_id != self.dictionary_id:
                raise ProtocolError(LinkError.INVALID_DATA, "a client has one GLZ dictionary")
        elif pixels >= MIN_WINDOW_PIXELS:
            self.dictionary_id, self.size = dictionary_id, min(pixels, MAX_WINDOW_PIXELS)
            self.window = GlzWindow(self.size)

    def end(self) -> None:
        """Encode nothing more; the client's window is left to itself."""
        self.ended = True
        self.window = self._elsewhere = None
        self._unsent.clear()

    # encoding and sending

    def takes(self, pixels: Pixels) -> bool:
        """Whether an image may be encoded with it."""
        window = self.window
        return window is not None and window.takes(pixels)

    def knows(self, pixels: Pixels) -> bool:
        """Whether much of an image is in the window already, or was :meth:`seen_elsewhere` before."""
        elsewhere, window = self._elsewhere, self.window
        if elsewhere is not None and elsewhere.share(pixels) > ELSEWHERE_SHARE:
            return True
        return window is not None and window.probe(pixels) > HIT_SHARE

    def has_nearly(self, pixels: Pixels) -> bool:
        """Whether nearly all of an image is in the window."""
        window = self.window
        return window is not None and window.probe(pixels) > NEARLY_SHARE

    def seen_elsewhere(self, pixels: Pixels) -> None:
        """
        An image goes out without it, in which case none of the next ones can refer to it.

        If the like of it comes again, that is worth a place in the window.
        """
        if self._elsewhere is None:
            self._elsewhere = Sketch(ELSEWHERE_PIXELS)
        self._elsewhere.add(pixels)

    def encode(self, pixels: Pixels, channel_id: int, *, deflated: bool = False) -> InDictionary | None:
        """
        Encode an image that this channel will send, ``deflated`` if that helps; None if
        the dictionary has ended.

        May be called in any thread. After an error the dictionary has ended.
        """
        with self._lock:
            window = self.window
            if window is None:
                return None
            image_id = window.next_id
            began = perf_counter_ns()
            try:
                parts = window.encode(pixels)
            except BaseException:
                self.end()
                raise
            self._unsent[image_id] = channel_id
            self.pixels_ever += pixels.width * pixels.height
        size = sum(map(len, parts))
        if deflated:
            _size, packed = deflate(parts)
            if len(packed) + _U32.size < size:
                head = _U32.pack(size)
                took = perf_counter_ns() - began
                return InDictionary(
                    ImageType.ZLIB_GLZ_RGB, [packed], len(packed), False, head, image_id, took
                )
        took = perf_counter_ns() - began
        return InDictionary(ImageType.GLZ_RGB, parts, size, False, image_id=image_id, nanoseconds=took)

    def free_for(self, channel_id: int) -> bool:
        """Whether what this channel encodes now can be sent next, and without telling the client to wait."""
        return not self.busy and not self._unsent and self._sent.keys() <= {channel_id}

    def window_for(self, channel_id: int) -> Any:
        """
        The window, for a kernel that encodes images which this channel sends next; tell
        :meth:`went` of them. None while the dictionary must be asked for each.
        """
        window = self.window
        return window.for_kernels if window is not None and self.free_for(channel_id) else None

    def went(self, pixels: int, channel_id: int, serial: int) -> None:
        """Images of so many pixels went into that window; none is in a message after this serial."""
        self.pixels_ever += pixels
        self._sent[channel_id] = serial

    @property
    def progress(self) -> tuple[int, bool]:
        """Changes whenever an image was sent or a thread came to its end: others may go on then."""
        first = self._first_unsent()
        return self.next_id if first is None else first, self.busy

    def turn_of(self, image: InDictionary) -> bool:
        """Whether an image is the next to be sent, by any channel."""
        return self._first_unsent() == image.image_id

    def _first_unsent(self) -> int | None:
        return next(iter(list(self._unsent)), None)  # of a copy: a thread may add to it

    def sent(self, image: InDictionary, channel_id: int, serial: int) -> None:
        """A message with this image went out."""
        self._unsent.pop(image.image_id, None)
        self._sent[channel_id] = serial

    def awaited_by(self, channel_id: int) -> list[tuple[int, int]]:
        """
        The (channel, serial) of other channels' images that a channel may refer to from now
        on and whose client was not told to wait for; it counts as told.
        """
        if self._sent.keys() <= {channel_id}:
            return []
        waits = []
        for other, serial in sorted(self._sent.items()):
            if other != channel_id and self._awaited.get((channel_id, other), 0) < serial:
                self._awaited[channel_id, other] = serial
                waits.append((other, serial))
        return waits

    def channel_gone(self, channel_id: int, last: bool) -> None:
        """A display channel is gone; ``last``: the client has no other one."""
        if last or channel_id in list(self._unsent.values()):
            self.end()

    # moving

    def export_state(self) -> bytes:
        """Everything but the images in the window."""
        window = self.window
        state: Any = GlzDictionaryState(
            dictionary_id=self.dictionary_id,
            size=self.size,
            # what was encoded and never sent, the client would wait for
            ended=int(self.ended or bool(self._unsent)),
            next_id=window.next_id if window is not None else 0,
            oldest_id=window.oldest_id if window is not None else 0,
            uses=[CacheUse(channel_id=channel, serial=serial) for channel, serial in self._sent.items()],
        )
        return state.export_state()

    def restore_from(self, data: bytes, contents: GlzWindow | None = None) -> None:
        """
        Become what a source's dictionary was, with the window whose images came ahead.

        If they are not all that the source had, no image refers back to them. Raises
        ``ProtocolError`` and stays as it is if the state is impossible.
        """
        kind: Any = GlzDictionaryState
        state = kind.restore(data)
        possible = state.size == 0 or MIN_WINDOW_PIXELS <= state.size <= MAX_WINDOW_PIXELS
        channels = {use.channel_id for use in state.uses}
        if (
            not possible
            or state.oldest_id > state.next_id
            or len(channels) != len(state.uses)
            or len(channels) > MAX_CHANNELS
        ):
            raise ProtocolError(LinkError.INVALID_DATA, "an impossible GLZ dictionary")
        self.dictionary_id, self.size = state.dictionary_id, state.size
        self._sent = {use.channel_id: use.serial for use in state.uses}
        self._awaited = {}
        self._unsent = {}
        self.ended, self.window = bool(state.ended), None
        if self.size and not self.ended:
            if contents is None or (contents.size, contents.next_id) != (state.size, state.next_id):
                contents = GlzWindow(state.size, state.next_id)
            contents.forget(state.oldest_id)  # the client has
            self.window = contents
        self.pixels_ever = self.window.taken if self.window is not None else 0
