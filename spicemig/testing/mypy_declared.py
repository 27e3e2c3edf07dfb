# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A plugin that tells mypy what ``@record`` and ``@message`` give a class.

The constructor it understands by itself (``dataclass_transform``); this adds
``pack``, ``unpack`` and the others.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import ARG_NAMED_OPT, ARG_POS, Argument, Var
from mypy.plugin import ClassDefContext, Plugin
from mypy.plugins.common import add_attribute_to_class, add_method_to_class
from mypy.types import AnyType, Type, TypeOfAny
from mypy.typevars import fill_typevars

DECORATORS = {"spicemig.wire.declare.record", "spicemig.wire.declare.message"}
ATTRIBUTES = ("channel", "spoken_on", "to", "received_by", "number", "__fields__", "__plan__")


def add_declared(ctx: ClassDefContext) -> None:
    """Add the methods and attributes to the class."""
    anything = AnyType(TypeOfAny.explicit)
    a_bytes = ctx.api.named_type("builtins.bytes")
    self_type = fill_typevars(ctx.cls.info)

    def argument(name: str, kind: object = ARG_POS) -> Argument:
        return Argument(Var(name, anything), anything, None, kind)  # type: ignore[arg-type]

    def method(name: str, arguments: list[Argument], result: Type, classmethod: bool = False) -> None:
        add_method_to_class(ctx.api, ctx.cls, name, arguments, result, is_classmethod=classmethod)

    method("pack", [], a_bytes)
    method("pack_parts", [], anything)
    method("pack_template", [], anything)
    method("unpack", [argument("body"), argument("exact", ARG_NAMED_OPT)], self_type, classmethod=True)
    method("unpack_template", [argument("body"), argument("placeholders")], self_type, classmethod=True)
    for name in set(ATTRIBUTES) - set(ctx.cls.info.names):  # a record may have fields of these names
        add_attribute_to_class(ctx.api, ctx.cls, name, anything, is_classvar=True)


class DeclaredPlugin(Plugin):
    """Looks for the decorators."""

    def get_class_decorator_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        return add_declared if fullname in DECORATORS else None


def plugin(version: str) -> type[Plugin]:
    """What mypy calls."""
    return DeclaredPlugin
