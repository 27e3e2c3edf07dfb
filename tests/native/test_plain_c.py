# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernels as plain C: built alone, under sanitizers, without a warning."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "spicemig" / "_kernels"


class PlainCTests(SynchronousTestCase):
    """What a compiler and its sanitizers say."""

    def setUp(self) -> None:
        compiler = shutil.which(os.environ.get("CC", "gcc"))
        if compiler is None:
            raise SkipTest("there is no C compiler here")
        self.compiler = compiler

    def build(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Compile with all warnings as errors; what the compiler said."""
        command = [self.compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def run_sanitized(self, driver: str, kernels: Iterable[Path], seeds: int, cases: int) -> None:
        """A driver's random cases run without a step outside a buffer or undefined behaviour."""
        program = Path(self.mktemp()).resolve()
        sanitizers = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        built = self.build(*sanitizers, *sorted(kernels), HERE / driver, "-o", program, "-lm")
        if "cannot find" in built.stderr and "san" in built.stderr:
            raise SkipTest("this compiler has no sanitizers")
        self.assertEqual(built.returncode, 0, built.stderr)
        for seed in range(1, seeds + 1):
            ran = subprocess.run(
                [program, str(seed), str(cases)], capture_output=True, text=True, check=False
            )
            self.assertEqual((ran.returncode, ran.stdout, ran.stderr[:2000]), (0, "", ""))

    def test_kernels(self) -> None:
        """Thousands of cases for each kernel."""
        kernels = (path for path in SOURCES.glob("*.c") if not path.name.startswith("edge"))
        self.run_sanitized("kernels_driver.c", kernels, 3, 5000)

    def test_quic(self) -> None:
        """Random images, and streams that were changed."""
        self.run_sanitized("quic_driver.c", SOURCES.glob("quic_*.c"), 2, 1500)

    def test_no_warnings(self) -> None:
        """The whole extension compiles without a warning."""
        include = sysconfig.get_path("include")
        if not Path(include, "Python.h").exists():
            raise SkipTest("Python.h is not installed")
        limited = "-DPy_LIMITED_API=0x030b0000"
        built = self.build("-fsyntax-only", limited, f"-I{include}", *sorted(SOURCES.glob("*.c")))
        self.assertEqual((built.returncode, built.stderr), (0, ""))

    def test_only_the_edge_knows_python(self) -> None:
        """No file but those of the edge includes Python.h."""
        including = [path.stem for path in SOURCES.glob("*.[ch]") if "<Python.h>" in path.read_text()]
        self.assertEqual([name for name in including if not name.startswith("edge")], [])
