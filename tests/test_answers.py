"""`check_answer`: what it prints for right and for wrong answers."""

import re

import numpy as np
import pynapple as nap
import pytest

from workshop_utils import check_answer

HZ = np.array([1.0, 4.0, 9.0, 16.0, 25.0])
TIMES = np.arange(5.0)


def printed(capsys, *arguments, **options):
    check_answer("rate", *arguments, **options)
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("value", "target"),
    [
        (2.0, 2),
        (np.float32(0.1), 0.1),
        (HZ.tolist(), HZ),
        (nap.Tsd(TIMES, HZ), nap.Tsd(TIMES, HZ)),
        (nap.Tsd(TIMES, HZ), HZ),
        ([np.nan, 1.0], [np.nan, 1.0]),
        (0.0, 0.0),
    ],
)
def test_right_answers(value, target, capsys):
    assert printed(capsys, value, target) == "Right: rate."


@pytest.mark.parametrize(
    ("value", "target", "message"),
    [
        (..., HZ, r"is still `\.\.\.`"),
        ([1.0, ...], HZ, r"still holds `\.\.\.`"),
        (None, HZ, "forget to return"),
        ("fast", 2.0, "is a str: expected a number"),
        (print, HZ, r"expected an array of shape \(5,\)"),
        (HZ[:4], HZ, r"shape \(4,\): expected an array of shape \(5,\). One is missing"),
        ([*HZ, 1], HZ, "One too many"),
        (np.ones((2, 3)), np.ones((3, 2)), "Rows and columns"),
        (np.ones(7), HZ, r"has shape \(7,\)"),
        (2.0, HZ, r"has shape \(\)"),
        ([1, np.nan, 9, 16, 25], HZ, "has 1 values that are NaN"),
        (HZ / 1000, HZ, "1000 times too small: look at the unit. It should be in Hz"),
        (1e12 * HZ, HZ, "1e.12 times too large"),
        (20.0, 2.0, "10 times too large"),
        (-HZ, HZ, "wrong sign"),
        (np.roll(HZ, 1), HZ, "one bin too late"),
        (np.roll(HZ, -1), HZ, "one bin too early"),
        (3.0, 2.0, "too large"),
        (1.9, 2.0, "too small"),
        (0.0, 2.0, "too small"),
        ([1, 4, 9, 16, 24], HZ, "1 of 5 values differ"),
        (nap.Tsd(TIMES + 1, HZ), nap.Tsd(TIMES, HZ), "at wrong times"),
    ],
)
def test_wrong_answers(value, target, message, capsys):
    line = printed(capsys, value, target, unit="Hz")
    assert line.startswith("Not yet: rate ")
    assert re.search(message, line), line
    assert "\n" not in line


def test_hints_are_for_the_answers_that_an_exercise_invites(capsys):
    hints = {"is the mean, not the median.": 11.0}
    assert printed(capsys, 11.0, 9.0, hints=hints) == "Not yet: rate is the mean, not the median."
    assert printed(capsys, 9.0, 9.0, hints=hints) == "Right: rate."


def test_tests_come_first_and_may_stand_alone(capsys):
    tests = {"is no fit.": lambda m: m["steps"] > 0, "has not converged.": lambda m: m["done"]}
    assert "is no fit" in printed(capsys, 3.0, tests=tests)
    assert "has not converged" in printed(capsys, {"steps": 1, "done": False}, tests=tests)
    assert printed(capsys, {"steps": 1, "done": True}, tests=tests) == "Right: rate."
    assert "still" in printed(capsys, ..., tests=tests)


def test_tolerances(capsys):
    assert printed(capsys, 2.1, 2.0, atol=0.2) == "Right: rate."
    assert printed(capsys, 2.1, 2.0, rtol=0.1) == "Right: rate."
    assert printed(capsys, 2.1, 2.0).startswith("Not yet")
