# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The declarations against what existing programs really sent.

The excerpt in ``tests/data/captures`` is always there; the whole capture, and
the image payloads that spice-server made, are in ``../shared`` beside the
repository where that exists.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.wire.declare import catalogue
from spicemig.wire.drawing import BinaryData, Image, ImageDescriptor, Rect, ZlibGlzData
from spicemig.wire.enums import ImageType
from spicemig.wire.messages.display import DrawBase, DrawCopy
from tests.captured import captured

HERE = Path(__file__).parent
EXCERPT = HERE / "data" / "captures" / "seamless-migration-qemu.jsonl"
SHARED = HERE.parent.parent / "shared"
CAPTURE = SHARED / "captures" / "seamless-migration-qemu.pcap.gz"
PORTS = {54573, 59991}


def shared(path: Path) -> Path:
    """The path, or the test is skipped."""
    if not path.exists():
        raise SkipTest(f"{path} is not there")
    return path


class CaptureTests(SynchronousTestCase):
    """Bodies are understood to the last byte."""

    def check(self, channel: str, to: str, number: int, body: Any) -> str:
        declared = catalogue.find(channel, to, number)
        self.assertIsNotNone(declared, f"{channel} to {to}: {number}")
        message = declared.unpack(body)
        self.assertEqual(message.pack(), bytes(body), f"{message!r}")
        self.assertEqual(b"".join(message.pack_parts()), bytes(body))
        return f"{declared.channel}.{declared.__name__}"

    def test_excerpt(self) -> None:
        """A body of each captured kind is unpacked and packed as the same bytes."""
        names = set()
        for line in EXCERPT.read_text().splitlines():
            channel, to, number, body = json.loads(line)
            names.add(self.check(channel, to, number, bytes.fromhex(body)))
        self.assertGreater(len(names), 45)

    def test_whole_capture(self) -> None:
        """Every message of a session with a seamless migration is unpacked and packed as the same bytes."""
        found = Counter(
            self.check(channel, to, frame.number, frame.body)
            for channel, to, frame in captured(shared(CAPTURE), PORTS)
        )
        self.assertEqual(sum(found.values()), 3544)
        self.assertEqual(found["display.DrawFill"], 734)

    def test_image_payloads(self) -> None:
        """The image payloads of spice-server are understood to the last byte, as data of an image."""
        folder = shared(SHARED / "vectors")
        data = (folder / "wire.bin").read_bytes()
        vectors = json.loads((folder / "wire.json").read_text())["vectors"]
        for vector in vectors:
            descriptor = ImageDescriptor(1, vector["image_type"], 0, vector["width"], vector["height"])
            draw = DrawCopy(DrawBase(0, Rect(0, 0, 1, 1)), None, Rect(0, 0, 1, 1))
            head, _placeholders = draw.pack_template()
            payload = data[vector["enc_offset"] : vector["enc_offset"] + vector["enc_size"]]
            pointer_at = 21
            body = bytearray(head + descriptor.pack() + payload)
            body[pointer_at : pointer_at + 4] = len(head).to_bytes(4, "little")
            image = DrawCopy.unpack(bytes(body)).src_bitmap
            expected = ZlibGlzData if vector["image_type"] == ImageType.ZLIB_GLZ_RGB else BinaryData
            self.assertIsInstance(image.data, expected)
            self.assertEqual(Image(descriptor, image.data).pack(), descriptor.pack() + payload)
        self.assertGreater(len(vectors), 30)
