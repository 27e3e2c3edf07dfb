# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What holds for every message and record that is declared.

A message is covered here from the day it is in the catalogue. Bytes that are
no message may only ever cause :class:`WireError`.
"""

from __future__ import annotations

import random
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import WireError
from spicemig.testing.strategies import instances
from spicemig.wire.declare import catalogue

EXAMPLES = 8  # for each declaration and promise
FEW = 3  # where each example is changed in hundreds of ways
LONGEST = 160  # bytes of a body that is changed in every place

DECLARED = catalogue.messages() + catalogue.records()


def for_each(cls: type[Any], examples: int, check: Callable[[Any], None]) -> None:
    """Call ``check`` with instances, the same ones in every run."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(instances(cls))
    def run(instance: Any) -> None:
        check(instance)

    run()


def outcome(cls: type[Any], body: bytes) -> Any:
    """The value, or None after a ``WireError`` that says where; any other exception fails the test."""
    try:
        return cls.unpack(body)
    except WireError as error:
        assert error.message_name.endswith(cls.__name__), error
        assert 0 <= error.offset <= len(body), error
        return None


def wrong_lengths(body: bytes) -> Iterator[bytes]:
    """
    The body with a length, count or offset changed.

    As such a field can be anywhere, every one, two and four bytes are taken for one.
    """
    for size in (1, 2, 4):
        top = 1 << (8 * size)
        for at in range(len(body) - size + 1):
            old = int.from_bytes(body[at : at + size], "little")
            for new in {0, (old - 1) % top, (old + 1) % top, top >> 1, top - 1} - {old}:
                yield body[:at] + new.to_bytes(size, "little") + body[at + size :]


class WholeCatalogueTests(SynchronousTestCase):
    """Every declaration, one after the other."""

    def each(self, examples: int, check: Callable[[type[Any], Any], None]) -> None:
        for cls in DECLARED:
            for_each(cls, examples, lambda instance, cls=cls: check(cls, instance))

    def test_round_trip(self) -> None:
        """What was packed is unpacked as the same value, and packed as the same bytes again."""

        def check(cls: type[Any], instance: Any) -> None:
            body = instance.pack()
            again = cls.unpack(body)
            self.assertEqual(again, instance)
            self.assertEqual(again.pack(), body)
            self.assertEqual(b"".join(instance.pack_parts()), body)

        self.each(EXAMPLES, check)

    def test_truncation(self) -> None:
        """A body that ends anywhere is a value or a ``WireError`` that says where."""

        def check(cls: type[Any], instance: Any) -> None:
            body = instance.pack()
            for length in range(min(len(body), LONGEST)):
                outcome(cls, body[:length])

        self.each(FEW, check)

    def test_fixed_part(self) -> None:
        """A body that is shorter than the message can be is never a value."""

        def check(cls: type[Any], instance: Any) -> None:
            body = instance.pack()
            for length in range(cls.__plan__.min_size):
                self.assertIsNone(outcome(cls, body[:length]))

        self.each(1, check)

    def test_wrong_lengths(self) -> None:
        """Whatever a length says, there is a ``WireError`` or a value that can be packed."""

        def check(cls: type[Any], instance: Any) -> None:
            body = instance.pack()
            if len(body) > LONGEST:
                return
            for changed in wrong_lengths(body):
                value = outcome(cls, changed)
                if value is not None:
                    value.pack()

        self.each(FEW, check)

    def test_random_bytes(self) -> None:
        """Bytes without sense cause nothing but ``WireError``."""
        randomly = random.Random(2)
        for cls in DECLARED:
            for _ in range(60):
                length = randomly.randrange(100)
                outcome(cls, randomly.randbytes(length))
                outcome(cls, bytes(randomly.choice((0, 0, 0, 1, 2, 8, 255)) for _ in range(length)))

    def test_no_large_allocation(self) -> None:
        """A length that lies costs no more memory than a small multiple of the body."""
        bodies = [
            bytes([first]) * 21 + filler * 60 for first in (0, 1) for filler in (b"\xff", b"\x7f", b"\x01")
        ]
        for cls in DECLARED:
            for body in bodies:
                outcome(cls, body)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for cls in DECLARED:
            for body in bodies:
                before, _peak = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
                outcome(cls, body)
                _now, peak = tracemalloc.get_traced_memory()
                self.assertLess(peak - before, 32768, cls)

    def test_bulk_is_not_copied(self) -> None:
        """Bulk data is a view of the body, and packed as the very buffer that was given."""
        found = 0
        for cls in DECLARED:
            bulk = [field.name for field in cls.__fields__ if getattr(field.kind, "bulk", False)]
            if len(bulk) != 1 or getattr(cls.__fields__[-1].kind.layout, "width", None):
                continue
            payload = bytes(5000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NonInteractiveExampleWarning)
                given_values = instances(cls).example()
            setattr(given_values, bulk[0], payload)
            self.assertTrue(
                any(part.obj is payload for part in map(memoryview, given_values.pack_parts())), cls
            )
            body = given_values.pack()
            self.assertIs(getattr(cls.unpack(body), bulk[0]).obj, body)
            found += 1
        self.assertGreater(found, 10)


class CatalogueTests(SynchronousTestCase):
    """Messages are found by channel, direction and number."""

    def test_complete(self) -> None:
        """Every message of the protocol is declared; the numbers are those of spice.proto."""
        numbers = {
            ("base", "client"): range(1, 9),
            ("base", "server"): range(1, 7),
            ("main", "client"): range(101, 119),
            ("main", "server"): range(101, 113),
            ("display", "client"): [*range(101, 109), *range(122, 127), *range(302, 323)],
            ("display", "server"): range(101, 106),
            ("inputs", "client"): [101, 102, 111],
            ("inputs", "server"): [*range(101, 105), *range(111, 115)],
            ("cursor", "client"): range(101, 109),
            ("playback", "client"): range(101, 108),
            ("record", "client"): range(101, 105),
            ("record", "server"): range(101, 104),
            ("smartcard", "client"): [101],
            ("smartcard", "server"): [101],
            ("usbredir", "client"): [101, 102],
            ("usbredir", "server"): [101, 102],
            ("port", "client"): [101, 102, 201, 202],
            ("port", "server"): [101, 102, 201],
            ("webdav", "client"): [101, 102, 201, 202],
            ("webdav", "server"): [101, 102, 201],
            ("stream", "server"): [1, 2, 3, 6, 7, 8, 9],
            ("stream", "guest"): [1, 4, 5],
        }
        declared: dict[tuple[str, str], list[int]] = {}
        for (channel, to, number), _cls in catalogue.entries():
            declared.setdefault((channel, to), []).append(number)
        for key, expected in numbers.items():
            self.assertEqual(declared[key], list(expected), key)
        agent = {
            number for (channel, _to), found in declared.items() if channel == "agent" for number in found
        }
        self.assertEqual(agent, set(range(1, 17)))

    def test_base_on_every_channel(self) -> None:
        """The base channel's messages are found on any channel, and only with their direction."""
        found = catalogue.find("cursor", "client", 3)
        self.assertEqual(found.__qualname__, "SetAck")
        self.assertEqual(catalogue.find("cursor", "server", 3).__qualname__, "Pong")

    def test_unknown(self) -> None:
        """A number that nobody declared is None."""
        self.assertIsNone(catalogue.find("inputs", "server", 99))
        self.assertIsNone(catalogue.find("display", "client", 301))

    @given(st.integers(), st.text(max_size=5))
    @settings(max_examples=30, deadline=None, database=None, derandomize=True)
    def test_find_anything(self, number: int, channel: str) -> None:
        """Asking for nonsense is no error."""
        self.assertIsNone(catalogue.find(channel, "nobody", number))
