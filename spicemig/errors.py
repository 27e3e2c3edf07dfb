# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The exceptions of spicemig.

A peer can cause :class:`ProtocolError` and nothing else; it carries the SPICE
error code that the peer is to be told. The other ones are for operators and
authors of guests.
"""

from __future__ import annotations

from enum import IntEnum


class LinkError(IntEnum):
    """Why a link or a channel was refused; ``link_err`` in spice.proto."""

    OK = 0
    ERROR = 1
    INVALID_MAGIC = 2
    INVALID_DATA = 3
    VERSION_MISMATCH = 4
    NEED_SECURED = 5
    NEED_UNSECURED = 6
    PERMISSION_DENIED = 7
    BAD_CONNECTION_ID = 8
    CHANNEL_NOT_AVAILABLE = 9


class SpicemigError(Exception):
    """Anything that spicemig raises on purpose."""


class ProtocolError(SpicemigError):
    """The peer broke the protocol, or asked for what it may not have."""

    def __init__(self, code: LinkError = LinkError.INVALID_DATA, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = LinkError(code)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or self.code.name


class WireError(ProtocolError):
    """
    Bytes that are no message, or a value that has no bytes.

    ``field`` is the path of the field from the message (``base.clip.rects[3]``),
    ``offset`` the byte of the body at which it went wrong; when packing, -1.
    """

    def __init__(self, message_name: str, field: str = "", offset: int = -1, reason: str = "") -> None:
        super().__init__(LinkError.INVALID_DATA, reason)
        self.args = (message_name, field, offset, reason)
        self.message_name = message_name
        self.field = field
        self.offset = offset

    def __str__(self) -> str:
        where = ".".join(part for part in (self.message_name, self.field) if part)
        place = f" at byte {self.offset}" if self.offset >= 0 else ""
        return f"{where}{place}: {self.reason}"


class ConfigError(SpicemigError):
    """A mistake in the settings; says where."""

    def __init__(self, file: str, section: str, option: str, reason: str) -> None:
        super().__init__(file, section, option, reason)
        self.file = file
        self.section = section
        self.option = option
        self.reason = reason

    def __str__(self) -> str:
        where = f"[{self.section}] {self.option}".strip() if self.section else self.option
        return ": ".join(part for part in (self.file, where, self.reason) if part)


class MigrationError(SpicemigError):
    """A handover that failed, at which stage and why; ``hint`` says what to do about it."""

    def __init__(self, stage: object, reason: str, hint: str = "") -> None:
        super().__init__(stage, reason, hint)
        self.stage = stage
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        stage = getattr(self.stage, "name", self.stage)
        return f"{stage}: {self.reason}" + (f" ({self.hint})" if self.hint else "")


class GuestError(SpicemigError):
    """A guest cannot do what it was asked, or its state is not one it knows."""


class EtcdError(SpicemigError):
    """
    etcd cannot be reached, or does not do what it is asked.

    ``code`` is gRPC's, as etcd gives it; :attr:`UNAVAILABLE` stands for everything that is between.
    """

    UNAVAILABLE = 14

    def __init__(self, reason: str, code: int = UNAVAILABLE) -> None:
        super().__init__(reason, code)
        self.reason = reason
        self.code = code

    def __str__(self) -> str:
        return self.reason
