# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which drawings are the frames of a video.

A place where natural pictures are drawn again and again in quick succession shows a
video. It has no clock: every look is told the time.

Source: spice-server 0.15.1, video-stream.cpp and display-channel.cpp, for what may be a
frame and how soon the next one must come. That server waits for twenty frames of which a
fifth is natural; we count natural ones against the others instead, which finds a video
after six frames and never a scrolled text, whose pictures are not natural.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MIN_PIXELS = 96 * 96  # of a frame; smaller animations are left to the image codecs
MAX_GAP_SECONDS = 0.2  # between two frames of what is not known to be a video yet
START_NATURAL = 6  # natural frames more than others, to be a video
START_ANY = 20  # frames, where what they show is not looked at
MAX_PLACES = 16  # that are watched at a time
AVOIDED_SECONDS = 10.0  # a place where a stream was no good is left alone
MAX_FPS = 60

Place = tuple[int, int, int, int, int, int]  # left, top, right, bottom; width and height of the picture


@dataclass(slots=True)
class _Watched:
    """What was drawn at one place, without a pause."""

    first: float
    last: float
    frames: int = 1
    score: int = 0


class VideoDetector:
    """
    Watches the places where pictures are drawn.

    With ``natural_only`` (streaming = filter) only natural pictures of some size can
    be a video; without (streaming = all) everything that is redrawn often enough is.
    """

    def __init__(self, *, natural_only: bool) -> None:
        self.natural_only = natural_only
        self._places: OrderedDict[Place, _Watched] = OrderedDict()  # the one drawn to last is last
        self._avoided: dict[Place, float] = {}  # until when

    def drawn(self, place: Place, now: float, is_natural: Callable[[], bool]) -> int:
        """
        A picture was drawn at a place: the frames per second if it is one of a video, else 0.

        ``is_natural`` is asked only where something was drawn just before.
        """
        if self.natural_only and place[4] * place[5] < MIN_PIXELS:
            return 0
        watched = self._places.pop(place, None)
        if watched is None or now - watched.last > MAX_GAP_SECONDS:
            watched = _Watched(now, now)
        else:
            watched.frames += 1
            watched.last = now
            watched.score = max(0, watched.score + (1 if not self.natural_only or is_natural() else -1))
        self._places[place] = watched
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        # the first picture at a place is not looked at
        if watched.score + 1 < (START_NATURAL if self.natural_only else START_ANY) or self._avoids(
            place, now
        ):
            return 0
        del self._places[place]
        seconds = watched.last - watched.first
        return MAX_FPS if seconds <= 0 else max(1, min(MAX_FPS, round((watched.frames - 1) / seconds)))

    def avoid(self, place: Place, now: float) -> None:
        """See no video at this place for a while."""
        self._avoided = {each: until for each, until in self._avoided.items() if until > now}
        self._avoided[place] = now + AVOIDED_SECONDS

    def _avoids(self, place: Place, now: float) -> bool:
        return self._avoided.get(place, now) > now
