# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The steps of a plan.

Each has ``unpack(reader, at, values)``, which adds its values and returns where
it stopped, and most have ``pack(writer, record)``. Steps that contain other
values are given the plans for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from struct import Struct
from struct import error as StructError
from typing import Any, Protocol

from spicemig.errors import WireError
from spicemig.wire.body import Reader, Writer, as_bytes, getter, inside, join
from spicemig.wire.kinds import (
    BytesKind,
    Counted,
    Fixed,
    GuardedKind,
    Layout,
    ListKind,
    Placeholder,
    Pointed,
    PointerKind,
    Rest,
    Rows,
    Scalar,
    SwitchKind,
    scalar,
)


class Part(Protocol):
    """What steps need of the plan for a value inside theirs; see :class:`spicemig.wire.plan.Plan`."""

    cls: type | None
    min_size: int
    struct: Struct | None
    make_fixed: Callable[..., Any]

    def read(self, reader: Reader, at: int) -> tuple[Any, int]: ...

    def write(self, writer: Writer, value: Any) -> None: ...


class Run:
    """Neighbouring scalars and pointers."""

    def __init__(self, items: Sequence[tuple[str, Scalar | PointerKind, Part | None]]) -> None:
        self.items = items
        reading = "<" + "".join(
            kind.code if isinstance(kind, Scalar) else "I" for _path, kind, _plan in items
        )
        writing = "<" + "".join(
            kind.code if isinstance(kind, Scalar) else "4x" for _path, kind, _plan in items
        )
        layout = Struct(reading)
        self.size = self.min_size = layout.size
        self.format = reading
        self.read_from = layout.unpack_from
        self.write_from = Struct(writing).pack
        paths = [path for path, kind, _plan in items if isinstance(kind, Scalar)]
        self.get = _tuple_getter(paths)
        self.pointers: list[tuple[int, Callable[[Any], Any], str, bool, Callable[[Writer, Any], None]]] = []
        offset = 0
        for path, kind, plan in items:
            if isinstance(kind, PointerKind):
                assert plan is not None
                self.pointers.append((offset, getter(path), path, kind.optional, plan.write))
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
        for path, kind, _plan in self.items:
            if isinstance(kind, Scalar):
                try:
                    one = getter(path)(value)
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
        for path, kind, _plan in self.items:
            size = kind.size if isinstance(kind, Scalar) else 4
            if at + size > reader.end:
                return reader.wrong(path, at, "the body ends here")
            at += size
        raise AssertionError("the run does fit")


def _tuple_getter(paths: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not paths:
        return lambda value: ()
    if len(paths) == 1:
        get = getter(paths[0])
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
    """Replace an offset by what is there; it stands ``back`` bytes before the end of its run."""

    def __init__(self, path: str, kind: PointerKind, plan: Part, position: int, back: int) -> None:
        self.path, self.position, self.back = path, position, back
        self.optional = kind.optional
        self.read = plan.read

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
        raise inside(error, path) from None
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

    def unpack(
        self, reader: Reader, path: str, at: int, values: list[Any], item_bytes: int
    ) -> tuple[int, int]:
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
        return attrgetter(join(self.prefix, name))


class Bytes:
    """Bytes or bulk data."""

    def __init__(self, path: str, kind: BytesKind, source: Source) -> None:
        self.path, self.get = path, getter(path)
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
            data = as_bytes(self.get(record))
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

    def __init__(self, kind: Any, plan: Part) -> None:
        self.plan = plan
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
                raise inside(error, f"[{index}]") from None
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
                raise inside(error, f"[{index}]") from None


class List:
    """A list."""

    def __init__(self, path: str, kind: ListKind, items: Items, source: Source) -> None:
        self.path, self.get = path, getter(path)
        self.measure = Measure(kind.layout, source)
        self.items = items
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
            raise inside(error, self.path) from None
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
            raise inside(error, self.path) from None


class PointedData:
    """Bytes or a list behind a length and an offset."""

    def __init__(self, path: str, layout: Pointed, items: Items | None, bulk: bool) -> None:
        self.path, self.get = path, getter(path)
        self.optional, self.nul = layout.optional, layout.nul
        self.items, self.bulk = items, bulk
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
        if not self.items:
            values.append(self.read_bytes(reader, at, offset, count))
        elif count:
            read = self.items.read
            values.append(_follow(reader, self.path, at, offset, lambda r, start: read(r, start, count)))
        else:
            values.append([])
        return end

    def read_bytes(self, reader: Reader, at: int, offset: int, count: int) -> bytes | memoryview:
        reader.spend(self.path, at, count)
        stop = _before_nul(reader, self.path, offset, offset + count) if self.nul else offset + count
        data = reader.body[offset:stop]
        return data if self.bulk else data.tobytes()

    def pack(self, writer: Writer, record: Any) -> None:
        try:
            value = self.get(record)
            if value is not None and not self.items:
                value = as_bytes(value)
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

    def __init__(self, path: str, plan: Part) -> None:
        self.path, self.get = path, getter(path)
        self.plan = plan

    def unpack(self, reader: Reader, at: int, values: list[Any]) -> int:
        try:
            value, at = self.plan.read(reader, at)
        except WireError as error:
            raise inside(error, self.path) from None
        values.append(value)
        return at

    def pack(self, writer: Writer, record: Any) -> None:
        value = self.get(record)
        if self.plan.cls is not None and type(value) is not self.plan.cls:
            raise writer.wrong(self.path, f"must be {self.plan.cls.__name__}, not {type(value).__name__}")
        try:
            self.plan.write(writer, value)
        except WireError as error:
            raise inside(error, self.path) from None


class Guard:
    """A field that is there only when an earlier one says so."""

    min_size = 0

    def __init__(self, path: str, kind: GuardedKind, step: Any, source: Source) -> None:
        self.path, self.get = path, getter(path)
        self.test = kind.when.test
        self.from_values = source.from_values(kind.when.tag)
        self.from_record = source.from_record(kind.when.tag)
        self.step = step

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

    def __init__(self, path: str, kind: SwitchKind, arms: Mapping[int, Any], source: Source) -> None:
        self.path, self.get = path, getter(path)
        self.mask = kind.mask
        self.from_values = source.from_values(kind.tag)
        self.from_record = source.from_record(kind.tag)
        self.arms = arms

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
