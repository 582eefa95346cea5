"""Whether a threshold is reached: one pure verdict, and figures that never contradict it.

As in coverage.py, what was reached is rounded to `precision` places before it is compared, 100 per
cent is reached by nothing less, and a figure reads 100 or 0 only if it is exactly that. A threshold
with more places than that (84.6) is compared with as many places as it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

_FULL = Decimal(100)
# The default of 28 digits is too few for a threshold like 1e-30.
_EXACT = Context(prec=1200, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The verdict, and both figures in per cent as text; compared as numbers they agree with it."""

    passed: bool
    reached_text: str
    required_text: str

    @property
    def text(self) -> str:
        """The verdict in words that are true of a passed and of a missed threshold."""
        return f"reached {self.reached_text} %, required {self.required_text} %"


def judge(reached: float, required: float, precision: int) -> Threshold:
    """Judge what was reached against what is required, both in per cent.

    `precision` is the least number of decimal places of figures. Raises ValueError if a figure is
    not between 0 and 100.
    """
    if not (0 <= reached <= 100 and 0 <= required <= 100):  # noqa: PLR2004
        raise ValueError(f"per cent lie between 0 and 100: reached {reached}, required {required}")
    exact, limit = Decimal(reached), Decimal(str(required)).normalize(_EXACT)
    places = max(precision, 0, -int(limit.as_tuple().exponent))
    passed = exact == _FULL if limit == _FULL else _rounded(exact, places) >= limit
    shown = _shown(exact, places)
    # A trace of coverage is shown as the least figure there is, which may be what is required.
    while (shown >= limit) != passed:
        places += 1
        shown = _shown(exact, places)
    return Threshold(passed, f"{shown:.{places}f}", f"{limit:f}")


def _rounded(figure: Decimal, places: int) -> Decimal:
    return figure.quantize(Decimal(1).scaleb(-places), context=_EXACT)


def _shown(figure: Decimal, places: int) -> Decimal:
    """A figure rounded, but neither to 0 nor to 100."""
    step = Decimal(1).scaleb(-places)
    if figure in (0, _FULL):
        return _rounded(figure, places)
    return min(max(_rounded(figure, places), step), _EXACT.subtract(_FULL, step))
