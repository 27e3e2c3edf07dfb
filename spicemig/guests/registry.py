# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Finds the guests that are installed.

A guest kind is a Twisted plugin that provides ``IGuestMaker``: an object in a
module of ``twisted.plugins``. The built-in kinds are known without a plugin file,
so that they are found wherever the package is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.plugin import getPlugins

from spicemig.devices.interfaces import IGuestMaker
from spicemig.errors import GuestError
from spicemig.guests.demo import DemoGuestMaker
from spicemig.guests.trace import TraceGuestMaker

_BUILT_IN: tuple[Any, ...] = (DemoGuestMaker(), TraceGuestMaker())


def makers() -> dict[str, Any]:
    """Every kind of guest that is installed; a plugin may not take the name of a built-in one."""
    found: dict[str, Any] = {}
    for plugin in getPlugins(IGuestMaker):
        found[plugin.kind] = plugin
    found.update((maker.kind, maker) for maker in _BUILT_IN)
    return found


def maker(kind: str) -> Any:
    """The ``IGuestMaker`` of this kind; raises :class:`GuestError` if there is none."""
    for built_in in _BUILT_IN:
        if built_in.kind == kind:
            return built_in
    installed = makers()
    if kind not in installed:
        raise GuestError(f"there is no guest of kind {kind}; there are {', '.join(sorted(installed))}")
    return installed[kind]


def make(kind: str, settings: Mapping[str, Any], clock: Any) -> Any:
    """An ``IGuest`` of this kind: ``settings`` maps options to values, ``clock`` is an ``IReactorTime``."""
    return maker(kind).make(settings, clock)
