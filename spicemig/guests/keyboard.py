# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Scan codes of PC set 1 as characters of a US keyboard.

Source: spice.proto, key_down: the bytes of the code, the first in the lowest byte;
a prefix of 0xe0 comes first, and a release has bit 7 of the last byte set.
"""

from __future__ import annotations

EXTENDED = 0xE0
RELEASED = 0x80

BACKSPACE = 0x0E
TAB = 0x0F
ENTER = 0x1C
CONTROL = 0x1D
CAPS_LOCK = 0x3A
SHIFTS = (0x2A, 0x36)

_ROWS = (  # first code, and the keys from there on, without and with shift
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (0x37, "*", "*"),
    (0x39, " ", " "),
    (0x47, "789-456+1230.", "789-456+1230."),
)
_PLAIN = {first + step: key for first, keys, _ in _ROWS for step, key in enumerate(keys)}
_SHIFTED = {first + step: key for first, _, keys in _ROWS for step, key in enumerate(keys)}
_EXTENDED_KEYS = {0x35: "/"}  # on the keypad; its Enter is ENTER


def make_code(code: int) -> tuple[int, bool]:
    """The code of the key itself, and whether it has the prefix; the same for presses and releases."""
    if code & 0xFF == EXTENDED:
        return code >> 8 & ~RELEASED & 0xFF, True
    return code & ~RELEASED & 0xFF, False


def character(key: int, extended: bool, shift: bool, caps_lock: bool) -> str:
    """What this key types; nothing if it types nothing."""
    if extended:
        return _EXTENDED_KEYS.get(key, "")
    plain = _PLAIN.get(key, "")
    if plain.isalpha():
        shift ^= caps_lock
    return _SHIFTED.get(key, "") if shift else plain
