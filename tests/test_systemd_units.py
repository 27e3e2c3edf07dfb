# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the units in ``systemd/``: what they allow, and whether the daemons understand them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.daemons.config import SECTIONS
from spicemig.daemons.options import DAEMONS, options_of
from spicemig.daemons.relay_config import SECTIONS as RELAY_SECTIONS
from tests.units import UNITS, unit_file, values

MOST_EXPOSED = 2.0  # of 10, as systemd-analyze(1) counts


class SandboxTests(SynchronousTestCase):
    """A daemon that is taken over can do little."""

    def test_exposure(self) -> None:
        """systemd counts hardly anything that a service may do and a display server need not."""
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            raise SkipTest("needs the Debian package systemd")
        security = [analyze, "security", "--offline=yes", f"--threshold={MOST_EXPOSED * 10:.0f}"]
        for daemon in DAEMONS:
            with self.subTest(daemon):
                done = subprocess.run(
                    [*security, str(unit_file(daemon))], capture_output=True, text=True, check=False
                )
                self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)

    def test_callbacks(self) -> None:
        """A key can still be read: pyOpenSSL makes code for its callbacks, which this would forbid."""
        for daemon in DAEMONS:
            self.assertEqual(values(unit_file(daemon), "MemoryDenyWriteExecute"), [])

    def test_the_same(self) -> None:
        """All daemons are shut in alike: systemd has no way to say it once."""
        sandboxes = {unit_file(daemon).read_text().partition("\n# Nothing that")[2] for daemon in DAEMONS}
        self.assertEqual(len(sandboxes), 1)
        self.assertIn("\nProtectSystem=strict\n", sandboxes.pop())


class UnitTests(SynchronousTestCase):
    """Units and daemons agree."""

    def test_settings(self) -> None:
        """What a unit sets over the file is an option of that daemon, in a directory of the service."""
        for daemon in DAEMONS:
            sections = RELAY_SECTIONS if daemon == "relay" else SECTIONS
            (command,) = values(unit_file(daemon), "ExecStart", "win")
            arguments = shlex.split(command)
            self.assertEqual(arguments[:3], ["/usr/bin/twistd3", "--nodaemon", "--pidfile="])
            self.assertEqual(arguments[3], f"spice-{daemon}")
            for name, value in zip(arguments[4::2], arguments[5::2], strict=True):
                if name == "--config":
                    self.assertRegex(value, rf"^/etc/spicemig/{daemon}(-win)?\.ini$")
                    continue
                self.assertEqual(name, "--set")
                where, _, path = value.partition("=")
                section, _, option = where.partition(".")
                self.assertIn(option, {each.name for each in options_of(sections[section])})
                self.assertRegex(path, r"^/(var/lib|run)/spicemig/")

    def test_documented(self) -> None:
        """The man page of each daemon names the credentials and the sockets of its units."""
        for daemon in DAEMONS:
            page = (UNITS.parent / "man" / f"spice-{daemon}.8").read_text().replace("\\", "")
            for credential in values(unit_file(daemon), "LoadCredential", "NAME"):
                name, _, stored = credential.partition(":")
                full_name = "spice-relay" if daemon == "relay" else f"spice-{daemon}@NAME"
                self.assertEqual(stored, f"{full_name}.{name}")
                self.assertIn(f".{name}", page)
            for address in values(unit_file(daemon).with_suffix(".socket"), "ListenStream", "NAME"):
                if address.startswith("/"):
                    self.assertIn(address, page)

    def test_verified(self) -> None:
        """systemd finds no mistake in any unit."""
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            raise SkipTest("needs the Debian package systemd")
        units = sorted(UNITS.glob("*.service")) + sorted(UNITS.glob("*.socket"))
        self.assertEqual(len(units), 2 * len(DAEMONS))
        verify = [analyze, "verify", "--man=no", "--recursive-errors=no", *map(str, units)]
        done = subprocess.run(verify, capture_output=True, text=True, check=False)
        complaints = [
            line for line in done.stderr.splitlines() if not re.search("twistd3 is not executable", line)
        ]
        self.assertEqual([line for line in complaints if "spice" in line], [])
