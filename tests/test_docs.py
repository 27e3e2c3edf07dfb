# SPDX-License-Identifier: LGPL-2.1-or-later
"""What users read agrees with what is declared."""

from __future__ import annotations

import configparser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spicemig.control import manual
from spicemig.control.cli import make_parser
from spicemig.daemons import options

TOP = Path(__file__).resolve().parent.parent


class MadeTests(SynchronousTestCase):
    """Files that are made from declarations are up to date."""

    def test_all(self) -> None:
        """Samples and man pages say what the program does; ``make docs`` brings them up to date."""
        stale = [str(path) for path, text in manual.files() if path.read_text(encoding="utf-8") != text]
        self.assertEqual(stale, [])

    def test_parts(self) -> None:
        """Every part is on some page, so that none is forgotten."""
        pages = "".join((TOP / "man" / name).read_text(encoding="utf-8") for name in manual.PAGES)
        for part in manual.PARTS:
            self.assertIn(f'\n.\\" made from {part}\n', pages)


class SampleTests(SynchronousTestCase):
    """The samples can be used as they are."""

    def test_every_option(self) -> None:
        """With every # removed a sample holds each option with a value that can be read."""
        for daemon in options.DAEMONS:
            lines = manual.sample(daemon).splitlines()
            bare = [
                line[1:] if line.startswith("#") and not line.startswith(("# ", "#\n")) else line
                for line in lines
            ]
            parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
            parser.read_string("\n".join(line for line in bare if line))
            for section, _text, declared in manual.sections(daemon):
                for option in declared:
                    option.kind.read(parser[section].pop(option.name))
                self.assertEqual(dict(parser[section]), {})

    def test_help(self) -> None:
        """Every option and every argument of a command says what it is for."""
        for section, text, declared in [*manual.sections(), *manual.sections("relay")]:
            self.assertTrue(text, section)
            for option in declared:
                self.assertTrue(option.help.endswith((".", "?")), f"[{section}] {option.name}")
        for line in manual.commands_part().splitlines():
            self.assertNotIn("None", line)


class CommandTests(SynchronousTestCase):
    """The commands that scripts rely on are there."""

    def test_names(self) -> None:
        """The names of the commands stay."""
        names = "status sessions channels migrate cancel recover ticket screenshot disconnect doctor demo"
        for name in [*names.split(), "describe"]:
            self.assertIn(f"\n.SS {name}\n", manual.commands_part())

    def test_arguments(self) -> None:
        """The arguments of ``migrate`` stay."""
        line = "migrate --to h:1 --mode auto --transport both --dry-run --timeout 3"
        parsed = make_parser().parse_args(line.split())
        self.assertEqual((parsed.to, parsed.dry_run, parsed.timeout), ("h:1", True, 3.0))
