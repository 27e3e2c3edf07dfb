# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The images that a client keeps, shared by all its display channels.

The client asks for a size in pixels and keeps what it is told to; the server
knows what is there and says what goes. An image is refused rather than counted
twice: spice-gtk counts references, and one that is put again would never leave.

Source: spice-server 0.15.1, pixmap-cache.cpp and dcc-send.cpp; spice-gtk 0.42,
spice-channel-cache.h.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Annotated, Any

from spicemig.errors import LinkError, ProtocolError
from spicemig.state import carried, session_state
from spicemig.wire.declare import Counted, i64, record, u8, u32, u64

MAX_IMAGES = 32768  # ids kept per client, whatever size it asks for
MAX_CHANNELS = 4  # display channels that may share a cache; MAX_CACHE_CLIENTS of spice-server


@record
class CacheUse:
    """The last message of a display channel that needs a cached image."""

    channel_id: u8
    serial: u64


@record
class CachedImage:
    """An image that the client keeps."""

    id: u64
    pixels: u32
    lossy: u8
    uses: Annotated[list[CacheUse], Counted(u8)]


@session_state(magic=b"PXMP", version=1)
class PixmapCacheState:
    """The pixmap cache as it travels; spice-server hands over an empty one."""

    cache_id: u8 = carried(default=0)
    size: i64 = carried(default=-1)  # in pixels, -1: no display channel has said it yet
    images: Annotated[list[CachedImage], Counted(u32)] = carried(factory=list)  # least recently used first


class PixmapCache:
    """Which images the client has; see :class:`PixmapCacheState` for what is carried."""

    def __init__(self) -> None:
        self.cache_id = 0
        self.size = -1
        self.available = 0
        self._images: OrderedDict[int, CachedImage] = OrderedDict()

    def __len__(self) -> int:
        return len(self._images)

    def __contains__(self, identity: int) -> bool:
        return identity in self._images

    def ids(self) -> list[int]:
        """All images at the client, the least recently used first."""
        return list(self._images)

    def open(self, cache_id: int, size: int) -> None:
        """A display channel says which cache it uses and how large it is; the first one decides."""
        if self.size < 0:
            self.cache_id, self.size = cache_id, max(0, size)
            self.available = self.size
        elif cache_id != self.cache_id:
            raise ProtocolError(LinkError.INVALID_DATA, "a client has one pixmap cache")

    def clear(self) -> None:
        """Nothing is at the client any more; it may ask for another size."""
        self._images.clear()
        self.size = -1
        self.available = 0

    @property
    def pixels(self) -> int:
        """How many pixels its images have."""
        return max(0, self.size) - self.available

    def find(self, identity: int) -> CachedImage | None:
        """The image if the client has it; it counts as used now."""
        image = self._images.get(identity)
        if image is not None:
            self._images.move_to_end(identity)
        return image

    def add(
        self, identity: int, pixels: int, *, lossy: bool, keep: Collection[int]
    ) -> list[CachedImage] | None:
        """
        Make room for an image that the client does not have, and count it as there.

        Returns the images that the client must drop first. Those in ``keep`` are
        not among them; if there is no room without them, nothing changes and
        None is returned.
        """
        assert identity not in self._images
        evicted: list[CachedImage] = []
        room, count = self.available, len(self._images)
        if pixels > self.size:
            return None
        if room < pixels or count >= MAX_IMAGES:
            for image in self._images.values():
                if image.id in keep:
                    continue
                evicted.append(image)
                room, count = room + image.pixels, count - 1
                if room >= pixels and count < MAX_IMAGES:
                    break
            else:
                return None
        for image in evicted:
            del self._images[image.id]
        self.available = room - pixels
        self._images[identity] = CachedImage(id=identity, pixels=pixels, lossy=int(lossy), uses=[])
        return evicted

    def used(self, identities: Iterable[int], channel_id: int, serial: int) -> None:
        """A message of a display channel that needs these images went out."""
        for identity in identities:
            image = self._images.get(identity)
            if image is None:
                continue
            for use in image.uses:
                if use.channel_id == channel_id:
                    use.serial = serial
                    break
            else:
                image.uses.append(CacheUse(channel_id=channel_id, serial=serial))

    def export_state(self) -> bytes:
        """Everything, for the target."""
        state: Any = PixmapCacheState(
            cache_id=self.cache_id, size=self.size, images=list(self._images.values())
        )
        return state.export_state()

    def restore_from(self, data: bytes) -> None:
        """Become what a source's cache was; raises ``WireError`` and stays as it is if that is impossible."""
        kind: Any = PixmapCacheState
        state = kind.restore(data)
        images = OrderedDict((image.id, image) for image in state.images)
        taken = sum(image.pixels for image in images.values())
        if len(images) != len(state.images) or len(images) > MAX_IMAGES or taken > max(0, state.size):
            raise ProtocolError(LinkError.INVALID_DATA, "an impossible pixmap cache")
        self.cache_id, self.size = state.cache_id, state.size
        self.available = max(0, state.size) - taken
        self._images = images

    @classmethod
    def restore(cls, data: bytes) -> "PixmapCache":
        """A cache that is what a source's was."""
        cache = cls()
        cache.restore_from(data)
        return cache
