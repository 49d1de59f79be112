"""Protocol section 5.4: Shamir's sharing over GF(2^8) with the polynomial 0x11b, byte by byte, x = index."""

from __future__ import annotations

from .encoding import Refused, sha256

LENGTH = 32  # bytes of a share


def multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11B
        b >>= 1
    return product


def invert(a: int) -> int:
    """a^254: the field has 255 units."""
    result = 1
    for _ in range(254):
        result = multiply(result, a)
    return result


def split(secret: bytes, indices: list[int], coefficients: list[bytes]) -> dict[int, bytes]:
    """Shares for `indices`; `coefficients` are those of x, x^2, ... (uniform; one fewer than the threshold)."""
    out = {}
    for index in indices:
        share = bytearray(secret)
        power = 1
        for row in coefficients:
            power = multiply(power, index)
            for at, byte in enumerate(row):
                share[at] ^= multiply(byte, power)
        out[index] = bytes(share)
    return out


def join(shares: list[tuple[int, bytes]]) -> bytes:
    """Interpolation at 0 of all the shares given."""
    if not shares:
        raise Refused("quorum", "no shares")
    indices = [index for index, _ in shares]
    if len(set(indices)) != len(indices) or not all(0 < index < 256 for index in indices):
        raise Refused("index", "indices are 1 to 255 and distinct")
    if any(len(share) != LENGTH for _, share in shares):
        raise Refused("share", "a share has 32 bytes")
    secret = bytearray(LENGTH)
    for index, share in shares:
        weight = 1
        for other in indices:
            if other != index:
                weight = multiply(weight, multiply(other, invert(other ^ index)))
        for at, byte in enumerate(share):
            secret[at] ^= multiply(byte, weight)
    return bytes(secret)


def commitment(salt: bytes, index: int, share: bytes) -> bytes:
    return sha256(b"stillvault/v1/share" + b"\x00" + salt + bytes([index]) + share)


def check(salt: bytes, index: int, share: bytes, committed: bytes) -> None:
    if not 0 < index < 256 or len(share) != LENGTH or commitment(salt, index, share) != committed:
        raise Refused("share", "not the share that the sealer made")
