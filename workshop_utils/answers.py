"""Check a reader's answer to an exercise, and say what is wrong with it in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["check_answer"]


def check_answer(
    name: str,
    value: Any,
    target: Any = None,
    *,
    unit: str = "",
    rtol: float = 1e-6,
    atol: float = 0.0,
    hints: Mapping[str, Any] | None = None,
    tests: Mapping[str, Callable[[Any], bool]] | None = None,
) -> None:
    """Print whether an answer is right, or what is wrong with it.

    It never raises because of the answer, so that a notebook with an exercise left undone runs
    to its end.

    Parameters
    ----------
    name : str
        What the reader calls the answer.
    value
        The answer: a number, an array or a pynapple object of any shape; anything where `tests`
        judge it. ``...``, also within a list, is an exercise left undone.
    target : optional
        The right answer, in the same unit. Without it, `tests` decide.
    unit : str
        Unit of the target, for the message.
    rtol, atol : float
        How far the answer may be off, relatively and in the unit of the target.
    hints : dict, optional
        Wrong answers that the exercise invites, by what to say of them.
    tests : dict, optional
        Functions of the answer that return True if it is right, by what to say if not. They are
        tried first, in order; one that raises counts as False.
    """
    problem = _problem(value, target, unit, rtol, atol, hints or {}, tests or {})
    print(f"Not yet: {name} {problem}" if problem else f"Right: {name}.")


def _problem(value, target, unit, rtol, atol, hints, tests) -> str:
    """Return what is wrong with a value, or nothing."""
    if value is ...:
        return "is still `...`."
    if isinstance(value, list | tuple) and any(item is ... for item in value):
        return "still holds `...`."
    if value is None:
        return "is None. Did you forget to return it, or to keep what a function returned?"
    for message, is_right in tests.items():
        try:
            right = bool(is_right(value))
        except Exception:
            right = False
        if not right:
            return message
    if target is None:
        return ""
    found, wanted = _numbers(value), _numbers(target)
    if found is None:
        return f"is a {type(value).__name__}: expected {_described(wanted)}."
    if found.shape != wanted.shape:
        return _wrong_shape(found, wanted)
    close = np.isclose(found, wanted, rtol, atol, equal_nan=True)
    if close.all():
        return _wrong_times(value, target)
    for message, wrong in hints.items():
        wrong = _numbers(wrong)
        if wrong.shape == found.shape and np.allclose(found, wrong, rtol, atol, equal_nan=True):
            return message
    n_missing = int(np.sum(~np.isfinite(found) & np.isfinite(wanted)))
    if n_missing:
        return f"has {n_missing} values that are NaN or infinite and should not be."
    return _wrong_numbers(found, wanted, close, unit, rtol)


def _numbers(value):
    """Return a value as an array of float, or None if it has no numbers."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None


def _described(wanted) -> str:
    return "a number" if wanted.ndim == 0 else f"an array of shape {wanted.shape}"


def _wrong_shape(found, wanted) -> str:
    says = f"has shape {found.shape}: expected {_described(wanted)}"
    if found.ndim == 2 and found.shape == wanted.shape[::-1]:
        return f"{says}. Rows and columns are exchanged."
    if found.ndim == wanted.ndim and found.ndim and found.shape[1:] == wanted.shape[1:]:
        more = len(found) - len(wanted)
        if abs(more) == 1:
            return f"{says}. One {'too many' if more > 0 else 'is missing'} along the first axis."
    return f"{says}."


def _wrong_times(value, target) -> str:
    """Right numbers can stand at wrong times, if both have time stamps."""
    t, wanted = getattr(value, "t", None), getattr(target, "t", None)
    if t is None or wanted is None or np.allclose(t, wanted, rtol=0, atol=1e-6):
        return ""
    return "has the right values at wrong times."


def _wrong_numbers(found, wanted, close, unit, rtol) -> str:
    in_unit = f" It should be in {unit}." if unit else ""
    if np.allclose(found, -wanted, rtol, 0, equal_nan=True):
        return "has the wrong sign."
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = found / wanted
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if ratios.size:
        power = round(float(np.log10(np.median(ratios))))
        factor = 10.0**power
        if power and np.allclose(found, factor * wanted, rtol, 0, equal_nan=True):
            times, size = (factor, "large") if power > 0 else (1 / factor, "small")
            return f"is {times:g} times too {size}: look at the unit.{in_unit}"
    if found.ndim == 0:
        return f"is too {'large' if found > wanted else 'small'}.{in_unit}"
    for shift, direction in ((1, "late"), (-1, "early")):
        inside = slice(1, -1)
        if len(found) > 3 and np.allclose(
            found[inside], np.roll(wanted, shift, axis=0)[inside], rtol, 0, equal_nan=True
        ):
            return f"is one bin too {direction}."
    return f"has the right shape, but {np.sum(~close)} of {close.size} values differ.{in_unit}"
