# SPDX-License-Identifier: LGPL-2.1-or-later
"""The inner loops of codecs: those in C if they were built, else their twins ``CODEC_reference.py``."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from spicemig.codecs import glz_reference, gradual_reference, lz_reference, quic_reference, sketch_reference

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
sketch_add = kernel(sketch_reference.sketch_add)
sketch_find = kernel(sketch_reference.sketch_find)
glz_window = kernel(glz_reference.glz_window)
glz_forget = kernel(glz_reference.glz_forget)
glz_state = kernel(glz_reference.glz_state)
glz_encode = kernel(glz_reference.glz_encode)
glz_put = kernel(glz_reference.glz_put)
glz_image = kernel(glz_reference.glz_image)
glz_probe = kernel(glz_reference.glz_probe)
glz_decoder_window = kernel(glz_reference.glz_decoder_window)
glz_drop = kernel(glz_reference.glz_drop)
glz_decode = kernel(glz_reference.glz_decode)
