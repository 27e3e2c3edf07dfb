# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Writes what is made from declarations: the samples in ``etc/`` and parts of the man pages.

``python -m spicemig.control.manual`` in a checkout brings all of them up to date. In a
man page the lines between ``.\\" made from NAME`` and ``.\\" end`` are replaced; the rest is prose.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spicemig.control.cli import make_parser
from spicemig.control.host_metrics import HOST
from spicemig.control.inspection import Inspection, guide_lines
from spicemig.control.metrics import COMMON, Declared
from spicemig.control.relay_inspection import RelayInspection
from spicemig.control.relay_metrics import RELAY
from spicemig.control.server_inspection import ServerInspection
from spicemig.daemons import options, relay_config
from spicemig.daemons.config import SECTIONS, guest_options
from spicemig.daemons.options import Option
from spicemig.daemons.reloading import reloaded_options
from spicemig.guests import registry
from spicemig.wire.declare import catalogue
from spicemig.wire.describe import describe

TOP = Path(__file__).resolve().parent.parent.parent
PAGES = (
    "spice-source.8",
    "spice-target.8",
    "spice-relay.8",
    "spicemig.1",
    "spicemig.ini.5",
    "spicemig-protocol.7",
    "spicemig-manhole.7",
    "spicemig-metrics.7",
)
#: transcripts; tests.peers.test_manhole keeps them
MANHOLE_SESSION = TOP / "docs" / "manhole-session.txt"
MANHOLE_RELAY_SESSION = TOP / "docs" / "manhole-relay-session.txt"
_MADE = re.compile(r'(?<=^\.\\" made from )(\w+)\n.*?(?=^\.\\" end$)', re.MULTILINE | re.DOTALL)


def declared_sections(daemon: str) -> dict[str, type]:
    """The sections that are the daemon's own."""
    return relay_config.SECTIONS if daemon == "relay" else SECTIONS


def sections(daemon: str = "source") -> Iterator[tuple[str, str, list[Option]]]:
    """Name, text and options of every section of a daemon, those of the installed guests last."""
    for name, declared in declared_sections(daemon).items():
        yield name, _plain(declared.__doc__ or ""), list(options.options_of(declared))
    for kind in () if daemon == "relay" else sorted(registry.makers()):
        yield kind, f"The guest of kind {kind}.", list(guest_options(kind))


def _plain(docstring: str) -> str:
    """A docstring as one paragraph without markup."""
    return " ".join(docstring.replace("``", "").split())


# -- samples ----------------------------------------------------------------------------------------


def sample(daemon: str) -> str:
    """A sample INI file: every option with its default, as a comment."""
    page = "spice-relay(8)" if daemon == "relay" else "spicemig.ini(5)"
    lines = [
        f"# Settings of spice-{daemon}; see {page}.",
        "#",
        "# Every option stands here as a comment with its default. Remove the # to change one.",
    ]
    for name, text, declared in sections(daemon):
        lines += ["", "", f"[{name}]", *_comment(text)]
        for each in declared:
            default = each.default_for(daemon)
            lines += ["", *_comment(f"{each.help} ({each.kind.words})"), f"#{each.name} = {default}".rstrip()]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 98, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


# -- man pages --------------------------------------------------------------------------------------


def fill(page: str) -> str:
    """A man page with its made parts made anew."""
    return _MADE.sub(lambda found: f"{found[1]}\n{PARTS[found[1]]()}", page)


def roff(text: str) -> str:
    """Text that troff shows as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def options_part() -> str:
    """All sections and options, for ``spicemig.ini(5)``."""
    lines: list[str] = []
    for name, text, declared in sections():
        lines += [f".SS [{name}]", roff(text)]
        for each in declared:
            source, target = each.default_for("source"), each.default_for("target")
            default = f"Default: {source or 'empty'}."
            if source != target:
                default = f"Default: {source or 'empty'}; for spice-target {target or 'empty'}."
            lines += [".TP", f'.BR {each.name} " ({roff(each.kind.words)})"', roff(each.help), roff(default)]
    return "\n".join(lines) + "\n"


def relay_options_part() -> str:
    """All sections and options of the relay, for ``spice-relay(8)``."""
    lines: list[str] = []
    for name, text, declared in sections("relay"):
        lines += [f".SS [{name}]", roff(text)]
        for each in declared:
            default = f"Default: {each.default_for('relay') or 'empty'}."
            lines += [".TP", f'.BR {each.name} " ({roff(each.kind.words)})"', roff(each.help), roff(default)]
    return "\n".join(lines) + "\n"


def reloaded_part(daemon: str = "source") -> str:
    """The options that a running daemon takes over on SIGHUP."""
    lines = [".RS"]
    for section, declared in declared_sections(daemon).items():
        names = reloaded_options(section, declared)
        if names:
            lines += [".TP", f".B [{section}]", roff(", ".join(names))]
    return "\n".join([*lines, ".RE"]) + "\n"


def commands_part() -> str:
    """All commands, for ``spicemig(1)``."""
    parser = make_parser()
    lines = [".SS Common options", *_arguments(parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                usage = re.sub(
                    r"\s+", " ", command.format_usage().removeprefix("usage: ").replace("[-h] ", "")
                )
                lines += [f".SS {name}", ".B " + roff(usage.strip()), ".PP", roff(command.description or "")]
                lines += _arguments(command)
    return "\n".join(lines) + "\n"


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            continue
        name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        value = "" if not action.option_strings or action.nargs == 0 else " " + str(_value_name(action))
        text = action.help or ""
        if action.choices and not action.option_strings:
            name = "|".join(map(str, action.choices))
        yield from (
            ".TP",
            ".B " + roff(name + value),
            roff(text[:1].upper() + text[1:] + "." if text else ""),
        )


def _value_name(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def messages_part() -> str:
    """The catalogue of messages, for ``spicemig-protocol(7)``: a list of all, then each with its fields."""
    lines = [".nf", roff(describe(catalogue).rstrip()), ".fi"]
    for channel in dict.fromkeys(channel for (channel, _to, _number), _ in catalogue.entries()):
        lines += [f".SS The channel {channel}", ".nf", roff(describe(catalogue, channel).rstrip()), ".fi"]
    return "\n".join(lines) + "\n"


def manhole_options_part() -> str:
    """The section of the manhole, for ``spicemig-manhole(7)``."""
    lines: list[str] = []
    for each in options.options_of(SECTIONS["manhole"]):
        default = each.default.replace("{daemon}", "DAEMON") or "empty"
        lines += [
            ".TP",
            f'.BR {each.name} " ({roff(each.kind.words)})"',
            roff(each.help),
            roff(f"Default: {default}."),
        ]
    return "\n".join(lines) + "\n"


def manhole_names_part(inspection: type[Inspection] = ServerInspection) -> str:
    """What one can type in a manhole."""
    lines: list[str] = []
    for name, text in guide_lines(inspection):
        lines += [".TP", ".B " + roff(name), roff(text)]
    return "\n".join(lines) + "\n"


def manhole_causes_part(inspection: type[Inspection] = ServerInspection) -> str:
    """What channels can wait for."""
    lines: list[str] = []
    for cause in inspection.causes:
        lines += [".TP", ".B " + roff(cause.name), roff(cause.help[0].upper() + cause.help[1:] + ".")]
    return "\n".join(lines) + "\n"


def manhole_session_part(session: Path = MANHOLE_SESSION) -> str:
    """A session in a manhole, as it was."""
    return ".nf\n" + roff(session.read_text(encoding="utf-8")) + ".fi\n"


def metrics_part(declared: Iterable[Declared]) -> str:
    """A list of metrics, for ``spicemig-metrics(7)``."""
    lines: list[str] = []
    for metric in declared:
        labels = f"; by {', '.join(metric.labels)}" if metric.labels else ""
        lines += [".TP", f'.BR {metric.name} " ({metric.kind}{labels})"', roff(metric.help)]
    return "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "options": options_part,
    "relay_options": relay_options_part,
    "reloaded": reloaded_part,
    "relay_reloaded": lambda: reloaded_part("relay"),
    "commands": commands_part,
    "messages": messages_part,
    "manhole_options": manhole_options_part,
    "manhole_names": manhole_names_part,
    "manhole_causes": manhole_causes_part,
    "manhole_session": manhole_session_part,
    "manhole_relay_names": lambda: manhole_names_part(RelayInspection),
    "manhole_relay_causes": lambda: manhole_causes_part(RelayInspection),
    "manhole_relay_session": lambda: manhole_session_part(MANHOLE_RELAY_SESSION),
    "metrics_common": lambda: metrics_part(COMMON),
    "metrics_host": lambda: metrics_part(HOST),
    "metrics_relay": lambda: metrics_part(RELAY),
}


def files(top: Path = TOP) -> Iterable[tuple[Path, str]]:
    """Every file that is made, or has made parts, with what it should hold."""
    for daemon in options.DAEMONS:
        yield top / "etc" / f"{daemon}.ini", sample(daemon)
    for name in PAGES:
        page = top / "man" / name
        yield page, fill(page.read_text(encoding="utf-8"))


def main() -> None:
    """Write what has changed."""
    for path, text in files():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
