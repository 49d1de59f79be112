"""The encoding as Python sees it: one byte form, refusals with their codes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillvault.crypto.public import (
    b64decode,
    b64encode,
    check_form,
    check_id,
    check_object,
    check_path,
    check_pattern,
    encode,
    leaf_hash,
    node_hash,
    oid_of,
    pattern_matches,
    payload_of,
    request_code,
    sha256,
    visible,
)
from stillvault.protocol.errors import Refused
from tests.unit.world import World

HIDDEN = [0x00, 0x1F, 0x7F, 0xAD, 0x200B, 0x202E, 0xFEFF, 0xE0001]
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)
values = st.recursive(
    texts | st.booleans() | st.integers(0, 2**53 - 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_encode_is_sorted_compact_json(value: object) -> None:
    assert encode(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "null"),
        ({"a": None}, "null"),
        (1.0, "number"),
        (-1, "number"),
        (2**53, "number"),
        (2**80, "number"),
        ({"A": 1}, "field"),
        ({"": 1}, "field"),
        ("\ud800", "char"),
        *[(chr(point), "char") for point in HIDDEN],
        ({"a": "x" * (1 << 20)}, "size"),
    ],
)
def test_encode_refuses(value: object, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        encode(value)
    assert refusal.value.code == code
    assert refusal.value.exit == 15


def test_depth_is_bounded_before_it_is_entered() -> None:
    loop: list[object] = []
    loop.append(loop)
    for value in (loop, json.loads("[" * 17 + "]" * 17)):
        with pytest.raises(Refused, match="depth"):
            encode(value)
    assert encode(json.loads("[" * 16 + "]" * 16)) == b"[" * 16 + b"]" * 16


@pytest.mark.parametrize("value", [b"bytes", ("tuple",), {1, 2}, object(), {1: 2}])
def test_what_has_no_form_is_a_mistake_of_the_caller(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b'{"a":1,"a":1}', "canonical"),
        (b'{"b":1,"a":1}', "canonical"),
        (b'{"a": 1}', "canonical"),
        (b'{"a":"\\u0041"}', "canonical"),
        (b'{"a":null}', "null"),
        (b'{"a":1.5}', "number"),
        (b'{"a":', "json"),
        (b'{"a":"\xff"}', "json"),
        (b"[" * 1000, "depth"),
        (b"{}" + b" " * 70_000, "size"),
    ],
)
def test_form_is_checked_by_encoding_again(payload: bytes, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        check_form("application/vnd.stillvault.login.v1+json", payload)
    assert refusal.value.code == code


def test_schema_is_exact() -> None:
    login = {"org": b64encode(bytes(32)), "origin": "https://localhost", "nonce": b64encode(bytes(32)), "issued": 1}
    assert len(check_object("login", encode(login))) == 32
    for broken in ({**login, "extra": 1}, {k: v for k, v in login.items() if k != "nonce"}, {**login, "issued": "1"}):
        with pytest.raises(Refused, match="field"):
            check_object("login", encode(broken))
    with pytest.raises(Refused, match="type"):
        check_object("no-such-object", encode(login))


def test_a_wrapper_gives_its_payload_unverified() -> None:
    world = World()
    payload = payload_of("root", world.root)
    assert check_object("root", payload) == oid_of(world.root) == world.pin
    with pytest.raises(Refused, match="type"):
        payload_of("roster", world.root)
    with pytest.raises(Refused):
        payload_of("root", world.root + b" ")


def test_grammars() -> None:
    for path in ("prod/db", "a", "a.b_c-d/0"):
        check_path(path)
    for path in ("", "/a", "a/", "a//b", "A", "a/../b", "a b", "a" * 201, "a/%2e"):
        with pytest.raises(Refused, match="path"):
            check_path(path)
    for pattern in ("**", "prod/**", "prod/db"):
        check_pattern(pattern)
    with pytest.raises(Refused):
        check_pattern("prod/*")
    check_id("alice")
    with pytest.raises(Refused):
        check_id("Alice")
    assert pattern_matches("prod/**", "prod/db") and not pattern_matches("prod/**", "prod")


@given(st.binary(max_size=80))
def test_base64_is_strict_both_ways(raw: bytes) -> None:
    text = b64encode(raw)
    assert b64decode(text) == raw
    for broken in (text + "=", text + " ", "+" + text, text + "A" if len(text) % 4 == 0 else text[:-1] + "_" * 5):
        with pytest.raises(Refused, match="base64"):
            b64decode(broken)


def test_visible_escapes_what_hides() -> None:
    assert visible(b"plain \xc3\xa9") == "plain \u00e9"
    assert visible("a\u202eb\\".encode() + b"\xff") == "a\\u{202e}b\\u{5c}\\x{ff}"


def test_hashes() -> None:
    assert leaf_hash(b"x") == sha256(b"\0x")
    assert node_hash(bytes(32), b"\1" * 32) == sha256(b"\1" + bytes(32) + b"\1" * 32)
    assert request_code(bytes(32)) == "000000"
    with pytest.raises(ValueError, match="32"):
        request_code(b"short")
