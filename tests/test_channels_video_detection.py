# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is taken for a video, and what is not."""

import json
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.video_detection import (
    AVOIDED_SECONDS,
    MAX_PLACES,
    START_ANY,
    START_NATURAL,
    VideoDetector,
)

# The pictures of at least 96x96 pixels that the traces of ../shared/traces draw opaquely on their screens,
# not to be cached: seconds, left, top, right, bottom, width, height, whether natural. The traces xterm and
# editor have none; in video two films of 25 frames a second are played.
PLACES = Path(__file__).parent / "data" / "places.json"

HERE = (10, 20, 210, 170, 200, 150)


def shown(detector, place, times, natural=True):
    """Draw pictures at these times; the frames per second that were seen in it, from the first video on."""
    found = [detector.drawn(place, now, lambda: natural) for now in times]
    return [fps for fps in found if fps]


def every(seconds, count, first=0.0):
    """Times at equal distances."""
    return [first + number * seconds for number in range(count)]


class DetectorTests(SynchronousTestCase):
    """Pictures at one place."""

    def setUp(self):
        self.detector = VideoDetector(natural_only=True)

    def test_film(self):
        """Six natural pictures in quick succession are a video, whose pace is known."""
        self.assertEqual(shown(self.detector, HERE, every(0.04, START_NATURAL - 1)), [])
        self.assertEqual(shown(self.detector, HERE, [0.2]), [25])

    def test_slow(self):
        """Pictures that come slowly are none."""
        self.assertEqual(shown(self.detector, HERE, every(0.3, 100)), [])

    def test_text(self):
        """Pictures that are not natural are none, however quick; nor if half of them are."""
        self.assertEqual(shown(self.detector, HERE, every(0.04, 100), natural=False), [])
        for number in range(100):
            self.assertEqual(self.detector.drawn(HERE, 10 + number / 25, lambda n=number: n % 2 == 0), 0)

    def test_mixed(self):
        """A few pictures that are not natural put it off."""
        found = [self.detector.drawn(HERE, 0.04 * n, lambda n=n: n % 4 != 0) for n in range(20)]
        self.assertEqual([n for n, fps in enumerate(found) if fps][:1], [7])

    def test_small(self):
        """Small pictures are none; where everything may be streamed, they are after some more."""
        small = (0, 0, 20, 20, 20, 20)
        self.assertEqual(shown(self.detector, small, every(0.04, 100)), [])
        self.assertEqual(
            shown(VideoDetector(natural_only=False), small, every(0.04, START_ANY), natural=False), [25]
        )

    def test_first_is_not_looked_at(self):
        """A picture at a new place costs no look at its pixels."""
        for number in range(50):
            self.detector.drawn((number, 0, number + 100, 100, 100, 100), 0.0, lambda: self.fail("looked"))

    def test_many_places(self):
        """Only so many places are remembered."""
        for number in range(100):
            self.detector.drawn((number, 0, number + 100, 100, 100, 100), 0.0, lambda: True)
        self.assertEqual(len(self.detector._places), MAX_PLACES)

    def test_avoided(self):
        """A place where a stream was no good is left alone for a while."""
        self.detector.avoid(HERE, 0.0)
        self.assertEqual(shown(self.detector, HERE, every(0.04, 100)), [])
        self.assertEqual(len(shown(self.detector, HERE, [AVOIDED_SECONDS + 0.01, AVOIDED_SECONDS + 0.05])), 0)
        self.assertTrue(shown(self.detector, HERE, every(0.04, START_NATURAL, first=AVOIDED_SECONDS + 1)))


class TraceTests(SynchronousTestCase):
    """What real guests drew."""

    def found(self, name):
        """Where videos were seen in a trace, and the number of the picture there with which they were."""
        detector, drawn, videos = VideoDetector(natural_only=True), Counter(), {}
        for now, *place, natural in json.loads(PLACES.read_text())[name]:
            place = tuple(place)
            drawn[place] += 1
            fps = detector.drawn(place, now, lambda natural=natural: bool(natural))
            if fps and place not in videos:
                videos[place] = drawn[place], fps
        return videos

    def test_video(self):
        """Both films are seen with their sixth frame."""
        self.assertEqual(
            self.found("video"),
            {(80, 60, 400, 240, 320, 180): (6, 25), (620, 200, 860, 336, 240, 136): (6, 28)},
        )

    def test_others(self):
        """Nothing is seen where pages, icons and test patterns are drawn."""
        for name in ("browser", "guest", "x11perf"):
            self.assertEqual(self.found(name), {}, name)
