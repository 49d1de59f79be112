"""Protocol section 2: canonical JSON, base64url, object ids, visible text.

`decode` is the only way in for bytes from outside. It refuses what the canonical form does not allow, then encodes the
value again and compares, which leaves one byte string for each value.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

KIB = 1024
PAYLOAD_LIMIT = 64 * KIB  # bytes
ROSTER_LIMIT = 1024 * KIB  # bytes
WRAPPER_LIMIT = 1536 * KIB  # bytes
DEPTH_LIMIT = 16
LARGEST = 2**53 - 1
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
B64 = re.compile(r"[A-Za-z0-9_-]*\Z")

HIDDEN = (
    (0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xD800, 0xDFFF),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)  # fmt: skip

OBJECTS = ("root", "roster", "client-cert", "secret", "request", "decision", "receipt", "use", "cancel", "enrol", "login")


class Refused(Exception):
    """A check that failed. `code` is the stable short name of the check."""

    def __init__(self, code: str, why: str = "") -> None:
        super().__init__(f"{code}: {why}" if why else code)
        self.code = code


HIDDEN_CHARACTER = re.compile("[" + "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in HIDDEN) + "]")


def check_form(value: Any, depth: int = 1) -> None:
    """Section 2, first and third bullet, of a parsed value: what may stand in a payload at all."""
    if isinstance(value, bool):
        return
    if value is None:
        raise Refused("null", "an absent field is left out")
    if isinstance(value, float):
        raise Refused("number", "no floats")
    if isinstance(value, int):
        if not 0 <= value <= LARGEST:
            raise Refused("number", "integers are 0 to 2^53-1")
        return
    if isinstance(value, str):
        if HIDDEN_CHARACTER.search(value):
            raise Refused("char", "a raw control, bidi, invisible or surrogate character")
        return
    if depth > DEPTH_LIMIT:
        raise Refused("depth", "more than 16 levels")
    if isinstance(value, list):
        for item in value:
            check_form(item, depth + 1)
        return
    if isinstance(value, dict):
        for name, item in value.items():
            check_form(name, depth + 1)
            if not NAME.match(name):
                raise Refused("field", "a field name outside [a-z][a-z0-9_]*")
            check_form(item, depth + 1)
        return
    raise Refused("json", "not a JSON value")


def encode(value: Any) -> bytes:
    """The one canonical form of a value (RFC 8785 under the restrictions of section 2)."""
    check_form(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def _integer(text: str) -> int:
    if len(text) > 17:  # longer than 2^53-1 can be, and long digits cost time
        raise Refused("number", "integers are 0 to 2^53-1")
    return int(text)


def _no_float(text: str) -> Any:
    raise Refused("number", "no floats")


def parse_json(raw: bytes) -> Any:
    """JSON with the numbers of section 2. Says nothing yet about form: a raw control character is left to `check_form`."""
    try:
        return json.loads(raw.decode(), strict=False, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float)
    except RecursionError as error:
        raise Refused("depth", "more than 16 levels") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Refused("json", "not UTF-8 JSON") from error


def decode(raw: bytes, limit: int) -> dict[str, Any]:
    """A canonical object of at most `limit` bytes, or a refusal."""
    if len(raw) > limit:
        raise Refused("size", f"more than {limit} bytes")
    value = parse_json(raw)
    check_form(value)
    if not isinstance(value, dict):
        raise Refused("field", "the outermost value is not an object")
    if encode(value) != raw:
        raise Refused("canonical", "the bytes are not those of the canonical form")
    return value


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """base64url without padding, spare bits zero: one text for each byte string."""
    if not isinstance(text, str) or not B64.match(text) or len(text) % 4 == 1:
        raise Refused("base64", "not base64url without padding")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(raw) != text:
        raise Refused("base64", "spare bits are not zero")
    return raw


def type_of(name: str) -> str:
    if name not in OBJECTS:
        raise Refused("type", "no such object")
    return f"application/vnd.stillvault.{name}.v1+json"


def name_of(text: str) -> str:
    for name in OBJECTS:
        if type_of(name) == text:
            return name
    raise Refused("type", "no such type")


def limit_of(name: str) -> int:
    return ROSTER_LIMIT if name == "roster" else PAYLOAD_LIMIT


def pae(type_text: str, payload: bytes) -> bytes:
    """DSSE v1 pre-authentication encoding. Lengths are of bytes."""
    raw_type = type_text.encode()
    return b"DSSEv1 %d %b %d %b" % (len(raw_type), raw_type, len(payload), payload)


def oid(type_text: str, payload: bytes) -> bytes:
    return sha256(pae(type_text, payload))


def sha256(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def domain(label: str, *items: Any) -> bytes:
    """A domain string and what follows it, as the canonical array that HPKE, HKDF and the hashes take."""
    return encode([f"stillvault/v1/{label}", *items])


def visible(raw: bytes) -> str:
    """Bytes from outside as a producer writes them into a string: nothing hidden stays raw, and `\\` is unambiguous."""
    shown = []
    for char in raw.decode(errors="surrogateescape"):
        point = ord(char)
        if 0xDC80 <= point <= 0xDCFF:  # the decoder's mark for one byte that is not UTF-8
            shown.append(f"\\x{{{point - 0xDC00:x}}}")
        elif char == "\\" or HIDDEN_CHARACTER.match(char):
            shown.append(f"\\u{{{point:x}}}")
        else:
            shown.append(char)
    return "".join(shown)
