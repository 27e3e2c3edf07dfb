# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The records of a trace: every command and device call, for reading and for writing.

Source: FORMAT.md of the traces; spice-server 0.15.1 for the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spicemig.devices.cursor import (
    CursorHide,
    CursorMove,
    CursorReset,
    CursorSet,
    CursorShape,
    CursorTrail,
)
from spicemig.devices.surfaces import PRIMARY
from spicemig.devices.trace.drawings import read_draw, write_draw
from spicemig.devices.trace.elements import U8, U16, U32, U64
from spicemig.devices.trace.records import (
    Call,
    Contents,
    CreateSurface,
    DestroySurface,
    DeviceCall,
    Draw,
    Message,
    Nothing,
    Record,
    Update,
    Value,
)
from spicemig.devices.trace.text import LONGEST_TEXT, Lines, Text, write_block, write_chunks

HEAD = Lines("SPICE_REPLAY 1")

_EVENT = Lines("event # # # #")  # counter, what, type, time
_COMMAND, _CALL = 0, 1
_NOP, _DRAW, _UPDATE, _CURSOR, _MESSAGE, _SURFACE = range(6)
_SET, _MOVE, _HIDE, _TRAIL = range(4)

_KEEP_DATA = 1
_PRIMARY = Lines("# # # #", "# # # #")  # width, height, stride, format; position, mouse mode, flags, type
_SURFACE_START = Lines("surface_cmd", "surface_id #", "type #", "flags #")
_CREATE = Lines(
    "u.surface_create.format #",
    "u.surface_create.width #",
    "u.surface_create.height #",
    "u.surface_create.stride #",
)
_UPDATE_LINES = Lines("update", "rect area # # # #", "update_id #", "surface_id #")
_CURSOR_START = Lines("cursor_cmd", "type #")
_POSITION = Lines("point16 # #")
_TRAIL_LINES = Lines("u.trail.length #", "u.trail.frequency #")
_SHAPE = Lines(
    "u.set.visible #",
    "header.unique #",
    "header.type #",
    "header.width #",
    "header.height #",
    "header.hot_spot_x #",
    "header.hot_spot_y #",
    "data_size #",
)


def read_record(text: Text) -> Record:
    """The record that is next."""
    offset = text.offset
    _counter, what, kind, time = text.take(_EVENT)
    if what == _CALL:
        return Record(offset, time, False, _read_call(text, kind))
    if what != _COMMAND:
        raise text.wrong(f"an event of kind {what} is not known", offset)
    read = _READERS.get(kind)
    if read is None:
        raise text.wrong(f"command type {kind} is not known", offset)
    return Record(offset, time, True, read(text))


def _read_call(text: Text, number: int) -> DeviceCall:
    if number not in (Call.CREATE_PRIMARY, Call.CREATE_PRIMARY_ASYNC):
        return DeviceCall(number)
    text.need(LONGEST_TEXT)  # a call that failed has no body: only what follows tells
    told = text.may_take(_PRIMARY)
    if told is None:
        return DeviceCall(number)
    width, height, stride, format, _position, _mouse_mode, flags, _type = told
    data = text.block("data")
    contents = _contents(text, height, stride, data) if flags & _KEEP_DATA else None
    return DeviceCall(number, CreateSurface(PRIMARY, width, height, format, contents))


def _contents(text: Text, height: int, stride: int, data: bytes) -> Contents:
    if len(data) != height * abs(stride):
        raise text.wrong(f"{height} rows of {abs(stride)} bytes do not make {len(data)} bytes")
    return Contents(stride, data)


def _read_surface(text: Text) -> CreateSurface | DestroySurface:
    id, kind, flags = text.take(_SURFACE_START)
    if kind != 0:
        return DestroySurface(id & U32)
    format, width, height, stride = text.take(_CREATE)
    contents = _contents(text, height, stride, text.block("data")) if flags & _KEEP_DATA else None
    return CreateSurface(id & U32, width, height, format, contents)


def _read_cursor(text: Text) -> Any:
    kind = text.take(_CURSOR_START)[0]
    if kind == _SET:
        x, y = text.take(_POSITION)
        visible, unique, shape, width, height, hot_x, hot_y, _size = text.take(_SHAPE)
        data = text.chunks("cursor")
        numbers = (width & U16, height & U16, hot_x & U16, hot_y & U16)
        return CursorSet(x, y, bool(visible), CursorShape(unique & U64, shape & U8, *numbers, data))
    if kind == _MOVE:
        return CursorMove(*text.take(_POSITION))
    if kind == _HIDE:
        return CursorHide()
    if kind == _TRAIL:
        length, frequency = text.take(_TRAIL_LINES)
        return CursorTrail(length & U16, frequency & U16)
    raise text.wrong(f"cursor command {kind} is not known")


def _read_update(text: Text) -> Update:
    return Update(text.take(_UPDATE_LINES)[-1] & U32)


_READERS: dict[int, Any] = {
    _NOP: lambda text: Nothing(),
    _DRAW: read_draw,
    _UPDATE: _read_update,
    _CURSOR: _read_cursor,
    _MESSAGE: lambda text: Message(text.block("message")),
    _SURFACE: _read_surface,
}


def write_record(counter: int, time: int, value: Value) -> Iterable[bytes]:
    """A record, in pieces; a new primary surface, and the reset of the cursor, are device calls."""
    match value:
        case Draw(message=None):
            yield _EVENT.write(counter, _COMMAND, _NOP, time)
        case Draw():
            yield _EVENT.write(counter, _COMMAND, _DRAW, time)
            yield from write_draw(value)
        case CreateSurface(id=0):
            yield _EVENT.write(counter, _CALL, Call.CREATE_PRIMARY, time)
            yield from _write_primary(value)
        case CreateSurface():
            yield _EVENT.write(counter, _COMMAND, _SURFACE, time)
            yield from _write_create(value)
        case DestroySurface(id=0):
            yield _EVENT.write(counter, _CALL, Call.DESTROY_PRIMARY, time)
        case DestroySurface():
            yield _EVENT.write(counter, _COMMAND, _SURFACE, time)
            yield _SURFACE_START.write(value.id, 1, 0)
        case CursorReset():
            yield _EVENT.write(counter, _CALL, Call.RESET_CURSOR, time)
        case DeviceCall():
            yield _EVENT.write(counter, _CALL, value.number, time)
            if value.primary is not None:
                yield from _write_primary(value.primary)
        case Nothing():
            yield _EVENT.write(counter, _COMMAND, _NOP, time)
        case Message():
            yield _EVENT.write(counter, _COMMAND, _MESSAGE, time)
            yield from write_block("message", value.text)
        case Update():
            yield _EVENT.write(counter, _COMMAND, _UPDATE, time)
            yield _UPDATE_LINES.write(0, 0, 0, 0, 0, value.surface_id)
        case _:
            yield _EVENT.write(counter, _COMMAND, _CURSOR, time)
            yield from _write_cursor(value)


def _write_primary(made: CreateSurface) -> Iterable[bytes]:
    contents = made.contents or Contents(4 * made.width, bytes(4 * made.width * made.height))
    flags = 0 if made.contents is None else _KEEP_DATA
    yield _PRIMARY.write(made.width, made.height, contents.stride, made.format, 0, 1, flags, 0)
    yield from write_block("data", contents.data)


def _write_create(made: CreateSurface) -> Iterable[bytes]:
    flags = 0 if made.contents is None else _KEEP_DATA
    stride = 4 * made.width if made.contents is None else made.contents.stride
    yield _SURFACE_START.write(made.id, 0, flags)
    yield _CREATE.write(made.format, made.width, made.height, stride)
    if made.contents is not None:
        yield from write_block("data", made.contents.data)


def _write_cursor(command: Any) -> Iterable[bytes]:
    match command:
        case CursorSet(x=x, y=y, visible=visible, shape=shape):
            yield _CURSOR_START.write(_SET)
            yield _POSITION.write(x, y)
            yield _SHAPE.write(
                visible,
                shape.unique,
                shape.type,
                shape.width,
                shape.height,
                shape.hot_spot_x,
                shape.hot_spot_y,
                len(shape.data),
            )
            yield from write_chunks("cursor", shape.data)
        case CursorMove(x=x, y=y):
            yield _CURSOR_START.write(_MOVE)
            yield _POSITION.write(x, y)
        case CursorHide():
            yield _CURSOR_START.write(_HIDE)
        case CursorTrail(length=length, frequency=frequency):
            yield _CURSOR_START.write(_TRAIL)
            yield _TRAIL_LINES.write(length, frequency)
        case _:
            raise TypeError(f"{command!r} cannot be in a trace")
