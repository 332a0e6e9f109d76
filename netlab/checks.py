"""Checks of settings' values: each raises with the value and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterable


def whole_number(name: str, value: int | None, least: int, most: int) -> None:
    """Refuse all but None and whole numbers from `least` to `most`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name}={value!r}: give a whole number")
    if not least <= value <= most:
        raise ValueError(f"{name}={value}: give a number from {least} to {most}")


def finite(name: str, value: float | None, least: float) -> None:
    """Refuse all but None and finite numbers of at least `least`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}={value!r}: give a number")
    if not least <= value < math.inf:
        raise ValueError(f"{name}={value}: give a finite number of at least {least}")


def known(given: Iterable[str], names: Iterable[str]) -> None:
    """Refuse settings that there are not, with TypeError, naming those there are."""
    listed = sorted(names)
    unknown = sorted(set(given) - set(listed))
    if unknown:
        raise TypeError(
            f"unknown setting {', '.join(unknown)}: there are {', '.join(listed)}"
        )
