# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages of a viewer, which browsers get from the port that they then connect to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File
from twisted.web.util import Redirect

FIRST_PAGES = ("index.html", "spice_auto.html")  # which of them / leads to, if it is there
IDLE_SECONDS = 10.0  # for a browser to ask for the next page on a connection


class _NoPage(Resource):
    """At this path, and below it, there is nothing."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        request.setResponseCode(404)
        request.setHeader(b"content-type", b"text/plain")
        return b"there is no such page\n"


class _Pages(File):
    """Files, but not their list."""

    childNotFound = _NoPage()

    def directoryListing(self) -> Resource:
        return _NoPage()


def site(directory: Path | None, clock: Any) -> Site:
    """What serves the pages in a directory; without one, none."""
    root: Resource = _NoPage()
    if directory is not None:
        root = _Pages(str(directory))
        first = next((name for name in FIRST_PAGES if (directory / name).is_file()), None)
        if first is not None:
            root.putChild(b"", Redirect(first.encode()))
    made = Site(root, timeout=IDLE_SECONDS, reactor=clock)
    made.noisy = False
    return made
