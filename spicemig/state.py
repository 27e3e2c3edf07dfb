# SPDX-License-Identifier: LGPL-2.1-or-later
"""
State that moves from host to host, declared once.

A class of state says of each of its fields whether it is ``carried`` to the
target or ``local`` to this host, and why. What is carried is packed and
unpacked by a plan, as the fields of a message are, so that a block is checked
like anything else that comes from a client.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform, get_type_hints

from spicemig.errors import WireError
from spicemig.wire.declare import Field, compile_plan, u32
from spicemig.wire.kinds import kind_of
from spicemig.wire.plan import Plan

_HEAD = struct.Struct("<4sI")  # magic and version, as every block of SPICE begins
_MISSING: Any = object()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StateField:
    """What a state's declaration says of one field."""

    carried: bool
    default: Any
    factory: Callable[[], Any] | None
    since: int = 1  # carried: the first version that has it
    why: str = ""  # local: why it stays behind

    def initial(self) -> Any:
        """The value of a field that was not given."""
        return self.factory() if self.factory is not None else self.default


def carried(*, default: Any = _MISSING, factory: Callable[[], Any] | None = None, since: int = 1) -> Any:
    """
    A field that goes to the target.

    Blocks of a version before ``since`` end before this field; restoring
    one gives the default.
    """
    return StateField(True, default, factory, since=since)


def local(*, why: str, default: Any = _MISSING, factory: Callable[[], Any] | None = None) -> Any:
    """A field that stays on this host; ``why`` is for the reader."""
    if not why:
        raise TypeError("a local field says why it stays behind")
    return StateField(False, default, factory, why=why)


class SessionState(Protocol):
    """What :func:`session_state` adds to a class."""

    state_fields: ClassVar[dict[str, StateField]]
    state_magic: ClassVar[bytes | None]
    state_version: ClassVar[int]

    def __init__(self, *args: Any, **fields: Any) -> None: ...

    def export_state(self, version: int | None = None) -> bytes:
        """The carried fields as bytes, in the layout of ``version`` (default: the newest)."""

    @classmethod
    def restore(cls: type[T], data: Any) -> T:
        """The state in ``data``; raises :class:`WireError` if it is not one, or newer than this program."""


STATES: list[type[Any]] = []  # every declared state, for the tests that walk them


@dataclass_transform(field_specifiers=(carried, local), kw_only_default=False)
def session_state(*, magic: bytes | None = None, version: int = 1) -> Callable[[type[T]], type[T]]:
    """
    Declare a class of state.

    Every annotated name is ``carried(...)`` or ``local(...)``; carried ones
    are annotated with wire kinds. With a ``magic`` of four bytes a block begins
    with that and the version; without one it is only a part of another record.
    """
    if magic is not None and len(magic) != 4:
        raise TypeError("a magic has four bytes")
    if magic is None and version != 1:
        raise TypeError("only a block with a magic has versions")

    def declare(cls: type[T]) -> type[T]:
        return _declare(cls, magic, version)

    return declare


def _declare(cls: type[Any], magic: bytes | None, version: int) -> type[Any]:
    kinds = get_type_hints(cls, include_extras=True)
    fields: dict[str, StateField] = {}
    for name in kinds:
        field = cls.__dict__.get(name)
        if not isinstance(field, StateField):
            raise TypeError(f"{cls.__qualname__}.{name} is neither carried nor local")
        if not 1 <= field.since <= version:
            raise TypeError(f"{cls.__qualname__}.{name} is carried since a version that is not there")
        fields[name] = field
    layouts = {number: _layout(cls, kinds, fields, magic, number) for number in range(1, version + 1)}
    namespace = {
        name: value
        for name, value in cls.__dict__.items()
        if name not in fields and name not in ("__dict__", "__weakref__")
    }
    namespace.update(
        __slots__=tuple(fields),
        __match_args__=tuple(fields),
        __init__=_init,
        __repr__=_repr,
        __eq__=_eq,
        __hash__=None,
        export_state=_export_state,
        restore=classmethod(_restore),
        state_fields=fields,
        state_magic=magic,
        state_version=version,
        _layouts=layouts,
    )
    metaclass: Any = type(cls)
    declared = metaclass(cls.__name__, cls.__bases__, namespace)
    STATES.append(declared)
    return declared


def _layout(
    cls: type[Any], kinds: dict[str, Any], fields: dict[str, StateField], magic: bytes | None, version: int
) -> Plan:
    """The plan of one version of a block; it gives the fields as a namespace."""
    wire = {"state_magic": u32, "state_version": u32} if magic is not None else {}
    wire |= {name: kinds[name] for name, field in fields.items() if field.carried and field.since <= version}
    names = tuple(wire)

    def make(*values: Any) -> SimpleNamespace:
        return SimpleNamespace(**dict(zip(names, values, strict=True)))

    return compile_plan(
        cls.__qualname__, tuple(Field(name, kind_of(kind)) for name, kind in wire.items()), make
    )


def _init(self: Any, *args: Any, **given: Any) -> None:
    fields = type(self).state_fields
    if len(args) > len(fields):
        raise TypeError(f"{type(self).__name__} has {len(fields)} fields, {len(args)} were given")
    for name, value in zip(fields, args, strict=False):
        if name in given:
            raise TypeError(f"{name} was given twice")
        given[name] = value
    for name in given:
        if name not in fields:
            raise TypeError(f"{type(self).__name__} has no field {name}")
    for name, field in fields.items():
        value = given[name] if name in given else field.initial()
        if value is _MISSING:
            raise TypeError(f"{type(self).__name__} needs {name}")
        setattr(self, name, value)


def _repr(self: Any) -> str:
    return (
        f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.state_fields)})"
    )


def _eq(self: Any, other: Any) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in self.state_fields)


def _export_state(self: Any, version: int | None = None) -> bytes:
    cls = type(self)
    number = cls.state_version if version is None else version
    values = {
        name: getattr(self, name)
        for name, field in cls.state_fields.items()
        if field.carried and field.since <= number
    }
    if cls.state_magic is not None:
        values.update(state_magic=int.from_bytes(cls.state_magic, "little"), state_version=number)
    return cls._layouts[number].pack(SimpleNamespace(**values))


def _restore(cls: Any, data: Any) -> Any:
    number = 1
    if cls.state_magic is not None:
        if len(data) < _HEAD.size:
            raise WireError(cls.__name__, "state_magic", 0, "too short to be a block of state")
        magic, number = _HEAD.unpack_from(data)
        if magic != cls.state_magic:
            raise WireError(cls.__name__, "state_magic", 0, f"{magic!r} is not {cls.state_magic!r}")
        if not 1 <= number <= cls.state_version:
            raise WireError(
                cls.__name__, "state_version", 4, f"version {number}, this program knows {cls.state_version}"
            )
    values = cls._layouts[number].unpack(data)
    present = {
        name: getattr(values, name)
        for name, field in cls.state_fields.items()
        if field.carried and field.since <= number
    }
    return cls(**present)
