from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ProviderRefusedError
from carbonsched.intensity.http.secret import Secret, scrubbed

WORD = "s3cr3t-word"


def test_nothing_but_reveal_shows_it():
    secret = Secret(WORD)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", "%s %r" % (secret, secret)]  # noqa: UP031
    shown += [repr({"key": secret}), repr([secret]), str(vars(type(secret)))]
    assert not [text for text in shown if WORD in text]
    assert secret.reveal() == WORD


@pytest.mark.parametrize("store", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_not_stored(store):
    with pytest.raises(TypeError, match="a secret is not stored"):
        store(Secret(WORD))
    with pytest.raises(TypeError):
        json.dumps(Secret(WORD))


def test_a_file_is_read_whenever_the_key_is_needed(tmp_path):
    file = tmp_path / "key"
    secret = Secret.from_file(file)
    with pytest.raises(ProviderRefusedError, match="cannot be read: No such file"):
        secret.reveal()
    file.write_text(f"{WORD}\n")
    file.chmod(0o600)
    assert secret.reveal() == WORD
    file.write_text("another")
    assert secret.reveal() == "another"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o660, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path, mode):
    file = tmp_path / "key"
    file.write_text(WORD)
    file.chmod(mode)
    with pytest.raises(ProviderRefusedError, match="others may use it; chmod 640") as caught:
        Secret.from_file(file).reveal()
    assert WORD not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "holds no key"),
        (b" \n\n", "holds no key"),
        (b"two\nlines", "one line"),
        (b"two words", "without spaces"),
        (b"key=\xff\xfe", "one line"),
        (b"a\x00b", "one line"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path, raw, words):
    file = tmp_path / "key"
    file.write_bytes(raw)
    file.chmod(0o600)
    with pytest.raises(ProviderRefusedError, match=words) as caught:
        Secret.from_file(file).reveal()
    assert str(caught.value).startswith(f"key_file {file}: ")
    assert "two" not in str(caught.value).removeprefix(f"key_file {file}: ")


def test_a_folder_is_no_key_file(tmp_path):
    with pytest.raises(ProviderRefusedError, match="cannot be read: Is a directory"):
        Secret.from_file(tmp_path).reveal()


def test_a_variable_of_the_environment():
    given_ = {"A": WORD, "B": ""}
    assert Secret.from_environment("A", given_).reveal() == WORD
    for name in ("B", "C"):
        with pytest.raises(ProviderRefusedError, match=f"^key_env {name}: holds no key"):
            Secret.from_environment(name, given_).reveal()


@given(st.lists(st.text(min_size=1, alphabet="abc*"), max_size=4), st.text(alphabet="abcxyz"))
def test_no_value_is_left_in_a_text(values, text):
    plain = [value for value in values if "*" not in value]
    assert not [value for value in plain if value in scrubbed(text, plain)]
