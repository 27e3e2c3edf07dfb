# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Declaring records and messages.

A class under :func:`record` or :func:`message` lists its fields in the order of
the wire. It gets slots, a constructor, equality, ``repr``, and

* ``pack()``: the body as bytes; ``pack_parts()``: as a list of buffers, in which
  large payloads are not copied;
* ``unpack(body)``: an instance, or :class:`~spicemig.errors.WireError`; bytes
  after the last field are left alone, as newer peers may add fields, unless
  ``exact`` is asked for;
* ``pack_template()``: the body with 0 for the pointers to a :class:`Placeholder`,
  and a list of ``(offset, Placeholder)``; ``unpack_template(body, {offset:
  value})`` turns that back.

A message is also entered in the :data:`catalogue`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, dataclass_transform

from spicemig.wire.kinds import (
    REQUIRED,
    Buffer,
    Counted,
    Field,
    Fixed,
    GuardedKind,
    LengthOf,
    Placeholder,
    Pointed,
    Pointer,
    Rest,
    Rows,
    Switch,
    When,
    i8,
    i16,
    i32,
    i64,
    kind_of,
    length_of,
    u8,
    u16,
    u32,
    u64,
)
from spicemig.wire.plan import Plan

T = TypeVar("T")

CHANNEL_TYPES: dict[str, int] = {
    "main": 1,
    "display": 2,
    "inputs": 3,
    "cursor": 4,
    "playback": 5,
    "record": 6,
    "tunnel": 7,
    "smartcard": 8,
    "usbredir": 9,
    "port": 10,
    "webdav": 11,
    "migration": 0xE0,  # between two spicemig hosts only
}
_CHANNEL_NAMES = {number: name for name, number in CHANNEL_TYPES.items()}

BASE_LAST = 100  # message numbers up to this mean the same on every channel


def channel_name(number: int) -> str:
    """The name of a channel type; unknown ones are named after their number."""
    return _CHANNEL_NAMES.get(number, f"channel{number}")


class Catalogue:
    """All declared records and messages."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str, int], type[Any]] = {}
        self._records: dict[str, type[Any]] = {}
        self._loaded = False

    def add_record(self, cls: type[Any]) -> None:
        self._records[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def add_message(self, cls: type[Any]) -> None:
        for channel in cls.spoken_on:
            for to in cls.received_by:
                key = (channel, to, cls.number)
                if key in self._messages:
                    raise TypeError(f"{key} is {self._messages[key].__qualname__} already")
                self._messages[key] = cls

    def _load(self) -> None:
        """Import every module of messages, so that nothing is missing."""
        if not self._loaded:
            self._loaded = True
            from spicemig.wire import messages

            for module in pkgutil.iter_modules(messages.__path__):
                importlib.import_module(f"{messages.__name__}.{module.name}")

    def find(self, channel: str, to: str, number: int) -> type[Any] | None:
        """The message with this number, also if it is one of the base channel's."""
        self._load()
        return self._messages.get((channel, to, number)) or self._messages.get(("base", to, number))

    def messages(self) -> list[type[Any]]:
        """Every message once, by channel, direction and number."""
        return [
            cls for (channel, to, _number), cls in self.entries() if (channel, to) == (cls.channel, cls.to)
        ]

    def entries(self) -> Iterator[tuple[tuple[str, str, int], type[Any]]]:
        """``((channel, to, number), class)``; a message of several channels comes once for each."""
        self._load()
        return iter(sorted(self._messages.items(), key=lambda entry: entry[0]))

    def records(self) -> list[type[Any]]:
        """Every record, in the order of declaration."""
        self._load()
        return list(self._records.values())


catalogue = Catalogue()


@dataclass_transform(field_specifiers=(length_of,))
def record(cls: type[T]) -> type[T]:
    """Declare a record: fields that messages and other records have in common."""
    made = _declared(cls, {})
    catalogue.add_record(made)
    return made


@dataclass_transform(field_specifiers=(length_of,))
def message(
    channel: str | tuple[str, ...], *, to: str | tuple[str, ...], number: int
) -> Callable[[type[T]], type[T]]:
    """
    Declare a message of a channel (or of several alike).

    ``to`` names who receives it: ``"client"`` or ``"server"``; inside the guest
    ``"agent"`` or ``"guest"``. Those of channel ``"base"`` are valid on every channel.
    """
    channels = (channel,) if isinstance(channel, str) else channel
    receivers = (to,) if isinstance(to, str) else to
    attributes = {
        "channel": channels[0],
        "spoken_on": channels,
        "to": receivers[0],
        "received_by": receivers,
        "number": number,
    }

    def declare(cls: type[T]) -> type[T]:
        made = _declared(cls, attributes)
        catalogue.add_message(made)
        return made

    return declare


def fields_of(cls: type[Any]) -> tuple[Field, ...]:
    """The declared fields of a class, from its annotations and the defaults beside them."""
    fields: list[Field] = []
    for name, annotation in cls.__dict__.get("__annotations__", {}).items():
        kind = kind_of(annotation)
        default = cls.__dict__.get(name, REQUIRED)
        if isinstance(default, LengthOf):
            fields.append(Field(name, kind, measures=default.field))
            continue
        if isinstance(kind, GuardedKind) and default is REQUIRED:
            default = None
        fields.append(Field(name, kind, default))
    return tuple(fields)


def compile_plan(name: str, fields: tuple[Field, ...], make: Callable[..., Any]) -> Plan:
    """A plan for any class with these fields; ``make`` is called with their values in order."""
    return Plan(name, fields, make)


def _declared(cls: type[T], attributes: dict[str, Any]) -> type[T]:
    """The class again, with slots and all that hangs on the declaration."""
    fields = fields_of(cls)
    given = [field for field in fields if field.measures is None]
    names = tuple(field.name for field in given)
    if taken := set(names) & set(attributes):
        raise TypeError(
            f"{cls.__qualname__}: a message says by itself what its {', '.join(taken)} is; rename the field"
        )
    namespace = {k: v for k, v in cls.__dict__.items() if k not in ("__dict__", "__weakref__", *names)}
    for field in fields:
        if field.measures is not None:
            namespace[field.name] = _length(field.measures)
    namespace.update(
        attributes,
        __slots__=names,
        __match_args__=names,
        __fields__=fields,
        __init__=constructor(cls.__qualname__, given),
        __eq__=_eq,
        __hash__=None,
        pack=_pack,
        pack_parts=_pack_parts,
        pack_template=_pack_template,
        unpack=classmethod(_unpack),
        unpack_template=classmethod(_unpack_template),
    )
    namespace.setdefault("__repr__", _repr)
    made: Any = type(cls)(cls.__name__, cls.__bases__, namespace)  # type: ignore[misc]
    name = cls.__qualname__ if not attributes else f"{attributes['channel']}.{cls.__qualname__}"
    made.__plan__ = Plan(name, fields, made, made)
    return made


def constructor(name: str, fields: list[Field]) -> Callable[..., None]:
    """An ``__init__`` that takes the fields by position or name."""
    arguments = ["self"]
    lines: list[str] = []
    scope: dict[str, Any] = {"REQUIRED": REQUIRED}
    optional = False
    for field in fields:
        source = field.name
        if field.default is REQUIRED:
            if optional:
                raise TypeError(f"{name}.{field.name} needs a default, as one before it has one")
            arguments.append(field.name)
        else:
            optional = True
            if isinstance(field.default, (list, bytearray)) or hasattr(field.default, "__fields__"):
                scope[f"_{field.name}"] = _copier(field.default)
                arguments.append(f"{field.name}=REQUIRED")
                source = f"_{field.name}() if {field.name} is REQUIRED else {field.name}"
            else:
                scope[f"_{field.name}"] = field.default
                arguments.append(f"{field.name}=_{field.name}")
        lines.append(f"    self.{field.name} = {source}")
    exec(f"def __init__({', '.join(arguments)}):\n" + ("\n".join(lines) or "    pass"), scope)
    made = scope["__init__"]
    made.__qualname__ = f"{name}.__init__"
    return made


def _copier(value: Any) -> Callable[[], Any]:
    """Makes the same value anew, so that instances do not share a default."""
    if isinstance(value, (list, bytearray)):
        return lambda: type(value)(value)
    if hasattr(value, "__fields__"):
        copies = [_copier(getattr(value, name)) for name in value.__slots__]
        return lambda: type(value)(*[copy() for copy in copies])
    return lambda: value


def _length(field: str) -> property:
    return property(lambda self: len(getattr(self, field) or ()), doc=f"The length of ``{field}``.")


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)


def _repr(self: Any) -> str:
    parts = [f"{name}={_short(getattr(self, name))}" for name in self.__slots__]
    return f"{self.__class__.__qualname__}({', '.join(parts)})"


def _short(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return repr(bytes(value)) if len(value) <= 40 else f"<{len(value)} bytes>"
    if isinstance(value, list) and len(value) > 8:
        return f"<{len(value)} items>"
    return repr(value)


def _pack(self: Any) -> bytes:
    """The body."""
    return self.__plan__.pack(self)


def _pack_parts(self: Any) -> list[Buffer]:
    """The body as buffers; large payloads are not copied."""
    return self.__plan__.pack_parts(self)


def _pack_template(self: Any) -> tuple[bytes, list[tuple[int, Placeholder]]]:
    """The body with 0 for pointers to placeholders, and where those stand."""
    return self.__plan__.pack_template(self)


def _unpack(cls: Any, body: Buffer, *, exact: bool = False) -> Any:
    """An instance from a body; with ``exact`` nothing may follow it. Raises ``WireError``."""
    return cls.__plan__.unpack(body, exact=exact)


def _unpack_template(cls: Any, body: Buffer, placeholders: dict[int, Any]) -> Any:
    """An instance with ``Placeholder(value)`` where a pointer stands at that offset."""
    return cls.__plan__.unpack_template(body, placeholders)


__all__ = [
    "BASE_LAST",
    "CHANNEL_TYPES",
    "Buffer",
    "Catalogue",
    "Counted",
    "Field",
    "Fixed",
    "Placeholder",
    "Pointed",
    "Pointer",
    "Rest",
    "Rows",
    "Switch",
    "When",
    "catalogue",
    "channel_name",
    "compile_plan",
    "fields_of",
    "i8",
    "i16",
    "i32",
    "i64",
    "length_of",
    "message",
    "record",
    "u8",
    "u16",
    "u32",
    "u64",
]
