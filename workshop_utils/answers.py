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
        Tolerances, relative and in the unit of the target.
    hints : dict, optional
        Wrong answers that the exercise invites: ``{message: wrong answer}``.
    tests : dict, optional
        Functions of the answer that return True if it is right: ``{message if not: function}``.
        They are tried first, in order; one that raises counts as False.
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
    given, expected = _numbers(value), _numbers(target)
    if given is None:
        return f"is a {type(value).__name__}: expected {_shape_in_words(expected)}."
    if given.shape != expected.shape:
        return _wrong_shape(given, expected)
    close = np.isclose(given, expected, rtol, atol, equal_nan=True)
    if close.all():
        return _wrong_times(value, target)
    for message, wrong in hints.items():
        wrong = _numbers(wrong)
        if wrong.shape == given.shape and np.allclose(given, wrong, rtol, atol, equal_nan=True):
            return message
    n_missing = int(np.sum(~np.isfinite(given) & np.isfinite(expected)))
    if n_missing:
        return f"has {n_missing} values that are NaN or infinite and should not be."
    return _wrong_numbers(given, expected, close, unit, rtol)


def _numbers(value):
    """Return a value as an array of float, or None if it has no numbers."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None


def _shape_in_words(expected) -> str:
    return "a number" if expected.ndim == 0 else f"an array of shape {expected.shape}"


def _wrong_shape(given, expected) -> str:
    message = f"has shape {given.shape}: expected {_shape_in_words(expected)}"
    if given.ndim == 2 and given.shape == expected.shape[::-1]:
        return f"{message}. Rows and columns are exchanged."
    if given.ndim == expected.ndim and given.ndim and given.shape[1:] == expected.shape[1:]:
        more = len(given) - len(expected)
        if abs(more) == 1:
            return (
                f"{message}. One {'too many' if more > 0 else 'is missing'} along the first axis."
            )
    return f"{message}."


def _wrong_times(value, target) -> str:
    """Return what is wrong with the times of right numbers, or nothing."""
    t, expected = getattr(value, "t", None), getattr(target, "t", None)
    if t is None or expected is None or np.allclose(t, expected, rtol=0, atol=1e-6):
        return ""
    return "has the right values at wrong times."


def _wrong_numbers(given, expected, close, unit, rtol) -> str:
    in_unit = f" It should be in {unit}." if unit else ""
    if np.allclose(given, -expected, rtol, 0, equal_nan=True):
        return "has the wrong sign."
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = given / expected
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if ratios.size:
        power = round(float(np.log10(np.median(ratios))))
        factor = 10.0**power
        if power and np.allclose(given, factor * expected, rtol, 0, equal_nan=True):
            times, size = (factor, "large") if power > 0 else (1 / factor, "small")
            return f"is {times:g} times too {size}: look at the unit.{in_unit}"
    if given.ndim == 0:
        return f"is too {'large' if given > expected else 'small'}.{in_unit}"
    for shift, direction in ((1, "late"), (-1, "early")):
        inside = slice(1, -1)
        if len(given) > 3 and np.allclose(
            given[inside], np.roll(expected, shift, axis=0)[inside], rtol, 0, equal_nan=True
        ):
            return f"is one bin too {direction}."
    return f"has the right shape, but {np.sum(~close)} of {close.size} values differ.{in_unit}"
