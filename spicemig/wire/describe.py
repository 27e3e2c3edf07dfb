# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The catalogue as text, for ``spicemig describe`` and the man page.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from spicemig.wire.declare import BASE_LAST, CHANNEL_TYPES, Catalogue
from spicemig.wire.kinds import (
    BytesKind,
    Counted,
    Field,
    Fixed,
    GuardedKind,
    Layout,
    ListKind,
    Pointed,
    PointerKind,
    RecordKind,
    Rest,
    Rows,
    Scalar,
    SwitchKind,
    When,
    scalar,
)

WIDTH = 100


def describe(catalogue: Catalogue, selector: str = "") -> str:
    """
    The messages that ``selector`` names, as text.

    Nothing: a line for each message. ``CHANNEL``: its messages with their fields.
    ``CHANNEL/MESSAGE``: one message (in both directions if both have it) and every
    record in it. Names are taken in any case. Raises ``LookupError`` if there is none.
    """
    channel, _slash, name = selector.strip().partition("/")
    if not channel:
        return overview(catalogue)
    entries = [
        (spoken_on, to, cls)
        for (spoken_on, to, _number), cls in catalogue.entries()
        if spoken_on == channel.lower() and (not name or cls.__name__.lower() == name.lower())
    ]
    if not entries:
        raise LookupError(f"there is no {'message' if name else 'channel'} {selector!r} in the catalogue")
    texts = [_message(spoken_on, to, cls) for spoken_on, to, cls in entries]
    if name:
        texts += [_record(cls) for cls in _records_of([cls for _channel, _to, cls in entries])]
    return "\n\n".join(texts) + "\n"


def overview(catalogue: Catalogue) -> str:
    """All messages, a line for each, by channel."""
    lines: list[str] = []
    before = ""
    for (channel, to, number), cls in sorted(catalogue.entries(), key=_reading_order):
        if channel != before:
            kind = CHANNEL_TYPES.get(channel)
            note = f"channel type {kind}" if kind else f"numbers up to {BASE_LAST}, on every channel"
            note = {"agent": "inside the main channel", "stream": "the guest's video device"}.get(
                channel, note
            )
            lines += ["", f"{channel} ({note})"] if lines else [f"{channel} ({note})"]
            before = channel
        line = f"  {'to ' + to:<10}{number:>4}  {cls.__name__:<26}{_summary(cls)}"
        lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


def _reading_order(entry: tuple[tuple[str, str, int], Any]) -> tuple[int, str, str, int]:
    (channel, to, number), _cls = entry
    return (0 if channel == "base" else CHANNEL_TYPES.get(channel, 1000), channel, to, number)


def _summary(cls: type[Any]) -> str:
    return _doc(cls).partition("\n")[0]


def _doc(cls: type[Any]) -> str:
    """The docstring without its mark-up."""
    text = inspect.getdoc(cls) or ""
    return re.sub(r"(?::\w+:)?`+[~.]?([^`]+)`+", r"\1", text)


def _message(channel: str, to: str, cls: type[Any]) -> str:
    return _text(f"{channel}/{cls.__name__}, number {cls.number}, to the {to}", cls)


def _record(cls: type[Any]) -> str:
    return _text(cls.__name__, cls)


def _text(title: str, cls: type[Any]) -> str:
    lines = [title, textwrap.indent(_doc(cls), "  ")]
    fields = cls.__fields__
    if not fields:
        return "\n".join([*lines, "", "  no body"])
    width = max(len(field.name) for field in fields) + 2
    lines.append("")
    for field in fields:
        first, *more = textwrap.wrap(_field(field), WIDTH - width - 2) or [""]
        lines.append(f"  {field.name:<{width}}{first}")
        lines += [" " * (width + 4) + line for line in more]
    return "\n".join(lines)


def _field(field: Field) -> str:
    text = layout_text(field.kind)
    return f"{text}, the length of {field.measures}" if field.measures else text


def layout_text(kind: Any) -> str:
    """What a kind puts on the wire, in words."""
    if isinstance(kind, Scalar):
        return f"{kind.name} ({_values(kind)})" if kind.enum else kind.name
    if isinstance(kind, RecordKind):
        return kind.cls.__name__
    if isinstance(kind, PointerKind):
        return f"u32 offset of {layout_text(kind.target)}" + (", or 0" if kind.optional else "")
    if isinstance(kind, BytesKind):
        return _laid_out(kind.layout, "bytes")
    if isinstance(kind, ListKind):
        return _laid_out(kind.layout, layout_text(kind.item))
    if isinstance(kind, GuardedKind):
        return f"{_condition(kind.when)}: {layout_text(kind.kind)}"
    if isinstance(kind, SwitchKind):
        arms: dict[str, list[str]] = {}
        for tag, arm in kind.arms.items():
            arms.setdefault(layout_text(arm), []).append(getattr(tag, "name", None) or str(tag))
        return f"by {kind.tag}: " + "; ".join(f"{', '.join(tags)}: {arm}" for arm, tags in arms.items())
    raise TypeError(f"{kind!r} is no kind")


def _values(kind: Scalar) -> str:
    assert kind.enum is not None
    return ", ".join(f"{member.value} {name}" for name, member in kind.enum.__members__.items())


def _condition(when: When) -> str:
    value = getattr(when.value, "name", None) or when.value
    words = {"equals": "is", "other_than": "is not", "has": "has", "lacks": "lacks"}
    return f"if {when.tag} {words[when.relation]} {value}"


def _laid_out(layout: Layout, what: str) -> str:
    each = "bytes" if what == "bytes" else f"so many {what}"
    if isinstance(layout, Rest):
        return "bytes to the end" if what == "bytes" else f"{what}, to the end"
    if isinstance(layout, Fixed):
        return f"{layout.length} {what}"
    if isinstance(layout, Rows):
        return f"{layout.height} rows of {layout.width} times {layout.bits} bits, padded to bytes"
    if isinstance(layout, Pointed):
        text = f"{scalar(layout.size).name} length, u32 offset of {each}"
        text += ", the last of them NUL" if layout.nul else ""
        return text + (", or 0 and 0" if layout.optional else "")
    assert isinstance(layout, Counted)
    text = f"{layout.by} {what}" if isinstance(layout.by, str) else f"{scalar(layout.by).name} length, {each}"
    text += ", the last of them NUL" if layout.nul else ""
    return text + (", and a NUL that is not counted" if layout.nul_after else "")


def _records_of(classes: list[type[Any]]) -> list[type[Any]]:
    """The records that these are made of, outermost first."""
    found: list[type[Any]] = []
    waiting = [field.kind for cls in classes for field in cls.__fields__]
    while waiting:
        kind = waiting.pop(0)
        if isinstance(kind, RecordKind):
            if kind.cls not in found:
                found.append(kind.cls)
                waiting += [field.kind for field in kind.fields]
        else:
            waiting += _parts(kind)
    return found


def _parts(kind: Any) -> Iterator[Any]:
    """The kinds inside a kind that is no record."""
    if isinstance(kind, PointerKind):
        yield kind.target
    elif isinstance(kind, ListKind):
        yield kind.item
    elif isinstance(kind, GuardedKind):
        yield kind.kind
    elif isinstance(kind, SwitchKind):
        yield from kind.arms.values()
