# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a host counts while it serves, as plain numbers; ``control/metrics.py`` has them read.

Channels are given the tallies of their host and add to them, so that what a
client was sent still counts when the client is gone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator

from spicemig.wire.enums import ImageType

IMAGE_TYPES = 256  # that a descriptor has room for

# upper bounds in seconds
LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
PAUSE_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Histogram:
    """How often something took how long; ``bounds`` are the most seconds of each bucket but the last."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, seconds: float) -> None:
        """It took so long."""
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Each bound, infinity at last, and how often it took no longer than that."""
        count = 0
        for bound, more in zip((*self.bounds, float("inf")), self._counts, strict=True):
            count += more
            yield bound, count


class Traffic:
    """The bytes of all channels of one type, from the link on."""

    __slots__ = ("received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0


class DisplayTally:
    """What display channels sent: images by their ``ImageType``, frames of video by ``VideoCodec``."""

    def __init__(self) -> None:
        self.images = [0] * IMAGE_TYPES
        self.image_bytes = [0] * IMAGE_TYPES  # with their descriptors and palettes
        self.image_nanoseconds = [0] * IMAGE_TYPES  # of encoding what came to be of this type
        self.frames: Counter[int] = Counter()
        self.frame_bytes: Counter[int] = Counter()
        self.frame_seconds: defaultdict[int, float] = defaultdict(float)
        self.frames_left_out: Counter[int] = Counter()

    @property
    def for_kernels(self) -> tuple[list[int], list[int], list[int]]:
        """The lists in which kernels count images: how many, bytes, nanoseconds."""
        return self.images, self.image_bytes, self.image_nanoseconds

    def image_sent(self, type: int, size: int) -> None:
        """An image went out that takes so many bytes."""
        self.images[type] += 1
        self.image_bytes[type] += size

    def image_encoded(self, type: int | None, nanoseconds: int) -> None:
        """Encoding an image took so long; ``None``: no encoder helped, and it goes out as a bitmap."""
        self.image_nanoseconds[ImageType.BITMAP if type is None else type] += nanoseconds


class HostTally:
    """All that the clients of a host are counted for."""

    def __init__(self) -> None:
        self.traffic: defaultdict[str, Traffic] = defaultdict(Traffic)  # by type of channel
        self.display = DisplayTally()
        self.latency = Histogram(LATENCY_SECONDS)
