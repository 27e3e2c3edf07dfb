# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Hypothesis strategies made from declarations.

``instances(DrawCopy)`` gives messages that have bytes: tags and lengths agree
with what they speak of. Hypothesis is needed for tests only.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from spicemig.wire.kinds import (
    BytesKind,
    Counted,
    Field,
    Fixed,
    GuardedKind,
    ListKind,
    Pointed,
    PointerKind,
    RecordKind,
    Rows,
    Scalar,
    SwitchKind,
)

MOST = 3  # items of a list, bytes of a payload; enough for every way through a plan
MEASURED_MOST = 5  # units of a width or height, so that their rows stay short


def instances(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Instances of a declared record or message."""
    return _record(cls.__fields__, cls)


def of_kind(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a kind that needs no other field."""
    return _value(kind, {}, ())


@st.composite
def _record(draw: st.DrawFn, fields: tuple[Field, ...], make: Any) -> Any:
    values: dict[str, Any] = {}
    extents = _extents(fields)
    for field in fields:
        if field.measures is not None:
            continue
        if field.name in extents:
            values[field.name] = draw(st.integers(0, MEASURED_MOST))
        else:
            values[field.name] = draw(_value(field.kind, values, fields))
    return make(**values)


def _extents(fields: tuple[Field, ...]) -> set[str]:
    """The fields that say how large the rows of another are."""
    layouts = [getattr(field.kind, "layout", None) for field in fields]
    return {name for layout in layouts if isinstance(layout, Rows) for name in (layout.width, layout.height)}


def _value(kind: Any, values: dict[str, Any], fields: tuple[Field, ...]) -> st.SearchStrategy[Any]:
    if isinstance(kind, Scalar):
        return _scalar(kind)
    if isinstance(kind, RecordKind):
        return _record(kind.fields, kind.cls)
    if isinstance(kind, PointerKind):
        target = _value(kind.target, values, fields)
        return st.none() | target if kind.optional else target
    if isinstance(kind, GuardedKind):
        there = kind.when.test(_look_up(values, kind.when.tag))
        return _value(kind.kind, values, fields) if there else st.none()
    if isinstance(kind, SwitchKind):
        arm = kind.arms.get(_look_up(values, kind.tag) & kind.mask)
        return _value(arm, values, fields) if arm is not None else st.none()
    if isinstance(kind, BytesKind):
        least, most = _lengths(kind, values, fields)
        strategy: st.SearchStrategy[Any] = st.binary(min_size=least, max_size=most)
    elif isinstance(kind, ListKind):
        least, most = _lengths(kind, values, fields)
        strategy = st.lists(_value(kind.item, values, fields), min_size=least, max_size=most)
    else:
        raise TypeError(f"{kind!r} is no kind")
    return st.none() | strategy if isinstance(kind.layout, Pointed) and kind.layout.optional else strategy


def _scalar(kind: Scalar) -> st.SearchStrategy[int]:
    anything = st.integers(kind.low, kind.high)
    if kind.enum is None:
        return anything
    members = st.sampled_from([int(member.value) for member in kind.enum])
    return members | st.lists(members, max_size=3).map(_together) if kind.low == 0 else members


def _together(flags: list[int]) -> int:
    result = 0
    for flag in flags:
        result |= flag
    return result


def _look_up(values: dict[str, Any], path: str) -> Any:
    first, *rest = path.split(".")
    value = values[first]
    for name in rest:
        value = getattr(value, name)
    return value


def _lengths(
    kind: BytesKind | ListKind, values: dict[str, Any], fields: tuple[Field, ...]
) -> tuple[int, int]:
    """The least and the greatest length."""
    layout = kind.layout
    if isinstance(layout, Fixed):
        return layout.length, layout.length
    if isinstance(layout, Rows):
        length = layout.length(values[layout.width], values[layout.height])
        return length, length
    if isinstance(layout, Counted) and isinstance(layout.by, str):
        measured = next(field.measures for field in fields if field.name == layout.by)
        if measured in values:
            return len(values[measured]), len(values[measured])
    return 0, MOST
