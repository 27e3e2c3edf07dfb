# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kinds of fields: what an annotation says about bytes.

An annotation is a type for readers and type checkers, with marks for the wire:
``Annotated[list[Rect], Counted(u32)]``. :func:`kind_of` turns it into one of the
kind classes below, from which plans, descriptions and test strategies are made.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Any, TypeAlias, Union

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bulk data. Unpacked, it is a view of the body; ``bytes`` instead is a copy that may be kept."""


@dataclass(frozen=True)
class Scalar:
    """An integer in little-endian order; ``code`` is its letter in :mod:`struct`."""

    name: str
    code: str
    size: int
    enum: type[Enum] | None = None  # its names, for readers; any value passes

    @property
    def low(self) -> int:
        return -(1 << (8 * self.size - 1)) if self.code.islower() else 0

    @property
    def high(self) -> int:
        return (1 << (8 * self.size - self.code.islower())) - 1


u8: TypeAlias = Annotated[int, Scalar("u8", "B", 1)]
u16: TypeAlias = Annotated[int, Scalar("u16", "H", 2)]
u32: TypeAlias = Annotated[int, Scalar("u32", "I", 4)]
u64: TypeAlias = Annotated[int, Scalar("u64", "Q", 8)]
i8: TypeAlias = Annotated[int, Scalar("i8", "b", 1)]
i16: TypeAlias = Annotated[int, Scalar("i16", "h", 2)]
i32: TypeAlias = Annotated[int, Scalar("i32", "i", 4)]
i64: TypeAlias = Annotated[int, Scalar("i64", "q", 8)]


def scalar(annotation: Any) -> Scalar:
    """The scalar kind that ``u8`` and so on stand for."""
    kind = kind_of(annotation)
    if not isinstance(kind, Scalar):
        raise TypeError(f"{annotation!r} is no integer kind")
    return kind


# How bytes and lists are laid out.


class Layout:
    """Where the length of bytes or of a list comes from."""


@dataclass(frozen=True)
class Rest(Layout):
    """As much as there is, to the end of the body."""


@dataclass(frozen=True)
class Fixed(Layout):
    """Always this many bytes or items."""

    length: int


@dataclass(frozen=True)
class Counted(Layout):
    """
    Led by its length, or measured by an earlier :func:`length_of` field of that name.

    ``nul``: a closing NUL is counted but is no part of the value.
    ``nul_after``: one may follow that is not counted; it is written.
    """

    by: Any  # u8 ... u64, or the name of a field
    nul: bool = False
    nul_after: bool = False


@dataclass(frozen=True)
class Pointed(Layout):
    """A length, and the offset in the body at which the data is; null and 0 for None if ``optional``."""

    size: Any
    nul: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Rows(Layout):
    """``height`` rows of ``width`` units of ``bits`` bits, each padded to a byte; both are earlier fields."""

    bits: int
    width: str
    height: str

    def length(self, width: int, height: int) -> int:
        return (width * self.bits + 7) // 8 * height


@dataclass(frozen=True)
class Pointer:
    """
    The offset in the body at which the value is.

    It may be null if the annotation has ``| None``, unless ``required``: then only
    a :class:`When` makes it None.
    """

    required: bool = False


class When:
    """
    Says that a field is there only if an earlier one allows; otherwise it is None.

    Give one of ``equals``, ``other_than`` (a value), ``has``, ``lacks`` (a bit).
    """

    def __init__(
        self,
        tag: str,
        *,
        equals: int | None = None,
        other_than: int | None = None,
        has: int | None = None,
        lacks: int | None = None,
    ) -> None:
        given = {"equals": equals, "other_than": other_than, "has": has, "lacks": lacks}
        ((self.relation, value),) = ((k, v) for k, v in given.items() if v is not None)
        self.tag = tag
        self.value = value
        self.test: Callable[[int], Any] = {
            "equals": lambda tag: tag == value,
            "other_than": lambda tag: tag != value,
            "has": lambda tag: tag & value,
            "lacks": lambda tag: not tag & value,
        }[self.relation]


class Switch:
    """Says that an earlier field chooses the kind; where it chooses none, there is nothing, and None."""

    def __init__(self, tag: str, arms: Mapping[int, Any], *, mask: int = -1) -> None:
        self.tag = tag
        self.arms = dict(arms)
        self.mask = mask  # bits of the tag that choose


# The kinds.


@dataclass(frozen=True)
class BytesKind:
    layout: Layout
    bulk: bool  # a view, not a copy


@dataclass(frozen=True)
class ListKind:
    item: Any
    layout: Layout


@dataclass(frozen=True)
class PointerKind:
    target: Any
    optional: bool


@dataclass(frozen=True)
class GuardedKind:
    kind: Any
    when: When


@dataclass(frozen=True)
class SwitchKind:
    tag: str
    arms: Mapping[int, Any]
    mask: int


@dataclass(frozen=True)
class RecordKind:
    cls: Any  # its fields are in cls.__fields__

    @property
    def fields(self) -> "tuple[Field, ...]":
        return self.cls.__fields__


@dataclass(frozen=True)
class LengthOf:
    """The marker made by :func:`length_of`."""

    field: str


def length_of(field: str, *, init: typing.Literal[False] = False) -> Any:
    """A length that stands apart from what it measures: never given, always computed."""
    return LengthOf(field)


REQUIRED = object()


@dataclass(frozen=True)
class Field:
    """A declared field; ``measures`` names the field whose length it is."""

    name: str
    kind: Any
    default: Any = REQUIRED
    measures: str | None = None


class Placeholder:
    """Stands for a pointed value that is not packed yet; see ``pack_template``."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placeholder) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Placeholder({self.value!r})"


def kind_of(annotation: Any) -> Any:
    """The kind that an annotation asks for; ``TypeError`` if it asks for none."""
    if isinstance(annotation, str):
        raise TypeError(
            f"the annotation {annotation!r} is text: no 'from __future__ import annotations' here"
        )
    marks: tuple[Any, ...] = ()
    if typing.get_origin(annotation) is Annotated:
        annotation, *rest = typing.get_args(annotation)
        marks = tuple(rest)
    base, optional = _without_none(annotation)
    if base is not annotation and typing.get_origin(base) is Annotated:
        base, *rest = typing.get_args(base)
        marks = (*rest, *marks)
    kind = _kind(base, optional, marks)
    for mark in marks:
        if isinstance(mark, When):
            kind = GuardedKind(kind, mark)
    return kind


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The type without ``None`` and ``Placeholder``, and whether None was among them."""
    if annotation == Buffer or typing.get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    args = typing.get_args(annotation)
    left = [arg for arg in args if arg not in (type(None), Placeholder)]
    base = left[0] if len(left) == 1 else Union[tuple(left)]  # noqa: UP007
    return base, type(None) in args


def _kind(base: Any, optional: bool, marks: tuple[Any, ...]) -> Any:
    for mark in marks:
        if isinstance(mark, Switch):
            return SwitchKind(mark.tag, {tag: kind_of(arm) for tag, arm in mark.arms.items()}, mark.mask)
        if isinstance(mark, Pointer):
            return PointerKind(
                _kind(base, False, tuple(m for m in marks if m is not mark)), optional and not mark.required
            )
        if isinstance(mark, Scalar):
            enums = [m for m in marks if isinstance(m, type) and issubclass(m, Enum)]
            return replace(mark, enum=enums[0]) if enums else mark
    layouts = [mark for mark in marks if isinstance(mark, Layout)]
    if base is bytes or base == Buffer:
        return BytesKind(_one(layouts, base), bulk=base is not bytes)
    if typing.get_origin(base) is list:
        return ListKind(kind_of(typing.get_args(base)[0]), _one(layouts, base))
    if hasattr(base, "__fields__"):
        return RecordKind(base)
    raise TypeError(f"{base!r} with {marks!r} says nothing about bytes")


def _one(layouts: list[Layout], base: Any) -> Layout:
    if len(layouts) != 1:
        raise TypeError(f"{base!r} needs one of Counted, Pointed, Rest, Fixed, Rows")
    return layouts[0]
