# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One client over all its channels.

A client session owns the channel cores of one connection id and what they
share. It takes what the cores have to tell to the host's sessions (the guest's
inputs, questions, signs of a migration), and what the device shows to the
cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from spicemig.channels import events
from spicemig.channels.bandwidth import Bandwidth
from spicemig.channels.cursor import CursorCore
from spicemig.channels.display import DisplayCore
from spicemig.channels.glz_dictionary import GlzDictionary
from spicemig.channels.inputs import InputsCore
from spicemig.channels.main import MainCore
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.codecs import video
from spicemig.codecs.glz import GlzWindow
from spicemig.errors import LinkError, ProtocolError
from spicemig.session.backlog import Backlog, Show
from spicemig.session.carried import PIXMAPS_ONLY, CarriedChannel, SharedImages
from spicemig.session.stage import Stage
from spicemig.wire.capabilities import MainCap

if TYPE_CHECKING:
    from spicemig.channels.protocol import ChannelProtocol
    from spicemig.channels.tickets import TicketVerifier
    from spicemig.session.sessions import Sessions

ChannelKey = tuple[str, int]


class ClientSession:
    """
    A client of this host.

    ``arriving`` clients come from a source: their channels stay parked until
    their state is restored (:meth:`restore`) or given up (:meth:`start_afresh`).
    """

    log = Logger()

    def __init__(
        self, host: Sessions, connection_id: int, address: str = "", *, arriving: bool = False
    ) -> None:
        self.host = host
        self.connection_id = connection_id
        self.address = address
        self.arriving = arriving
        self.arrived = arriving  # came here by a handover
        self.bytes_resent = 0  # pixels, not compressed, that it had at the source
        self.connected_at = host.clock.seconds()
        self.verifier: TicketVerifier | None = None
        self.local = False  # came over a unix socket: no address of a target means anything to it
        self.cores: dict[ChannelKey, Any] = {}
        self.pixmap_cache = PixmapCache()
        self.glz_dictionary = GlzDictionary()
        self.glz_contents: GlzWindow | None = None  # of an arriving client, ahead of its state
        self.bandwidth = Bandwidth()
        self.latency_seconds: float | None = None
        self.closing = False  # from our side
        self.seal: Callable[[str, int, bytes], bytes] | None = None  # set while it leaves for a target
        self.restored: set[ChannelKey] = set()
        self._protocols: dict[Any, ChannelProtocol] = {}  # by core
        self._live_displays: set[ChannelKey] = set()
        self._backlog: Backlog | None = None  # for a display whose state is still on its way

    # channels

    @property
    def main(self) -> MainCore | None:
        """The main channel's core, while it is connected."""
        return self.cores.get(("main", 0))

    @property
    def seamless(self) -> bool:
        """Whether the client takes a seamless migration."""
        return self._has_caps(MainCap.SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS)

    @property
    def semi_seamless(self) -> bool:
        """Whether the client takes a semi-seamless migration."""
        return self._has_caps(MainCap.SEMI_SEAMLESS_MIGRATE)

    def _has_caps(self, *wanted: int) -> bool:
        return self.main is not None and all(cap in self.main.caps for cap in wanted)

    def channels(self, name: str) -> list[Any]:
        """The cores of its channels of this type."""
        return [core for (channel, _id), core in self.cores.items() if channel == name]

    def make_core(self, request: Any) -> Any:
        """The core for a link that was asked for; the channel is part of the host's channel set."""
        common = {
            "mini": request.mini,
            "caps": request.channel_caps,
            "arriving": self.arriving,
            "channel_id": request.channel_id,
            "traffic": self.host.tally.traffic[request.channel],
        }
        if request.channel == "main":
            return MainCore(
                connection_id=self.connection_id,
                name=self.host.settings.name,
                uuid=self.host.settings.uuid,
                # a stock client would link another main channel
                channels=[key for key in self.host.channel_set if key[0] != "main"],
                bandwidth=self.bandwidth,
                **common,
            )
        if request.channel == "display":
            return DisplayCore(
                pixmap_cache=self.pixmap_cache,
                glz_dictionary=self.glz_dictionary,
                bandwidth=self.bandwidth,
                settings=self.host.settings,
                tally=self.host.tally.display,
                **common,
            )
        if request.channel == "inputs":
            return InputsCore(**common)
        return CursorCore(**common)

    def attach(self, core: Any, protocol: ChannelProtocol) -> None:
        """A channel's link is through; speak first, unless its state is still to come."""
        self.cores[core.channel, core.channel_id] = core
        self._protocols[core] = protocol
        if core.channel == "cursor":
            core.client_leads = self.host.inputs.client_leads
        if not self.arriving:
            self._start(core)
            if self.host.stage is not Stage.SERVING:
                core.freeze()

    def _start(self, core: Any) -> None:
        host = self.host
        if core.channel == "main":
            core.tell_first(
                host.inputs.supported_mouse_modes, host.inputs.mouse_mode, host.multi_media_time()
            )
        elif core.channel == "inputs":
            core.tell_first(host.inputs.modifiers)
        core.start(host.clock.seconds())
        if core.channel == "cursor":
            core.init(host.device.cursor_state())
        self._go_on(core, core.catch_up())

    def _go_on(self, core: Any, told: Iterator[Any]) -> None:
        """Handle events of a core that no bytes from the client have brought about now."""
        protocol = self._protocols.get(core)
        if protocol is not None:
            protocol.tell(told)
            self.flush(core)

    def flush(self, core: Any) -> None:
        """Write what a core has to say, and have encoded what it needs encoded."""
        self._flush_one(core)
        if core.channel == "display" and len(self._live_displays) > 1:
            self._flush_others(core)

    def _flush_others(self, core: Any) -> None:
        """A display channel went on: those whose images come behind its images may, too."""
        others = [core]
        progress = None
        while progress != self.glz_dictionary.progress:
            progress = self.glz_dictionary.progress
            others = [other for other in self._displays() if other not in others and not other.idle]
            for other in others:
                self._flush_one(other)

    def _flush_one(self, core: Any) -> None:
        if core.channel == "display":
            self._tell_time(core)
            sent = None
            # what stands first after that may have to be encoded
            while sent is None or not self.closing and sent != core.common.serial_sent:
                sent = core.common.serial_sent
                self._have_work_done(core)
                self._write(core)
        else:
            self._write(core)

    def _have_work_done(self, core: DisplayCore) -> None:
        while not self.closing and (owed := core.take_owed()):
            for surface_id, rects in owed.items():
                core.repaint(self.host.device.render(surface_id), rects)
        for job in core.jobs():
            self.host.workers(job.run).addCallbacks(
                self._encoded, self._encoding_failed, callbackArgs=(core, job), errbackArgs=(core,)
            )

    def _write(self, core: Any) -> None:
        protocol = self._protocols.get(core)
        if protocol is not None:
            protocol.flush()

    def _tell_time(self, core: DisplayCore) -> None:
        core.tell_time(self.host.clock.seconds(), self.host.multi_media_time())

    def _encoded(self, result: Any, core: Any, job: Any) -> None:
        core.encoded(job, result)
        self.flush(core)

    def _encoding_failed(self, failure: Any, core: Any) -> None:
        self.log.failure("client {client}: an image could not be encoded", failure, client=self.address)
        self.close_channel(core)

    def close_channel(self, core: Any) -> None:
        """End one connection from our side."""
        protocol = self._protocols.get(core)
        if protocol is not None:
            protocol.close()

    def close(self) -> None:
        """End all connections; what is already queued is still sent."""
        self.closing = True
        for protocol in list(self._protocols.values()):
            protocol.close()

    def abort(self) -> None:
        """End all connections at once; what is queued is dropped."""
        self.closing = True
        for protocol in list(self._protocols.values()):
            protocol.abort()

    # what ChannelProtocol calls

    def handle(self, core: Any, event: Any) -> None:
        """A core has something to tell."""
        handler = self._HANDLERS.get(type(event))
        if handler is not None:
            handler(self, core, event)

    def channel_lost(self, core: Any, reason: Any) -> None:
        """A connection is gone; without its main channel a client is gone whole."""
        self._protocols.pop(core, None)
        key = (core.channel, core.channel_id)
        if key not in self.cores or self.cores[key] is not core:
            return
        del self.cores[key]
        self._live_displays.discard(key)
        if core.channel == "display" and core.state.initialised:
            self.glz_dictionary.channel_gone(core.channel_id, last=not self._live_displays)
        if core.channel == "inputs":
            self.host.inputs.keys_left(self.connection_id, core.keys_to_release())
        if core.channel == "main" and self.seal is None:
            self.close()
        if not self.cores:
            self.host.client_lost(self)
        else:
            self.host.arrivals.look_whether_settled(self)

    # events of the cores

    def _input(self, core: Any, event: Any) -> None:
        self.host.inputs.take(event)

    def _display_initialised(self, core: DisplayCore, event: events.DisplayInitialised) -> None:
        key = (core.channel, core.channel_id)
        self._live_displays.add(key)
        self.show_all(core)

    def show_all(self, core: DisplayCore) -> None:
        """Give a display channel that has nothing the whole picture."""
        device = self.host.device
        for surface in device.surfaces():
            core.surface_created(surface, primary=surface.id == 0)
        config = device.monitors_config()
        if config is not None:
            core.monitors(config)
        for surface in device.surfaces():
            core.repaint(device.render(surface.id))
            if self.arrived:
                self.bytes_resent += len(surface.pixels)
            if surface.id == 0:
                core.mark()
        self.flush(core)

    def _flush_mark(self, core: Any, event: events.FlushMarkReceived) -> None:
        if self.seal is None:
            raise ProtocolError(LinkError.INVALID_DATA, "a flush mark that nobody asked for")
        block = self.carried(core)
        core.hand_over(self.seal(core.channel, core.channel_id, block))
        self.flush(core)
        self.host.notify_observer("flush_mark", self.connection_id, core.channel, core.channel_id)

    def _migrate_data(self, core: Any, event: events.MigrateDataReceived) -> None:
        self.host.arrivals.migrate_data(self, core, bytes(event.block))

    def _migrate_connected(self, core: MainCore, event: events.MigrateConnected) -> None:
        self.host.notify_observer("client_connected", self.connection_id, event.seamless)

    def _migrate_failed(self, core: MainCore, event: Any) -> None:
        self.host.notify_observer("client_failed", self.connection_id)

    def _do_seamless(self, core: MainCore, event: events.DoSeamless) -> None:
        self.host.arrivals.answer_seamless(self, event.version)

    def _migrate_ended(self, core: MainCore, event: Any) -> None:
        self.host.arrivals.migrate_ended(self)

    def _mouse_mode_asked(self, core: MainCore, event: events.MouseModeAsked) -> None:
        self.host.inputs.ask_mouse_mode(event.mode)

    def _window_opened(self, core: Any, event: Any) -> None:
        self.flush(core)

    def _latency(self, core: Any, event: events.LatencyMeasured) -> None:
        self.latency_seconds = event.seconds
        self.host.tally.latency.observe(event.seconds)

    def _video_preferred(self, core: DisplayCore, event: events.PreferredVideoCodecs) -> None:
        for codec in event.codecs:
            reason = video.missing(codec)
            if reason and self.host.settings.streaming != "off":
                self.log.info(
                    "client {client} would like video of codec {codec}: {reason}",
                    client=self.address,
                    codec=codec,
                    reason=reason,
                )

    def _dead(self, core: Any, event: Any) -> None:
        self.log.info("client {client}: no sign of life, closed", client=self.address)
        self.abort()

    _HANDLERS: dict[type, Callable[[ClientSession, Any, Any], None]] = {
        events.KeyDown: _input,
        events.KeyUp: _input,
        events.KeyModifiers: _input,
        events.PointerMoved: _input,
        events.PointerSet: _input,
        events.ButtonPressed: _input,
        events.ButtonReleased: _input,
        events.DisplayInitialised: _display_initialised,
        events.FlushMarkReceived: _flush_mark,
        events.MigrateDataReceived: _migrate_data,
        events.MigrateConnected: _migrate_connected,
        events.MigrateConnectFailed: _migrate_failed,
        events.DoSeamless: _do_seamless,
        events.MigrateEnded: _migrate_ended,
        events.MouseModeAsked: _mouse_mode_asked,
        events.WindowOpened: _window_opened,
        events.LatencyMeasured: _latency,
        events.ClientDead: _dead,
        events.PreferredVideoCodecs: _video_preferred,
    }

    # what the device shows

    def _displays(self) -> list[DisplayCore]:
        return [self.cores[key] for key in self._live_displays]

    def _show(self, show: Show) -> None:
        if self._backlog is not None:
            self._backlog.command(show)
            if self._backlog.full:
                self.log.info("client {client}: its state did not come in time, closed", client=self.address)
                self._backlog = None
                self.abort()
        for core in self._displays():
            show(core)
            self.flush(core)

    def surface_created(self, surface: Any) -> None:
        """Tell the displays of a new surface."""

        def show(core: DisplayCore) -> None:
            core.surface_created(surface, primary=surface.id == 0)
            if surface.id == 0:
                core.mark()

        self._show(show)

    def surface_destroyed(self, surface_id: int) -> None:
        """Tell the displays that a surface is gone."""
        self._show(lambda core: core.surface_destroyed(surface_id))

    def monitors(self, config: Any) -> None:
        """Tell the displays of new heads."""
        self._show(lambda core: core.monitors(config))

    def drawables(self, batch: Any) -> None:
        """Give the displays a batch."""
        if self._backlog is not None:
            self._backlog.drawables(batch)
        for core in self._displays():
            self._tell_time(core)
            core.drawables(batch)
            self.flush(core)

    def cursor(self, command: Any) -> None:
        """Give the cursor channels a command."""
        for core in self.channels("cursor"):
            core.command(command)
            self.flush(core)

    # what all clients are told of the guest's inputs

    def tell_mouse_mode(self) -> None:
        """Tell the client of the mouse modes; in client mode it moves its cursor itself."""
        inputs = self.host.inputs
        for core in self.channels("cursor"):
            core.client_leads = inputs.client_leads
        for core in self.channels("main"):
            if not core.parked:
                core.set_mouse_mode(inputs.supported_mouse_modes, inputs.mouse_mode)
                self.flush(core)

    def tell_modifiers(self) -> None:
        """Tell the client which lock keys are on in the guest."""
        for core in self.channels("inputs"):
            if not core.parked:
                core.set_modifiers(self.host.inputs.modifiers)
                self.flush(core)

    # leaving

    def freeze(self) -> None:
        """Handle nothing more from the client; send off what the displays still hold."""
        for core in self.cores.values():
            core.freeze()
        waiting = self._displays()
        while waiting := [display for display in waiting if not display.flush_all()]:
            pass  # the one whose image is the oldest goes on
        for core in list(self.cores.values()):
            self.flush(core)

    def thaw(self) -> None:
        """Go on, first with what came in meanwhile; who was sent away already cannot."""
        if self.seal is not None:
            self.abort()
            return
        for core in list(self.cores.values()):
            self._go_on(core, core.thaw())

    def carried(self, core: Any) -> bytes:
        """What a channel hands to the target."""
        shared = b""
        if core.channel == "display":
            images: Any = SharedImages(self.pixmap_cache.export_state(), self.glz_dictionary.export_state())
            shared = images.export_state()
        elif core.channel == "main":
            shared = self.bandwidth.export_state()
        return CarriedChannel(core=core.export_state(), shared=shared).pack()

    def leave(self, seal: Callable[[str, int, bytes], bytes]) -> None:
        """Send MIGRATE on every channel; each answers with its flush mark."""
        self.seal = seal
        for core in list(self.cores.values()):
            core.leave()
            self.flush(core)

    # arriving

    def restore(self, blocks: dict[ChannelKey, bytes]) -> None:
        """
        Take over the channels' states and speak to the client again.

        Raises ``ProtocolError`` if a block is not right; the client is of no use then.
        """
        for key, block in blocks.items():
            core = self.cores.get(key)
            if core is None:
                continue
            carried = CarriedChannel.unpack(block)
            if core.channel == "display" and not any(channel == "display" for channel, _id in self.restored):
                self._restore_images(bytes(carried.shared))
            elif core.channel == "main":
                self.bandwidth.restore_from(bytes(carried.shared))
            if core.channel == "display":
                self._tell_time(core)
            core.restore(bytes(carried.core))
            self.restored.add(key)
            if core.channel == "display":
                self._live_displays.add(key)
                backlog, self._backlog = self._backlog, None
                if backlog is not None:
                    backlog.feed(core, self.host.device)
            elif core.channel == "inputs":
                self.host.inputs.keys_claimed(self.connection_id)
            self.flush(core)
        self.tell_mouse_mode()
        self.tell_modifiers()

    def _restore_images(self, shared: bytes) -> None:
        contents, self.glz_contents = self.glz_contents, None
        if shared[: len(PIXMAPS_ONLY)] == PIXMAPS_ONLY:
            self.pixmap_cache.restore_from(shared)
            return
        kind: Any = SharedImages
        images = kind.restore(shared)
        self.pixmap_cache.restore_from(bytes(images.pixmap_cache))
        self.glz_dictionary.restore_from(bytes(images.glz_dictionary), contents)

    def expect_state(self) -> None:
        """Keep what the device shows from now on, if there is a display whose state is still on its way."""
        if self.channels("display"):
            self._backlog = Backlog()

    def take_held(self, core: Any, block: bytes) -> None:
        """Handle what the client had said to the source after it stood still."""
        carried = CarriedChannel.unpack(block)
        for event in core.take_held(bytes(carried.core)):
            self.handle(core, event)
        self.flush(core)

    def start_afresh(self) -> None:
        """Serve an arriving client as a new one (semi-seamless)."""
        self.arriving = False
        self._backlog = None
        self.glz_contents = None
        for core in list(self.cores.values()):
            self._start(core)
