"""Secret parameters: what may be written down of them."""

from __future__ import annotations

from shakeout.params import IntParam, StrParam, bind
from shakeout.params.secrets import mask_words, masked


class Account:
    user = StrParam(default="joe")
    password = StrParam(secret=True)
    pin = IntParam(default=12345, secret=True)


def test_values_are_masked_defaults_too() -> None:
    assert masked(bind(Account, {"password": "pw"})) == {"user": "joe", "password": "***", "pin": "***"}
    assert masked(bind(Account, {})) == {"user": "joe", "pin": "***"}


def test_command_lines_are_masked_in_every_form() -> None:
    params = bind(Account, {"password": "a=b"})
    words = ["my.py", "user=joe", "password=a=b", "--password", "a=b", "--secret=a=b", "pin=1", "12345", "b", ""]
    assert mask_words(words, [params]) == (
        "my.py", "user=joe", "password=***", "--password", "***", "--secret=***", "pin=***", "***", "b", "",
    )  # fmt: skip
    assert mask_words(["x=1"], []) == ("x=1",)
