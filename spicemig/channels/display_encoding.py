# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which images of a display pipe are encoded when, and where: in threads, or as they are packed.

Encodings that all clients share are made in any order, by several threads. What the
client's own GLZ dictionary takes is encoded in the order of the pipe, by one
thread at a time: a :class:`GlzRun` is several images, as a hop to a thread costs more
than a small one. A drawing whose image the dictionary has is pinned: it must be sent.

Source: which drawings decode their image in every case, canvas_base.c of spice-gtk
0.42 (an image that the client does not decode would be missing in its window).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from spicemig.channels.display_images import HIGH_BITS_SET, INLINE_BYTES, ImagePacker
from spicemig.channels.display_line import DisplayLine
from spicemig.channels.display_pipe import DisplayPipe, Waiting
from spicemig.channels.glz_dictionary import GlzDictionary, InDictionary
from spicemig.codecs.encoders import (
    GLZ,
    Encoded,
    Encoding,
    image_is_apart,
    image_is_natural,
    is_lossy,
    pixels_of,
)
from spicemig.codecs.pixels import Pixels

LOOKAHEAD = 8  # waiting drawables whose images may be encoded before it is their turn
RUN_DRAWABLES = 32  # waiting drawables that a run takes its images from; so many may be pinned
RUN_BYTES = 2 << 20  # of pixels after which a run takes no further image

# with one image; the numbers of their messages. Text and lines may never look at their pattern.
DRAW_OPAQUE, DRAW_COPY, DRAW_BLEND, DRAW_TRANSPARENT, DRAW_ALPHA_BLEND = 303, 304, 305, 312, 313
DECODED = frozenset((DRAW_OPAQUE, DRAW_COPY, DRAW_BLEND, DRAW_TRANSPARENT, DRAW_ALPHA_BLEND))


@dataclass(frozen=True, slots=True, eq=False)
class EncodeJob:
    """Work for a thread: an image that is too large to encode in between."""

    encoding: Encoding

    def run(self) -> Encoded | None:
        """Encode it; may be called in any thread and touches nothing else."""
        return self.encoding.make()


def goes_elsewhere(image: Any, pixels: Pixels, dictionary: GlzDictionary, *, lossy: bool = False) -> bool:
    """
    Whether an image is for the encoders that a mode names before GLZ, of which the first may
    be ``lossy``; the dictionary notes it then.

    Photographs are, unless the like of them was sent before; lossy, that is less than GLZ makes
    of them, unless nearly all is there.
    """
    if lossy:
        return image_is_apart(image, lossy=True) and not dictionary.has_nearly(pixels)
    if len(image.data) < INLINE_BYTES:  # what is quicker is looked at first
        elsewhere = image_is_natural(image) and not dictionary.knows(pixels)
    else:
        elsewhere = not dictionary.knows(pixels) and image_is_natural(image)
    if elsewhere:
        dictionary.seen_elsewhere(pixels)
    return elsewhere


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """An image that the dictionary takes if it is not better off with the encoders named before GLZ."""

    entry: Waiting
    image: Any
    names: tuple[str, ...]
    deflated: bool  # on a slow line

    def make(self, dictionary: GlzDictionary, channel_id: int) -> InDictionary | None:
        """Decide, and encode it; None if other encoders are to take it."""
        pixels = pixels_of(self.image)
        lossy = is_lossy(self.names[0])
        if self.names[0] != GLZ and goes_elsewhere(self.image, pixels, dictionary, lossy=lossy):
            return None
        return dictionary.encode(pixels, channel_id, deflated=self.deflated)


class GlzRun:
    """Work for a thread: images for the dictionary, in the order in which they will be sent."""

    def __init__(self, dictionary: GlzDictionary, channel_id: int, choices: list[Choice]) -> None:
        self.dictionary = dictionary
        self.channel_id = channel_id
        self.choices = choices
        self.made: list[InDictionary | None] = []
        self._lock = Lock()

    def run(self) -> None:
        """Encode them, once; may be called in any thread, and waits for another one that is at it."""
        with self._lock:
            for choice in self.choices[len(self.made) :]:
                self.made.append(choice.make(self.dictionary, self.channel_id))


Job = EncodeJob | GlzRun


class ImageEncoders:
    """Sees to the images of one display channel's pipe; ``packer`` is what packs them."""

    def __init__(
        self,
        pipe: DisplayPipe,
        packer: ImagePacker,
        dictionary: GlzDictionary,
        line: DisplayLine,
        channel_id: int,
    ) -> None:
        self.pipe = pipe
        self.packer = packer
        self.dictionary = dictionary
        self.line = line
        self.channel_id = channel_id
        self._under_way: set[Encoding] = set()
        self._run: GlzRun | None = None
        self._pinned = 0  # drawings in the pipe that the dictionary has, or is about to have

    @property
    def under_way(self) -> int:
        """How many jobs are with threads."""
        return len(self._under_way) + (self._run is not None)

    def jobs(self, mode: int, may_be_lossy: Callable[[Any], bool]) -> Iterator[Job]:
        """Work for threads, so that what stands first in the pipe can be sent."""
        entries = self.pipe.entries
        choices: list[Choice] = []
        brought: set[int] = set()
        after = self._last_pinned()
        size = 0
        for index, entry in enumerate(entries[:RUN_DRAWABLES]):
            if not isinstance(entry, Waiting) or entry.pinned or entry.stream is not None:
                continue
            lossy = may_be_lossy(entry.drawable)
            for choice, encoding in self._wanted(entry, mode, lossy, may_own=index > after):
                if choice is not None:
                    # an image that the client is about to keep need not be encoded again
                    if size < RUN_BYTES and choice.image.id not in brought and not self.dictionary.busy:
                        choices.append(choice)
                        size += len(choice.image.data)
                    if choice.image.id:
                        brought.add(choice.image.id)
                elif index < LOOKAHEAD and encoding is not None and encoding not in self._under_way:
                    self._under_way.add(encoding)
                    yield EncodeJob(encoding)
        if choices:
            yield self._start(choices)

    def _start(self, choices: list[Choice]) -> GlzRun:
        for choice in choices:
            self.pipe.pin(choice.entry)
        self._pinned += len(choices)
        self.dictionary.busy = True
        self._run = GlzRun(self.dictionary, self.channel_id, choices)
        return self._run

    def _last_pinned(self) -> int:
        """The index of the last pinned drawing; what stands before it must not come behind it by its id."""
        if not self._pinned:
            return -1
        entries = enumerate(self.pipe.entries)
        found = (index for index, entry in entries if isinstance(entry, Waiting) and entry.pinned)
        return max(found, default=-1)

    def done(self, job: Job) -> None:
        """A job was run, in a thread or by :meth:`finish`."""
        if isinstance(job, EncodeJob):
            self._under_way.discard(job.encoding)
            self.packer.count_encoding(job.encoding)
        elif job is self._run:
            self._run = None
            self.dictionary.busy = False
            for choice, made in zip(job.choices, job.made, strict=True):
                self._chosen(choice.entry, made)

    def finish(self) -> None:
        """Have nothing in a thread any more: what one is at is waited for."""
        run = self._run
        if run is not None:
            run.run()
            self.done(run)

    def ready(self, entry: Waiting, mode: int, lossy: bool, *, at_once: bool = False) -> bool:
        """
        Whether a drawing, the first in the pipe, can be packed now.

        Its image is encoded for that if it is small, or ``at_once`` whatever it is.
        """
        if entry.own is not None and not self.dictionary.usable:
            self._let_go(entry)
        if entry.own is not None:
            return self.dictionary.turn_of(entry.own)
        if entry.pinned:
            return False
        for choice, encoding in self._wanted(entry, mode, lossy, may_own=not self._pinned):
            if choice is not None:
                if not at_once and (self.dictionary.busy or len(choice.image.data) >= INLINE_BYTES):
                    return False
                if self.dictionary.busy:
                    entry.passed_over = True
                    continue
                self.pipe.pin(entry)
                self._pinned += 1
                self._chosen(entry, choice.make(self.dictionary, self.channel_id))
                return self.ready(entry, mode, lossy, at_once=at_once)
            if encoding is not None and not at_once:
                return False
        return True

    def _chosen(self, entry: Waiting, made: InDictionary | None) -> None:
        if made is not None:
            self.packer.tally.image_encoded(made.image_type, made.nanoseconds)
            entry.own = made
        else:
            self._let_go(entry)

    def _let_go(self, entry: Waiting) -> None:
        """The dictionary does not have the image after all."""
        self.pipe.unpin(entry)
        self._pinned -= 1
        entry.own, entry.passed_over = None, True

    def sent(self, entry: Waiting, serial: int) -> None:
        """The message of a drawing that was ready went out."""
        if entry.own is not None:
            self._pinned -= 1
            self.dictionary.sent(entry.own, self.channel_id, serial)

    def _wanted(
        self, entry: Waiting, mode: int, lossy: bool, *, may_own: bool
    ) -> Iterable[tuple[Choice | None, Encoding | None]]:
        """What the images of a drawing lack: the dictionary's choice, or an encoding."""
        fixups = entry.drawable.fixups()
        for _offset, image in fixups:
            names = self.packer.names(image, mode, lossy=lossy)
            if not names:
                continue
            if GLZ in names:
                if (
                    may_own
                    and not entry.passed_over
                    and len(fixups) == 1
                    and entry.drawable.number in DECODED
                    and not image.flags & HIGH_BITS_SET  # the client writes into its window then
                    and self.dictionary.takes(pixels_of(image))
                ):
                    yield Choice(entry, image, names, self.line.zlib_glz), None
                    continue
                names = tuple(name for name in names if name != GLZ)
            encoding = self.packer.missing(image, names)
            if encoding is not None:
                yield None, encoding
