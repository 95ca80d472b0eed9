"""The end of a refusal names what there is."""

import pytest

from restore.errors import InputError, expected_one_of


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ("drdm", "expected one of ddrm, pnp; did you mean ddrm?"),
        ("quantum", "expected one of ddrm, pnp"),
    ],
)
def test_the_nearest_is_named_where_one_is_near(found, text):
    assert expected_one_of(iter(("ddrm", "pnp")), found) == text


def test_nothing_known_is_said():
    assert expected_one_of((), "ddrm") == "expected one of none"


def test_a_refusal_is_one_line():
    assert str(InputError("my  photo.png: a\nb")) == "my  photo.png: a b"
