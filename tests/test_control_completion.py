# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the completion for bash."""

from __future__ import annotations

import shutil
import subprocess

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.control.completion import script

# Stands in for the package bash-completion: the last word is the one to be completed.
PRELUDE = """
_init_completion() {
    cur=${words_[-1]} prev=${words_[-2]} cword=$((${#words_[@]} - 1)); words=("${words_[@]}")
}
_filedir() { COMPREPLY+=(a-file); }
complete() { :; }
"""


class CompletionTests(SynchronousTestCase):
    """What bash offers after some words."""

    def offered(self, *words: str) -> list[str]:
        bash = shutil.which("bash")
        if bash is None:
            raise SkipTest("needs bash")
        line = 'words_=("$@"); _spicemig; echo "${COMPREPLY[@]}"'
        program = [bash, "-c", PRELUDE + script() + line, "spicemig", "spicemig", *words]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands(self) -> None:
        """Commands, also after an option."""
        self.assertEqual(self.offered("mi"), ["migrate"])
        self.assertEqual(self.offered("--json", "stat"), ["status"])

    def test_options(self) -> None:
        """Options of the command that was given, and none of others."""
        self.assertEqual(self.offered("migrate", "--t"), ["--to", "--transport", "--timeout"])
        self.assertEqual(self.offered("doctor", "--t"), ["--to"])

    def test_values(self) -> None:
        """Values of options and arguments; files, or nothing where it may be anything."""
        self.assertEqual(self.offered("migrate", "--mode", "sw"), ["switch-host"])
        self.assertEqual(self.offered("ticket", "e"), ["expire"])
        self.assertEqual(self.offered("--control", ""), ["a-file"])
        self.assertIn("a-file", self.offered("replay", ""))
        self.assertEqual(self.offered("migrate", "--to", ""), [])
