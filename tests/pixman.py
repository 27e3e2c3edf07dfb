# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real pixman through ctypes, which tests compare kernels with; ``library`` is None without it."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

A8R8G8B8, X8R8G8B8 = 0x20028888, 0x20020888

NEAREST, BILINEAR, GOOD = 3, 4, 1


def _load() -> Any:
    name = ctypes.util.find_library("pixman-1")
    if name is None:
        return None
    found = ctypes.CDLL(name)
    found.pixman_image_create_bits.restype = ctypes.c_void_p
    found.pixman_image_create_bits.argtypes = [
        ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
    ]  # fmt: skip
    found.pixman_image_create_solid_fill.restype = ctypes.c_void_p
    for name in ("set_transform", "set_repeat", "set_component_alpha", "unref"):
        getattr(found, f"pixman_image_{name}").argtypes = [ctypes.c_void_p] + (
            [] if name == "unref" else [ctypes.c_void_p if name == "set_transform" else ctypes.c_int]
        )
    found.pixman_image_set_filter.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    found.pixman_image_composite32.restype = None
    found.pixman_image_composite32.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int] * 8,
    ]  # fmt: skip
    return found


library = _load()


@dataclass
class Picture:
    """An image of ``width`` by ``height`` pixels and how it is read."""

    width: int
    height: int
    data: bytes | bytearray
    has_alpha: bool = True
    filter: int = NEAREST
    repeat: int = 0
    transform: Sequence[int] | None = None  # two rows of three
    component_alpha: bool = False


def _image(picture: Picture, stack: ExitStack) -> tuple[Any, Any]:
    bits = (ctypes.c_uint32 * (picture.width * picture.height)).from_buffer_copy(picture.data)
    image = library.pixman_image_create_bits(
        A8R8G8B8 if picture.has_alpha else X8R8G8B8, picture.width, picture.height, bits, picture.width * 4
    )
    stack.callback(library.pixman_image_unref, image)
    if picture.transform is not None:
        matrix = (ctypes.c_int32 * 9)(*picture.transform, 0, 0, 0x10000)
        library.pixman_image_set_transform(image, matrix)
    library.pixman_image_set_filter(image, picture.filter, None, 0)
    library.pixman_image_set_repeat(image, picture.repeat)
    library.pixman_image_set_component_alpha(image, picture.component_alpha)
    return image, bits


def _solid(alpha: int, stack: ExitStack) -> Any:
    colour = (ctypes.c_uint16 * 4)(0, 0, 0, alpha * 0x101)
    image = library.pixman_image_create_solid_fill(colour)
    stack.callback(library.pixman_image_unref, image)
    return image


def composite(
    operator: int,
    source: Picture,
    mask: Picture | int | None,
    target: Picture,
    source_at: tuple[int, int],
    mask_at: tuple[int, int],
    box: tuple[int, int, int, int],
) -> bytes:
    """What ``target`` holds after it; ``box`` is left, top, width, height; a mask may be a plain alpha."""
    with ExitStack() as stack:
        src, _src_bits = _image(source, stack)
        if isinstance(mask, Picture):
            covered, _mask_bits = _image(mask, stack)
        else:
            covered = None if mask is None else _solid(mask, stack)
        dst, bits = _image(target, stack)
        library.pixman_image_composite32(operator, src, covered, dst, *source_at, *mask_at, *box)
        return bytes(bits)
