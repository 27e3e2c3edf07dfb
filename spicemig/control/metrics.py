# SPDX-License-Identifier: LGPL-2.1-or-later
"""
``GET /metrics``: what Prometheus is told.

A metric is a function with its name, help and labels; what is served, the list
in ``spicemig-metrics(7)`` and the tests are made of these declarations. A function is called
when somebody asks, and reads what the daemon keeps anyhow, or has counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString
from twisted.web import http
from twisted.web.server import NOT_DONE_YET

import spicemig
from spicemig.channels.limits import REASONS
from spicemig.channels.tallies import Histogram
from spicemig.control.resources import BoundedRequest, JSONResource, Refused, write_error

Row = tuple[Any, ...]  # the values of the labels, and at last the number, or a Histogram
Reader = Callable[[Any], Iterable[Row]]

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"


@dataclass(frozen=True)
class Declared:
    """One metric; ``read(daemon)`` gives its rows."""

    kind: str
    name: str
    help: str
    labels: tuple[str, ...]
    read: Reader

    def family(self, daemon: Any) -> Metric:
        """Its samples now."""
        if self.kind == HISTOGRAM:
            histogram = HistogramMetricFamily(self.name, self.help, labels=self.labels)
            for *labels, found in self.read(daemon):
                histogram.add_metric(labels, *_buckets(found))
            return histogram
        make = CounterMetricFamily if self.kind == COUNTER else GaugeMetricFamily
        family = make(self.name, self.help, labels=self.labels)
        for *labels, value in self.read(daemon):
            family.add_metric(labels, value)
        return family


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, int]], float]:
    return [(floatToGoString(bound), count) for bound, count in histogram.buckets()], histogram.sum


class Metrics(list[Declared]):
    """Metrics in the order in which they were declared."""

    def gauge(self, name: str, help: str, *labels: str) -> Callable[[Reader], Reader]:
        """The function reads what goes up and down."""
        return self._declare(GAUGE, name, help, labels)

    def counter(self, name: str, help: str, *labels: str) -> Callable[[Reader], Reader]:
        """The function reads what only grows."""
        return self._declare(COUNTER, name, help, labels)

    def histogram(self, name: str, help: str, *labels: str) -> Callable[[Reader], Reader]:
        """The function reads a :class:`Histogram`."""
        return self._declare(HISTOGRAM, name, help, labels)

    def _declare(
        self, kind: str, name: str, help: str, labels: tuple[str, ...]
    ) -> Callable[[Reader], Reader]:
        def declare(read: Reader) -> Reader:
            self.append(Declared(kind, name, " ".join(help.split()), labels, read))
            return read

        return declare


class _Collector:
    """What a registry asks."""

    def __init__(self, declared: Iterable[Declared], daemon: Any) -> None:
        self._declared = tuple(declared)
        self._daemon = daemon

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        return (each.family(self._daemon) for each in self._declared)


class MetricsResource(JSONResource):
    """``/metrics``; an error is JSON as elsewhere."""

    isLeaf = True

    def __init__(self, declared: Iterable[Declared], daemon: Any) -> None:
        super().__init__()
        self.registry = CollectorRegistry()  # its own: several daemons may be in one process
        self.registry.register(_Collector([*COMMON, *declared], daemon))
        ProcessCollector(registry=self.registry)

    def render(self, request: BoundedRequest) -> Any:
        if request.method not in (b"GET", b"HEAD"):
            write_error(request, Refused(http.NOT_ALLOWED, "metrics can only be read"))
            return NOT_DONE_YET
        text = generate_latest(self.registry)
        request.setHeader(b"content-type", CONTENT_TYPE_LATEST.encode())
        return text


# -- of every daemon --------------------------------------------------------------------------------

COMMON = Metrics()


@COMMON.gauge("spicemig_build_info", "1; the labels say which program this is.", "daemon", "version")
def build_info(daemon: Any) -> Iterator[Row]:
    yield daemon.kind, spicemig.__version__, 1


@COMMON.gauge(
    "spicemig_certificate_expiry_timestamp_seconds",
    """When the first certificate in a file expires, as unix time; by the option of [tls] that names the
    file.""",
    "option",
)
def certificate_expiry(daemon: Any) -> Iterator[Row]:
    for option, expires in daemon.credentials.expiries().items():
        yield option, expires.timestamp()


@COMMON.gauge(
    "spicemig_links_under_way", "Connections of clients that have not shown their ticket, or are about to."
)
def links_under_way(daemon: Any) -> Iterator[Row]:
    yield (daemon.links.under_way,)


@COMMON.counter(
    "spicemig_links_refused_total",
    """Connections of clients that came to nothing: by SPICE's error, or because they were closed by the
    client or too slow, or because there were too many under way.""",
    "reason",
)
def links_refused(daemon: Any) -> Iterator[Row]:
    for reason in REASONS:
        yield reason, daemon.links.refused[reason]
