"""The log: RFC 6962 against the definition itself, signed notes, tiles, and what the doctor finds. B7."""

from __future__ import annotations

import base64
import hashlib
import json

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import VerifyKey

from stillvault.crypto.public import b64decode
from stillvault.relay import log
from stillvault.relay.problems import ProblemError
from tests.relay.parties import Organisation


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def mth(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node(mth(hashes[:k]), mth(hashes[k:]))


def verify(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2."""
    if old == new:
        return old_root == new_root and not proof
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for one in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            first, second = node(one, first), node(one, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node(second, one)
        fn, sn = fn >> 1, sn >> 1
    return first == old_root and second == new_root and sn == 0


LEAVES = [leaf(b"%d" % number) for number in range(300)]


def kept(level: int, position: int) -> bytes:
    """A complete subtree, as the store keeps it."""
    width = 1 << level
    return mth(LEAVES[position * width : (position + 1) * width])


@given(st.integers(0, 300))
def test_a_root_is_that_of_the_definition(size: int) -> None:
    assert log.range_root(0, size, kept) == mth(LEAVES[:size])


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_proof_convinces(one: int, other: int) -> None:
    old, new = sorted((one, other))
    proof = log.consistency(old, new, kept)
    if old:
        assert verify(old, new, mth(LEAVES[:old]), mth(LEAVES[:new]), proof)
        if old != new:
            assert not verify(old, new, mth(LEAVES[1 : old + 1]), mth(LEAVES[:new]), proof)


@given(st.integers(0, 10**9), st.integers(-1, 40), st.integers(1, 256))
def test_a_tile_has_one_spelling(index: int, level: int, width: int) -> None:
    assert log.parse_tile(log.tile_path(level, index, width)) == (level, index, width)


@pytest.mark.parametrize(
    "text",
    ["0/1", "0/0000", "0/x000/000", "00/000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/x1/000", "-1/000", "0/", "../0"],
)
def test_another_spelling_of_a_tile_is_refused(text: str) -> None:
    with pytest.raises(ProblemError):
        log.parse_tile(text)


def opened(note: str, origin: str, key: bytes) -> tuple[int, bytes]:
    """A signed note, verified."""
    body, _, signatures = note.partition("\n\n")
    name, size, root = body.split("\n")
    dash, signer, blob = signatures.removesuffix("\n").split(" ")
    assert (name, dash, signer) == (origin, "—", origin)
    raw = base64.b64decode(blob)
    assert raw[:4] == hashlib.sha256(origin.encode() + b"\n\x01" + key).digest()[:4]
    VerifyKey(key).verify((body + "\n").encode(), raw[4:])
    return int(size), base64.b64decode(root)


def test_the_log_of_a_relay_verifies_from_outside(org: Organisation) -> None:
    root = json.loads(base64.urlsafe_b64decode(json.loads(org.root)["payload"] + "=="))
    key = b64decode(root["log"]["public"])
    early = opened(org.admin.get("/v1/log/checkpoint").ok()["checkpoint"], root["log"]["origin"], key)
    for number in range(3):
        org.client(f"host/h{number}")
    page = org.admin.get("/v1/audit?after=0&limit=1000").ok()
    size, head = opened(page["checkpoint"], root["log"]["origin"], key)
    hashes = [leaf(text.encode()) for text in page["leaves"]]
    assert (len(hashes), mth(hashes)) == (size, head)
    proof = org.admin.get(f"/v1/log/consistency?old={early[0]}&new={size}").ok()["proof"]
    assert verify(early[0], size, early[1], head, [b64decode(one) for one in proof])
    tile = org.admin.get(f"/v1/log/tile/0/000.p/{size}").body
    assert tile == b"".join(hashes)
    entries = org.admin.get(f"/v1/log/tile/entries/000.p/{size}").body
    assert entries[2 : 2 + int.from_bytes(entries[:2], "big")] == page["leaves"][0].encode()
    assert org.admin.get(f"/v1/log/tile/0/000.p/{size + 1}").status == 404
    assert org.admin.get(f"/v1/log/consistency?old=1&new={size + 1000}").code == "query"
    assert page["leaves"][0] == json.dumps(json.loads(page["leaves"][0]), sort_keys=True, separators=(",", ":"))


def test_names_that_a_host_gives_are_cut(org: Organisation) -> None:
    """A page of rows is read into memory: nobody can make one of sixty megabytes. The signed request has the whole name."""
    client = org.client()
    org.seal()
    shell = {"exe": "/" + "a" * 9000, "exe_sha256": "A" * 43}
    observed = {"host": "db-1", "uid": 1, "user": "u" * 3000, "exe": "/\\u{202e}" * 2000, "exe_sha256": "A" * 43}
    client.ask(observed={**observed, "grade": "system", "chain": [shell] * 4})[2].ok()
    said = org.leaves("requested")[-1]["detail"]
    assert said["exe"] == "/\\u{202e}" * 113 + "/" + "\u2026"
    assert [len(one) for one in said["chain"]] == [256] * 4
    assert len(said["user"]) == 256


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE leaves SET leaf = CAST(replace(CAST(leaf AS TEXT), 'time', 'tame') AS BLOB) WHERE position = 1",
        "UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE position = 2) WHERE position = 3",
        "DELETE FROM leaves WHERE position = (SELECT max(position) FROM leaves) - 1",
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND position = 1",
    ],
)
def test_the_doctor_names_a_changed_log(org: Organisation, damage: str) -> None:  # B7
    org.relay.stop()
    connection = apsw.Connection(str(org.relay.data / "stillvault.db"))
    connection.execute(damage)
    connection.close()
    done = org.relay.command("doctor", "--data", str(org.relay.data))
    assert done.returncode == 1
    line = next(line for line in done.stdout.decode().splitlines() if line.startswith("FAIL log"))
    assert "leaf" in line or "node" in line or "cannot be read" in line
    org.relay.start()
