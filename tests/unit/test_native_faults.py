"""A fault of the core's own: an exception that ordinary code catches, and no word of what the core was working on."""

from __future__ import annotations

import pytest

from stillvault import _native
from stillvault.protocol.errors import Failed, Refused

CANARY = b"canary-2c77-fault"


def test_a_panic_is_an_exception_without_content(capfd: pytest.CaptureFixture[str]) -> None:
    # B2
    with pytest.raises(Failed) as fault:
        _native.run_vector("panic", CANARY)
    assert (fault.value.code, fault.value.exit) == ("internal", 1)
    shown = "".join(capfd.readouterr()) + repr(fault.value)
    assert "internal fault at" in shown
    assert CANARY.decode() not in shown


def test_a_refusal_carries_code_and_exit() -> None:
    with pytest.raises(Refused) as refusal:
        _native.check_path("no path")
    assert (refusal.value.code, refusal.value.exit) == ("path", 15)
    assert str(refusal.value).startswith("path: ")
