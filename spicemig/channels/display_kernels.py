# SPDX-License-Identifier: LGPL-2.1-or-later
"""The inner loops of display pipes: those in C if they were built, else their twins."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from spicemig.channels import display_reference

native: ModuleType | None
try:
    from spicemig import _kernels as native
except ImportError:
    native = None


def kernel(twin: Any) -> Any:
    """The function in C that has this twin's name; the twin itself if there is none."""
    return getattr(native, twin.__name__, twin)


covered = kernel(display_reference.covered)
