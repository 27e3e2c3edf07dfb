# SPDX-License-Identifier: LGPL-2.1-or-later
"""The metrics of spice-source and spice-target; see :mod:`spicemig.control.metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from spicemig.channels.core import LeavingStage
from spicemig.codecs import video
from spicemig.control.metrics import Metrics, Row
from spicemig.control.server_waits import CAUSES, has_work
from spicemig.migration.stages import ENDS, SOURCE, TARGET
from spicemig.session.stage import Stage
from spicemig.wire.enums import ImageType

HOST = Metrics()

NANOSECONDS = 1_000_000_000


def _cores(host: Any, channel: str = "") -> Iterator[Any]:
    """The channels of all clients, or those of one type."""
    for client in host.sessions.clients.values():
        for core in client.cores.values():
            if not channel or core.channel == channel:
                yield core


def _channels(host: Any) -> list[str]:
    """The types of channels that there can be."""
    return list(dict.fromkeys(channel for channel, _id in host.sessions.channel_set))


def _summed(host: Any, amount: Any) -> Iterator[Row]:
    """By type of channel, the sum of what a channel has of something."""
    sums = dict.fromkeys(_channels(host), 0)
    for core in _cores(host):
        sums[core.channel] += amount(core)
    yield from sums.items()


# -- the host ---------------------------------------------------------------------------------------


@HOST.gauge("spicemig_stage", "1 for what the host is doing with its guest, 0 for the others.", "stage")
def stage(host: Any) -> Iterator[Row]:
    for each in Stage:
        yield each.value, int(host.sessions.stage is each)


@HOST.gauge("spicemig_owner", "1 if the guest is this host's to run, here and on disk.")
def owner(host: Any) -> Iterator[Row]:
    yield (int(host.owner),)


@HOST.gauge(
    "spicemig_epoch", "The ownership of the guest that this host knows of; grows with every handover."
)
def epoch(host: Any) -> Iterator[Row]:
    yield (host.epochs.current.epoch,)


# -- clients ----------------------------------------------------------------------------------------


@HOST.gauge(
    "spicemig_sessions",
    """Clients: present, arriving from another host, leaving for one, or being closed.""",
    "state",
)
def sessions(host: Any) -> Iterator[Row]:
    counts = dict.fromkeys(("present", "arriving", "leaving", "closing"), 0)
    for client in host.sessions.clients.values():
        counts[_state(client)] += 1
    yield from counts.items()


def _state(client: Any) -> str:
    if client.closing:
        return "closing"
    if client.seal is not None:
        return "leaving"
    return "arriving" if client.arriving else "present"


@HOST.gauge(
    "spicemig_slow_clients", "Clients whose line is measured as slow, so that images may be sent with loss."
)
def slow_clients(host: Any) -> Iterator[Row]:
    yield (sum(bool(client.bandwidth.slow) for client in host.sessions.clients.values()),)


@HOST.histogram(
    "spicemig_client_latency_seconds",
    "Round trips of pings to clients; those of a main channel are sent every 15 seconds.",
)
def client_latency(host: Any) -> Iterator[Row]:
    yield (host.sessions.tally.latency,)


# -- channels ---------------------------------------------------------------------------------------


@HOST.gauge(
    "spicemig_channels",
    "Channels of clients, by how far they have come to this host or left it.",
    "channel",
    "stage",
)
def channels(host: Any) -> Iterator[Row]:
    counts = Counter((core.channel, core.stage) for core in _cores(host))
    for channel in _channels(host):
        for each in LeavingStage:
            yield channel, each.value, counts[channel, each]


@HOST.gauge(
    "spicemig_channels_waiting",
    "Channels that wait for something; spicemig-manhole(7) explains the causes.",
    "cause",
)
def channels_waiting(host: Any) -> Iterator[Row]:
    cores = list(_cores(host))
    for cause in CAUSES:
        yield cause.name, sum(1 for core in cores if cause.holds(core))


@HOST.counter(
    "spicemig_sent_bytes_total", "Bytes that channels were sent, from the link on, before TLS.", "channel"
)
def sent_bytes(host: Any) -> Iterator[Row]:
    for channel in _channels(host):
        yield channel, host.sessions.tally.traffic[channel].sent_bytes


@HOST.counter(
    "spicemig_received_bytes_total", "Bytes that clients sent, from the link on, before TLS.", "channel"
)
def received_bytes(host: Any) -> Iterator[Row]:
    for channel in _channels(host):
        yield channel, host.sessions.tally.traffic[channel].received_bytes


@HOST.gauge(
    "spicemig_queue_commands", "Drawings and other commands of the guest that wait to be sent.", "channel"
)
def queue_commands(host: Any) -> Iterator[Row]:
    yield from _summed(host, _commands)


@HOST.gauge(
    "spicemig_queue_longest_commands",
    "Drawings and other commands that wait on the channel where most of them do.",
    "channel",
)
def queue_longest(host: Any) -> Iterator[Row]:
    longest = dict.fromkeys(_channels(host), 0)
    for core in _cores(host):
        longest[core.channel] = max(longest[core.channel], _commands(core))
    yield from longest.items()


@HOST.gauge(
    "spicemig_queue_bytes",
    "What the drawings that wait hold, and messages that no transport has taken yet.",
    "channel",
)
def queue_bytes(host: Any) -> Iterator[Row]:
    yield from _summed(
        host, lambda core: core.pending_bytes + (core.pipe.weight if core.channel == "display" else 0)
    )


@HOST.gauge(
    "spicemig_displays_owed",
    "Display channels that are owed parts of the picture, because what was drawn there was too much to keep.",
)
def displays_owed(host: Any) -> Iterator[Row]:
    yield (sum(bool(core.pipe.owed) for core in _cores(host, "display")),)


def _commands(core: Any) -> int:
    if not has_work(core):
        return 0
    return len(core.pipe) if core.channel == "display" else core.waiting


# -- images -----------------------------------------------------------------------------------------


def _by_codec(counts: list[int]) -> Iterator[tuple[str, int]]:
    for kind in ImageType:
        if kind is not ImageType.RESERVED:
            yield kind.name.lower(), counts[kind]


@HOST.counter(
    "spicemig_images_total",
    """Images that were sent, by what they were sent as. from_cache and from_cache_lossless are those that the
    client had: the hits of its pixmap cache; surface are those that are a surface there.""",
    "codec",
)
def images(host: Any) -> Iterator[Row]:
    yield from _by_codec(host.sessions.tally.display.images)


@HOST.counter(
    "spicemig_image_bytes_total",
    "Bytes of the images that were sent, with descriptors and palettes.",
    "codec",
)
def image_bytes(host: Any) -> Iterator[Row]:
    yield from _by_codec(host.sessions.tally.display.image_bytes)


@HOST.counter(
    "spicemig_image_encode_seconds_total",
    "Time in which images were encoded, by what came of it: bitmap where no encoder helped.",
    "codec",
)
def image_encode_seconds(host: Any) -> Iterator[Row]:
    for codec, nanoseconds in _by_codec(host.sessions.tally.display.image_nanoseconds):
        yield codec, nanoseconds / NANOSECONDS


@HOST.gauge("spicemig_encode_jobs", "Images that are with the threads of [display] workers, or wait for one.")
def encode_jobs(host: Any) -> Iterator[Row]:
    yield (sum(core.encoders.under_way for core in _cores(host, "display")),)


@HOST.gauge("spicemig_pixmap_cache_images", "Images in the pixmap caches of all clients.")
def pixmap_cache_images(host: Any) -> Iterator[Row]:
    yield (sum(len(client.pixmap_cache) for client in host.sessions.clients.values()),)


@HOST.gauge(
    "spicemig_pixmap_cache_pixels",
    "Pixels of the images in the pixmap caches of all clients, each of which takes four bytes there.",
)
def pixmap_cache_pixels(host: Any) -> Iterator[Row]:
    yield (sum(client.pixmap_cache.pixels for client in host.sessions.clients.values()),)


@HOST.gauge(
    "spicemig_glz_window_bytes",
    "What the GLZ windows of all clients take at this host, within a few images.",
)
def glz_window_bytes(host: Any) -> Iterator[Row]:
    yield (sum(client.glz_dictionary.about_bytes for client in host.sessions.clients.values()),)


@HOST.gauge(
    "spicemig_glz_dictionaries",
    "Clients that have a GLZ dictionary in use, or one that has ended so that their images grow larger.",
    "state",
)
def glz_dictionaries(host: Any) -> Iterator[Row]:
    dictionaries = [client.glz_dictionary for client in host.sessions.clients.values()]
    yield "in use", sum(each.usable for each in dictionaries)
    yield "ended", sum(each.ended for each in dictionaries)


# -- video ------------------------------------------------------------------------------------------


def _by_video_codec(counts: Mapping[int, float]) -> Iterator[Row]:
    for name, codec in video.NAMES.items():
        yield name, counts[codec]


@HOST.gauge("spicemig_video_streams", "Streams of video that clients are shown.", "codec")
def video_streams(host: Any) -> Iterator[Row]:
    yield from _by_video_codec(
        Counter(codec for core in _cores(host, "display") for codec in core.streams.codecs())
    )


@HOST.counter("spicemig_video_frames_total", "Frames of video that were sent.", "codec")
def video_frames(host: Any) -> Iterator[Row]:
    yield from _by_video_codec(host.sessions.tally.display.frames)


@HOST.counter(
    "spicemig_video_frames_left_out_total",
    "Frames of video that were not sent because a newer one came first, or the line takes no more.",
    "codec",
)
def video_frames_left_out(host: Any) -> Iterator[Row]:
    yield from _by_video_codec(host.sessions.tally.display.frames_left_out)


@HOST.counter("spicemig_video_bytes_total", "Bytes of the frames of video that were sent.", "codec")
def video_bytes(host: Any) -> Iterator[Row]:
    yield from _by_video_codec(host.sessions.tally.display.frame_bytes)


@HOST.counter(
    "spicemig_video_encode_seconds_total",
    "Time in which frames of video were encoded that were sent.",
    "codec",
)
def video_encode_seconds(host: Any) -> Iterator[Row]:
    yield from _by_video_codec(host.sessions.tally.display.frame_seconds)


# -- handovers --------------------------------------------------------------------------------------


@HOST.gauge(
    "spicemig_handovers_under_way",
    "1 for the stage of a handover under way, from this host (source) or to it (target).",
    "side",
    "stage",
)
def handovers_under_way(host: Any) -> Iterator[Row]:
    migrations = host.handovers.migrations
    for side, table, handover in (
        ("source", SOURCE, migrations.departure),
        ("target", TARGET, migrations.arrival),
    ):
        for each in dict.fromkeys(before for before, _what in table):
            if each not in ENDS:
                yield side, each.value, int(handover is not None and handover.stage is each)


@HOST.counter(
    "spicemig_handovers_total",
    """Handovers that have ended, from this host (source) or to it (target): completed, cancelled or failed,
    and at which stage. Dry runs do not count.""",
    "side",
    "outcome",
    "stage",
)
def handovers(host: Any) -> Iterator[Row]:
    for labels, count in host.handovers.migrations.tally.ended.items():
        yield *labels, count


@HOST.counter(
    "spicemig_handover_clients_total",
    "Clients of handovers that have ended, by how they moved and what became of them, as in the reports.",
    "side",
    "mode",
    "outcome",
)
def handover_clients(host: Any) -> Iterator[Row]:
    for labels, count in host.handovers.migrations.tally.clients.items():
        yield *labels, count


@HOST.counter(
    "spicemig_handover_bytes_total",
    "Bytes that this host sent in handovers: before the pauses (precopy) and within them (final).",
    "part",
)
def handover_bytes(host: Any) -> Iterator[Row]:
    yield from host.handovers.migrations.tally.bytes.items()


@HOST.histogram(
    "spicemig_handover_pause_seconds",
    "How long guests stood still in handovers from this host that were committed.",
)
def handover_pause(host: Any) -> Iterator[Row]:
    yield (host.handovers.migrations.tally.pauses,)


@HOST.histogram(
    "spicemig_handover_client_pause_seconds",
    "How long clients waited, from when the guest stood still until the target served them.",
    "mode",
)
def handover_client_pause(host: Any) -> Iterator[Row]:
    yield from host.handovers.migrations.tally.client_pauses.items()
