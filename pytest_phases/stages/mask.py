"""Secrets in a stream of bytes: which variables hold one, and how their values become `***`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

STARS = b"***"
SHORTEST = 8
"""Characters from which on a value is masked; shorter ones would mask words of ordinary output."""

WORDS = frozenset(
    """TOKEN TOKENS AUTHTOKEN SECRET SECRETS PASSWORD PASSWORDS PASSWD PASSPHRASE PASS PWD PGPASSWORD SSHPASS
    KEY KEYS APIKEY SECRETKEY CREDENTIAL CREDENTIALS AUTH PAT DSN""".split()
)
AT_THE_END = (
    *("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"),
    *("APIKEY", "ACCESSKEY", "PRIVATEKEY"),
)
"""Words that say it at the end of another one too: `DBPASSWORD`, `githubToken`."""

NO_SECRETS = frozenset({"PWD", "SSH_AUTH_SOCK"})
"""Names that hold one of the words and are known to hold a path."""


def looks_secret(name: str) -> bool:
    """Whether a variable's name says so, in any case: `API_KEY2` and `GHTOKEN`, not `KEYBOARD`."""
    upper = name.upper()
    if upper in NO_SECRETS:
        return False
    parts = re.split(r"[^A-Z]+", upper)
    return not WORDS.isdisjoint(parts) or any(part.endswith(AT_THE_END) for part in parts)


def secrets_of(environment: Mapping[str, str]) -> tuple[bytes, ...]:
    """The values to mask, without the white space around them (`$(...)` and `echo` lose it too).

    Of a value of several lines, such as a key in PEM, each line is one as well.
    """
    values = (value.strip() for name, value in environment.items() if looks_secret(name))
    parts = (part.strip() for value in values for part in (value, *value.splitlines()))
    return tuple({os.fsencode(part) for part in parts if len(part) >= SHORTEST})


class Masker:
    """Replaces secrets in a stream that arrives in pieces, exactly as if it had arrived whole.

    At every place the longest secret wins. Held back is nothing but an end that may still become
    a secret, so what `feed` returns lags behind by less than the longest one.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)))
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain once `data` has arrived."""
        if not self._secrets:
            return data
        return self._advance(self._held + data, last=False)

    def flush(self) -> bytes:
        """What was held back, now that the stream has ended."""
        return self._advance(self._held, last=True) if self._held else b""

    def _advance(self, data: bytes, last: bool) -> bytes:
        done: list[bytes] = []
        position = 0
        hold = len(data) if last else self._hold(data, 0)
        # Looking for each secret alone is many times faster than the pattern, and mostly in vain.
        if any(secret in data for secret in self._secrets):
            for match in self._pattern.finditer(data):
                if match.start() >= hold:
                    break
                done += (data[position : match.start()], STARS)
                position = match.end()
                if position > hold:
                    hold = self._hold(data, position)
        done.append(data[position:hold])
        self._held = data[hold:]
        return b"".join(done)

    def _hold(self, data: bytes, start: int) -> int:
        """The first place from `start` on where `data` ends before it is clear whether a secret begins."""
        return min((self._hold_for(secret, data, start) for secret in self._secrets), default=len(data))

    @staticmethod
    def _hold_for(secret: bytes, data: bytes, start: int) -> int:
        place = data.find(secret[:1], max(start, len(data) - len(secret) + 1))
        while place >= 0:
            if secret.startswith(data[place:]):
                return place
            place = data.find(secret[:1], place + 1)
        return len(data)
