# SPDX-License-Identifier: LGPL-2.1-or-later
"""The inner loops of codecs: those in C if they were built, else their twins ``CODEC_reference.py``."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from spicemig.codecs import gradual_reference, lz_reference, quic_reference

native: ModuleType | None
try:
    from spicemig import _kernels as native
except ImportError:
    native = None


def kernel(twin: Any) -> Any:
    """The function in C that has this twin's name; the twin itself if there is none."""
    return getattr(native, twin.__name__, twin)


quic_encode = kernel(quic_reference.quic_encode)
quic_decode = kernel(quic_reference.quic_decode)
lz_encode = kernel(lz_reference.lz_encode)
lz_decode = kernel(lz_reference.lz_decode)
gradual_score = kernel(gradual_reference.gradual_score)
