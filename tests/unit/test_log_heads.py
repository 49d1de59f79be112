"""Checkpoints and consistency: a log that goes back, forks or is signed by another key is refused."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from stillvault.crypto.public import leaf_hash, node_hash
from stillvault.protocol.errors import Refused
from stillvault.transport.trust import open_checkpoint, verify_consistency

ORIGIN = "localhost:8443/log"
KEY = SigningKey(b"\x07" * 32)
PUBLIC = bytes(KEY.verify_key)


def note(size: int, root: bytes, *, origin: str = ORIGIN, name: str = ORIGIN, key: SigningKey = KEY) -> str:
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + bytes(key.verify_key)).digest()[:4]
    signature = key.sign(text.encode()).signature
    return f"{text}\n— {name} {base64.b64encode(key_id + signature).decode()}\n"


def tree(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as written there."""
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(tree(leaves[:half]), tree(leaves[half:]))


def proof(old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2, as written there."""
    if old == len(leaves):
        return [] if whole else [tree(leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= half:
        return [*proof(old, leaves[:half], whole), tree(leaves[half:])]
    return [*proof(old - half, leaves[half:], False), tree(leaves[:half])]


LEAVES = [bytes([n]) for n in range(70)]


@given(st.integers(1, 70), st.integers(1, 70))
def test_every_continuation_verifies(first: int, second: int) -> None:
    old, new = sorted((first, second))
    verify_consistency(old, tree(LEAVES[:old]), new, tree(LEAVES[:new]), proof(old, LEAVES[:new]))


@given(st.integers(1, 70), st.integers(1, 70), st.data())
def test_another_history_does_not(first: int, second: int, data: st.DataObject) -> None:  # A14
    old, new = sorted((first, second))
    other = list(LEAVES[:new])
    other[data.draw(st.integers(0, old - 1))] = b"changed"
    with pytest.raises(Refused) as refused:
        verify_consistency(old, tree(LEAVES[:old]), new, tree(other), proof(old, other))
    assert refused.value.code == "log-fork"


@given(st.integers(2, 70), st.integers(2, 70), st.data())
def test_a_damaged_proof_does_not(first: int, second: int, data: st.DataObject) -> None:
    old, new = sorted((first, second))
    path = proof(old, LEAVES[:new])
    damage = data.draw(st.sampled_from(["drop", "add", "swap"]))
    if damage == "add":
        path.append(b"\0" * 32)
    elif not path:
        return
    elif damage == "drop":
        path.pop(data.draw(st.integers(0, len(path) - 1)))
    else:
        path[data.draw(st.integers(0, len(path) - 1))] = b"\1" * 32
    with pytest.raises(Refused):
        verify_consistency(old, tree(LEAVES[:old]), new, tree(LEAVES[:new]), path)


def test_a_shorter_log_is_a_rollback() -> None:  # A12, B8
    with pytest.raises(Refused) as refused:
        verify_consistency(57, tree(LEAVES[:57]), 41, tree(LEAVES[:41]), [])
    assert refused.value.code == "log-rollback"
    assert "57" in refused.value.message
    assert "41" in refused.value.message


def test_a_checkpoint_by_the_log_key_opens() -> None:
    assert open_checkpoint(note(5, b"\2" * 32), ORIGIN, PUBLIC) == (5, b"\2" * 32)
    other = note(5, b"\2" * 32, key=SigningKey(b"\x09" * 32), name="witness.example").rpartition("\n\n")[2]
    assert open_checkpoint(note(5, b"\2" * 32) + other, ORIGIN, PUBLIC) == (5, b"\2" * 32)


@pytest.mark.parametrize("bad", [
    "", "x", note(5, b"\2" * 32, key=SigningKey(b"\x08" * 32)), note(5, b"\2" * 32, origin="other/log"),
    note(5, b"\2" * 32, name="other"), note(5, b"\2" * 31), note(5, b"\2" * 32).replace("\n5\n", "\n6\n"),
    note(5, b"\2" * 32).replace("\n5\n", "\n05\n"), note(5, b"\2" * 32).replace("\n5\n", "\n²\n"), note(2**60, b"\2" * 32),
    note(5, b"\2" * 32).replace("—", "-"), note(5, b"\2" * 32).partition("\n\n")[0],
])
def test_anything_else_is_refused(bad: str) -> None:
    with pytest.raises(Refused) as refused:
        open_checkpoint(bad, ORIGIN, PUBLIC)
    assert refused.value.code == "log-signature"
