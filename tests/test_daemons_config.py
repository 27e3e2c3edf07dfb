# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the settings and of how a mistake in them is reported."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_network
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import websocket
from spicemig.daemons import config, options
from spicemig.daemons.config import SECTIONS, Settings
from spicemig.errors import ConfigError


class FileCase(SynchronousTestCase):
    """Reads settings from text."""

    def read(self, text: str = "", daemon: str = "source", overrides: tuple[str, ...] = ()) -> Settings:
        self.file = Path(self.mktemp())
        self.file.write_text(text, encoding="utf-8")
        return Settings.read(self.file, daemon, overrides)

    def mistake(self, text: str = "", daemon: str = "source", overrides: tuple[str, ...] = ()) -> ConfigError:
        return self.assertRaises(ConfigError, self.read, text, daemon, overrides)


class ReadTests(FileCase):
    """What a file says is what the daemon gets."""

    def test_nothing(self) -> None:
        """An empty file starts a source: on this machine only, with tickets, and none set."""
        settings = self.read()
        self.assertEqual(settings.listen.plain, ("tcp:5900:interface=127.0.0.1",))
        self.assertEqual(settings.auth.mode, "ticket")
        self.assertIsNone(settings.auth.ticket_file)
        self.assertEqual(settings.guest.kind, "demo")

    def test_daemons_differ(self) -> None:
        """Source and target can run on one machine: their state and control socket have different names."""
        source = self.read()
        secret = self.mktemp()
        Path(secret).write_text("secret\n")
        self.assertIn("source", str(source.server.state_dir))
        names = {each.name: each for each in options.options_of(SECTIONS["server"])}
        self.assertEqual(names["state_dir"].default_for("target"), "/var/lib/spicemig/target")
        self.assertEqual(names["control"].default_for("target"), "/run/spicemig/target.sock")

    def test_values(self) -> None:
        """Every kind of value is read as what it means."""
        settings = self.read(
            "[server]\nname = Büro\nuuid = 01234567-89ab-cdef-0123-456789abcdef\n"
            "[listen]\nplain = tcp:0\n  tcp:5900:interface=127.0.0.1\nmulti_client = no\nmax_clients=3\n"
            "[migration]\nstage_timeout_seconds = 2.5\nallow_from = 192.0.2.0/24 ::1\n"
        )
        self.assertEqual(settings.server.name, "Büro")
        self.assertEqual(settings.server.uuid.hex[:4], "0123")
        self.assertEqual(settings.listen.plain, ("tcp:0", "tcp:5900:interface=127.0.0.1"))
        self.assertIs(settings.listen.multi_client, False)
        self.assertEqual(settings.listen.max_clients, 3)
        self.assertEqual(settings.migration.stage_timeout_seconds, 2.5)
        self.assertEqual(settings.migration.allow_from, (ip_network("192.0.2.0/24"), ip_network("::1")))

    def test_percent(self) -> None:
        """A value may contain any sign; nothing is put into it."""
        self.assertEqual(self.read("[server]\nname = 100%(sure)s\n").server.name, "100%(sure)s")

    def test_relative_paths(self) -> None:
        """A path in the file is relative to the file; one of the command line to where one stands."""
        text = "[server]\nstate_dir = state\n"
        self.assertEqual(self.read(text).server.state_dir, self.file.absolute().parent / "state")
        overridden = self.read(text, overrides=("server.state_dir=here",))
        self.assertEqual(overridden.server.state_dir, Path("here").absolute())

    def test_credentials(self) -> None:
        """A path may begin where systemd keeps a service's credentials; elsewhere that is a mistake."""
        text = "[auth]\nticket_file = $CREDENTIALS_DIRECTORY/ticket\n"
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        (directory / "ticket").write_text("sesame\n")
        self.patch(options.os, "environ", {"CREDENTIALS_DIRECTORY": str(directory)})
        self.assertEqual(self.read(text).auth.ticket_file, directory / "ticket")
        options.os.environ.clear()
        self.assertEqual(self.mistake(text).option, "ticket_file")

    def test_viewer(self) -> None:
        """Pages of a viewer are Debian's where they are installed, those of a directory, or none."""
        self.patch(config, "VIEWER", Path(self.mktemp()).absolute())
        self.assertIsNone(self.read().web.pages)
        config.VIEWER.mkdir()
        for text, pages in (
            ("", config.VIEWER),
            ("viewer = yes", config.VIEWER),
            ("viewer = no", None),
            ("viewer =", None),
            (f"viewer = {config.VIEWER.parent}", config.VIEWER.parent),
        ):
            self.assertEqual(self.read(f"[web]\n{text}\n").web.pages, pages, text)
        self.assertEqual(self.read("[web]\nviewer = .\n").web.pages, self.file.absolute().parent)

    def test_override(self) -> None:
        """--set wins over the file, and the last one over those before."""
        overrides = ("server.name=one", "server.name = two=three")
        self.assertEqual(self.read("[server]\nname=file\n", overrides=overrides).server.name, "two=three")

    def test_frozen(self) -> None:
        """Nobody changes a setting later."""
        settings = self.read()
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, settings.server, "name", "x")

    def test_guest_section(self) -> None:
        """The section of a guest's kind is there for every kind that is installed."""
        self.assertIn("demo", self.read().guest_options)


class MistakeTests(FileCase):
    """A mistake is reported with file, section, option and reason."""

    def test_where(self) -> None:
        """All four are in the message."""
        error = self.mistake("[listen]\nmax_clients = many\n")
        said = (error.file, error.section, error.option)
        self.assertEqual(said, (str(self.file), "listen", "max_clients"))
        self.assertEqual(str(error), f"{self.file}: [listen] max_clients: 'many' is not a whole number")

    def test_override(self) -> None:
        """A mistake on the command line is not blamed on the file."""
        self.assertEqual(self.mistake(overrides=("listen.max_clients=0",)).file, "--set")
        self.assertIn("section.option=value", str(self.mistake(overrides=("name=x",))))

    def test_unknown(self) -> None:
        """A misspelt section or option is found, and the right ones are named."""
        self.assertIn("server", self.mistake("[sevrer]\nname=x\n").reason)
        self.assertIn("state_dir", self.mistake("[server]\nstatedir=x\n").reason)
        self.assertEqual(self.mistake(overrides=("relay.routes=x",)).section, "relay")

    def test_no_file(self) -> None:
        """A file that is missing, or no INI file, is named."""
        error = self.assertRaises(ConfigError, Settings.read, "/nowhere.ini", "source")
        self.assertEqual((error.file, error.reason), ("/nowhere.ini", "No such file or directory"))
        self.assertEqual(self.mistake("name = x\n").file, str(self.file))
        self.assertIn("twice", self.mistake("[server]\nname=x\nname=y\n").reason)

    def test_endpoints(self) -> None:
        """An endpoint that Twisted does not understand is a mistake; TLS is not asked for by ssl:."""
        self.assertIn("endpoint", self.mistake("[listen]\nplain = 5900:tcp\n").reason)
        self.assertIn("endpoint", self.mistake("[listen]\nplain = tcp:many\n").reason)
        self.assertIn("[tls]", self.mistake("[listen]\nplain = ssl:5901\n").reason)

    def test_bounds(self) -> None:
        """Numbers, words and addresses that are not allowed are refused."""
        for line in (
            "listen.max_clients=0",
            "migration.stage_timeout_seconds=nan",
            "migration.stage_timeout_seconds=-1",
            "migration.mode=magic",
            "migration.peer=host",
            "migration.peer=::1:5900",
            "migration.peer=host:99999",
            "migration.allow_from=192.0.2.1/24",
            "listen.multi_client=maybe",
            "listen.secure_channels=sound",
            "server.uuid=1234",
            "auth.mode=sasl",
            "guest.kind=toaster",
            "display.image_compression=zip",
        ):
            error = self.mistake(overrides=(line,))
            self.assertEqual(f"{error.section}.{error.option}", line.partition("=")[0])

    def test_contradictions(self) -> None:
        """What cannot work together is found before anything is opened."""
        self.assertEqual(self.mistake("[listen]\ntls = tcp:0\n").option, "tls")
        self.assertEqual(self.mistake("[listen]\nplain =\n").option, "plain")
        self.assertEqual(self.mistake("[listen]\nsecure_channels = inputs\n").option, "secure_channels")
        self.assertEqual(
            self.mistake("[migration]\npeer = b:1\n").reason, "needs certificate and key in [tls]"
        )
        self.assertEqual(self.mistake("[tls]\ncertificate = x.pem\n").option, "key")
        self.assertEqual(self.mistake("[tls]\nca = nowhere.pem\n").option, "ca")
        self.assertEqual(self.mistake("[auth]\nticket_file = nowhere\n").option, "ticket_file")
        self.assertEqual(self.mistake("[server]\ncontrol =\n").option, "control")
        self.assertEqual(self.mistake("[web]\nviewer = nowhere\n").option, "viewer")

    def test_one_port(self) -> None:
        """One port for everything is enough, for secure channels too if there is a certificate."""
        one = "[listen]\nplain =\nwebsocket = tcp:0\n"
        self.assertEqual(self.read(one).listen.websocket, ("tcp:0",))
        secure = one + "secure_channels = inputs\n"
        self.assertEqual(self.mistake(secure).option, "secure_channels")
        self.read(secure + f"[tls]\ncertificate = {__file__}\nkey = {__file__}\n")

    def test_no_wsproto(self) -> None:
        """Where wsproto is missing, the option that needs it says so."""
        self.patch(websocket, "wsproto", None)
        self.read()
        error = self.mistake("[listen]\nwebsocket = tcp:0\n")
        self.assertEqual(error.option, "websocket")
        self.assertIn("python3-wsproto", error.reason)

    def test_target_must_listen(self) -> None:
        """A target where no host could connect does not start."""
        error = self.mistake(daemon="target")
        self.assertEqual((error.section, error.option), ("migration", "listen"))


class HostPortTests(SynchronousTestCase):
    """HOST:PORT, as in [migration] peer and migrate --to."""

    def test_forms(self) -> None:
        """Names, addresses and IPv6 addresses in brackets."""
        for text, value in (
            ("b.example:5950", ("b.example", 5950)),
            ("192.0.2.1:1", ("192.0.2.1", 1)),
            ("[::1]:65535", ("::1", 65535)),
            ("", None),
        ):
            self.assertEqual(options.read_host_port(text), value)
