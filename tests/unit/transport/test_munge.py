"""Credentials by a real munged."""

from __future__ import annotations

import os

import pytest

from carbonsched.errors import AuthenticationError, ExternalError
from carbonsched.transport.munge import Munge
from carbonsched.transport.request import signed_payload


def test_a_credential_proves_who_made_it_and_what_for(munge):
    caller = munge.decode(munge.encode(b"payload \x00 with bytes"))
    assert (caller.uid, caller.gid) == (os.getuid(), os.getgid())
    assert caller.payload == b"payload \x00 with bytes"


def test_an_empty_payload_is_a_payload(munge):
    assert munge.decode(munge.encode(b"")).payload == b""


def test_a_credential_is_accepted_once(munge):
    credential = munge.encode(b"once")
    munge.decode(credential)
    with pytest.raises(AuthenticationError, match=r"(?i)replayed"):
        munge.decode(credential)


def test_a_forged_credential_is_refused(munge):
    credential = munge.encode(b"mine")
    middle = len(credential) // 2
    forged = (
        credential[:middle] + ("A" if credential[middle] != "A" else "B") + credential[middle + 1 :]
    )
    with pytest.raises(AuthenticationError, match="credential refused"):
        munge.decode(forged)


@pytest.mark.parametrize("text", ["", "MUNGE:", "MUNGE:AAAA:", "nonsense", "MUNGE:é:"])
def test_nonsense_is_refused(munge, text):
    with pytest.raises(AuthenticationError):
        munge.decode(text)


def test_a_munged_that_is_away_is_named_with_the_remedy(tmp_path):
    away = Munge(str(tmp_path / "nobody"))
    with pytest.raises(ExternalError, match=r"nobody.*is munged running\?"):
        away.encode(b"x")
    with pytest.raises(ExternalError, match="is munged running"):
        away.decode("MUNGE:AAAA:")


def test_the_payload_differs_by_method_path_and_body():
    payloads = {
        signed_payload(method, path, body)
        for method in ("GET", "POST")
        for path in ("/v1/jobs", "/v1/jobs?user=a")
        for body in (b"", b"{}")
    }
    assert len(payloads) == 8
