# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A viewer without a window: all channels of one client, and where they go.

Source: spice-gtk 0.42, spice-session.c and channel-main.c. What finishes later
is a ``Deferred`` that can be cancelled and that has a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image as Pillow
from twisted.internet.defer import (
    Deferred,
    DeferredList,
    TimeoutError,
    gatherResults,
    inlineCallbacks,
    succeed,
)
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from spicemig.channels.link_client import LinkClient
from spicemig.client import events
from spicemig.client.caches import Cache
from spicemig.client.canvas import Picture
from spicemig.client.connection import ChannelConnection, ChannelFactory
from spicemig.client.core import ClientChannel
from spicemig.client.counters import Counters, Move, Traffic
from spicemig.client.cursor import CursorChannel
from spicemig.client.display import GLZ_WINDOW_PIXELS, DisplayChannel
from spicemig.client.handover import Handover
from spicemig.client.hosts import Address, EndpointMaker
from spicemig.client.inputs import InputsChannel
from spicemig.client.main import MainChannel
from spicemig.codecs.glz import GlzDecoderWindow
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.capabilities import CommonCap, DisplayCap, MainCap
from spicemig.wire.declare import CHANNEL_TYPES, channel_name

CHANNELS: dict[str, type[ClientChannel]] = {
    "main": MainChannel,
    "display": DisplayChannel,
    "inputs": InputsChannel,
    "cursor": CursorChannel,
}
MAIN = CHANNEL_TYPES["main"], 0
LINK_SECONDS = 10.0

ChannelKey = tuple[int, int]  # type and id


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this client can and will do; a stock client's by default."""

    channels: frozenset[str] = frozenset({"display", "inputs", "cursor"})
    read_only: bool = False
    mini_header: bool = True
    semi_seamless: bool = True
    seamless: bool = True
    lz4: bool = True

    def common(self) -> frozenset[int]:
        """Common capabilities for the link message."""
        caps = {CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE}
        return frozenset(caps | {CommonCap.MINI_HEADER} if self.mini_header else caps)

    def of(self, channel: type[ClientChannel]) -> frozenset[int]:
        """Capabilities of one channel."""
        withheld: set[int] = set()
        if channel is MainChannel:
            if not self.semi_seamless:
                withheld.add(MainCap.SEMI_SEAMLESS_MIGRATE)
            if not self.seamless:
                withheld.add(MainCap.SEAMLESS_MIGRATE)
        elif channel is DisplayChannel and not self.lz4:
            withheld.add(DisplayCap.LZ4_COMPRESSION)
        return channel.capabilities - withheld


STOCK = Abilities()


class SessionOver(ConnectionError):
    """The main channel is gone, and the session with it."""


class ViewerSession:
    """
    One client. ``network`` makes endpoints (:class:`spicemig.client.hosts.Network`,
    or a test's own), ``clock`` is an ``IReactorTime``.

    ``observers`` are called with every :class:`spicemig.client.events.Event`.
    """

    log = Logger()

    def __init__(
        self,
        network: EndpointMaker,
        password: bytes = b"",
        clock: Any = None,
        *,
        abilities: Abilities = STOCK,
        link_seconds: float = LINK_SECONDS,
    ) -> None:
        if clock is None:
            from twisted.internet import reactor

            clock = reactor
        self.network = network
        self.password = password
        self.clock = clock
        self.abilities = abilities
        self.link_seconds = link_seconds
        self.counters = Counters()
        self.traffic: list[Traffic] = []
        self.moves: list[Move] = []
        self.images: Cache[Picture] = Cache(counted=True)
        self.glz_window = GlzDecoderWindow(GLZ_WINDOW_PIXELS)
        self.cores: dict[ChannelKey, ClientChannel] = {}
        self.connections: dict[ChannelKey, ChannelConnection] = {}
        self.address: Address | None = None
        self.connection_id = 0
        self.handover: Handover | None = None
        self.failure: Failure | None = None
        self.over = False
        self.observers: list[Callable[[events.Event], None]] = []
        self._opening: list[ChannelConnection] = []
        self._links: list[Deferred] = []
        self._opened: Deferred | None = None
        self._waiters: list[_Waiter] = []

    # -- channels ------------------------------------------------------------

    def core(self, channel: str, channel_id: int = 0) -> Any:
        """The channel, or None while there is none."""
        return self.cores.get((CHANNEL_TYPES[channel], channel_id))

    @property
    def main(self) -> MainChannel:
        """The main channel, which every session has once it is connected."""
        return self.cores[MAIN]  # type: ignore[return-value]

    @property
    def display(self) -> DisplayChannel:
        """The first display channel."""
        return self.cores[CHANNEL_TYPES["display"], 0]  # type: ignore[return-value]

    @property
    def inputs(self) -> InputsChannel:
        """The inputs channel; call :meth:`flush` after using it, or use :meth:`do`."""
        return self.cores[CHANNEL_TYPES["inputs"], 0]  # type: ignore[return-value]

    @property
    def cursor(self) -> CursorChannel:
        """The cursor channel."""
        return self.cores[CHANNEL_TYPES["cursor"], 0]  # type: ignore[return-value]

    def screen(self) -> Pillow.Image:
        """What the primary surface shows, RGB; raises ``LookupError`` without one."""
        canvas = self.display.canvas
        if canvas.primary is None:
            raise LookupError("there is no primary surface")
        return canvas.surfaces[canvas.primary].image()

    # -- the user ------------------------------------------------------------

    def do(self, action: Callable[..., None], *arguments: Any) -> None:
        """Call a channel's method and send what it says: ``session.do(session.inputs.key_down, 30)``."""
        action(*arguments)
        self.flush()

    def type_keys(self, *codes: int) -> None:
        """Press and release keys, one after the other."""
        for code in codes:
            self.inputs.key_down(code)
            self.inputs.key_up(code)
        self.flush()

    def flush(self) -> None:
        """Write what the channels have to say."""
        for connection in list(self.connections.values()):
            connection.flush()

    # -- connecting ------------------------------------------------------------

    @inlineCallbacks
    def connect(self, address: Address):
        """
        Connect all channels; fires with this session when every channel that the
        server lists and we want is linked. Fails with what the server refused by.
        """
        self._begin(address)
        opened = self._opened = Deferred(lambda _: self._abort_links())
        try:
            connection = yield self.link(address, *MAIN, connection_id=0)
            self.serve(connection, self.cores.get(MAIN) or self._make_core(*MAIN))
            yield opened.addTimeout(self.link_seconds, self.clock)
        except Exception:
            self._opened = None
            self._end(Failure())
            raise
        return self

    def _begin(self, address: Address) -> None:
        self.address = address
        self.connection_id = 0
        self.over = False
        self.failure = None
        self.images.clear()
        self.glz_window.clear()
        for core in self.cores.values():
            core.reset()

    def link(self, address: Address, channel_type: int, channel_id: int, connection_id: int) -> Deferred:
        """
        Link one channel; fires with a parked :class:`ChannelConnection`. A server that
        wants TLS for the channel gets it, if the address has a TLS port.
        """
        secure = not address.unix and not address.port
        made = self._link_once(address, secure, channel_type, channel_id, connection_id)

        def refused(failure: Failure) -> Any:
            failure.trap(ProtocolError)
            if failure.value.code != LinkError.NEED_SECURED or secure or not address.tls_port:
                return failure
            return self._link_once(address, True, channel_type, channel_id, connection_id)

        made.addErrback(refused)
        self._links.append(made)
        made.addTimeout(self.link_seconds, self.clock)

        def done(result: Any) -> Any:
            self._links.remove(made)
            return result

        return made.addBoth(done)

    @inlineCallbacks
    def _link_once(
        self, address: Address, secure: bool, channel_type: int, channel_id: int, connection_id: int
    ):
        kind = CHANNELS[channel_name(channel_type)]
        link = LinkClient(
            kind.channel,
            channel_id,
            connection_id,
            self.password,
            common_caps=self.abilities.common(),
            channel_caps=self.abilities.of(kind),
        )
        traffic = Traffic(kind.channel, channel_id, str(address), self.clock.seconds())
        self.traffic.append(traffic)
        connection = ChannelConnection(self, (channel_type, channel_id), link, traffic)
        self._opening.append(connection)
        try:
            yield self.network(address, secure).connect(ChannelFactory(connection))
            return (yield connection.linked)
        finally:
            self._opening.remove(connection)

    def serve(self, connection: ChannelConnection, core: ClientChannel) -> None:
        """Let a channel begin on a connection."""
        self.cores[connection.key] = core
        self.connections[connection.key] = connection
        core.attach(connection.mini, connection.server_caps, connection.traffic)
        core.up()
        connection.serve(core)

    def _make_core(self, channel_type: int, channel_id: int) -> ClientChannel:
        kind = CHANNELS[channel_name(channel_type)]
        more: dict[str, Any] = {}
        if kind is DisplayChannel:
            more = {"images": self.images, "glz_window": self.glz_window}
        return kind(channel_id, counters=self.counters, read_only=self.abilities.read_only, **more)

    def _open_listed(self, listed: tuple[ChannelKey, ...]) -> None:
        links = []
        for channel_type, channel_id in listed:
            key = channel_type, channel_id
            if channel_name(channel_type) not in self.abilities.channels or key in self.connections:
                continue
            assert self.address is not None
            link = self.link(self.address, channel_type, channel_id, self.connection_id)
            core = self.cores.get(key) or self._make_core(channel_type, channel_id)
            links.append(link.addCallback(self.serve, core))
        together = gatherResults(links, consumeErrors=True)
        together.addErrback(lambda failure: failure.value.subFailure)  # FirstError says nothing by itself
        together.addCallbacks(self._all_opened, self._open_failed)

    def _all_opened(self, _: Any) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.callback(self)
        self._look()

    def _open_failed(self, failure: Failure) -> None:
        self._end(failure)

    def _abort_links(self) -> None:
        for link in list(self._links):
            link.cancel()

    # -- leaving ------------------------------------------------------------

    def disconnect(self) -> Deferred:
        """Close everything; fires when all connections are closed."""
        self.over = True
        closed = self._close_connections()
        self._look()
        return closed

    def _close_connections(self) -> Deferred:
        if self.handover is not None:
            self.handover.drop()
            self.handover = None
        self._abort_links()
        connections = list(self.connections.values())
        self.connections.clear()
        for connection in connections:
            connection.close()
        return DeferredList([connection.closed for connection in connections]).addCallback(lambda _: None)

    def _end(self, failure: Failure) -> None:
        if self.failure is None:
            self.failure = failure
        opened, self._opened = self._opened, None
        self.disconnect()
        if opened is not None:
            opened.errback(failure)

    # -- what came ------------------------------------------------------------

    def receive(self, connection: ChannelConnection, data: bytes) -> None:
        """Bytes for a channel; see :class:`ChannelConnection`."""
        core = connection.core
        assert core is not None
        self._run(core, core.receive(data, self.clock.seconds()))

    def _run(self, core: ClientChannel, happened: Any) -> None:
        try:
            for event in happened:
                self._handle(core, event)
        except ProtocolError as error:
            self.log.error("{channel}: {error}", channel=core.name, error=error)
            self._end(Failure(error))
            return
        self._go_on_waiting()
        self.flush()
        self._look()

    def go_on(self, core: ClientChannel) -> None:
        """Handle what a channel kept while it was held."""
        self._run(core, core.go_on(self.clock.seconds()))

    def _go_on_waiting(self) -> None:
        for core in list(self.cores.values()):
            if core.waits:
                core.waits = [wait for wait in core.waits if not self._come_so_far(*wait)]
                if not core.waits:
                    self.go_on(core)

    def _come_so_far(self, channel_type: int, channel_id: int, serial: int) -> bool:
        other = self.cores.get((channel_type, channel_id))
        return other is None or other.last_serial >= serial

    def _handle(self, core: ClientChannel, event: events.Event) -> None:
        handler = getattr(self, "_on_" + type(event).__name__, None)
        if handler is not None:
            handler(core, event)
        self.tell(event)

    def tell(self, event: events.Event) -> None:
        """Let everybody who listens know."""
        for observer in list(self.observers):
            observer(event)
        for waiter in list(self._waiters):
            waiter.event(event)

    def _on_Initialised(self, core: ClientChannel, event: events.Initialised) -> None:
        self.connection_id = event.init.session_id
        if self.handover is not None and self.handover.waits_for_init:
            self.handover.raise_others()
        else:
            self.main.attach_channels()

    def _on_ChannelsListed(self, core: ClientChannel, event: events.ChannelsListed) -> None:
        self._open_listed(event.channels)

    def _on_MigrateBegun(self, core: ClientChannel, event: events.MigrateBegun) -> None:
        if self.handover is not None:
            self.handover.drop()
        self.handover = Handover(self, event)
        self.handover.begin()

    def _on_SeamlessAnswered(self, core: ClientChannel, event: events.SeamlessAnswered) -> None:
        if self.handover is not None:
            self.handover.answered(event.agreed)

    def _on_MigrateCancelled(self, core: ClientChannel, event: events.MigrateCancelled) -> None:
        if self.handover is not None:
            self.handover.drop()
            self.handover = None

    def _on_MigrateEnded(self, core: ClientChannel, event: events.MigrateEnded) -> None:
        if self.handover is None or not self.handover.complete:
            raise ProtocolError(LinkError.INVALID_DATA, "MigrateEnd without a target")
        self.handover.end()

    def _on_SwapAsked(self, core: ClientChannel, event: events.SwapAsked) -> None:
        if self.handover is None or not self.handover.complete:
            raise ProtocolError(LinkError.INVALID_DATA, "Migrate without a target")
        self.connections[core.channel_type, core.channel_id].flush()
        self.handover.swap(core, event.block)

    def _on_SwitchHostAsked(self, core: ClientChannel, event: events.SwitchHostAsked) -> None:
        # not from inside the channel that is to be closed
        self.clock.callLater(0, self._switch_host, Address.of(event.destination))

    def _switch_host(self, address: Address) -> None:
        if self.over:
            return
        assert self.address is not None
        move = Move(self.clock.seconds(), str(self.address), str(address), "switch-host")
        move.before = self._display_traffic()
        self.moves.append(move)
        self._close_connections()

        def connected(_: Any) -> None:
            move.done = self.clock.seconds()
            move.after = self._display_traffic()
            self.tell(events.Moved(str(address), move.how))
            self._look()

        def failed(failure: Failure) -> None:
            self.log.error("switching to {host} failed: {error}", host=str(address), error=failure.value)

        self.connect(address).addCallbacks(connected, failed)

    def moved(self, move: Move, address: Address) -> None:
        """A handover is over; the session lives at the target."""
        self.handover = None
        self.address = address
        move.done = self.clock.seconds()
        self.moves.append(move)
        self.tell(events.Moved(str(address), move.how))

    def _display_traffic(self) -> Traffic | None:
        core = self.core("display")
        return None if core is None else core.traffic

    def connection_lost(self, connection: ChannelConnection, reason: Failure) -> None:
        """A connection is gone; see :class:`ChannelConnection`."""
        if self.connections.get(connection.key) is not connection:
            return
        del self.connections[connection.key]
        kind, channel_id = channel_name(connection.key[0]), connection.key[1]
        self.tell(events.Disconnected(kind, channel_id, reason.getErrorMessage()))
        if connection.key == MAIN:
            if reason.check(ConnectionDone):
                reason = Failure(SessionOver("the server closed the main channel"))
            self._end(reason)

    # -- waiting ------------------------------------------------------------

    def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> Deferred:
        """Fires when the condition is true; it is looked at after everything that comes in."""
        return self._wait(lambda event: None, lambda: condition() or None, seconds)

    def when(self, *kinds: type[events.Event], seconds: float = 10.0) -> Deferred:
        """Fires with the next event of one of these kinds."""
        return self._wait(lambda event: event if isinstance(event, kinds) else None, lambda: None, seconds)

    def when_over(self, seconds: float = 10.0) -> Deferred:
        """Fires when the session has ended, for whatever reason; see ``failure``."""
        return self._wait(lambda event: None, lambda: self.over or None, seconds, survives=True)

    def _wait(self, on_event, on_look, seconds, survives=False) -> Deferred:
        at_once = on_look()
        if at_once is not None:
            return succeed(at_once)
        waiter = _Waiter(self, on_event, on_look, survives)
        self._waiters.append(waiter)
        return waiter.result.addTimeout(seconds, self.clock)

    def _look(self) -> None:
        for waiter in list(self._waiters):
            waiter.look()


class _Waiter:
    """Somebody who waits for an event or a condition."""

    def __init__(self, session: ViewerSession, on_event, on_look, survives: bool) -> None:
        self.session = session
        self.on_event = on_event
        self.on_look = on_look
        self.survives = survives
        self.result: Deferred = Deferred(lambda _: self.session._waiters.remove(self))

    def event(self, event: events.Event) -> None:
        self._give(self.on_event(event))

    def look(self) -> None:
        self._give(self.on_look())
        if self in self.session._waiters and self.session.over and not self.survives:
            self.session._waiters.remove(self)
            self.result.errback(self.session.failure or Failure(SessionOver("the session is over")))

    def _give(self, value: Any) -> None:
        if value is not None and self in self.session._waiters:
            self.session._waiters.remove(self)
            self.result.callback(value)


__all__ = ["STOCK", "Abilities", "SessionOver", "TimeoutError", "ViewerSession"]
