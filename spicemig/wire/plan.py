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
anything is made from them; see also :mod:`spicemig.wire.body`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import Any

from spicemig.wire.body import Reader, Writer, join
from spicemig.wire.kinds import (
    BytesKind,
    Field,
    GuardedKind,
    ListKind,
    Placeholder,
    Pointed,
    PointerKind,
    RecordKind,
    Scalar,
    SwitchKind,
)
from spicemig.wire.steps import (
    Build,
    Bytes,
    Choice,
    Follow,
    Guard,
    Items,
    List,
    PointedData,
    Run,
    Source,
    Whole,
)

LARGE_BYTES = 4096  # payloads from this size on stay buffers of their own in pack_parts


class _Compiler:
    """Turns fields into steps."""

    def __init__(self) -> None:
        self.steps: list[Any] = []  # all, in the order of unpacking
        self.run: list[tuple[str, Scalar | PointerKind, Plan | None]] = []
        self.waiting: list[
            Callable[[int], Any]
        ] = []  # steps to take after the run, made when its size is known
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
            self.run.append((path, kind, None))
        elif isinstance(kind, PointerKind):
            position, offset = self.depth, self.run_bytes()
            plan = plan_of(kind.target)
            self.run.append((path, kind, plan))
            self.waiting.append(lambda size: Follow(path, kind, plan, position, size - offset))
        else:
            self.flush()
            self.steps.append(_step(kind, path, source))
        self.depth += 1

    def add_fields(self, fields: Iterable[Field], path: str) -> None:
        scope: dict[str, int] = {}
        source = Source(path, scope)
        for field in fields:
            self.add(field.kind, join(path, field.name), source)
            scope[field.name] = self.depth - 1

    def run_bytes(self) -> int:
        return sum(kind.size if isinstance(kind, Scalar) else 4 for _path, kind, _plan in self.run)

    def flush(self) -> None:
        size = self.run_bytes()
        if self.run:
            self.steps.append(Run(self.run))
        self.steps += [make(size) for make in self.waiting]
        self.run, self.waiting = [], []


def _step(kind: Any, path: str, source: Source) -> Any:
    """The step for a kind that cannot be part of a run, or is not because something decides about it."""
    if isinstance(kind, GuardedKind):
        return Guard(path, kind, _step(kind.kind, path, source), source)
    if isinstance(kind, SwitchKind):
        arms = {int(tag): _step(arm, path, source) for tag, arm in kind.arms.items()}
        return Choice(path, kind, arms, source)
    if isinstance(kind, ListKind):
        items = Items(kind.item, plan_of(kind.item))
        if isinstance(kind.layout, Pointed):
            return PointedData(path, kind.layout, items, False)
        return List(path, kind, items, source)
    if isinstance(kind, BytesKind):
        if isinstance(kind.layout, Pointed):
            return PointedData(path, kind.layout, None, kind.bulk)
        return Bytes(path, kind, source)
    return Whole(path, plan_of(kind))


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

    def __init__(
        self, name: str, fields: Sequence[Field], make: Callable[..., Any], cls: type | None = None
    ) -> None:
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
