# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the INI section of a guest kind may say: declared once, for reading, samples and man pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spicemig.errors import GuestError

_WORDS = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class GuestOption:
    """
    One option of a guest kind.

    ``type`` is ``str``, ``int``, ``float`` or ``bool``; ``minimum`` and ``maximum``
    bound numbers, ``choices`` names the only texts allowed, and ``check`` raises
    ``ValueError`` for other values that are wrong.
    """

    name: str
    type: type
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Any], object] | None = None

    def read(self, text: str) -> Any:
        """The value that this text of an INI file means; raises ``ValueError`` with the reason."""
        text = text.strip()
        if self.type is bool:
            if text.lower() not in _WORDS:
                raise ValueError(f"{text!r} is neither yes nor no")
            return _WORDS[text.lower()]
        try:
            value = self.type(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
        return self.checked(value)

    def checked(self, value: Any) -> Any:
        """The value itself; raises ``ValueError`` if it is not one of those allowed."""
        if self.choices and value not in self.choices:
            raise ValueError(f"{value!r} is none of {', '.join(self.choices)}")
        if self.minimum is not None and value < self.minimum:
            raise ValueError(f"{value} is less than {self.minimum}")
        if self.maximum is not None and value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}")
        if self.check is not None:
            self.check(value)
        return value


def filled(options: Iterable[GuestOption], settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    All options with their values: from ``settings``, as values or text, else the default.

    Raises :class:`GuestError` for an unknown option or a wrong value.
    """
    known = {option.name: option for option in options}
    values = {name: option.default for name, option in known.items()}
    for name, value in settings.items():
        option = known.get(name)
        if option is None:
            raise GuestError(f"there is no option {name}; there are {', '.join(sorted(known))}")
        try:
            if isinstance(value, str) and option.type is not str:
                values[name] = option.read(value)
            else:
                values[name] = option.checked(value)
        except ValueError as error:
            raise GuestError(f"{name}: {error}") from error
    return values
