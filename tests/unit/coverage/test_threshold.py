"""The verdict on a threshold, and that what is shown never contradicts it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from coverage.results import Numbers, should_fail_under
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_phases.coverage.threshold import judge

CASES = [
    # reached, required, precision, passed, shown as reached, shown as required
    # What is reached is rounded before it is compared, as coverage.py does.
    (85.0, 85, 0, True, "85", "85"),
    (84.6, 85, 0, True, "85", "85"),
    (84.4, 85, 0, False, "84", "85"),
    (86.2, 85, 0, True, "86", "85"),
    # With more places less is rounded away.
    (84.6, 85, 1, False, "84.6", "85"),
    (84.96, 85, 1, True, "85.0", "85"),
    (84.994, 85, 2, False, "84.99", "85"),
    (84.996, 85, 2, True, "85.00", "85"),
    # A half is rounded to the even figure, as everywhere in Python.
    (84.5, 85, 0, False, "84", "85"),
    (85.5, 86, 0, True, "86", "86"),
    # A threshold with places of its own is compared with as many, whatever the precision.
    (84.59, 84.6, 0, True, "84.6", "84.6"),
    (84.54, 84.6, 0, False, "84.5", "84.6"),
    (84.9, 84.95, 0, False, "84.90", "84.95"),
    (84.595, 84.6, 2, False, "84.59", "84.6"),
    # 100 is reached by all of it and nothing less, and shown for nothing less.
    (100.0, 100, 0, True, "100", "100"),
    (99.99999, 100, 0, False, "99", "100"),
    (99.99999, 100, 2, False, "99.99", "100"),
    (99.6, 99, 0, True, "99", "99"),
    (99.99, 99.9, 0, True, "99.9", "99.9"),
    (100.0, 85, 1, True, "100.0", "85"),
    # 0 is shown for nothing at all alone.
    (0.0, 0, 0, True, "0", "0"),
    (0.001, 0, 0, True, "1", "0"),
    (0.001, 0, 2, True, "0.01", "0"),
    (0.0, 85, 0, False, "0", "85"),
    (0.3, 85, 0, False, "1", "85"),
    # A trace would be shown as the least figure: if just that is required, a place more tells them apart.
    (0.4, 1, 0, False, "0.4", "1"),
    (0.04, 1, 0, False, "0.1", "1"),
    (0.6, 1, 0, True, "1", "1"),
    (0.04, 0.1, 1, False, "0.04", "0.1"),
    # A precision below 0 is none.
    (84.6, 85, -1, True, "85", "85"),
]


@pytest.mark.parametrize(("reached", "required", "precision", "passed", "shown", "limit"), CASES)
def test_the_verdict_and_its_figures(
    reached: float, required: float, precision: int, passed: bool, shown: str, limit: str
) -> None:
    """The table is the specification."""
    verdict = judge(reached, required, precision)

    assert (verdict.passed, verdict.reached_text, verdict.required_text) == (passed, shown, limit)
    assert verdict.text == f"reached {shown} %, required {limit} %"


@pytest.mark.parametrize(
    ("reached", "required"),
    [(-0.1, 85), (100.1, 85), (float("nan"), 85), (50, -1), (50, 101), (50, float("nan"))],
)
def test_what_is_no_per_cent_is_refused(reached: float, required: float) -> None:
    """Neither figure may lie outside of 0 and 100."""
    with pytest.raises(ValueError, match="between 0 and 100"):
        judge(reached, required, 0)


PER_CENT = st.floats(0, 100) | st.integers(0, 100).map(float)
PRECISION = st.integers(0, 6)


@given(PER_CENT, PER_CENT, PRECISION)
@example(reached=99.99999999999999, required=100.0, precision=20)
@example(reached=5e-324, required=5e-324, precision=0)
@example(reached=50.0, required=1e-30, precision=0)
def test_what_is_shown_agrees_with_the_verdict(reached: float, required: float, precision: int) -> None:
    """Compared as numbers the texts give the verdict; 0 and 100 are shown for exactly that."""
    verdict = judge(reached, required, precision)
    shown, limit = Decimal(verdict.reached_text), Decimal(verdict.required_text)

    assert (shown >= limit) == verdict.passed
    assert (shown == 0) == (reached == 0)
    assert (shown == 100) == (reached == 100)
    assert float(limit) == required


@given(PER_CENT, st.integers(0, 100 * 10**4), PRECISION, st.integers(0, 4))
def test_it_is_the_verdict_of_coverage(reached: float, required: int, precision: int, places: int) -> None:
    """With a threshold of no more places than the precision, and shown as in its reports."""
    places = min(places, precision)
    limit = round(required / 10**4, places)
    verdict = judge(reached, limit, precision)

    assert verdict.passed == (not should_fail_under(reached, limit, precision))
    if len(verdict.reached_text.partition(".")[2]) == precision:
        numbers = Numbers(precision, n_statements=100)
        assert verdict.reached_text == _shown_by_coverage(numbers, reached)


def _shown_by_coverage(numbers: Numbers, reached: float) -> str:
    class Fixed(Numbers):
        pc_covered = property(lambda self: reached)  # type: ignore[assignment]

    return Fixed(numbers.precision).pc_covered_str


@given(PER_CENT, PER_CENT, PER_CENT, PRECISION)
def test_more_never_fails_where_less_passed(
    one: float, other: float, required: float, precision: int
) -> None:
    """The verdict is monotonous."""
    low, high = sorted((one, other))

    assert judge(low, required, precision).passed <= judge(high, required, precision).passed
