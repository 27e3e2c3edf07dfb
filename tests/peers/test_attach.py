# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock clients attach: over plain TCP, TLS and a unix socket, with right, wrong and expired tickets."""

from __future__ import annotations

from twisted.internet.defer import ensureDeferred

from spicemig.client.hosts import Address
from spicemig.errors import LinkError, ProtocolError
from tests.peers.harness import Daemon, PeersTestCase, eventually, sleep

WRONG_PASSWORD = "Authentication failed: wrong password?"  # what spice-gtk says


class GtkAttachTests(PeersTestCase):
    """spice-gtk, unmodified."""

    async def ticketed(self, ticket: str = "sesame", **auth) -> Daemon:
        """A source that asks for a ticket."""
        file = self.directory / "ticket"
        file.write_text(ticket + "\n")
        options = {"auth": {"mode": "ticket", "ticket_file": file, **auth}}
        return await self.daemon("source", options=options)

    async def attached(self, source: Daemon, **where) -> None:
        """The client connects and shows the guest's picture."""
        client = await self.gtk()
        await client.attach(**where)
        await self.same_picture(source, lambda: client.picture(self.directory))

    async def refused(self, **where) -> dict:
        """The client connects and is refused; its own error."""
        client = await self.gtk()
        await client.do("connect", **where)
        events = await eventually(
            lambda: [told for told in client.happened("channel") if told["what"].startswith("error")],
            what="spice-gtk reports an error",
        )
        return events[0]

    async def test_plain(self):
        """Plain TCP: the client shows the guest's picture, pixel for pixel."""
        source = await self.daemon("source")
        await self.attached(source, port=source.port("plain"))

    async def test_tls(self):
        """TLS with a certificate checked against the authority and the host's name."""
        source = await self.daemon("source")
        await self.attached(
            source, host="localhost", tls_port=source.port("tls"), ca_file=str(self.authority.ca)
        )

    async def test_tls_of_a_stranger(self):
        """A certificate of another authority is refused by the client."""
        from tests.peers.certificates import Authority

        source = await self.daemon("source")
        other = Authority(self.directory / "other", "somebody else")
        error = await self.refused(host="localhost", tls_port=source.port("tls"), ca_file=str(other.ca))
        self.assertEqual(error["what"], "error-tls")

    async def test_unix(self):
        """A unix socket serves clients of this machine."""
        source = await self.daemon("source")
        await self.attached(source, unix_path=source.unix)

    async def test_secure_channels(self):
        """A channel that must be secure is moved to TLS by the client when it is told so."""
        source = await self.daemon("source", options={"listen": {"secure_channels": "inputs"}})
        await self.attached(
            source,
            host="localhost",
            port=source.port("plain"),
            tls_port=source.port("tls"),
            ca_file=str(self.authority.ca),
        )

    async def test_right_ticket(self):
        """With the right ticket the client is let in."""
        source = await self.ticketed()
        await self.attached(source, port=source.port("plain"), password="sesame")

    async def test_wrong_ticket(self):
        """With a wrong ticket the client says that the password is wrong."""
        source = await self.ticketed()
        error = await self.refused(port=source.port("plain"), password="barley")
        self.assertEqual((error["what"], error["message"]), ("error-auth", WRONG_PASSWORD))

    async def test_expired_ticket(self):
        """A ticket that has expired is a wrong one."""
        source = await self.ticketed(ticket_expires_seconds=1)
        await sleep(1.1)
        error = await self.refused(port=source.port("plain"), password="sesame")
        self.assertEqual((error["what"], error["message"]), ("error-auth", WRONG_PASSWORD))

    async def test_ticket_set_later(self):
        """A ticket set through the control socket counts at once."""
        source = await self.ticketed()
        await source.fetch("PUT", "/v1/ticket", {"ticket": "open", "expires_seconds": 60})
        await self.attached(source, port=source.port("plain"), password="open")

    async def test_typing(self):
        """What is typed reaches the guest once and in order."""
        source = await self.daemon("source")
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        codes = [30, 48, 46, 32, 18]
        await client.do("key", codes=codes)
        seen = await eventually(lambda: _keys(source, 2 * len(codes)), what="the guest saw all the keys")
        self.assertEqual(
            seen, [step for code in codes for step in (("key_down", code), ("key_up", code | 0x80))]
        )


async def _keys(source: Daemon, count: int) -> list[tuple] | None:
    seen = [each for each in await source.inputs() if each[0].startswith("key_")]
    return seen if len(seen) >= count else None


class OwnClientAttachTests(PeersTestCase):
    """The same with our own client, which needs nothing installed."""

    async def test_plain_tls_unix(self):
        """All three ways show the same picture."""
        source = await self.daemon("source")
        for address in (
            source.address(),
            Address("localhost", tls_port=source.port("tls")),
            source.address(unix=True),
        ):
            viewer = await self.viewer(address)
            await self.same_picture(source, viewer.screen)
            await viewer.disconnect()

    async def test_wrong_ticket(self):
        """A wrong ticket is refused with the link error for it."""
        file = self.directory / "ticket"
        file.write_text("sesame\n")
        source = await self.daemon("source", options={"auth": {"mode": "ticket", "ticket_file": file}})
        refused = await self.assertFailure(self._viewer(source, b"barley"), ProtocolError)
        self.assertEqual(refused.code, LinkError.PERMISSION_DENIED)
        await self.viewer(source.address(), b"sesame")

    def _viewer(self, source, password):
        return ensureDeferred(self.viewer(source.address(), password))
