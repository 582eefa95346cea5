"""How long ago something was, in words."""

from __future__ import annotations

from datetime import datetime, timezone

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
UNKNOWN = "some time"


def age(started: str, now: str) -> str:
    """The time between two moments (ISO 8601): `40 s`, `5 min`, `3 h`, `2 days`.

    `some time` if a clock went backwards, or one of them is no time.
    """
    try:
        seconds = int((_moment(now) - _moment(started)).total_seconds())
    except ValueError:
        return UNKNOWN
    if seconds < 0:
        return UNKNOWN
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h"
    days = seconds // _DAY
    return f"{days} day{'s' if days > 1 else ''}"


def _moment(text: str) -> datetime:
    # Python 3.10 does not read a Z.
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
