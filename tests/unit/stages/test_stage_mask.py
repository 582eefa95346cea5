"""Which variables hold secrets, and how their values vanish from a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_phases.stages.mask import Masker, looks_secret, secrets_of


@pytest.mark.parametrize(
    "name",
    """TOKEN GITHUB_TOKEN npm_token CLIENT_SECRET TWINE_PASSWORD PGPASSWORD DB_PASSWD MYSQL_PWD API_KEY2
    AWS_ACCESS_KEY_ID APIKEY GOOGLE_APPLICATION_CREDENTIALS DBPASSWORD GHTOKEN MYSECRET githubToken
    clientSecret ACCESSKEY PRIVATEKEY""".split(),
)
def test_names_that_look_secret(name: str) -> None:
    """A name that holds one of the words whole, or ends one of its parts with it, holds a secret."""
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    ["KEYBOARD_LAYOUT", "MONKEY", "TOKENIZERS_PARALLELISM", "SECRETARY", "HOME", "PWD", "SSH_AUTH_SOCK", ""],
)
def test_names_that_only_look_like_it(name: str) -> None:
    """A word that is part of another, and names known to hold a path, are no secrets."""
    assert not looks_secret(name)


def test_short_values_are_no_secrets() -> None:
    """Eight characters are the least, counted without the white space around them."""
    environment = {"A_TOKEN": "1234567", "B_TOKEN": "12345678", "C_TOKEN": " 1234567\n", "PLAIN": "123456789"}
    assert secrets_of(environment) == (b"12345678",)


@pytest.mark.parametrize(
    ("secrets", "data", "masked"),
    [
        ([], b"nothing to hide", b"nothing to hide"),
        ([b"hunter2hunter2"], b"x hunter2hunter2 y", b"x *** y"),
        ([b"abc", b"abcdef"], b"abcdef abcde", b"*** ***de"),
        ([b"aba"], b"ababa", b"***ba"),
        ([b"\xff\x00.*"], b"\xff\x00.* \xff\x00ab", b"*** \xff\x00ab"),
    ],
)
def test_what_masking_does(secrets: list[bytes], data: bytes, masked: bytes) -> None:
    """From left to right, at every place the longest secret; bytes are taken as they are."""
    masker = Masker(secrets)
    assert masker.feed(data) + masker.flush() == masked


def masked_whole(secrets: list[bytes], data: bytes) -> bytes:
    """The definition of masking, as slow and simple as it can be."""
    done, place = b"", 0
    while place < len(data):
        found = [secret for secret in secrets if secret and data.startswith(secret, place)]
        done += b"***" if found else data[place : place + 1]
        place += max(map(len, found), default=1)
    return done


few_letters = st.text("ab", max_size=7).map(str.encode)


@given(secrets=st.lists(few_letters, max_size=4), pieces=st.lists(few_letters, max_size=12))
def test_where_a_stream_is_cut_makes_no_difference(secrets: list[bytes], pieces: list[bytes]) -> None:
    """However a stream is split, the result is that of the whole, and little is held back on the way."""
    masker = Masker(secrets)
    done = b""
    for count, piece in enumerate(pieces, start=1):
        done += masker.feed(piece)
        whole = masked_whole(secrets, b"".join(pieces[:count]))
        assert len(whole) - len(done) <= 3 * max(map(len, secrets), default=0)
    assert done + masker.flush() == masked_whole(secrets, b"".join(pieces))


def test_nothing_but_the_beginning_of_a_secret_is_held_back() -> None:
    """A prompt without a newline is seen at once."""
    masker = Masker([b"swordfish"])
    assert masker.feed(b"enter the word: ") == b"enter the word: "
    assert masker.feed(b"sword") == b""
    assert masker.feed(b"play") == b"swordplay"
