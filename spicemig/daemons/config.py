# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The settings of spice-source and spice-target: every section and option of the INI file.

The samples in ``etc/`` and ``spicemig.ini(5)`` are made from the declarations
below by :mod:`spicemig.control.manual`. What :meth:`Settings.read` returns is
complete and checked, and nothing was opened to get it.
"""

from __future__ import annotations

import configparser
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from spicemig.channels import websocket
from spicemig.codecs.video import NAMES
from spicemig.daemons import options as kinds
from spicemig.daemons.etcd_config import AnnouncingSettings, announcing_contradictions
from spicemig.daemons.options import Option, option, options_of
from spicemig.errors import ConfigError
from spicemig.guests import registry
from spicemig.guests.options import GuestOption
from spicemig.migration.settings import MODES, TRANSPORTS

SERVED_CHANNELS = ("main", "display", "inputs", "cursor")
VIEWER = Path("/usr/share/spice-html5")  # where Debian has its pages
COMMAND_LINE = "--set"  # stands for the file's name in errors about --set


def read_channel(name: str, known: Iterable[str] = SERVED_CHANNELS) -> str:
    """The name of a channel that is known."""
    if name not in known:
        raise ValueError(f"{name!r} is not one of {', '.join(known)}")
    return name


def _read_viewer(value: str) -> bool | Path:
    try:
        return kinds.yes_no.read(value or "no")
    except ValueError:
        return Path(value).expanduser()


channels = kinds.several("channel names", read_channel, frozenset)
words = kinds.several("words", str)
video_codecs = kinds.several("any of " + ", ".join(NAMES), kinds.choice(*NAMES).read)


@dataclasses.dataclass(frozen=True)
class DaemonSettings:
    """The daemon itself."""

    control: Path = option(
        kinds.path,
        "/run/spicemig/{daemon}.sock",
        "The unix socket on which spicemig(1) talks to this daemon; only the daemon's user may open it.",
    )
    log_format: str = option(
        kinds.choice("text", "json"),
        "text",
        "Lines for people, or one JSON object per line with every field.",
    )


@dataclasses.dataclass(frozen=True)
class ServerSettings(DaemonSettings):
    """The daemon itself."""

    name: str = option(kinds.text, "spicemig", "Shown to clients as the name of the guest.")
    uuid: UUID | None = option(
        kinds.uuid,
        "",
        "Told to clients as the guest's UUID. Empty: one is made at the first start and kept in state_dir.",
    )
    state_dir: Path = option(
        kinds.path,
        "/var/lib/spicemig/{daemon}",
        """Where the daemon remembers whether it owns the guest; must survive a restart. Made if missing,
        for the daemon's user only.""",
    )


@dataclasses.dataclass(frozen=True)
class Endpoints:
    """Where clients connect: Twisted endpoint strings, several separated by blanks."""

    plain: tuple[str, ...] = option(
        kinds.endpoints,
        "tcp:5900:interface=127.0.0.1",
        "For clients without TLS. The default can be reached from this machine only.",
    )
    tls: tuple[str, ...] = option(
        kinds.endpoints, "", "For clients with TLS; needs certificate and key in [tls]. Write tcp:, not ssl:."
    )
    unix: tuple[str, ...] = option(
        kinds.endpoints,
        "",
        "For clients on this machine, such as unix:/run/spicemig/viewer.sock:mode=660. Counts as secure.",
    )
    websocket: tuple[str, ...] = option(
        kinds.endpoints,
        "",
        """For browsers and all other clients: these endpoints take SPICE, SPICE over WebSocket, either after
        HTTP CONNECT, and requests for the pages of [web] viewer, each without TLS or, if there are
        certificate and key in [tls], with it, and tell them apart.""",
    )


@dataclasses.dataclass(frozen=True)
class ListenSettings(Endpoints):
    """
    Where clients connect.

    Values are Twisted endpoint strings, several separated by blanks. Port 0 lets the system choose;
    the port is in the ready line and in ``spicemig status``. A socket from systemd is written
    ``systemd:domain=INET:index=0``.
    """

    secure_channels: frozenset[str] = option(
        channels,
        "",
        "These channels are refused on plain connections; clients then use the TLS port. Of: "
        + ", ".join(SERVED_CHANNELS)
        + ".",
    )
    max_clients: int = option(kinds.whole(1, 10000), "64", "How many clients there may be at once.")
    multi_client: bool = option(
        kinds.yes_no,
        "yes",
        "Several clients share the guest; with no, a new client takes the place of the old.",
    )


@dataclasses.dataclass(frozen=True)
class TLSSettings:
    """Certificates, for clients on TLS and for other hosts. All files are PEM."""

    certificate: Path | None = option(
        kinds.path, "", "This host's certificate, with those of intermediate authorities after it."
    )
    key: Path | None = option(kinds.path, "", "The private key of the certificate.")
    ca: Path | None = option(
        kinds.path,
        "",
        "Authorities that may sign certificates of other hosts: in a migration, or of a relay's servers.",
    )
    client_ca: Path | None = option(
        kinds.path,
        "",
        "If set, clients on TLS must show a certificate signed by one of these authorities.",
    )
    minimum_version: str = option(kinds.choice("1.2", "1.3"), "1.2", "The oldest TLS version that is spoken.")


@dataclasses.dataclass(frozen=True)
class AuthSettings:
    """Who may connect."""

    mode: str = option(
        kinds.choice("ticket", "none"),
        "ticket",
        "Whether clients must know the ticket, SPICE's password; without one set, nobody is let in.",
    )
    ticket_file: Path | None = option(
        kinds.path,
        "",
        """A file with the ticket on its first line, read at start and on SIGHUP. Empty: the ticket is set
        with spicemig ticket set.""",
    )
    ticket_expires_seconds: int = option(
        kinds.whole(0, 10**9), "0", "How long the ticket of the file is valid after it was read; 0: for ever."
    )


@dataclasses.dataclass(frozen=True)
class GuestSettings:
    """What is on display. Each kind may have a section of its own, below."""

    kind: str = option(
        kinds.text,
        "demo",
        "The kind of guest that spice-source starts with. On spice-target, empty: whatever kind arrives.",
        target="",
    )


@dataclasses.dataclass(frozen=True)
class DisplaySettings:
    """How pictures are sent."""

    image_compression: str = option(
        kinds.choice("off", "auto_glz", "auto_lz", "quic", "glz", "lz", "lz4"),
        "auto_glz",
        """How images are compressed for clients that understand it; a client may ask for another way. glz
        makes them small by what the client was sent before, lz each by itself, and so does quic with
        photographs. auto_glz takes quic for photographs that come for the first time, and glz for everything
        else; auto_lz takes quic for photographs, and lz for everything else. Images with palettes are never
        compressed with glz or quic.""",
    )
    jpeg_wan: str = option(
        kinds.choice("auto", "always", "never"),
        "auto",
        """Whether images may be sent as JPEG, which takes fewer bytes and loses some detail: auto does so
        for clients whose line is measured below 10 Mbit/s, until it is above 15. With any compression but
        off, images of 64x64 pixels and more become JPEG then if they are photographs, or others that lz
        leaves more than an eighth of, unless glz finds nearly all of them in what the client was sent
        before; drawings and text stay as they are. Once the client has caught up, what it has lossy is sent
        again without loss; what would compute with it (such as XOR) is sent so at once.""",
    )
    zlib_glz_wan: str = option(
        kinds.choice("auto", "always", "never"),
        "auto",
        "Whether images compressed with glz are deflated on top; auto: for clients with a slow line only.",
    )
    streaming: str = option(
        kinds.choice("off", "filter", "all"),
        "filter",
        """Which parts of the screen are sent as video when they are redrawn often: none; those that look like
        photographs (filter); or all. What stands still is always shown without loss.""",
    )
    video_codecs: tuple[str, ...] = option(
        video_codecs,
        "mjpeg vp8 h264 vp9",
        """The codecs of video that may be sent, best first; a client may prefer another order. All but mjpeg
        need PyAV (Debian: python3-av) and a client that decodes them.""",
    )
    workers: int = option(kinds.whole(1, 64), "2", "Threads that compress images.")


@dataclasses.dataclass(frozen=True)
class MigrationSettings:
    """
    Handing the guest and its clients to another host.

    Both hosts need certificate, key and ca in [tls] and the same secret in ticket_file.
    """

    peer: tuple[str, int] | None = option(
        kinds.host_port,
        "",
        "Where spicemig migrate goes if it is not told: the migration port of the other host.",
    )
    listen: tuple[str, ...] = option(
        kinds.endpoints,
        "",
        "Where another host may connect to hand over its guest; always with TLS. spice-target needs one.",
    )
    public_host: str = option(
        kinds.text,
        "",
        """The name or address at which clients reach this host; they are sent there. Empty: the one that the
        other host used in HOST:PORT.""",
    )
    cert_subject: str = option(
        kinds.text,
        "",
        """What clients that are sent here by TLS must find as subject in this host's certificate, such as
        O=Example,CN=b.example. Empty: they compare the host name.""",
    )
    peer_name: str = option(
        kinds.text, "", "The name that the target's certificate must bear. Empty: the HOST that is dialled."
    )
    accept_names: tuple[str, ...] = option(
        words,
        "",
        """Names of which one must be in the certificate of a host that connects. Empty: any host that ca
        has signed.""",
    )
    ticket_file: Path | None = option(
        kinds.path, "", "A file with the secret that both hosts share, on its first line."
    )
    mode: str = option(
        kinds.choice(*MODES),
        "auto",
        "The best way in which clients may be moved; auto takes for each client the best that it can do.",
    )
    transport: str = option(
        kinds.choice(*TRANSPORTS),
        "both",
        """How a client's state travels: through the client, as the protocol has it, between the hosts, or
        both, so that it arrives even if one way fails.""",
    )
    stage_timeout_seconds: float = option(
        kinds.decimal(0.1, 3600), "10", "How long a stage of a handover may take before it is given up."
    )
    pause_goal_ms: int = option(
        kinds.whole(1, 60000),
        "20",
        "The guest is stopped when what is left to copy should take no longer than this, in milliseconds.",
    )
    allow_from: tuple[Any, ...] = option(
        kinds.networks, "127.0.0.0/8 ::1/128", "Hosts that may connect to listen: addresses or networks."
    )


@dataclasses.dataclass(frozen=True)
class ManholeSettings:
    """
    A way into the running daemon by SSH, for looking at it; see spicemig-manhole(7).

    Who comes in may do whatever the daemon may.
    """

    enabled: bool = option(
        kinds.yes_no, "no", "Whether there is one; needs Twisted's conch, which Debian's has."
    )
    listen: tuple[str, ...] = option(
        kinds.private_endpoints,
        "unix:/run/spicemig/{daemon}.manhole:mode=600",
        """Where it is: unix sockets that are not open to everybody, and TCP ports on loopback such as
        tcp:6023:interface=127.0.0.1. Nothing else is taken.""",
    )
    authorized_keys: Path | None = option(
        kinds.path,
        "",
        """A file with the public keys that open it, one a line, as OpenSSH has them but without options. It
        must belong to root or the daemon's user and be written by nobody else; it is read at every login.""",
    )
    host_key: Path | None = option(
        kinds.path,
        "",
        """The private key by which it is recognised, as ssh-keygen makes it, without a passphrase. Empty: one
        is made at the first start and kept in state_dir.""",
    )


@dataclasses.dataclass(frozen=True)
class WebSettings:
    """The control API for other hosts, such as a Prometheus; and what browsers are shown."""

    listen: tuple[str, ...] = option(
        kinds.endpoints,
        "",
        """Where the control API can be reached, metrics included: see spicemig-metrics(7). Whoever shows the
        token may do whatever spicemig(1) can. With certificate and key in [tls], TCP ports are HTTPS, and
        client_ca counts for them, too; without, only unix sockets that are not open to everybody and ports on
        loopback are taken, such as tcp:9180:interface=127.0.0.1.""",
    )
    token_file: Path | None = option(
        kinds.path,
        "",
        """A file with the token on its first line, read at start and on SIGHUP; listen needs one. It is shown
        as Authorization: Bearer TOKEN.""",
    )
    viewer: bool | Path = option(
        kinds.Kind("yes, no or path", _read_viewer),
        "yes",
        f"""Whether browsers are given the pages of a viewer at the websocket endpoints of [listen]: yes for
        those of Debian's package spice-html5 in {VIEWER}, where it is installed, or a directory with
        others. http://HOST:PORT/ leads to its index.html or spice_auto.html. Anybody may read the pages;
        the guest is seen only by those who know the ticket.""",
    )

    @property
    def pages(self) -> Path | None:
        """The directory with the pages; None if there are none."""
        if isinstance(self.viewer, Path):
            return self.viewer
        return VIEWER if self.viewer and VIEWER.is_dir() else None


SECTIONS: dict[str, type] = {
    "server": ServerSettings,
    "listen": ListenSettings,
    "tls": TLSSettings,
    "auth": AuthSettings,
    "guest": GuestSettings,
    "display": DisplaySettings,
    "migration": MigrationSettings,
    "etcd": AnnouncingSettings,
    "manhole": ManholeSettings,
    "web": WebSettings,
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything an INI file and ``--set`` said, or left to the defaults."""

    daemon: str  # source or target
    file: Path
    server: ServerSettings
    listen: ListenSettings
    tls: TLSSettings
    auth: AuthSettings
    guest: GuestSettings
    display: DisplaySettings
    migration: MigrationSettings
    etcd: AnnouncingSettings
    manhole: ManholeSettings
    web: WebSettings
    guest_options: Mapping[str, Mapping[str, Any]]  # by kind, then by option

    @classmethod
    def read(cls, file: str | Path, daemon: str, overrides: Iterable[str] = ()) -> Settings:
        """
        Read an INI file; ``overrides`` are ``section.option=value``.

        Raises :class:`ConfigError`, naming the first mistake.
        """
        return _read(Reader(Path(file), daemon, overrides))


def _read(reader: Reader) -> Settings:
    guest_sections = {kind: tuple(guest_options(kind)) for kind in sorted(registry.makers())}
    sections = reader.sections(SECTIONS, guest_sections)
    guests = {kind: reader.values(kind, declared) for kind, declared in guest_sections.items()}
    settings = Settings(daemon=reader.daemon, file=reader.file, guest_options=guests, **sections)
    for section, name, reason in _contradictions(settings):
        raise reader.error(section, name, reason)
    return settings


class Reader:
    """Reads one file once; raises :class:`ConfigError`."""

    def __init__(self, file: Path, daemon: str, overrides: Iterable[str]) -> None:
        self.file = file
        self.daemon = daemon
        self.given = _parse(file)
        self.overridden: set[tuple[str, str]] = set()
        for override in overrides:
            self._override(override)

    def sections(self, declared: Mapping[str, type], more: Iterable[str] = ()) -> dict[str, Any]:
        """The sections by name; there may be ``more`` in the file, which :meth:`values` reads."""
        for section in self.given:
            if section not in declared and section not in more:
                known = ", ".join([*declared, *more])
                raise self.error(section, "", f"there is no such section; known are {known}")
        return {name: kind(**self.values(name, tuple(options_of(kind)))) for name, kind in declared.items()}

    def _override(self, override: str) -> None:
        where, equals, value = override.partition("=")
        section, dot, name = where.strip().partition(".")
        if not (equals and dot and section and name):
            raise ConfigError(COMMAND_LINE, "", "", f"{override!r} is not section.option=value")
        self.given.setdefault(section, {})[name] = value.strip()
        self.overridden.add((section, name))

    def values(self, section: str, declared: tuple[Option, ...]) -> dict[str, Any]:
        """The options of one section, by name."""
        given = self.given.get(section, {})
        names = [each.name for each in declared]
        for name in given:
            if name not in names:
                known = ", ".join(names) or "none"
                raise self.error(section, name, f"there is no such option; known are {known}")
        return {each.name: self._value(section, each, given.get(each.name)) for each in declared}

    def _value(self, section: str, declared: Option, given: str | None) -> Any:
        try:
            value = declared.kind.read(declared.default_for(self.daemon) if given is None else given)
        except ValueError as error:
            raise self.error(section, declared.name, str(error)) from error
        if isinstance(value, Path) and (section, declared.name) in self.overridden:
            value = value.absolute()
        elif isinstance(value, Path):
            value = self.file.absolute().parent / value  # relative to the file that says it
        return value

    def error(self, section: str, name: str, reason: str) -> ConfigError:
        """A mistake in this option, blamed on the file or the command line."""
        overridden = (section, name) in self.overridden or (
            not name and any(section == each for each, _ in self.overridden)
        )
        return ConfigError(COMMAND_LINE if overridden else str(self.file), section, name, reason)


def _parse(file: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(
        interpolation=None, default_section="", comment_prefixes=("#", ";"), empty_lines_in_values=False
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        with open(file, encoding="utf-8") as opened:
            parser.read_file(opened)
    except OSError as error:
        raise ConfigError(str(file), "", "", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), "", "", f"is not UTF-8 text: {error}") from error
    except configparser.DuplicateOptionError as error:
        reason = f"given twice (line {error.lineno})"
        raise ConfigError(str(file), str(error.section), error.option, reason) from error
    except configparser.DuplicateSectionError as error:
        raise ConfigError(str(file), str(error.section), "", f"given twice (line {error.lineno})") from error
    except configparser.Error as error:
        raise ConfigError(str(file), "", "", " ".join(str(error).split())) from error
    return {section: dict(parser[section]) for section in parser.sections()}


def _contradictions(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What single options cannot show: section, option and reason of every contradiction."""
    listen, tls, migration = settings.listen, settings.tls, settings.migration
    if settings.server.state_dir is None or settings.server.control is None:
        missing = "state_dir" if settings.server.state_dir is None else "control"
        yield "server", missing, "must not be empty"
    for wanted, section, name in (
        (migration.listen, "migration", "listen"),
        (migration.peer, "migration", "peer"),
    ):
        if wanted and not (tls.certificate and tls.key):
            yield section, name, "needs certificate and key in [tls]"
        if wanted and not tls.ca:
            yield section, name, "needs ca in [tls], to know the other host by"
        if wanted and not migration.ticket_file:
            yield section, name, "needs ticket_file in [migration]"
    yield from client_contradictions(listen, tls, settings.auth)
    if migration.ticket_file and not migration.ticket_file.is_file():
        yield "migration", "ticket_file", f"there is no file {migration.ticket_file}"
    if settings.daemon == "target" and not migration.listen:
        yield (
            "migration",
            "listen",
            "spice-target needs an endpoint here, for the host that hands over its guest",
        )
    yield from announcing_contradictions(settings)
    yield from manhole_contradictions(settings.manhole)
    yield from web_contradictions(settings.web, tls)
    kind = settings.guest.kind
    if kind not in settings.guest_options and (kind or settings.daemon == "source"):
        yield "guest", "kind", f"{kind!r} is not installed; there are {', '.join(settings.guest_options)}"


def client_contradictions(
    listen: Any, tls: TLSSettings, auth: AuthSettings
) -> Iterator[tuple[str, str, str]]:
    """The same, of what has to do with clients."""
    if listen.tls and not (tls.certificate and tls.key):
        yield "listen", "tls", "needs certificate and key in [tls]"
    if bool(tls.certificate) != bool(tls.key):
        missing = "key" if tls.certificate else "certificate"
        yield "tls", missing, "certificate and key are only of use together"
    for name in ("certificate", "key", "ca", "client_ca"):
        file = getattr(tls, name)
        if file and not file.is_file():
            yield "tls", name, f"there is no file {file}"
    if auth.ticket_file and not auth.ticket_file.is_file():
        yield "auth", "ticket_file", f"there is no file {auth.ticket_file}"
    if listen.websocket and websocket.why_not():
        yield "listen", "websocket", websocket.why_not() or ""
    if not (listen.plain or listen.tls or listen.unix or listen.websocket):
        yield "listen", "plain", "nothing to listen on: plain, tls, unix and websocket are all empty"
    if listen.secure_channels and not (listen.tls or listen.unix or (listen.websocket and tls.certificate)):
        yield "listen", "secure_channels", "nobody could connect: there is neither TLS nor a unix socket"


def manhole_contradictions(manhole: ManholeSettings) -> Iterator[tuple[str, str, str]]:
    """The same, of the manhole."""
    if not manhole.enabled:
        return
    if not manhole.listen:
        yield "manhole", "listen", "must not be empty if the manhole is enabled"
    if manhole.authorized_keys is None:
        yield "manhole", "authorized_keys", "must not be empty: nobody comes in without a key"
    for name in ("authorized_keys", "host_key"):
        file = getattr(manhole, name)
        if file and not file.is_file():
            yield "manhole", name, f"there is no file {file}"


def web_contradictions(web: WebSettings, tls: TLSSettings) -> Iterator[tuple[str, str, str]]:
    """The same, of the control API for other hosts, and of browsers."""
    if isinstance(web.viewer, Path) and not web.viewer.is_dir():
        yield "web", "viewer", f"there is no directory {web.viewer}"
    if web.listen and not web.token_file:
        yield "web", "token_file", "must not be empty if listen is set: nobody is let in without a token"
    if web.token_file and not web.token_file.is_file():
        yield "web", "token_file", f"there is no file {web.token_file}"
    for endpoint in () if tls.certificate and tls.key else web.listen:
        reason = kinds.why_not_private(endpoint)
        if reason:
            yield "web", "listen", f"{endpoint!r} {reason}, or set certificate and key in [tls]"


def guest_options(kind: str) -> Iterator[Option]:
    """What the section of a guest's kind may say, as its plugin declares it."""
    for declared in registry.maker(kind).options:
        default = declared.default
        text = ("yes" if default else "no") if isinstance(default, bool) else str(default)
        yield Option(declared.name, _guest_kind(declared), text, " ".join(declared.help.split()))


def _guest_kind(declared: GuestOption) -> kinds.Kind:
    if declared.type is bool:
        return kinds.Kind(kinds.yes_no.words, declared.read)
    if declared.choices:
        return kinds.Kind("one of " + ", ".join(declared.choices), declared.read)
    words = {int: "whole number", float: "number"}.get(declared.type, "text")
    if declared.minimum is not None:
        words += f", {declared.minimum:g} or more"
    if declared.maximum is not None:
        words += f", at most {declared.maximum:g}"
    return kinds.Kind(words, declared.read)
