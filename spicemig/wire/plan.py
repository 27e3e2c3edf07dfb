# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Plans: how the fields of one declaration are packed and unpacked.

A plan is a flat list of steps. Neighbouring scalars, those of nested records
included, make one run with one ``struct.Struct``; bytes, lists and choices are
steps of their own. Unpacking works on a list of values: a run adds its numbers,
the other steps add one value each, and :class:`Build` replaces the values of a
nested record by the record. Pointed data goes behind the body, in the order in
which its pointers appear, as spice-server lays it out.

A plan trusts nothing. Lengths are compared with what is left of the body before
anything is made from them, and what is reached through pointers may not add up
to more than :data:`OVERLAP` times the body.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from struct import Struct
from struct import error as StructError
from typing import Any

from spicemig.errors import WireError
from spicemig.wire.kinds import (
    BytesKind,
    Counted,
    Field,
    Fixed,
    GuardedKind,
    Layout,
    ListKind,
    Placeholder,
    PointerKind,
    Pointed,
    RecordKind,
    Rest,
    Rows,
    Scalar,
    SwitchKind,
    scalar,
)

LARGE_BYTES = 4096  # payloads from this size on stay buffers of their own in pack_parts
OVERLAP = 4  # how often, on average, a byte may be reached through pointers
OFFSET = Struct("<I")


class Reader:
    """A body being unpacked."""

    __slots__ = ("body", "budget", "end", "name", "placeholders")

    def __init__(self, name: str, data: Any, placeholders: Mapping[int, Any] | None = None) -> None:
        body = memoryview(data)
        self.body = body if body.format == "B" and body.ndim == 1 else body.cast("B")
        self.end = len(self.body)
        self.budget = OVERLAP * self.end
        self.name = name
        self.placeholders = placeholders

    def wrong(self, field: str, offset: int, reason: str) -> WireError:
        return WireError(self.name, field, offset, reason)

    def spend(self, field: str, offset: int, size: int) -> None:
        """Count bytes that a pointer leads to."""
        self.budget -= size
        if self.budget < 0:
            raise self.wrong(field, offset, "too many pointers lead to the same bytes")


class Writer:
    """A body being packed: its parts, and what its pointers wait for."""

    __slots__ = ("later", "name", "parts", "placeholders", "size")

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[Any] = []
        self.size = 0
        self.later: deque[tuple[int, int, str, Callable[[Writer, Any], None], Any]] = deque()
        self.placeholders: list[tuple[int, Placeholder]] = []

    def wrong(self, field: str, reason: str) -> WireError:
        return WireError(self.name, field, -1, reason)

    def write_pointed(self) -> None:
        """Put what was pointed to behind the body and set the pointers."""
        parts = self.parts
        while self.later:
            index, offset, path, write, value = self.later.popleft()
            part = parts[index]
            parts[index] = part[:offset] + OFFSET.pack(self.size) + part[offset + 4 :]
            try:
                write(self, value)
            except WireError as error:
                raise _inside(error, path) from None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _inside(error: WireError, path: str) -> WireError:
    """The same error, seen from outside the field at ``path``."""
    between = "." if path and error.field and error.field[0] != "[" else ""
    return WireError(error.message_name, f"{path}{between}{error.field}", error.offset, error.reason)


def _getter(path: str) -> Callable[[Any], Any]:
    return attrgetter(path) if path else lambda value: value


class Run:
    """Neighbouring scalars and pointers."""

    def __init__(self, items: list[tuple[str, Scalar | PointerKind]]) -> None:
        self.items = items
        reading = "<" + "".join(kind.code if isinstance(kind, Scalar) else "I" for _path, kind in items)
        writing = "<" + "".join(kind.code if isinstance(kind, Scalar) else "4x" for _path, kind in items)
        layout = Struct(reading)
        self.size = self.min_size = layout.size
        self.format = reading
        self.read_from = layout.unpack_from
        self.write_from = Struct(writing).pack
        paths = [path for path, kind in items if isinstance(kind, Scalar)]
        self.get = _tuple_getter(paths)
        self.pointers: list[tuple[int, Callable[[Any], Any], str, bool, Callable[[Writer, Any], None]]] = []
        offset = 0
        for path, kind in items:
            if isinstance(kind, PointerKind):
                self.pointers.append((offset, _getter(path), path, kind.optional, plan_of(kind.target).write))
                offset += 4
            else:
                offset += kind.size
        if not self.pointers:
            self.pack = self.pack_scalars  # type: ignore[method-assign]

    def pack_scalars(self, writer: Writer, value: Any) -> None:
        try:
            writer.parts.append(self.write_from(*self.get(value)))
        except (StructError, AttributeError, TypeError):
            raise self.blame(writer, value) from None
        writer.size += self.size

    def pack(self, writer: Writer, value: Any) -> None:
        index, start = len(writer.parts), writer.size
        self.pack_scalars(writer, value)
        for offset, get, path, optional, write in self.pointers:
            target = get(value)
            if target is None:
                if not optional:
                    raise writer.wrong(path, "must not be None")
            elif type(target) is Placeholder:
                writer.placeholders.append((start + offset, target))
            else:
                writer.later.append((index, offset, path, write, target))

    def blame(self, writer: Writer, value: Any) -> WireError:
        """Say which of the values has no bytes."""
        for path, kind in self.items:
            if isinstance(kind, Scalar):
                try:
                    one = _getter(path)(value)
                    Struct("<" + kind.code).pack(one)
                except AttributeError:
                    return writer.wrong(path, "is missing")
                except StructError:
                    return writer.wrong(path, f"{one!r} is no {kind.name}")
        return writer.wrong(self.items[0][0], "cannot be packed")

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        end = at + self.size
        if end > reader.end:
            raise self.short(reader, at)
        values += self.read_from(reader.body, at)
        return end

    def short(self, reader: Reader, at: int) -> WireError:
        for path, kind in self.items:
            size = kind.size if isinstance(kind, Scalar) else 4
            if at + size > reader.end:
                return reader.wrong(path, at, "the body ends here")
            at += size
        raise AssertionError("the run does fit")


def _tuple_getter(paths: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not paths:
        return lambda value: ()
    if len(paths) == 1:
        get = _getter(paths[0])
        return lambda value: (get(value),)
    return attrgetter(*paths)


class Build:
    """Make a nested record from the values of its fields."""

    def __init__(self, start: int, count: int, make: Callable[..., Any]) -> None:
        self.start, self.stop, self.make = start, start + count, make

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        values[self.start : self.stop] = (self.make(*values[self.start : self.stop]),)
        return at


class Follow:
    """Replace an offset by what is there; ``back`` is how far before the end of its run the pointer stands."""

    def __init__(self, path: str, kind: PointerKind, position: int, back: int) -> None:
        self.path, self.position, self.back = path, position, back
        self.optional = kind.optional
        self.read = plan_of(kind.target).read

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        place = at - self.back
        offset = values[self.position]
        value = None
        if reader.placeholders and place in reader.placeholders:
            value = Placeholder(reader.placeholders[place])
        elif offset:
            value = _follow(reader, self.path, place, offset, self.read)
        elif not self.optional:
            raise reader.wrong(self.path, place, "must not be null")
        values[self.position] = value
        return at


def _follow(
    reader: Reader, path: str, place: int, offset: int, read: Callable[[Reader, int], tuple[Any, int]]
) -> Any:
    if offset >= reader.end:
        raise reader.wrong(path, place, f"offset {offset} is outside the body")
    try:
        value, end = read(reader, offset)
    except WireError as error:
        raise _inside(error, path) from None
    reader.spend(path, place, end - offset)
    return value


class Measure:
    """Where a step finds the length of its data, when unpacking and when packing."""

    def __init__(self, layout: Layout, source: Source) -> None:
        self.layout = layout
        self.min_size = 0
        self.prefix: Struct | None = None
        self.fixed: int | None = None
        self.read: Callable[[list[Any]], int] | None = None
        self.check: Callable[[Any], int] | None = None
        if isinstance(layout, Fixed):
            self.fixed = layout.length
        elif isinstance(layout, Counted) and isinstance(layout.by, str):
            self.read = source.from_values(layout.by)
            self.check = source.from_record(layout.by)
        elif isinstance(layout, Counted):
            self.prefix = Struct("<" + scalar(layout.by).code)
            self.min_size = self.prefix.size
        elif isinstance(layout, Rows):
            width, height = source.from_values(layout.width), source.from_values(layout.height)
            its_width, its_height = source.from_record(layout.width), source.from_record(layout.height)
            length = layout.length
            self.read = lambda values: length(width(values), height(values))
            self.check = lambda record: length(its_width(record), its_height(record))
        elif not isinstance(layout, Rest):
            raise TypeError(f"{layout!r} is not possible here")

    def unpack(self, reader: Reader, path: str, at: int, values: list[Any], item_bytes: int) -> tuple[int, int]:
        """The length, which fits if an item has at least ``item_bytes``, and where the data begins."""
        if self.prefix is not None:
            if at + self.min_size > reader.end:
                raise reader.wrong(path, at, "the body ends before its length")
            (count,) = self.prefix.unpack_from(reader.body, at)
            start = at + self.min_size
        elif self.read is not None:
            count, start = self.read(values), at
        elif self.fixed is not None:
            count, start = self.fixed, at
        else:
            count, start = (reader.end - at) // item_bytes, at
            if count * item_bytes != reader.end - at:
                raise reader.wrong(path, reader.end, "the body ends inside an item")
        if count * item_bytes > reader.end - start:
            raise reader.wrong(path, at, f"a length of {count} does not fit into the body")
        return count, start

    def pack(self, writer: Writer, path: str, value: Any, count: int) -> None:
        """Write the length, if one is written here."""
        if self.prefix is not None:
            try:
                writer.parts.append(self.prefix.pack(count))
            except StructError:
                raise writer.wrong(path, f"a length of {count} is too much") from None
            writer.size += self.min_size
        elif self.fixed is not None and count != self.fixed:
            raise writer.wrong(path, f"must have a length of {self.fixed}, not {count}")
        elif self.check is not None and count != self.check(value):
            raise writer.wrong(path, f"must have a length of {self.check(value)}, not {count}")


class Source:
    """Finds earlier fields of the record whose steps are being made."""

    def __init__(self, prefix: str, scope: Mapping[str, int]) -> None:
        self.prefix, self.scope = prefix, scope

    def from_values(self, name: str) -> Callable[[list[Any]], int]:
        first, _dot, rest = name.partition(".")
        position = self.scope[first]
        if not rest:
            return itemgetter(position)
        get = attrgetter(rest)
        return lambda values: get(values[position])

    def from_record(self, name: str) -> Callable[[Any], int]:
        return attrgetter(_join(self.prefix, name))


def _as_bytes(value: Any) -> Any:
    """The same buffer, counting in bytes."""
    if type(value) is bytes:
        return value
    view = memoryview(value)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


class Bytes:
    """Bytes or bulk data."""

    def __init__(self, path: str, kind: BytesKind, source: Source) -> None:
        self.path, self.get = path, _getter(path)
        self.measure = Measure(kind.layout, source)
        self.min_size = self.measure.min_size + (self.measure.fixed or 0)
        self.bulk = kind.bulk
        self.nul = isinstance(kind.layout, Counted) and kind.layout.nul
        self.nul_after = isinstance(kind.layout, Counted) and kind.layout.nul_after

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        count, start = self.measure.unpack(reader, self.path, at, values, 1)
        end = start + count
        stop = end
        if self.nul:
            stop = _before_nul(reader, self.path, start, end)
        elif self.nul_after and end < reader.end and reader.body[end] == 0:
            end += 1
        data = reader.body[start:stop]
        values.append(data if self.bulk else data.tobytes())
        return end

    def pack(self, writer: Writer, record: Any) -> None:
        try:
            data = _as_bytes(self.get(record))
        except (TypeError, AttributeError):
            raise writer.wrong(self.path, "must be bytes") from None
        count = len(data) + self.nul
        self.measure.pack(writer, self.path, record, count)
        if data:
            writer.parts.append(data)
        writer.size += count
        if self.nul or self.nul_after:
            writer.parts.append(b"\0")
            writer.size += self.nul_after


def _before_nul(reader: Reader, path: str, start: int, end: int) -> int:
    if end == start or reader.body[end - 1]:
        raise reader.wrong(path, end, "a closing NUL is missing")
    return end - 1


class Items:
    """The items of a list: how to read and write so many of them."""

    def __init__(self, kind: Any) -> None:
        self.plan = plan_of(kind)
        self.min_size = self.plan.min_size
        if not self.min_size:
            raise TypeError("the items of a list need a least size, or a length could mean anything")
        self.code = kind.code if isinstance(kind, Scalar) else None
        self.struct = self.plan.struct

    def read(self, reader: Reader, at: int, count: int) -> tuple[list[Any], int]:
        """``count`` has been compared with the body."""
        end = at + count * self.min_size
        if self.code:
            return list(Struct(f"<{count}{self.code}").unpack_from(reader.body, at)), end
        if self.struct:
            make = self.plan.make_fixed
            return [make(*row) for row in self.struct.iter_unpack(reader.body[at:end])], end
        items: list[Any] = []
        read = self.plan.read
        for index in range(count):
            try:
                item, at = read(reader, at)
            except WireError as error:
                raise _inside(error, f"[{index}]") from None
            items.append(item)
        return items, at

    def write(self, writer: Writer, items: Sequence[Any]) -> None:
        if self.code:
            part = Struct(f"<{len(items)}{self.code}")
            try:
                writer.parts.append(part.pack(*items))
            except StructError as error:
                raise writer.wrong("", str(error)) from None
            writer.size += part.size
            return
        write = self.plan.write
        for index, item in enumerate(items):
            try:
                write(writer, item)
            except WireError as error:
                raise _inside(error, f"[{index}]") from None


class List:
    """A list."""

    def __init__(self, path: str, kind: ListKind, source: Source) -> None:
        self.path, self.get = path, _getter(path)
        self.measure = Measure(kind.layout, source)
        self.items = Items(kind.item)
        self.min_size = self.measure.min_size + (self.measure.fixed or 0) * self.items.min_size
        self.rest = isinstance(kind.layout, Rest) and not self.items.struct

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        try:
            if self.rest:
                items, at = self.read_rest(reader, at)
            else:
                count, at = self.measure.unpack(reader, "", at, values, self.items.min_size)
                items, at = self.items.read(reader, at, count)
        except WireError as error:
            raise _inside(error, self.path) from None
        values.append(items)
        return at

    def read_rest(self, reader: Reader, at: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while at < reader.end:
            more, at = self.items.read(reader, at, 1)
            items += more
        return items, at

    def pack(self, writer: Writer, record: Any) -> None:
        try:
            items = self.get(record)
            count = len(items)
        except (TypeError, AttributeError):
            raise writer.wrong(self.path, "must be a list") from None
        self.measure.pack(writer, self.path, record, count)
        try:
            self.items.write(writer, items)
        except WireError as error:
            raise _inside(error, self.path) from None


class PointedData:
    """Bytes or a list behind a length and an offset."""

    def __init__(self, path: str, kind: BytesKind | ListKind, layout: Pointed) -> None:
        self.path, self.get = path, _getter(path)
        self.optional, self.nul = layout.optional, layout.nul
        self.bulk = isinstance(kind, BytesKind) and kind.bulk
        self.items = Items(kind.item) if isinstance(kind, ListKind) else None
        size = scalar(layout.size)
        self.head = Struct("<" + size.code + "I")
        self.size_bytes = size.size
        self.min_size = self.head.size

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        end = at + self.min_size
        if end > reader.end:
            raise reader.wrong(self.path, at, "the body ends here")
        count, offset = self.head.unpack_from(reader.body, at)
        if not offset:
            if count or not self.optional:
                raise reader.wrong(self.path, at + self.size_bytes, "must not be null")
            values.append(None)
            return end
        item_bytes = self.items.min_size if self.items else 1
        if offset > reader.end or count * item_bytes > reader.end - offset:
            raise reader.wrong(self.path, at, f"{count} at offset {offset} is outside the body")
        if self.items:
            values.append(_follow(reader, self.path, at, offset, lambda r, o: self.items.read(r, o, count)) if count else [])
            return end
        reader.spend(self.path, at, count)
        stop = _before_nul(reader, self.path, offset, offset + count) if self.nul else offset + count
        data = reader.body[offset:stop]
        values.append(data if self.bulk else data.tobytes())
        return end

    def pack(self, writer: Writer, record: Any) -> None:
        try:
            value = self.get(record)
            if value is not None and not self.items:
                value = _as_bytes(value)
            count = 0 if value is None else len(value) + self.nul
        except (TypeError, AttributeError):
            raise writer.wrong(self.path, "has no length") from None
        if value is None and not self.optional:
            raise writer.wrong(self.path, "must not be None")
        try:
            head = self.head.pack(count, 0)
        except StructError:
            raise writer.wrong(self.path, f"a length of {count} is too much") from None
        if value is not None:
            writer.later.append((len(writer.parts), self.size_bytes, self.path, self.write, value))
        writer.parts.append(head)
        writer.size += self.min_size

    def write(self, writer: Writer, value: Any) -> None:
        if self.items:
            self.items.write(writer, value)
            return
        writer.parts.append(value)
        if self.nul:
            writer.parts.append(b"\0")
        writer.size += len(value) + self.nul


class Whole:
    """A value of its own plan, as a step of another."""

    def __init__(self, path: str, kind: Any) -> None:
        self.path, self.get = path, _getter(path)
        self.plan = plan_of(kind)

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        try:
            value, at = self.plan.read(reader, at)
        except WireError as error:
            raise _inside(error, self.path) from None
        values.append(value)
        return at

    def pack(self, writer: Writer, record: Any) -> None:
        value = self.get(record)
        if self.plan.cls is not None and type(value) is not self.plan.cls:
            raise writer.wrong(self.path, f"must be {self.plan.cls.__name__}, not {type(value).__name__}")
        try:
            self.plan.write(writer, value)
        except WireError as error:
            raise _inside(error, self.path) from None


class Guard:
    """A field that is there only when an earlier one says so."""

    min_size = 0

    def __init__(self, path: str, kind: GuardedKind, source: Source) -> None:
        self.path, self.get = path, _getter(path)
        self.test = kind.when.test
        self.from_values = source.from_values(kind.when.tag)
        self.from_record = source.from_record(kind.when.tag)
        self.step = _step(kind.kind, path, source)

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        if self.test(self.from_values(values)):
            return self.step.unpack(reader, at, values)
        values.append(None)
        return at

    def pack(self, writer: Writer, record: Any) -> None:
        if self.test(self.from_record(record)):
            self.step.pack(writer, record)
        elif self.get(record):
            raise writer.wrong(self.path, "is not there with this tag")


class Choice:
    """A field whose kind an earlier one chooses."""

    min_size = 0

    def __init__(self, path: str, kind: SwitchKind, source: Source) -> None:
        self.path, self.get = path, _getter(path)
        self.mask = kind.mask
        self.from_values = source.from_values(kind.tag)
        self.from_record = source.from_record(kind.tag)
        self.arms = {int(tag): _step(arm, path, source) for tag, arm in kind.arms.items()}

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        arm = self.arms.get(self.from_values(values) & self.mask)
        if arm is not None:
            return arm.unpack(reader, at, values)
        values.append(None)
        return at

    def pack(self, writer: Writer, record: Any) -> None:
        arm = self.arms.get(self.from_record(record) & self.mask)
        if arm is not None:
            arm.pack(writer, record)
        elif self.get(record):
            raise writer.wrong(self.path, "is not there with this tag")


class _Compiler:
    """Turns fields into steps."""

    def __init__(self) -> None:
        self.steps: list[Any] = []  # all, in the order of unpacking
        self.run: list[tuple[str, Scalar | PointerKind]] = []
        self.waiting: list[Callable[[int], Any]] = []  # steps to take after the run, made when its size is known
        self.depth = 0  # how many values there are by now

    def add(self, kind: Any, path: str, source: Source) -> None:
        if isinstance(kind, RecordKind):
            start = self.depth
            self.add_fields(kind.fields, path)
            build = Build(start, self.depth - start, maker(kind.cls, kind.fields))
            self.waiting.append(lambda _size: build)
            self.depth = start + 1
            return
        if isinstance(kind, Scalar):
            self.run.append((path, kind))
        elif isinstance(kind, PointerKind):
            position, offset = self.depth, self.run_bytes()
            self.run.append((path, kind))
            self.waiting.append(lambda size: Follow(path, kind, position, size - offset))
        else:
            self.flush()
            self.steps.append(_step(kind, path, source))
        self.depth += 1

    def add_fields(self, fields: Iterable[Field], path: str) -> None:
        scope: dict[str, int] = {}
        source = Source(path, scope)
        for field in fields:
            self.add(field.kind, _join(path, field.name), source)
            scope[field.name] = self.depth - 1

    def run_bytes(self) -> int:
        return sum(kind.size if isinstance(kind, Scalar) else 4 for _path, kind in self.run)

    def flush(self) -> None:
        size = self.run_bytes()
        if self.run:
            self.steps.append(Run(self.run))
        self.steps += [make(size) for make in self.waiting]
        self.run, self.waiting = [], []


def _step(kind: Any, path: str, source: Source) -> Any:
    if isinstance(kind, (BytesKind, ListKind)) and isinstance(kind.layout, Pointed):
        return PointedData(path, kind, kind.layout)
    makers: dict[type, Any] = {BytesKind: Bytes, ListKind: List, GuardedKind: Guard, SwitchKind: Choice}
    if type(kind) in makers:
        return makers[type(kind)](path, kind, source)
    return Whole(path, kind)


def maker(cls: Callable[..., Any], fields: Sequence[Field]) -> Callable[..., Any]:
    """What makes a record from all its values on the wire: the class, without the lengths."""
    kept = [index for index, field in enumerate(fields) if field.measures is None]
    if len(kept) == len(fields):
        return cls
    return lambda *values: cls(*[values[index] for index in kept])


class Plan:
    """
    How one record is packed and unpacked.

    ``fields`` are those of the record in the order of the wire; ``make`` is called
    with their values. A plan serves any class whose instances have attributes of
    these names, so :mod:`spicemig.state` uses it too.
    """

    def __init__(self, name: str, fields: Sequence[Field], make: Callable[..., Any], cls: type | None = None) -> None:
        compiler = _Compiler()
        compiler.add_fields(fields, "")
        compiler.flush()
        self._complete(name, compiler.steps, maker(make, fields), cls)
        self.fields = tuple(fields)

    @classmethod
    def of_kind(cls, kind: Any) -> Plan:
        """A plan for a value that is no record."""
        plan = cls.__new__(cls)
        compiler = _Compiler()
        compiler.add(kind, "", Source("", {}))
        compiler.flush()
        plan._complete("", compiler.steps, lambda value: value, None)
        plan.fields = ()
        return plan

    def _complete(self, name: str, steps: list[Any], make: Callable[..., Any], cls: type | None) -> None:
        self.name, self.steps, self.make, self.cls = name, steps, make, cls
        self._unpacking = tuple(step.unpack for step in steps)
        self._packing = tuple(step.pack for step in steps if hasattr(step, "pack"))
        self.min_size = sum(getattr(step, "min_size", 0) for step in steps)
        # A record of scalars only can be read in bulk.
        builds = [step for step in steps if isinstance(step, Build)]
        runs = [step for step in steps if isinstance(step, Run)]
        fixed = len(runs) == 1 and not runs[0].pointers and len(runs) + len(builds) == len(steps)
        self.struct = Struct(runs[0].format) if fixed else None
        self.make_fixed = make if not builds else self._make_nested

    def _make_nested(self, *row: Any) -> Any:
        values = list(row)
        for step in self._unpacking[1:]:
            step(None, 0, values)
        return self.make(*values)

    def read(self, reader: Reader, at: int) -> tuple[Any, int]:
        """The value at this offset, and where it ends."""
        values: list[Any] = []
        for step in self._unpacking:
            at = step(reader, at, values)
        return self.make(*values), at

    def write(self, writer: Writer, value: Any) -> None:
        """Add the bytes of a value; what it points to waits in the writer."""
        for step in self._packing:
            step(writer, value)

    def unpack(self, data: Any, *, exact: bool = False) -> Any:
        """A value from bytes; with ``exact`` nothing may follow it. Raises :class:`WireError`."""
        reader = Reader(self.name, data)
        value, at = self.read(reader, 0)
        if exact and at != reader.end:
            raise reader.wrong("", at, f"{reader.end - at} bytes too many")
        return value

    def unpack_template(self, data: Any, placeholders: Mapping[int, Any]) -> Any:
        """As :meth:`unpack`, with a ``Placeholder`` of the value wherever a pointer stands at that offset."""
        return self.read(Reader(self.name, data, placeholders), 0)[0]

    def _written(self, value: Any) -> Writer:
        writer = Writer(self.name)
        for step in self._packing:
            step(writer, value)
        if writer.later:
            writer.write_pointed()
        return writer

    def pack(self, value: Any) -> bytes:
        """The bytes of a value. Raises :class:`WireError` if it has none."""
        writer = self._written(value)
        if writer.placeholders:
            raise writer.wrong("", "placeholders can only be packed into a template")
        return b"".join(writer.parts)

    def pack_parts(self, value: Any) -> list[Any]:
        """The bytes of a value in pieces; payloads of ``LARGE_BYTES`` or more are the buffers themselves."""
        writer = self._written(value)
        if writer.placeholders:
            raise writer.wrong("", "placeholders can only be packed into a template")
        parts: list[Any] = []
        small: list[Any] = []
        for part in writer.parts:
            if len(part) < LARGE_BYTES:
                small.append(part)
                continue
            if small:
                parts.append(b"".join(small))
                small = []
            parts.append(part)
        if small:
            parts.append(b"".join(small))
        return parts

    def pack_template(self, value: Any) -> tuple[bytes, list[tuple[int, Placeholder]]]:
        """The bytes with 0 for every pointer to a placeholder, and where those stand."""
        writer = self._written(value)
        return b"".join(writer.parts), writer.placeholders


def plan_of(kind: Any) -> Plan:
    """The plan for a kind; a record class keeps its own."""
    if isinstance(kind, RecordKind):
        return kind.cls.__plan__
    return Plan.of_kind(kind)
