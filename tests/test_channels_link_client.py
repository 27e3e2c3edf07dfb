# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client's side of a link, against the server's."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.link import LinkAsked, LinkCore
from spicemig.channels.link_client import REPLY_MAX_BYTES, LinkClient
from spicemig.errors import LinkError, ProtocolError
from spicemig.testing.hosts import OneKey
from spicemig.wire.capabilities import CommonCap, DisplayCap
from spicemig.wire.link import HEADER, MAGIC, VERSION_MAJOR, VERSION_MINOR, LinkReply


def link(client, ticket=b"secret", refusal=None, size=1 << 20):
    """Carry bytes, ``size`` at a time, to the end; what the client yields, and the server's request."""
    server = LinkCore(OneKey())
    server.start(0.0)
    linked, requests = [], []
    for _ in range(10):
        data = b"".join(client.data_to_send())
        for first in range(0, len(data), size):
            for event in server.receive(data[first : first + size]):
                if isinstance(event, LinkAsked):
                    requests.append(event.request)
                    server.refuse(refusal) if refusal else server.offer({DisplayCap.LZ4_COMPRESSION})
                elif event.password == ticket:
                    server.accept()
                else:
                    server.deny()
        data = b"".join(bytes(part) for part in server.data_to_send())
        for first in range(0, len(data), size):
            linked += client.receive(data[first : first + size])
    return linked, requests


class LinkClientTests(SynchronousTestCase):
    """A client is let in, or told why not."""

    def test_linked(self):
        """The server gets what was asked for; the client learns of its capabilities."""
        for size in (1 << 20, 1, 7):
            client = LinkClient("display", 0, 77, b"secret", channel_caps={DisplayCap.SIZED_STREAM})
            (linked,), (request,) = link(client, size=size)
            self.assertTrue(linked.mini)
            self.assertEqual(linked.channel_caps, {DisplayCap.LZ4_COMPRESSION})
            self.assertEqual((request.channel, request.connection_id), ("display", 77))
            self.assertEqual(request.channel_caps, {DisplayCap.SIZED_STREAM})

    def test_without_mechanism(self):
        """A client without choice of mechanisms is let in too, and without mini headers if it has none."""
        (linked,), _ = link(LinkClient("main", password=b"secret", common_caps={CommonCap.AUTH_SPICE}))
        self.assertFalse(linked.mini)

    def test_leftover(self):
        """What the server says at once after the link is not lost."""
        client = LinkClient("main", password=b"secret")
        server = LinkCore(OneKey())
        server.start(0.0)
        for _event in server.receive(b"".join(client.data_to_send())):
            server.offer(())
        list(client.receive(b"".join(server.data_to_send())))
        for _event in server.receive(b"".join(client.data_to_send())):
            server.accept()
        (linked,) = client.receive(b"".join(server.data_to_send()) + b"first message")
        self.assertEqual(linked.leftover, b"first message")

    def refused(self, code, *arguments, **more):
        error = self.assertRaises(
            ProtocolError, link, LinkClient("main", password=b"secret"), *arguments, **more
        )
        self.assertEqual(error.code, code)

    def test_wrong_ticket(self):
        """A wrong ticket is told as such."""
        self.refused(LinkError.PERMISSION_DENIED, b"another")

    def test_refused(self):
        """A refusal comes with its reason."""
        self.refused(
            LinkError.CHANNEL_NOT_AVAILABLE,
            refusal=ProtocolError(LinkError.CHANNEL_NOT_AVAILABLE, "no such channel"),
        )

    def test_foreign_answers(self):
        """What is no SPICE server, or one of another version, or lies about sizes and keys, is refused."""
        reply = LinkReply(LinkError.OK, b"no key".ljust(162), frozenset({CommonCap.MINI_HEADER})).pack()
        for code, data in (
            (LinkError.INVALID_MAGIC, b"HTTP/1.1 400 Bad Request\r\n"),
            (LinkError.VERSION_MISMATCH, HEADER.pack(MAGIC, VERSION_MAJOR + 1, 0, 10)),
            (LinkError.INVALID_DATA, HEADER.pack(MAGIC, VERSION_MAJOR, VERSION_MINOR, REPLY_MAX_BYTES + 1)),
            (LinkError.INVALID_DATA, HEADER.pack(MAGIC, VERSION_MAJOR, VERSION_MINOR, 4) + b"1234"),
            (LinkError.INVALID_DATA, reply),
            (LinkError.NEED_SECURED, LinkReply(LinkError.NEED_SECURED).pack()),
        ):
            client = LinkClient("main")
            error = self.assertRaises(ProtocolError, list, client.receive(data))
            self.assertEqual(error.code, code, data)
