# SPDX-License-Identifier: LGPL-2.1-or-later
"""The relay's connection to a client, for one channel: the server's side of a link."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from spicemig.channels.link import LinkAsked, LinkCore, LinkRequest, PasswordShown
from spicemig.channels.protocol import Deadline
from spicemig.errors import LinkError, ProtocolError
from spicemig.relay.connection import RelayConnection

if TYPE_CHECKING:
    from spicemig.relay.candidate import Candidate
    from spicemig.relay.pipe import Pipe
    from spicemig.relay.relay import Relay


class ClientConnection(RelayConnection):
    """One channel's connection: links, then hands everything to its :class:`Pipe`."""

    log = Logger()

    def __init__(self, factory: ClientFactory, counted_as: str | None, about: dict[str, Any]) -> None:
        self.factory = factory
        self.relay = factory.relay
        self.clock = factory.relay.clock
        self._counted_as = counted_as
        self._counted = True
        self._about = about
        self.by_tls = about["secure"] and not about["local"]  # what the client has to speak to come again
        self.named: tuple[str, int] | None = None  # by HTTP CONNECT
        self._candidate: Candidate | None = None
        self._unheard: list[bytes] = []  # while an answer is awaited
        self._hearing: Deferred[None] | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link = LinkCore(self.relay.keys, self.factory.policy, self.relay.counter.limits, **self._about)
        self.link.start(self.clock.seconds())
        self._deadline = Deadline(self.clock, self.link, self._deadline_passed)
        self._deadline.renew()

    def secured(self) -> None:
        """TLS has begun on a connection that was taken for one without."""
        self.by_tls = True
        self.link.secured()

    def asked_for(self, host: str, port: int) -> bool:
        """The client has named a host by HTTP CONNECT; whether a route leads there."""
        self.by_tls = False  # from here on
        self.named = host, port
        return self.relay.routes.find(*self.keys()) is not None

    def keys(self) -> Iterable[str]:
        """What routes may be chosen by, the narrowest first."""
        if self.named is not None:
            host, port = self.named
            host = f"[{host}]" if ":" in host else host
            yield f"{host}:{port}"
            yield host
        name = getattr(self.transport.getHandle(), "get_servername", lambda: None)() if self.by_tls else None
        if name:
            yield name.decode("ascii", "replace").lower()
        here = self.transport.getHost()
        if isinstance(here, UNIXAddress):
            yield (here.name or b"").decode(errors="replace")
        else:
            yield str(here.port)

    # the link

    def hand_on(self, pipe: Pipe, data: bytes) -> None:
        pipe.client_said(data)

    def hear_link(self, data: bytes) -> None:
        self._unheard.append(data)
        if self._hearing is None or self._hearing.called:
            self._hearing = ensureDeferred(self._hear())
            self._hearing.addErrback(self._hearing_failed)

    async def _hear(self) -> None:
        while self._unheard and not self.lost:
            for event in self.link.receive(self._unheard.pop(0)):
                self.transport.pauseProducing()
                if isinstance(event, LinkAsked):
                    await self._asked(event.request)
                else:
                    await self._shown(event)
                if self.lost:
                    return
                if self.link.linked:
                    self._join()
                    return
                self._write()
                self.transport.resumeProducing()
        self._write()
        if self.link.closed:
            self.close()
        else:
            self._deadline.renew()

    def _hearing_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("link of {peer}", failure, peer=self._about["address"])
        self.abort()

    async def _asked(self, request: LinkRequest) -> None:
        try:
            self._candidate = candidate = self.relay.candidate(request, self.keys())
            common, own = await candidate.offer()
        except Exception as error:
            self._drop_candidate()
            self.link.refuse(self._refused(request, error))
        else:
            self.link.offer(own, common)

    async def _shown(self, shown: PasswordShown) -> None:
        if not self.relay.authenticate(shown.password, self.clock.seconds()):
            self._refused(shown.request, "wrong or expired ticket")
            self.link.deny()
            return
        if self._candidate is None:
            self.link.accept()  # says why it was refused
            return
        try:
            await self._candidate.link()
        except Exception as error:
            self.link.fail(self._refused(shown.request, error))
        else:
            self.link.accept()

    def _refused(self, request: LinkRequest, reason: Any) -> ProtocolError:
        """Log it; the error that the client is told. A server's own reasons are not the client's fault."""
        self.log.info(
            "link of {peer} to {channel}:{id} refused: {reason}",
            peer=request.address,
            channel=request.channel,
            id=request.channel_id,
            reason=reason,
        )
        told = isinstance(reason, ProtocolError) and reason.code != LinkError.PERMISSION_DENIED
        return ProtocolError(reason.code if told else LinkError.ERROR, "")

    def _join(self) -> None:
        """The link is through on both sides."""
        self._leave_link_stage()
        assert self._candidate is not None
        candidate, self._candidate = self._candidate, None
        self._write()
        candidate.join(self)
        for data in [self.link.leftover(), *self._unheard]:
            if data and self.pipe is not None:
                self.pipe.client_said(data)
        self._unheard = []

    def _leave_link_stage(self) -> None:
        if self._counted:
            self._counted = False
            self.relay.counter.leave(self._counted_as, self.link.refused)
            self._deadline.stop()

    def _write(self) -> None:
        self.write(self.link.data_to_send())

    def _deadline_passed(self, now: float) -> None:
        self.link.deadline_passed(now)
        if self.link.closed:
            self.abort()
        else:
            self._deadline.renew()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._leave_link_stage()
        if self._hearing is not None:
            self._hearing.cancel()
        self._drop_candidate()
        if self.pipe is not None:
            self.pipe.client_lost()

    def _drop_candidate(self) -> None:
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            candidate.drop()


class ClientFactory(Factory):
    """Takes connections of clients; ``secure`` says whether they come over TLS or a unix socket."""

    noisy = False

    def __init__(self, relay: Relay, *, secure: bool = False) -> None:
        self.relay = relay
        self.policy = relay.policy
        self.secure = secure

    def startFactory(self) -> None:
        self.relay.keys.fill()

    def buildProtocol(self, addr: Any) -> ClientConnection | None:
        """A protocol for a connection, or None (it is closed) if there are too many."""
        counted_as = addr.host if isinstance(addr, (IPv4Address, IPv6Address)) else None
        if not self.relay.counter.enter(counted_as):
            return None
        about = {
            "secure": self.secure,
            "address": f"{addr.host}:{addr.port}" if counted_as is not None else "unix socket",
            "local": isinstance(addr, UNIXAddress),
        }
        return ClientConnection(self, counted_as, about)
