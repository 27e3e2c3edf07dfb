# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The command ``spicemig``.

Exit status: 0 done, 1 it failed or the daemon cannot be reached, 2 usage, or
nothing for this kind of daemon; for ``migrate`` also 3 refused before anything
was moved, 4 cancelled or rolled back, 5 lost.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spicemig.control.connection import Control, ControlError, find_socket
from spicemig.control.report import Progress, exit_status, format_report, format_table
from spicemig.migration.settings import MODES, TRANSPORTS
from spicemig.wire.enums import ImageCompression

NOT_FOR_THIS_DAEMON = 501  # HTTP: Not Implemented
PACES = ("paced", "burst")

Command = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parsed = make_parser().parse_args(arguments)
    try:
        return parsed.run(parsed)
    except ControlError as error:
        print(f"spicemig: {error}", file=sys.stderr)
        return 2 if error.status == NOT_FOR_THIS_DAEMON else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # so that nothing is said again at exit
        return 1


def make_parser() -> argparse.ArgumentParser:
    """The whole command line; the manual page is made from it too."""
    parser = argparse.ArgumentParser(prog="spicemig", description="Look after a SPICE display server.")
    parser.add_argument(
        "--control",
        metavar="PATH",
        default=os.environ.get("SPICEMIG_CONTROL"),
        help="the daemon's control socket; by default $SPICEMIG_CONTROL, or the only one in /run/spicemig",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text for people")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Command, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        added.set_defaults(run=run)
        return added

    command("status", status, "show what the daemon does and where it listens")
    command("sessions", sessions, "list the clients")
    channels_ = command("channels", channels, "list the channels of the clients")
    channels_.add_argument("client", nargs="?", metavar="CLIENT", help="the id of one client; by default all")

    migrate_ = command("migrate", migrate, "hand the guest and its clients to another host")
    migrate_.add_argument("--to", metavar="HOST:PORT", help="its migration port; by default [migration] peer")
    migrate_.add_argument("--mode", choices=MODES, help="the best way in which clients may be moved")
    migrate_.add_argument("--transport", choices=TRANSPORTS, help="how the clients' state travels")
    migrate_.add_argument("--dry-run", action="store_true", help="only ask whether it could be done")
    migrate_.add_argument("--timeout", type=float, metavar="S", help="seconds that each stage may take")

    cancel_ = command("cancel", cancel, "cancel the handover that is under way")
    cancel_.add_argument("migration", nargs="?", metavar="ID", help="by default the one that is under way")
    command("recover", recover, "serve the guest again, on your word that no other host owns it")

    ticket_ = command("ticket", ticket, "set the ticket (password) of new clients, or let it expire")
    ticket_.add_argument("action", choices=("set", "expire"))
    ticket_.add_argument("--file", metavar="FILE", help="read the ticket from here (- is standard input)")
    ticket_.add_argument("--expires", type=float, metavar="S", help="seconds for which it is valid")

    screenshot_ = command("screenshot", screenshot, "save the guest's picture")
    screenshot_.add_argument("file", metavar="FILE.png", help="where to write it (- is standard output)")
    disconnect_ = command("disconnect", disconnect, "disconnect a client")
    disconnect_.add_argument("client", metavar="CLIENT", help="its id, as sessions shows it")

    doctor_ = command("doctor", doctor, "say what would make a migration fail")
    doctor_.add_argument("--to", metavar="HOST:PORT", help="ask this host too; by default [migration] peer")

    demo_ = command("demo", demo, "move a session between two servers on this machine and back")
    demo_.add_argument("--keep", action="store_true", help="leave the servers running afterwards")
    demo_.add_argument(
        "--out", metavar="DIR", help="keep before.png, after.png, timeline.svg and report.json"
    )

    record_ = command("record", record, "record what the guest draws, until Ctrl-C")
    record_.add_argument("file", metavar="FILE", help="where to write the trace; with .xz, compressed")
    record_.add_argument("--seconds", type=float, metavar="S", help="stop after this time")
    replay_ = command("replay", replay, "play a recorded trace through device and rasteriser")
    replay_.add_argument("trace", metavar="TRACE", help="the file, plain or compressed with xz")
    replay_.add_argument("--until", type=int, metavar="N", help="stop after this many commands")
    replay_.add_argument("--screenshot", metavar="OUT.png", help="save the picture that is there at the end")
    replay_.add_argument(
        "--surface", type=int, default=0, metavar="ID", help="the surface on it; by default 0, the screen"
    )
    replay_.add_argument(
        "--encode",
        choices=[mode.name.lower() for mode in ImageCompression if mode],
        help="send it to a client in this process, too, with images compressed so. The client can do "
        "everything, acknowledges everything and keeps nothing. All commands are in memory, as batches for "
        "the device, before the time begins; it ends with the last byte handed over, and what would be drawn "
        "after that, for the server alone, is not",
    )
    replay_.add_argument(
        "--pace",
        choices=PACES,
        default=PACES[0],
        help="paced, the default: a batch ends with a command that has 64 KiB or more in the trace, and the "
        "next one waits until everything is encoded and handed over; burst: none waits, and what is covered "
        "before it was sent may be left out",
    )
    replay_.add_argument(
        "--workers", type=int, default=1, metavar="N", help="threads that encode; by default 1"
    )
    replay_.add_argument("--streaming", action="store_true", help="let parts that look like video be streams")
    replay_.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON instead of text for people"
    )

    codec_ = command("codec", codec, "turn raw pixels into a codec's bytes, or back")
    codec_.add_argument("action", choices=("encode", "decode"))
    codec_.add_argument(
        "--codec", required=True, metavar="C", help="quic, lz, glz, lz4, zlib_glz, jpeg or jpeg_alpha"
    )
    codec_.add_argument(
        "--type", required=True, metavar="T", help="the type of the pixels, such as rgb32, rgba, gray or plt8"
    )
    codec_.add_argument("--size", required=True, metavar="WxH", help="width and height in pixels")
    codec_.add_argument("--stride", metavar="B", help="bytes of a raw row; by default as many as it needs")
    codec_.add_argument("--bottom-up", action="store_true", help="the first raw row is the bottom row")
    codec_.add_argument(
        "--bench", type=float, metavar="S", help="repeat it for so many seconds; print only MB/s and ratio"
    )
    codec_.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON instead of text for people"
    )
    codec_.add_argument(
        "input",
        metavar="IN",
        help="the file to read; of a directory all files, in the order of their names, as images of one "
        "window, of which --type, --size and --stride may have a value each, with commas between them",
    )
    codec_.add_argument("output", nargs="?", metavar="OUT", help="the file, or directory, to write")

    describe_ = command("describe", describe, "show the messages of the protocol")
    describe_.add_argument("what", nargs="?", default="", metavar="CHANNEL[/MESSAGE]", help="only these")
    return parser


def _control(arguments: argparse.Namespace) -> Control:
    return Control(find_socket(arguments.control))


def _print_json(value: Any) -> None:
    print(json.dumps(value), flush=True)


# -- looking ----------------------------------------------------------------------------------------

SESSION = ("id", "address", "can", "channels", "latency_ms", "kbit_per_second", "connected_seconds")
RELAYED_SESSION = (
    *("id", "address", "server", "stage", "channels"),
    *("handovers", "renewals", "failures", "connected_seconds"),
)
CHANNEL = ("client", "channel", "id", "stage", "serial_sent", "serial_received", "pending_bytes")


def status(arguments: argparse.Namespace) -> int:
    """``spicemig status``"""
    said = _control(arguments).ask("GET", "/v1/status")
    if arguments.json:
        _print_json(said)
        return 0
    guest = said["guest"]
    print(f"{said['name']}: spice-{said['daemon']} {said['version']}, {said['stage']}")
    if "routes" not in said:
        owned = guest and said["owner"]
        print("guest      " + (f"{guest['kind']}, owned here" if owned else "none of our own"))
    print(f"clients    {said['clients']}")
    for kind, addresses in said["listening"].items():
        print(f"{kind:<10} {' '.join(addresses) or '-'}")
    for key, servers in said.get("routes", {}).items():
        print(f"route      {key} to {' '.join(servers)}")
    for line in _etcd_lines(said.get("etcd")):
        print(f"etcd       {line}")
    if said["migration"]:
        print(f"migration  {said['migration']}")
    return 0


def _etcd_lines(said: dict[str, Any] | None) -> Iterator[str]:
    if said is None:
        return
    yield f"at {said['endpoint']}" if said["connected"] else f"away: {said['error'] or 'not asked yet'}"
    for name, reason in said.get("announced", {}).items():
        yield f"not announced as {name}: {reason}" if reason else f"announced as {name}"
    for name, reason in said.get("ignored", {}).items():
        yield f"{name!r} is ignored: {reason}"


def sessions(arguments: argparse.Namespace) -> int:
    """``spicemig sessions``"""
    said = _control(arguments).ask("GET", "/v1/sessions")
    if arguments.json:
        _print_json(said)
    else:
        for session in said["sessions"]:
            rate = session.get("bandwidth_bits_per_second")
            session["kbit_per_second"] = None if rate is None else rate // 1000
        relayed = any("server" in session for session in said["sessions"])
        print(format_table(RELAYED_SESSION if relayed else SESSION, said["sessions"]))
    return 0


def channels(arguments: argparse.Namespace) -> int:
    """``spicemig channels``"""
    control = _control(arguments)
    if arguments.client:
        clients = [arguments.client]
    else:
        clients = [each["id"] for each in control.ask("GET", "/v1/sessions")["sessions"]]
    rows = []
    for client in clients:
        for channel in control.ask("GET", f"/v1/sessions/{client}/channels")["channels"]:
            rows.append({"client": client, **channel})
    if arguments.json:
        _print_json({"channels": rows})
    else:
        relayed = any("held_bytes" in row for row in rows)
        print(format_table((*CHANNEL, "held_bytes") if relayed else CHANNEL, rows))
    return 0


def screenshot(arguments: argparse.Namespace) -> int:
    """``spicemig screenshot``"""
    png = _control(arguments).fetch("GET", "/v1/screenshot.png")
    if arguments.file == "-":
        sys.stdout.buffer.write(png)
        return 0
    try:
        Path(arguments.file).write_bytes(png)
    except OSError as error:
        raise ControlError(f"{arguments.file}: {error.strerror}") from error
    return 0


def describe(arguments: argparse.Namespace) -> int:
    """``spicemig describe``"""
    from spicemig.wire.declare import catalogue
    from spicemig.wire.describe import describe as describe_messages

    try:
        print(describe_messages(catalogue, arguments.what).rstrip())
    except LookupError as error:
        print(f"spicemig: {error.args[0]}", file=sys.stderr)
        return 2
    return 0


# -- doing ------------------------------------------------------------------------------------------


def migrate(arguments: argparse.Namespace) -> int:
    """``spicemig migrate``"""
    control = _control(arguments)
    asked = {
        "to": arguments.to,
        "mode": arguments.mode,
        "transport": arguments.transport,
        "dry_run": arguments.dry_run,
        "timeout_seconds": arguments.timeout,
    }
    try:
        started = control.ask(
            "POST",
            "/v1/migrations",
            {name: value for name, value in asked.items() if value not in (None, False)},
        )
    except ControlError as error:
        if error.status in (400, 409):
            print(f"spicemig: {error}", file=sys.stderr)
            return 2 if error.status == 400 else 3
        raise
    report = _follow(arguments, control, started)
    if arguments.json:
        _print_json(report)
    else:
        print(format_report(report))
    return exit_status(report)


def _follow(arguments: argparse.Namespace, control: Control, started: dict[str, Any]) -> dict[str, Any]:
    """Show progress until the end; Ctrl-C cancels the handover, and its end is still awaited."""
    path = f"/v1/migrations/{started['id']}"
    progress = Progress(sys.stderr)
    while True:
        try:
            for name, event in control.follow(path + "/events"):
                if name == "report":
                    return event
                if arguments.json:
                    _print_json(event)
                else:
                    progress.show(event)
            return control.ask("GET", path)
        except KeyboardInterrupt:
            try:
                control.ask("DELETE", path)
            except ControlError as error:
                progress.clear()
                print(f"spicemig: {error}", file=sys.stderr)
        finally:
            progress.clear()


def cancel(arguments: argparse.Namespace) -> int:
    """``spicemig cancel``"""
    control = _control(arguments)
    wanted = arguments.migration
    if not wanted:
        known = control.ask("GET", "/v1/migrations")["migrations"]
        under_way = [report["id"] for report in known if report["outcome"] is None]
        if not under_way:
            raise ControlError("there is no migration under way")
        wanted = under_way[-1]
    report = control.ask("DELETE", f"/v1/migrations/{wanted}")
    if arguments.json:
        _print_json(report)
    else:
        print(f"migration {wanted}: cancelled")
    return 0


def recover(arguments: argparse.Namespace) -> int:
    """``spicemig recover``"""
    said = _control(arguments).ask("POST", "/v1/recovery")
    if arguments.json:
        _print_json(said)
    else:
        print(said["recovered"])
    return 0


def ticket(arguments: argparse.Namespace) -> int:
    """``spicemig ticket set|expire``"""
    control = _control(arguments)
    if arguments.action == "expire":
        said = control.ask("PUT", "/v1/ticket", {"expire": True})
    else:
        asked: dict[str, Any] = {"ticket": _read_ticket(arguments.file)}
        if arguments.expires is not None:
            asked["expires_seconds"] = arguments.expires
        said = control.ask("PUT", "/v1/ticket", asked)
    if arguments.json:
        _print_json(said)
    return 0


def _read_ticket(file: str | None) -> str:
    """The ticket from a file or the terminal; never from the command line, where others could see it."""
    if file is None and sys.stdin.isatty():
        return getpass.getpass("Ticket: ")
    if file in (None, "-"):
        return sys.stdin.readline().rstrip("\n")
    try:
        with open(file, encoding="utf-8") as opened:
            return opened.readline().rstrip("\n")
    except OSError as error:
        raise ControlError(f"{file}: {error.strerror}") from error


def disconnect(arguments: argparse.Namespace) -> int:
    """``spicemig disconnect``"""
    said = _control(arguments).ask("DELETE", f"/v1/sessions/{arguments.client}")
    if arguments.json:
        _print_json(said)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """``spicemig doctor``: 0 if nothing would fail."""
    control = _control(arguments)
    checks = control.ask("GET", "/v1/doctor")["checks"]
    to = arguments.to or control.ask("GET", "/v1/status")["peer"]
    if to:
        checks.append(_ask_peer(control, to))
    if arguments.json:
        _print_json({"checks": checks})
    else:
        for check in checks:
            print(f"{'ok  ' if check['ok'] else 'FAIL'}  {check['check']}: {check['detail']}")
            if not check["ok"] and check.get("hint"):
                print(f"      {check['hint']}")
    return 0 if all(check["ok"] for check in checks) else 3


def _ask_peer(control: Control, to: str) -> dict[str, Any]:
    """A dry run, as one more check."""
    check: dict[str, Any] = {"check": f"handover to {to}", "ok": False, "detail": "", "hint": ""}
    try:
        report = control.ask("POST", "/v1/migrations", {"to": to, "dry_run": True})
        for name, event in control.follow(f"/v1/migrations/{report['id']}/events"):
            if name == "report":
                report = event
    except ControlError as error:
        check.update(detail=error.reason, hint=error.hint)
        return check
    check["ok"] = exit_status(report) == 0
    check["detail"] = "the other host would take it"
    if not check["ok"]:
        check["detail"] = "; ".join(problem["text"] for problem in report["problems"]) or report["outcome"]
        check["hint"] = "; ".join(problem["hint"] for problem in report["problems"])
    return check


def demo(arguments: argparse.Namespace) -> int:
    """``spicemig demo``"""
    from spicemig.control.demo import run_demo

    return run_demo(out=arguments.out, keep=arguments.keep, as_json=arguments.json)


def record(arguments: argparse.Namespace) -> int:
    """``spicemig record``"""
    from spicemig.control.record import run_record

    said = run_record(_control(arguments), arguments.file, arguments.seconds)
    if arguments.json:
        _print_json(said)
    else:
        print(f"{said['trace_bytes']} bytes of trace in {said['seconds']:.1f} s")
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """``spicemig replay``"""
    from spicemig.control.replay import Encode, run_replay

    return run_replay(
        arguments.trace,
        until=arguments.until,
        screenshot=arguments.screenshot,
        surface=arguments.surface,
        as_json=arguments.json,
        encode=arguments.encode
        and Encode(arguments.encode, arguments.pace, arguments.workers, arguments.streaming),
    )


def codec(arguments: argparse.Namespace) -> int:
    """``spicemig codec``"""
    from spicemig.control.codec import run_codec

    return run_codec(arguments)


if __name__ == "__main__":
    sys.exit(main())
