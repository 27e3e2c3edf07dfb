# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The Twisted protocols around the cores: first of the link, then of the channel.

One connection is one :class:`LinkProtocol`. Once its link is through it passes
everything on to a :class:`ChannelProtocol`, which stays its inner protocol;
so the same works over TCP, TLS and unix sockets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from spicemig.channels.events import WindowOpened
from spicemig.channels.keys import KeyPool
from spicemig.channels.limits import DEFAULT_LIMITS, LinkCounter, LinkLimits, reason_word
from spicemig.channels.link import ANY_WAY, LinkAsked, LinkCore, LinkPolicy, LinkRequest, PasswordShown
from spicemig.errors import ProtocolError

LINGER_SECONDS = 5.0  # for a peer to read what it is told before the connection is cut
TURN_SECONDS = 0.004  # for one channel before others have their turn
PIECE_BYTES = 2048  # of what a client said, between two looks at the clock


def _reactor() -> Any:
    """The reactor, which is not installed by importing this module."""
    from twisted.internet import reactor

    return reactor


class Deadline:
    """The one timer of a core; ``passed`` is called at the time that the core names."""

    def __init__(self, clock: Any, core: Any, passed: Any) -> None:
        self._clock = clock
        self._core = core
        self._passed = passed
        self._call: Any = None

    def renew(self) -> None:
        """Ask the core again; a timer that would come too early is left to find that out."""
        at = self._core.next_deadline()
        if self._call is not None and self._call.active():
            if at is not None and self._call.getTime() <= at:
                return
            self._call.cancel()
        self._call = None
        if at is not None:
            self._call = self._clock.callLater(max(0.0, at - self._clock.seconds()), self._fire)

    def _fire(self) -> None:
        self._call = None
        self._passed(self._clock.seconds())

    def stop(self) -> None:
        """No more calls."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None


@implementer(IPushProducer)
class ChannelProtocol(Protocol):
    """
    Moves bytes between a transport and a core, and events to a session.

    The session provides ``handle(core, event)`` and ``channel_lost(core, reason)``.
    """

    log = Logger()

    def __init__(self, core: Any, session: Any, clock: Any = None) -> None:
        self.core = core
        self.session = session
        self.clock = _reactor() if clock is None else clock
        self._deadline = Deadline(self.clock, core, self._deadline_passed)
        self._lost = False
        self._closed = False  # by us or by the client
        self._cutting: Any = None  # the timer, once we are closing
        self._heard: deque[bytes] = deque()  # and not handled yet
        self._hearing = False
        self._telling: list[Iterator[Any]] = []  # the last one goes first
        self._busy = False
        self._next_turn: Any = None  # the timer, while others have theirs

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        if self.session is None or self._closed:
            return
        self._heard.append(data)
        if not self._hearing:
            self._hearing = True
            self._telling.insert(0, self._hear())
        if self._next_turn is None:
            self._turn()

    def _hear(self) -> Iterator[Any]:
        """What the core makes of what the client said; None where one may pause."""
        while self._heard:
            data = self._heard.popleft()
            for start in range(0, len(data), PIECE_BYTES):
                yield from self.core.receive(data[start : start + PIECE_BYTES], self.clock.seconds())
                yield None
        self._hearing = False

    def _deadline_passed(self, now: float) -> None:
        self.tell(self.core.deadline_passed(now))

    def tell(self, events: Iterator[Any]) -> None:
        """
        Tell the session what the core yields, before all that is not handled yet.

        A client that breaks the protocol is told so and closed. One that keeps us
        busy waits for others in between.
        """
        self._telling.append(iter(events))
        if not self._busy:
            self._turn()

    def _turn(self) -> None:
        self._busy = True
        end = self.clock.seconds() + TURN_SECONDS
        try:
            while self._telling and self.clock.seconds() <= end:
                self._tell_next(self._telling[-1])
        except ProtocolError as error:
            self.log.info(
                "{channel} channel of {peer} closed: {error}",
                channel=self.core.channel,
                peer=self.transport.getPeer(),
                error=error,
            )
            self.core.refuse(error)
            self.close()
        finally:
            self._busy = False
        self._wait_for_next_turn()
        self.flush()

    def _tell_next(self, events: Iterator[Any]) -> None:
        for event in events:
            if event is not None:
                self.session.handle(self.core, event)
            return
        if events in self._telling:
            self._telling.remove(events)

    def _wait_for_next_turn(self) -> None:
        """Have what is left handled later, and nothing more read before that."""
        if self._telling and self._next_turn is None:
            self.transport.pauseProducing()
            self._next_turn = self.clock.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        self._next_turn = None
        broken = True
        try:
            self._turn()
            broken = False
        finally:
            if broken:
                self.abort()  # as the transport does where it calls us
        if self._next_turn is None and not self._closed:
            self.transport.resumeProducing()

    def _stop(self) -> None:
        """Handle nothing more."""
        self._deadline.stop()
        self._heard.clear()
        self._telling.clear()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
            if not self._lost:
                self.transport.resumeProducing()  # to see it close

    def flush(self) -> None:
        """Write what the core has to say; call this after using the core directly."""
        if self._closed:
            return
        if not self.core.transport_paused:
            while not self.core.transport_paused and (data := self.core.data_to_send()):
                # transports join them again, and take no other buffers
                self.transport.writeSequence([each if type(each) is bytes else bytes(each) for each in data])
        elif self.core.choked:
            self.log.info(
                "{channel} channel of {peer} closed: it does not read",
                channel=self.core.channel,
                peer=self.transport.getPeer(),
            )
            self.abort()
            return
        self._deadline.renew()

    def close(self) -> None:
        """Close after what there is to say has gone out, or soon even if it does not."""
        if self._closed:
            return
        self.core.transport_paused = False
        self.flush()
        self._stop()
        self._closed = True
        self._cutting = self.clock.callLater(LINGER_SECONDS, self.transport.abortConnection)
        self.transport.unregisterProducer()  # TLS would wait for that
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close now; what is queued is dropped."""
        if not self._lost:
            self._closed = True
            self._stop()
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = self._closed = True
        self._stop()
        if self._cutting is not None and self._cutting.active():
            self._cutting.cancel()
        self.core.connection_lost()
        if self.session is not None:
            self.session.channel_lost(self.core, reason)

    # back-pressure: the transport says when it has taken enough

    def pauseProducing(self) -> None:
        self.core.transport_paused = True

    def resumeProducing(self) -> None:
        self.core.transport_paused = False
        self.flush()
        if self.core.window_open and not self._closed and self.session is not None:
            self.session.handle(self.core, WindowOpened())
            self.flush()

    def stopProducing(self) -> None:
        """The transport is closing; :meth:`connectionLost` follows."""


class LinkProtocol(Protocol):
    """
    One connection: does the link stage, then serves the channel that came out of it.

    The host decides: ``admit(request)`` gives a core or raises
    :class:`ProtocolError`; ``authenticate(request, password, now)`` says whether
    a ticket is right; ``attached(request, core, protocol, password)`` takes the
    channel and returns its session. A migration core is attached to itself.
    """

    log = Logger()
    factory: LinkFactory

    def __init__(self, factory: LinkFactory, counted_as: str | None, about: dict[str, Any]) -> None:
        self.factory = factory
        self.host = factory.host
        self.clock = factory.clock
        self.channel: ChannelProtocol | None = None
        self._counted_as = counted_as
        self._counted = True
        self._about = about
        self._core: Any = None  # of the channel, from admit until it is attached

    def connectionMade(self) -> None:
        # a unix socket's transport claims to be TCP in Twisted 22.4
        if ITCPTransport.providedBy(self.transport) and not self._about["local"]:
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.link = LinkCore(
            self.factory.keys,
            self.factory.policy,
            self.factory.counter.limits,
            transport=self.transport,
            **self._about,
        )
        self.link.start(self.clock.seconds())
        self._deadline = Deadline(self.clock, self.link, self._deadline_passed)
        self._deadline.renew()

    def secured(self) -> None:
        """TLS has begun on a connection that was taken for one without."""
        self.link.secured()

    def asked_for(self, host: str, port: int) -> bool:
        """The client has named a host by HTTP CONNECT; there is one guest, whatever its name."""
        return True

    def dataReceived(self, data: bytes) -> None:
        for event in self.link.receive(data):
            if isinstance(event, LinkAsked):
                self._asked(event.request)
            else:
                self._shown(event)
        self._go_on()

    def _asked(self, request: LinkRequest) -> None:
        try:
            self._core = self.host.admit(request)
        except ProtocolError as error:
            self._log_refusal(request, error)
            self.link.refuse(error)
        else:
            self.link.offer(self._core.offered_caps)

    def _shown(self, shown: PasswordShown) -> None:
        if not self.host.authenticate(shown.request, shown.password, self.clock.seconds()):
            self._log_refusal(shown.request, "wrong or expired ticket")
            self.link.deny()
            return
        self.link.accept()
        self._write()
        if self.link.linked:
            self._attach(shown)

    def _log_refusal(self, request: LinkRequest, reason: object) -> None:
        self.log.info(
            "link of {peer} to {channel}:{id} refused: {reason}",
            peer=request.address,
            channel=request.channel,
            id=request.channel_id,
            reason=reason,
        )

    def _attach(self, shown: PasswordShown) -> None:
        """The link is through: from now on this connection is a channel."""
        self._leave_link_stage()
        request, core = shown.request, self._core
        self.channel = channel = ChannelProtocol(core, None, self.clock)
        channel.makeConnection(self.transport)
        try:
            if request.channel == "migration":
                core.attached(channel)
                channel.session = core
            else:
                channel.session = self.host.attached(request, core, channel, shown.password)
        except ProtocolError as error:
            # what it was admitted for has gone meanwhile
            self._log_refusal(request, error)
            self.factory.counter.refused[reason_word(error.code)] += 1
            channel.close()
            return
        channel.flush()

    def _leave_link_stage(self) -> None:
        if self._counted:
            self._counted = False
            self.factory.counter.leave(self._counted_as, self.link.refused)
            self._deadline.stop()

    def _go_on(self) -> None:
        if self.channel is not None:
            self.dataReceived = self.channel.dataReceived  # type: ignore[method-assign]
            leftover = self.link.leftover()
            if leftover:
                self.channel.dataReceived(leftover)
            return
        self._write()
        if self.link.closed:
            self.transport.loseConnection()
        else:
            self._deadline.renew()

    def _write(self) -> None:
        data = self.link.data_to_send()
        if data:
            self.transport.writeSequence(data)

    def _deadline_passed(self, now: float) -> None:
        self.link.deadline_passed(now)
        if self.link.closed:
            self.transport.abortConnection()
        else:
            self._deadline.renew()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._leave_link_stage()
        if self.channel is not None:
            self.channel.connectionLost(reason)


class LinkFactory(Factory):
    """
    Takes connections for a host.

    ``secure`` says whether they come over TLS. Listeners of one host share
    ``keys`` and ``counter``; without them a factory makes its own.
    """

    noisy = False

    def __init__(
        self,
        host: Any,
        *,
        secure: bool = False,
        limits: LinkLimits = DEFAULT_LIMITS,
        policy: LinkPolicy = ANY_WAY,
        keys: KeyPool | None = None,
        counter: LinkCounter | None = None,
        clock: Any = None,
    ) -> None:
        self.host = host
        self.secure = secure
        self.policy = policy
        self.keys = KeyPool(deferToThread) if keys is None else keys
        self.counter = LinkCounter(limits) if counter is None else counter
        self.clock = _reactor() if clock is None else clock

    def startFactory(self) -> None:
        self.keys.fill()

    def buildProtocol(self, addr: Any) -> LinkProtocol | None:
        """A protocol for a connection, or None (it is closed) if there are too many."""
        counted_as = addr.host if isinstance(addr, (IPv4Address, IPv6Address)) else None
        if not self.counter.enter(counted_as):
            return None
        about = {
            "secure": self.secure,
            "address": f"{addr.host}:{addr.port}" if counted_as is not None else "unix socket",
            "local": isinstance(addr, UNIXAddress),
        }
        return LinkProtocol(self, counted_as, about)


__all__ = ["ChannelProtocol", "LinkFactory", "LinkProtocol"]
