# SPDX-License-Identifier: LGPL-2.1-or-later
"""Imports point one way; the table below is the picture of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).resolve().parent.parent / "spicemig"

# A layer, and what lies directly below it. What lies below that may be imported too.
ARROWS = {
    "errors": (),
    "_kernels": (),
    "wire": ("errors",),
    "state": ("wire",),
    "codecs": ("wire", "_kernels"),
    "devices": ("state", "codecs"),
    "guests": ("devices",),
    "channels": ("state", "codecs", "channels.link_client"),
    "session": ("channels", "devices"),
    "migration": ("session",),
    "control": ("migration",),  # the API; the commands have lines of their own
    "daemons": ("control", "control.relay_inspection", "guests", "etcd"),
    "channels.link_client": ("wire",),
    "client": ("channels.link_client", "codecs"),
    "etcd": ("client",),
    "control.demo": ("daemons", "client"),
    "relay": ("channels", "client"),
    "control.relay_waits": ("control", "relay"),
    "control.relay_inspection": ("control.relay_waits",),
    "control.cli": ("control.demo",),
    "control.manual": ("control.cli",),
    "control.completion": ("control.cli",),
    "testing": ("control.manual",),
}

# Bytes in, bytes out: these know no reactor. A handover may wait for the guest, and tell errors apart.
RELAY_CORES = ("relay.scan", "relay.channel", "relay.main", "relay.handover", "relay.routes")
ETCD_CORES = ("etcd.calls", "etcd.announcements", "etcd.following")
NO_REACTOR = (
    *("errors", "wire", "state", "codecs", "devices", "channels", "migration"),
    *RELAY_CORES,
    *ETCD_CORES,
)
WITH_REACTOR = ("channels.protocol", "channels.door", "channels.websocket", "migration.protocol")
MAY_WAIT = ("migration",)


def layer_of(module: str) -> str:
    """The layer of a module (named without the package): the longest name in the table that fits."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in names if name in ARROWS), "")


def below(layer: str) -> set[str]:
    """Everything that a layer may import."""
    found: set[str] = set()
    waiting = [layer]
    while waiting:
        lower = ARROWS[waiting.pop()]
        waiting += [each for each in lower if each not in found]
        found.update(lower)
    return found | {layer}


def imports(source: str) -> Iterator[str]:
    """The modules that some source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "a relative import"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_imports(module: str, source: str) -> Iterator[str]:
    """What a module imports and should not."""
    layer = layer_of(module)
    if not layer:
        yield f"{module} has no place in the table"
        return
    for imported in imports(source):
        if imported == "a relative import":
            yield f"{module} has {imported}"
        elif imported.startswith("spicemig."):
            other = layer_of(imported.removeprefix("spicemig."))
            if other not in below(layer):
                yield f"{module} imports {imported}"
        elif imported.startswith("twisted.internet") and not may_use_reactor(module, imported):
            yield f"{module} imports {imported}"


def may_use_reactor(module: str, imported: str) -> bool:
    """Whether a module may import this part of ``twisted.internet``."""
    if module in WITH_REACTOR or not module.startswith(NO_REACTOR):
        return True
    harmless = imported == "twisted.internet.error" or imported.startswith("twisted.internet.defer.")
    return module.startswith(MAY_WAIT) and harmless


class LayeringTests(SynchronousTestCase):
    """The picture of the imports is true."""

    def test_every_module(self) -> None:
        """No module of the package imports one that lies above it."""
        wrong = []
        for path in sorted(PACKAGE.rglob("*.py")):
            module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
            if module != "__init__":
                wrong += wrong_imports(module, path.read_text(encoding="utf-8"))
        self.assertEqual(wrong, [])

    def test_upward(self) -> None:
        """An import of a higher layer is found, even inside a function."""
        for module, source in (
            ("wire.framing", "import spicemig.channels.core"),
            ("wire.framing", "def f():\n    from spicemig.state import carried"),
            ("devices.qxl", "from spicemig.channels import core"),
            ("channels.display", "from spicemig.devices.surfaces import Surface"),
            ("control.api", "from spicemig.daemons.config import Settings"),
            ("client.session", "from spicemig.channels.link import LinkCore"),
            ("session.client", "from spicemig.testing import channels"),
        ):
            self.assertEqual(len(list(wrong_imports(module, source))), 1, (module, source))

    def test_downward(self) -> None:
        """An import of a lower layer, near or far, is right."""
        for module, source in (
            ("daemons.service", "from spicemig.wire.declare import u8"),
            ("control.cli", "import spicemig.daemons.config"),
            ("session.client", "from spicemig.devices import qxl"),
        ):
            self.assertEqual(list(wrong_imports(module, source)), [])

    def test_reactor(self) -> None:
        """A core that reaches for the reactor is found; the protocols around the cores may."""
        source = "from twisted.internet import reactor"
        for module in ("wire.plan", "channels.core", "migration.stages", "codecs.lz4", "devices.qxl"):
            self.assertEqual(len(list(wrong_imports(module, source))), 1, module)
        for module in ("channels.protocol", "migration.protocol", "session.sessions"):
            self.assertEqual(list(wrong_imports(module, source)), [])

    def test_unknown_layer(self) -> None:
        """A new package must be given a place in the table."""
        self.assertEqual(len(list(wrong_imports("surprise.module", ""))), 1)

    def test_no_circles(self) -> None:
        """No layer lies below itself."""
        for layer, lower in ARROWS.items():
            for each in lower:
                self.assertNotIn(layer, below(each), f"{layer} and {each}")
