# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Prometheus is told of hosts and relays that serve clients in memory."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.limits import CLOSED, TIMEOUT, TOO_MANY
from spicemig.channels.tallies import PAUSE_SECONDS, Histogram
from spicemig.client.hosts import Address
from spicemig.client.session import Abilities, ViewerSession
from spicemig.control.host_metrics import HOST
from spicemig.control.metrics import COMMON, COUNTER, HISTOGRAM, Declared, MetricsResource
from spicemig.control.relay_metrics import RELAY
from spicemig.devices.drawables import DeviceImage
from spicemig.errors import ProtocolError
from spicemig.relay.client import ClientFactory
from spicemig.relay.relay import Relay
from spicemig.relay.routes import Route, Routes
from spicemig.session.settings import SessionSettings
from spicemig.testing.films import film
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.hosts import PORT, Host, OneKey, TwoHosts
from spicemig.wire.enums import BitmapFormat, ImageFlags

# metrics that have a sample only once something has happened
OF_EVENTS = ("spicemig_handover_clients_total",)
PLAIN = DeviceImage(60, 40, BitmapFormat.BIT32, 240, bytes(9600), id=9, flags=ImageFlags.CACHE_ME)
EXPIRY = SimpleNamespace(timestamp=lambda: 1_900_000_000.0)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape:
    """The answer to one request, taken apart."""

    def __init__(self, resource: MetricsResource) -> None:
        text = generate_latest(resource.registry).decode()
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def samples(self, *types: str) -> Samples:
        """All samples, or those of metrics of these types."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
            if not types or family.type in types
        }

    def value(self, name: str, **labels: str) -> float:
        """The value of one sample, which must be there."""
        return self.samples()[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name that have these labels."""
        return sum(
            value
            for (found, its), value in self.samples().items()
            if found == name and labels.items() <= dict(its).items()
        )


class MetricsCase(SynchronousTestCase):
    """Two hosts and their clients, scraped."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, **options: Any) -> None:
        """Two hosts."""
        self.hosts = TwoHosts(self.mktemp(), **options)
        self.resources = {host: self.resource(host) for host in (self.hosts.source, self.hosts.target)}

    def resource(self, host: Host) -> MetricsResource:
        """The metrics of one of them, as a daemon would serve them."""
        daemon = SimpleNamespace(
            kind="source",
            sessions=host.sessions,
            handovers=SimpleNamespace(migrations=host.migrations),
            epochs=host.epochs,
            owner=True,
            links=host.links,
            credentials=SimpleNamespace(expiries=lambda: {"certificate": EXPIRY}),
        )
        return MetricsResource(HOST, daemon)

    def scrape(self, host: Host | None = None) -> Scrape:
        """What a host, by default the source, tells now."""
        return Scrape(self.resources[host or self.hosts.source])

    def assert_not_backwards(self, before: Scrape, after: Scrape) -> None:
        """Nothing that only grows has become smaller, or is gone."""
        now = after.samples("counter", "histogram")
        for key, value in before.samples("counter", "histogram").items():
            self.assertGreaterEqual(now[key], value, key)


class RelayCase(MetricsCase):
    """The same with a relay before them."""

    def setUp(self) -> None:
        super().setUp()
        route = Route("*", (self.hosts.source.address, self.hosts.target.address))
        self.relay = Relay(Routes([route]), self.hosts.network, OneKey(), self.hosts.clock)
        self.hosts.network.listen("relay", PORT, ClientFactory(self.relay))
        daemon = SimpleNamespace(
            kind="relay",
            relay=self.relay,
            links=self.relay.counter,
            credentials=SimpleNamespace(expiries=lambda: {"ca": EXPIRY}),
        )
        self.metrics = MetricsResource(RELAY, daemon)

    def relayed(self, **abilities: Any) -> ViewerSession:
        """A client behind the relay."""
        viewer = ViewerSession(self.hosts.network, b"", self.hosts.clock, abilities=Abilities(**abilities))
        self.hosts.wait(viewer.connect(Address("relay", PORT)))
        self.hosts.wait(viewer.until(lambda: viewer.display.marked))
        self.hosts.run(0.01)
        return viewer


class DeclarationTests(RelayCase):
    """What is declared is what is served."""

    def assert_served(self, scrape: Scrape, declared: Iterable[Declared]) -> None:
        for metric in declared:
            family = scrape.families[metric.name.removesuffix("_total")]
            self.assertEqual((family.documentation, family.type), (metric.help, metric.kind))
            self.assertTrue(family.samples or metric.name in OF_EVENTS, metric.name)
            for sample in family.samples:
                self.assertEqual(set(sample.labels) - {"le"}, set(metric.labels), metric.name)

    def test_host(self) -> None:
        """A host with a client tells everything that is declared, each metric with its labels."""
        self.hosts.viewer()
        scrape = self.scrape()
        self.assert_served(scrape, [*COMMON, *HOST])
        self.assertIn("process_cpu_seconds", scrape.families)

    def test_relay(self) -> None:
        """So does a relay."""
        self.relayed()
        self.assert_served(Scrape(self.metrics), [*COMMON, *RELAY])

    def test_names(self) -> None:
        """Names are as is usual: the program first, the unit, total for what is counted; none is twice."""
        declared = [*COMMON, *HOST, *RELAY]
        self.assertEqual(len(declared), len({metric.name for metric in declared}))
        for metric in declared:
            self.assertRegex(metric.name, r"^spicemig_[a-z_]+$")
            self.assertEqual(metric.name.endswith("_total"), metric.kind == COUNTER, metric.name)
            self.assertTrue(metric.name.endswith("_seconds") or metric.kind != HISTOGRAM, metric.name)
            self.assertTrue(metric.help.endswith("."), metric.name)
        self.assertEqual({metric.name.startswith("spicemig_relay_") for metric in RELAY}, {True})

    def test_two_daemons(self) -> None:
        """Daemons in one process do not see each other's numbers."""
        self.hosts.viewer()
        self.assertEqual(self.scrape().value("spicemig_sessions", state="present"), 1)
        self.assertEqual(self.scrape(self.hosts.target).value("spicemig_sessions", state="present"), 0)
        self.assertEqual(Scrape(self.metrics).total("spicemig_relay_sessions"), 0)


class HistogramTests(SynchronousTestCase):
    """Buckets hold what is at most their bound."""

    def test_bounds(self) -> None:
        """A bound belongs to its bucket; the last bucket has all."""
        histogram = Histogram((0.1, 1.0))
        for seconds in (0.05, 0.1, 0.100001, 5.0):
            histogram.observe(seconds)
        self.assertEqual(list(histogram.buckets()), [(0.1, 2), (1.0, 3), (float("inf"), 4)])
        self.assertAlmostEqual(histogram.sum, 5.250001)

    def test_pauses(self) -> None:
        """Pauses are told apart from 5 ms to 10 s."""
        self.assertEqual((PAUSE_SECONDS[0], PAUSE_SECONDS[-1]), (0.005, 10.0))
        self.assertEqual(sorted(PAUSE_SECONDS), list(PAUSE_SECONDS))


class HostTests(MetricsCase):
    """The numbers of a host."""

    def assert_bytes(self, viewer: ViewerSession, host: Host) -> None:
        """The host has counted what its only client has."""
        scrape = self.scrape(host)
        for name, counted in (("sent", "bytes_in"), ("received", "bytes_out")):
            for channel in ("main", "display", "inputs", "cursor"):
                sums = [
                    getattr(traffic, counted)
                    for traffic in viewer.traffic
                    if traffic.channel == channel and traffic.host.startswith(host.name)
                ]
                self.assertEqual(
                    scrape.value(f"spicemig_{name}_bytes_total", channel=channel), sum(sums), (name, channel)
                )

    def test_bytes(self) -> None:
        """Bytes are those that clients got and sent; they stay when one goes, and go on with the next."""
        viewer = self.hosts.viewer()
        viewer.type_keys(30)
        self.hosts.source.guest.draw(fill(0, 0, 10, 10, 0xFF00FF))
        self.hosts.run(1.0)
        self.assert_bytes(viewer, self.hosts.source)
        before = self.scrape()
        self.assertGreater(before.value("spicemig_received_bytes_total", channel="inputs"), 0)
        self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        after = self.scrape()
        self.assertEqual(after.total("spicemig_sessions"), 0)
        self.assertEqual(after.total("spicemig_channels"), 0)
        self.assert_not_backwards(before, after)
        self.hosts.viewer()
        more = self.scrape()
        self.assertGreater(more.total("spicemig_sent_bytes_total"), after.total("spicemig_sent_bytes_total"))

    def test_images(self) -> None:
        """An image counts as what it was sent as, with its bytes; the time that encoding took counts once."""
        viewers = [self.hosts.viewer() for _ in range(3)]
        before = self.scrape()
        self.hosts.source.guest.draw(copy(PLAIN, 0, 0))
        self.hosts.run(0.1)
        after = self.scrape()

        def grown(name: str, codec: str) -> float:
            return after.value(name, codec=codec) - before.value(name, codec=codec)

        self.assertEqual(grown("spicemig_images_total", "lz4"), 3)
        self.assertEqual(grown("spicemig_images_total", "bitmap"), 0)
        self.assertTrue(3 * 18 < grown("spicemig_image_bytes_total", "lz4") < 3 * 60 * 40 * 4)
        self.assertTrue(0 < grown("spicemig_image_encode_seconds_total", "lz4") < 1)
        self.assertEqual(after.value("spicemig_pixmap_cache_images"), len(viewers))
        self.assertEqual(after.value("spicemig_pixmap_cache_pixels"), 3 * 60 * 40)
        self.hosts.source.guest.draw(copy(PLAIN, 7, 7))
        self.hosts.run(0.1)
        hit = self.scrape()
        self.assertEqual(hit.value("spicemig_images_total", codec="from_cache"), 3)
        self.assertEqual(
            hit.value("spicemig_image_encode_seconds_total", codec="lz4"),
            after.value("spicemig_image_encode_seconds_total", codec="lz4"),
        )

    def test_glz(self) -> None:
        """What is in a client's window is told, and goes with the client; what encoding took stays."""
        self.begin(settings=SessionSettings(image_compression="glz"))
        viewer = self.hosts.viewer()
        for seed in range(3):
            self.hosts.source.guest.draw(copy(picture(seed + 1, 60, 40, seed=seed), 0, 50 * seed))
        self.hosts.run(0.1)
        scrape = self.scrape()
        self.assertGreaterEqual(scrape.value("spicemig_images_total", codec="glz_rgb"), 1)
        self.assertGreater(scrape.value("spicemig_image_encode_seconds_total", codec="glz_rgb"), 0)
        self.assertGreaterEqual(scrape.value("spicemig_glz_window_bytes"), 3 * 60 * 40 * 4)
        self.assertEqual(scrape.value("spicemig_glz_dictionaries", state="in use"), 1)
        self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        self.assertEqual(self.scrape().value("spicemig_glz_window_bytes"), 0)
        self.assert_not_backwards(scrape, self.scrape())

    def test_video(self) -> None:
        """Streams and their frames are counted by codec."""
        self.begin(
            settings=SessionSettings(image_compression="lz4", streaming="filter", video_codecs=("mjpeg",))
        )
        self.hosts.viewer()
        for number in range(20):
            self.hosts.source.guest.draw(copy(film(number, 160, 120), 20, 30))
            self.hosts.run(0.04)
        scrape = self.scrape()
        self.assertEqual(scrape.value("spicemig_video_streams", codec="mjpeg"), 1)
        frames = scrape.value("spicemig_video_frames_total", codec="mjpeg")
        self.assertTrue(5 < frames < 20)
        self.assertGreater(scrape.value("spicemig_video_bytes_total", codec="mjpeg"), frames * 100)
        self.assertGreater(scrape.value("spicemig_video_encode_seconds_total", codec="mjpeg"), 0)

    def test_queue(self) -> None:
        """What waits for a client that does not read is told, and what it waits for."""
        viewer = self.hosts.viewer()
        viewer.connections[2, 0].park()
        for at in range(900):
            self.hosts.source.guest.draw(fill(at % 300, at // 300, 1, 1, at))
            self.hosts.run(0.0)
        scrape = self.scrape()
        waiting = scrape.value("spicemig_queue_commands", channel="display")
        self.assertTrue(waiting > 10 or scrape.value("spicemig_displays_owed") == 1)
        self.assertEqual(scrape.value("spicemig_queue_longest_commands", channel="display"), waiting)
        self.assertEqual(scrape.value("spicemig_queue_bytes", channel="display") > 0, waiting > 0)
        causes = scrape.value("spicemig_channels_waiting", cause="acks")
        self.assertEqual(causes + scrape.value("spicemig_channels_waiting", cause="line"), 1)

    def test_latency(self) -> None:
        """Round trips are counted as they are measured."""
        self.begin(latency_seconds=0.03)
        self.hosts.viewer()
        self.hosts.run(2.0)
        scrape, name = self.scrape(), "spicemig_client_latency_seconds"
        count = scrape.value(f"{name}_count")
        self.assertGreaterEqual(count, 4)
        self.assertEqual(scrape.value(f"{name}_bucket", le="0.05"), 0)
        self.assertEqual(scrape.value(f"{name}_bucket", le="2.5"), count)
        self.assertGreaterEqual(scrape.value(f"{name}_sum"), 0.06 * count)

    def test_scrape_is_quick(self) -> None:
        """A daemon with 50 clients does not stand still for longer than a frame of video when it is asked."""
        viewers = [self.hosts.viewer() for _ in range(50)]
        seconds = []
        for _ in range(10):
            began = perf_counter()
            scrape = generate_latest(self.resources[self.hosts.source].registry)
            seconds.append(perf_counter() - began)
        self.assertIn(b'spicemig_channels{channel="display",stage="settled"} %d' % len(viewers), scrape)
        self.assertLess(min(seconds), 0.04)


class LinkTests(MetricsCase):
    """Connections that came to nothing."""

    def refused(self, reason: str, host: Host | None = None) -> float:
        return self.scrape(host).value("spicemig_links_refused_total", reason=reason)

    def test_reasons(self) -> None:
        """Each is counted once, by its reason; those that are through are not."""
        self.begin(ticket=b"sesame")
        self.hosts.viewer(password=b"sesame")
        viewer = ViewerSession(self.hosts.network, b"barley", self.hosts.clock)
        self.assertRaises(ProtocolError, self.hosts.wait, viewer.connect(self.hosts.source.address))
        self.hosts.run(0.1)
        self.assertEqual(self.refused("permission_denied"), 1)
        target = ViewerSession(self.hosts.network, b"sesame", self.hosts.clock)
        self.assertRaises(ProtocolError, self.hosts.wait, target.connect(self.hosts.target.address))
        self.hosts.run(0.1)
        self.assertEqual(self.refused("error", self.hosts.target), 1)
        self.assertEqual(self.scrape().total("spicemig_links_refused_total"), 1)
        self.assertEqual(self.scrape().value("spicemig_links_under_way"), 0)

    def connect(self) -> Any:
        """A connection that says nothing by itself."""
        endpoint = self.hosts.network.endpoint("source", PORT)
        return self.hosts.wait(endpoint.connect(Factory.forProtocol(Protocol)))

    def test_strangers(self) -> None:
        """Nonsense, silence and those who go at once are told apart."""
        self.connect().transport.write(b"GET / HTTP/1.0\r\n\r\n")
        self.hosts.run(0.1)
        self.assertEqual(self.refused("invalid_magic"), 1)
        self.connect().transport.loseConnection()
        self.hosts.run(0.1)
        self.assertEqual(self.refused(CLOSED), 1)
        self.connect()
        self.assertEqual(self.scrape().value("spicemig_links_under_way"), 1)
        self.hosts.run(11.0)
        self.assertEqual(self.refused(TIMEOUT), 1)
        self.assertEqual(self.scrape().value("spicemig_links_under_way"), 0)

    def test_too_many(self) -> None:
        """So are those that were one too many."""
        counter = self.hosts.source.links
        for _ in range(counter.limits.per_address):
            counter.enter("192.0.2.1")
        self.assertFalse(counter.enter("192.0.2.1"))
        self.assertEqual(self.refused(TOO_MANY), 1)


class HandoverTests(MetricsCase):
    """The numbers of both hosts after a handover."""

    def test_completed(self) -> None:
        """A handover is counted on both sides, its pause at the source; clients are where they are."""
        self.begin(latency_seconds=0.001)
        viewer = self.hosts.viewer()
        before = self.scrape()
        report = self.hosts.moved()
        self.hosts.run(1.0)
        source, target = self.scrape(), self.scrape(self.hosts.target)
        for side, scrape in (("source", source), ("target", target)):
            ended = {"side": side, "outcome": "completed", "stage": "done"}
            self.assertEqual(scrape.value("spicemig_handovers_total", **ended), 1)
            moved = {"side": side, "mode": "seamless", "outcome": "completed"}
            self.assertEqual(scrape.value("spicemig_handover_clients_total", **moved), 1)
            self.assertEqual(scrape.total("spicemig_handovers_under_way"), 0)
        self.assertEqual(source.value("spicemig_handover_pause_seconds_count"), 1)
        self.assertAlmostEqual(source.value("spicemig_handover_pause_seconds_sum"), report["pause_ms"] / 1000)
        (client,) = report["clients"]
        pause = source.value("spicemig_handover_client_pause_seconds_sum", mode="seamless")
        self.assertAlmostEqual(pause, client["pause_ms"] / 1000)
        for part in ("precopy", "final"):
            sent = source.value("spicemig_handover_bytes_total", part=part)
            self.assertEqual(sent, report[f"{part}_bytes"])
        self.assertEqual((source.total("spicemig_sessions"), target.total("spicemig_sessions")), (0, 1))
        self.assertEqual(source.value("spicemig_stage", stage="empty"), 1)
        self.assertEqual(target.value("spicemig_stage", stage="serving"), 1)
        self.assertEqual(target.value("spicemig_epoch"), 2)
        self.assert_not_backwards(before, source)
        self.assertEqual(target.value("spicemig_images_total", codec="lz4"), 0)
        self.assertFalse(viewer.over)

    def test_back(self) -> None:
        """When the guest comes back, the source goes on to count where it was."""
        self.hosts.viewer()
        self.hosts.moved()
        self.hosts.run(1.0)
        there = self.scrape(), self.scrape(self.hosts.target)
        self.hosts.moved(self.hosts.target)
        self.hosts.run(1.0)
        self.assert_not_backwards(there[0], self.scrape())
        self.assert_not_backwards(there[1], self.scrape(self.hosts.target))
        for host in (self.hosts.source, self.hosts.target):
            for side in ("source", "target"):
                ended = {"side": side, "outcome": "completed", "stage": "done"}
                self.assertEqual(self.scrape(host).value("spicemig_handovers_total", **ended), 1)

    def test_cancelled(self) -> None:
        """One that was cancelled counts as that, at the stage where it was, and has no pause."""
        self.hosts.viewer()
        under_way: list[Scrape] = []

        def entered(side: str, stage: Any) -> None:
            if stage.value == "invite":
                under_way.append(self.scrape())
                self.hosts.clock.callLater(0, handover.cancel)

        self.hosts.source.migrations.stage_hook = entered
        handover = self.hosts.migrate()
        self.hosts.run(1.0)
        scrape = self.scrape()
        stage = {"side": "source", "stage": "invite"}
        self.assertEqual(under_way[0].value("spicemig_handovers_under_way", **stage), 1)
        ended = {"side": "source", "outcome": "cancelled", "stage": "invite"}
        self.assertEqual(scrape.value("spicemig_handovers_total", **ended), 1)
        self.assertEqual(scrape.value("spicemig_handover_pause_seconds_count"), 0)
        self.assertEqual(scrape.total("spicemig_handovers_under_way"), 0)
        self.assertEqual(
            self.scrape(self.hosts.target).total("spicemig_handovers_total", side="target", outcome="failed"),
            1,
        )

    def test_dry_run(self) -> None:
        """A dry run is no handover."""
        self.hosts.viewer()
        report = self.hosts.wait(self.hosts.migrate(dry_run=True).done)
        self.assertEqual(report["outcome"], "completed")
        self.hosts.run(0.1)
        for host in (self.hosts.source, self.hosts.target):
            self.assertEqual(self.scrape(host).total("spicemig_handovers_total"), 0)


class RelayTests(RelayCase):
    """The numbers of a relay."""

    def test_bytes(self) -> None:
        """Bytes are what the client counts, in both directions, and stay when it goes."""
        viewer = self.relayed()
        viewer.type_keys(30)
        self.hosts.run(1.0)
        before = Scrape(self.metrics)
        for channel in ("main", "display", "inputs", "cursor"):
            traffic = [each for each in viewer.traffic if each.channel == channel]
            came = {"from_client": "bytes_out", "from_server": "bytes_in"}
            for direction, counted in came.items():
                value = before.value("spicemig_relay_bytes_total", channel=channel, direction=direction)
                self.assertEqual(value, sum(getattr(each, counted) for each in traffic), (channel, direction))
            self.assertEqual(before.value("spicemig_relay_channels", channel=channel), 1)
        self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        after = Scrape(self.metrics)
        self.assertEqual(
            (after.total("spicemig_relay_sessions"), after.total("spicemig_relay_channels")), (0, 0)
        )
        self.assert_not_backwards(before, after)

    def test_handover(self) -> None:
        """A client that was carried along counts, with its pause; the route says where the guest is."""
        self.begin_late()
        self.relayed()
        first = {"route": "*", "server": "source:5900"}
        self.assertEqual(Scrape(self.metrics).value("spicemig_relay_route_sessions", **first), 1)
        self.assertEqual(Scrape(self.metrics).value("spicemig_relay_route_moved", route="*"), 0)
        self.assertEqual(self.hosts.moved()["outcome"], "completed")
        self.hosts.run(0.5)
        scrape = Scrape(self.metrics)
        self.assertEqual(scrape.value("spicemig_relay_handovers_total", outcome="completed"), 1)
        self.assertEqual(scrape.value("spicemig_relay_pause_seconds_count", outcome="completed"), 1)
        self.assertTrue(0 < scrape.value("spicemig_relay_pause_seconds_sum", outcome="completed") < 1)
        second = {"route": "*", "server": "target:5900"}
        self.assertEqual(scrape.value("spicemig_relay_route_sessions", **second), 1)
        self.assertEqual(scrape.value("spicemig_relay_route_moved", route="*"), 1)
        self.assertEqual(scrape.value("spicemig_relay_sessions", stage="settled"), 1)

    def begin_late(self) -> None:
        """Messages take a while, so that pauses are not nothing."""
        self.hosts.network.latency_seconds = 0.002

    def test_renewed(self) -> None:
        """A client whose server has gone is held, and counts as renewed when one has taken it."""
        self.relayed()
        self.hosts.network.cut("source")
        self.hosts.run(0.2)
        self.assertEqual(Scrape(self.metrics).value("spicemig_relay_sessions", stage="renewing"), 1)
        self.hosts.target.power_on()
        self.hosts.run(3.0)
        scrape = Scrape(self.metrics)
        self.assertEqual(scrape.value("spicemig_relay_handovers_total", outcome="renewed"), 1)
        self.assertGreater(scrape.value("spicemig_relay_pause_seconds_sum", outcome="renewed"), 0.2)

    def test_lost(self) -> None:
        """One that no server takes is lost."""
        self.relayed()
        self.hosts.network.cut("source")
        self.hosts.run(40.0)
        self.assertEqual(Scrape(self.metrics).value("spicemig_relay_handovers_total", outcome="lost"), 1)
        self.assertEqual(Scrape(self.metrics).total("spicemig_relay_sessions"), 0)
