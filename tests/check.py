# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Runs every check and sums up: what ``make check`` calls.

The last line of output is ``N passed, N failed, N skipped``; before it stand the
skipped tests with their reasons. Two steps run at a time, and what each has said is
printed when it is over: the unit tests; the same under the interpreter and with the
libraries of the distribution; the Debian packages; the kernels as plain C; and each
module of tests with other programs. With ``--debian`` there is only the second of these.
"""

from __future__ import annotations

import collections
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SUMMARY = TOP / "build" / "check.txt"
DEBIAN = "/usr/bin/python3"
NEEDED_OF_DEBIAN = "twisted.trial OpenSSL service_identity PIL lz4 cryptography hypothesis".split()
NEEDED_FOR_PACKAGES = "debootstrap lintian dpkg-buildpackage dh setpriv".split()
AT_A_TIME = 2  # steps; most of them wait as much as they work
LINTS = (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"])

#: in which modules are compiled once: tests start some hundred daemons
COMPILED = {**os.environ, "PYTHONPYCACHEPREFIX": str(TOP / "build" / "pycache")}
COMPILED.pop("PYTHONDONTWRITEBYTECODE", None)
_COUNT = re.compile(r"(successes|failures|errors|skips)=(\d+)")


class Tally:
    """What has passed, failed and been skipped so far."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.skipped: list[tuple[str, str]] = []  # reason, test
        self.failed: list[str] = []
        self._lock = threading.RLock()

    def lint(self, command: list[str]) -> None:
        """Run a tool of this interpreter's environment; only its failure is counted."""
        program = str(Path(sys.executable).with_name(command[0]))
        if self._run(" ".join(command), [program, *command[1:]])[0]:
            self._count(failed=1)
            self.failed.append(" ".join(command))

    def trial(self, python: str, modules: list[str], *, where: str) -> None:
        """Run some test modules; ``where`` names the working directory."""
        arguments = ["--temp-directory", str(TOP / "build" / where), "--reporter=text", *modules]
        status, output = self._run(where, [python, "-m", "twisted.trial", *arguments], environment=COMPILED)
        counts = read_counts(output)
        failed = counts["failures"] + counts["errors"] or int(status != 0)
        self._count(passed=counts["successes"], failed=failed, skipped=counts["skips"])
        self.skipped += [(reason, f"{test} ({where})") for reason, test in read_skips(output)]
        self.failed += [f"{test} ({where})" for test in read_failures(output)]

    def packages(self) -> None:
        """Build the Debian packages and try them in a clean Debian; that counts as one test."""
        status, _output = self._run("packages", ["make", "--no-print-directory", "check-deb"], lines=20)
        self._count(passed=int(status == 0), failed=int(status != 0))
        self.failed += ["the Debian packages"] * bool(status)

    def skip(self, reason: str, test: str) -> None:
        """Count a test that cannot be made here."""
        self._count(skipped=1)
        self.skipped.append((reason, test))

    def finish(self) -> int:
        """Print the summary; the exit status."""
        by_reason: dict[str, list[str]] = {}
        for reason, test in self.skipped:
            by_reason.setdefault(reason, []).append(test)
        for reason, tests in by_reason.items():
            print(f"skipped, {reason}:", *tests, sep="\n  ")
        if self.failed:
            print("failed:", *self.failed, sep="\n  ")
        line = ", ".join(f"{self.counts[word]} {word}" for word in ("passed", "failed", "skipped"))
        SUMMARY.write_text(line + "\n")
        print(line, flush=True)
        return int(self.counts["failed"] > 0)

    def _count(self, **counts: int) -> None:
        with self._lock:
            self.counts.update(counts)

    def _run(
        self,
        what: str,
        command: list[str],
        lines: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        """Status and output of a program; all of that, or the last lines, is printed when it has ended."""
        print(f"-- {what} begins", flush=True)
        began = time.monotonic()
        with open(
            TOP / "build" / f"{what.replace(' ', '-')}.log", "w+", encoding="utf-8", errors="replace"
        ) as log:
            status = subprocess.run(
                command, cwd=TOP, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
            ).returncode
            log.seek(0)
            output = log.read()
        shown = output if lines is None else "\n".join(output.splitlines()[-lines:])
        with self._lock:
            print(f"== {what}, {time.monotonic() - began:.0f} s", shown.rstrip(), sep="\n", flush=True)
        return status, output


def read_counts(output: str) -> collections.Counter[str]:
    """The counts in trial's last line, such as ``FAILED (failures=1, successes=2)``."""
    last = next((line for line in reversed(output.splitlines()) if line.startswith(("PASSED", "FAILED"))), "")
    return collections.Counter({word: int(number) for word, number in _COUNT.findall(last)})


def read_skips(output: str) -> list[tuple[str, str]]:
    """Reason and name of every test that trial says was skipped."""
    skips = []
    for kind, lines, tests in _blocks(output):
        if kind == "[SKIPPED]":
            end = min((lines.index(test) for test in tests), default=len(lines))
            reason = " ".join(line.strip() for line in lines[:end] if line.strip())
            skips += [(reason, test) for test in tests]
    return skips


def read_failures(output: str) -> list[str]:
    """The tests that trial says failed, each once."""
    failed = [test for kind, _, tests in _blocks(output) if kind in ("[FAIL]", "[ERROR]") for test in tests]
    return list(dict.fromkeys(failed))


def _blocks(output: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """What trial tells at its end: the kind, the lines, and the tests among them."""
    for block in re.split(r"^=+\n", output, flags=re.MULTILINE)[1:]:
        kind, *lines = block.splitlines() or [""]
        yield kind, lines, [line for line in lines if re.fullmatch(r"[\w.]+\.test_\w+", line)]


def unit_tests() -> list[str]:
    """The test modules that open no port."""
    return sorted(f"tests.{path.stem}" for path in (TOP / "tests").glob("test_*.py"))


def debian_lacks() -> str:
    """Why the unit tests cannot run with the distribution's own libraries; empty if they can."""
    if not Path(DEBIAN).exists():
        return f"there is no {DEBIAN}"
    asked = f"import importlib.util as u; print(*(n for n in {NEEDED_OF_DEBIAN} if not u.find_spec(n)))"
    missing = subprocess.run(
        [DEBIAN, "-c", asked], capture_output=True, text=True, check=False
    ).stdout.split()
    return f"the distribution's Python lacks {', '.join(missing)}" if missing else ""


def packages_lack() -> str:
    """Why the Debian packages cannot be built and tried here; empty if they can."""
    missing = [name for name in NEEDED_FOR_PACKAGES if not shutil.which(name, path=f"{os.defpath}:/usr/sbin")]
    if missing:
        return f"needs {', '.join(missing)}"
    if os.geteuid():
        return "only root can make a clean Debian"
    unmet = subprocess.run(["dpkg-checkbuilddeps"], cwd=TOP, capture_output=True, text=True, check=False)
    return " ".join(unmet.stderr.split())


def debian(tally: Tally) -> None:
    """The unit tests with what the distribution has."""
    if lacks := debian_lacks():
        tally.skip(lacks, "unit tests with the distribution's libraries")
    else:
        tally.trial(DEBIAN, unit_tests(), where="debian")


def packages(tally: Tally) -> None:
    """The Debian packages."""
    if lacks := packages_lack():
        tally.skip(lacks, "the Debian packages")
    else:
        tally.packages()


def steps(tally: Tally) -> Iterator[Callable[[], None]]:
    """Everything that may run side by side, the longest first."""
    yield lambda: tally.trial(sys.executable, unit_tests(), where="unit")
    yield lambda: debian(tally)
    yield lambda: packages(tally)
    yield lambda: tally.trial(sys.executable, ["tests.native"], where="native")
    peers = (TOP / "tests" / "peers").glob("test_*.py")
    for path in sorted(peers, key=lambda path: path.stat().st_size, reverse=True):
        module = f"tests.peers.{path.stem}"
        yield lambda module=module: tally.trial(sys.executable, [module], where=module)


def main() -> int:
    """Run what the command line asks for."""
    tally = Tally()
    SUMMARY.parent.mkdir(exist_ok=True)
    if "--debian" in sys.argv[1:]:
        debian(tally)
        return tally.finish()
    for command in LINTS:
        if importlib.util.find_spec(command[0]):
            tally.lint(command)
    with ThreadPoolExecutor(AT_A_TIME) as lanes:
        for done in [lanes.submit(step) for step in steps(tally)]:
            done.result()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
