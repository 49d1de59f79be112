"""own-encoding.json: section 2, the form of bytes."""

from __future__ import annotations

import json

from tests.reference.encoding import HIDDEN, b64, type_of
from tests.reference.world import World

from .book import Book

LOGIN = type_of("login")
ROSTER = type_of("roster")


def make(world: World) -> Book:
    book = Book("own-encoding")
    _form(book)
    _characters(book)
    _base64(book)
    _visible(book)
    return book


def _form(book: Book) -> None:
    def payload(text: str | bytes) -> str:
        return b64(text if isinstance(text, bytes) else text.encode())

    good = {
        "empty object": "{}", "zero": '{"a":0}', "2^53-1": '{"a":9007199254740991}',
        "quote and backslash": r'{"a":"\"\\"}', "slash unescaped": '{"a":"/"}',
        "names sorted by bytes": '{"a":1,"a0":2,"a_":3,"aa":4}',
        "a long name": '{"' + "a" * 300 + '":1}', "the character after each hidden range": json.dumps(
            {"a": "".join(chr(high + 1) for _, high in HIDDEN if high not in (0x1F,) and high < 0xE0FFF)}, ensure_ascii=False,
            separators=(",", ":")),
    }  # fmt: skip
    for name, text in good.items():
        book.accept(name, "decode", type=LOGIN, payload=payload(text))
    bad = {
        "no bytes": ("", "json"), "a list outermost": ("[1]", "field"), "a string outermost": ('"a"', "field"),
        "two values": ("{}{}", "json"), "cut off": ('{"a":', "json"), "single quotes": ("{'a':1}", "json"),
        "trailing comma": ('{"a":1,}', "json"), "byte order mark": ("\ufeff{}", "json"), "comment": ('{"a":1}//', "json"),
        "leading zero": ('{"a":01}', "json"), "plus sign": ('{"a":+1}', "json"), "overlong UTF-8": (b'{"a":"\xc0\xaf"}', "json"),
        "UTF-8 of a surrogate": (b'{"a":"\xed\xa0\x80"}', "json"), "beyond U+10FFFF": (b'{"a":"\xf4\x90\x80\x80"}', "json"),
        "UTF-16": ('{"a":1}'.encode("utf-16"), "json"),
        "null": ('{"a":null}', "null"), "null in a list": ('{"a":[null]}', "null"), "null outermost": ("null", "null"),
        "float": ('{"a":1.5}', "number"), "exponent": ('{"a":1e3}', "number"), "minus one": ('{"a":-1}', "number"),
        "2^53": ('{"a":9007199254740992}', "number"), "2^64": ('{"a":18446744073709551616}', "number"),
        "a thousand digits": ('{"a":' + "9" * 1000 + "}", "number"), "Infinity": ('{"a":Infinity}', "number"),
        "depth 17": ('{"a":' + "[" * 16 + "]" * 16 + "}", "depth"), "depth 17 of objects": ('{"a":' * 17 + "1" + "}" * 17,
        "depth"),
        "depth 5000": ('{"a":' + "[" * 5000 + "]" * 5000 + "}", "depth"),
        "space after a colon": ('{"a": 1}', "canonical"), "space before": (" {}", "canonical"),
        "names unsorted": ('{"b":1,"a":2}', "canonical"),
        "nested names unsorted": ('{"a":{"c":1,"b":2}}', "canonical"), "escaped slash": (r'{"a":"\/"}', "canonical"),
        "escaped non-ASCII": (r'{"a":"\u00e9"}', "canonical"), "surrogate pair escaped": (r'{"a":"\ud83d\ude00"}', "canonical"),
        "escaped name": (r'{"\u0061":1}', "canonical"), "duplicate key deep inside": ('{"a":[{"b":1,"b":1}]}', "canonical"),
        "empty name": ('{"":1}', "field"), "upper-case name": ('{"A":1}', "field"),
        "name that begins with a digit": ('{"1a":1}', "field"),
        "name that begins with a line": ('{"_a":1}', "field"), "name with a hyphen": ('{"a-b":1}', "field"),
        "name with a trailing newline": ('{"a\\n":1}', "char"), "non-ASCII name": ('{"é":1}', "field"),
        "data as a name deep inside": ('{"a":[{"prod/db":1}]}', "field"),
        "64 KiB and one byte": ('{"a":"' + "x" * 65529 + '"}', "size"),
    }  # fmt: skip
    for name, (text, code) in bad.items():
        book.refuse(name, "decode", code, type=LOGIN, payload=payload(text))
    long = payload('{"a":"' + "x" * 70_000 + '"}')
    book.accept("70 KB in a roster", "decode", type=ROSTER, payload=long)
    book.refuse("70 KB elsewhere", "decode", "size", type=type_of("secret"), payload=long)
    for name, kind in {"unknown object": LOGIN.replace("login", "loginx"), "version 2": LOGIN.replace("v1", "v2"),
                       "type with white space": LOGIN + " ", "type in capitals": LOGIN.upper(),
                       "no type": ""}.items():  # fmt: skip
        book.refuse(name, "decode", "type", type=kind, payload=payload("{}"))


def _characters(book: Book) -> None:
    """The first and last of each hidden range, raw and (where JSON has it) as an escape."""
    for low, high in HIDDEN:
        for point in sorted({low, high}):
            escaped = json.dumps({"a": chr(point)}, separators=(",", ":"))
            book.refuse(f"U+{point:04X} as an escape", "decode", "char", type=LOGIN, payload=b64(escaped.encode()))
            if point >= 0x7F and not 0xD800 <= point <= 0xDFFF:
                raw = f'{{"a":"{chr(point)}"}}'.encode()
                book.refuse(f"U+{point:04X} raw", "decode", "char", type=LOGIN, payload=b64(raw))
    book.refuse("a raw newline in a string", "decode", "char", type=LOGIN, payload=b64(b'{"a":"\n"}'))
    for point in (0x20, 0x7E, 0xA0, 0xAC, 0xAE, 0x2027, 0x202F, 0x2070, 0xD7FF, 0xE000, 0xFFFC, 0xFFFF, 0x1F600, 0x10FFFF):
        book.accept(f"U+{point:04X} stays", "decode", type=LOGIN, payload=b64(f'{{"a":"{chr(point)}"}}'.encode()))


def _base64(book: Book) -> None:
    for text, value in {"AA": "00", "AAA": "0000", "AAAA": "000000", "_-8": "ffef", "AQI": "0102"}.items():
        book.accept(f"base64url {text!r}", "base64", {"hex": value}, text=text)
    for text in ("AA==", "AB", "AAF", "AAAAA", "A A", "AA\n", "\nAA", "+/8", "ab.d", "é", "AA\u0000", "====", "AA="):
        book.refuse(f"base64url {text!r}", "base64", "base64", text=text)


def _visible(book: Book) -> None:
    for name, raw, text in (
        ("nothing", b"", ""),
        ("newline", b"a\nb", r"a\u{a}b"),
        ("NUL", b"\x00", r"\u{0}"),
        ("backslash", b"a\\u{202e}", r"a\u{5c}u{202e}"),
        ("right-to-left override", "a\u202eb".encode(), r"a\u{202e}b"),
        ("tag character", "\U000e0041".encode(), r"\u{e0041}"),
        ("byte ff", b"a\xffb", r"a\x{ff}b"),
        ("byte of a sequence cut off", "é".encode()[:1], r"\x{c3}"),
        ("three bytes of an emoji cut off", "😀".encode()[:3], r"\x{f0}\x{9f}\x{98}"),
        ("UTF-8 of a surrogate", b"\xed\xa0\x80", r"\x{ed}\x{a0}\x{80}"),
        ("overlong slash", b"\xc0\xaf", r"\x{c0}\x{af}"),
        ("beyond U+10FFFF", b"\xf4\x90\x80\x80", r"\x{f4}\x{90}\x{80}\x{80}"),
        ("emoji stays", "😀".encode(), "😀"),
        ("no normal form", "e\u0301é".encode(), "e\u0301é"),
        ("variation selector", "a\ufe0f".encode(), r"a\u{fe0f}"),
        ("DEL and C1", "\x7f\x85".encode(), r"\u{7f}\u{85}"),
    ):
        book.accept(f"visible: {name}", "visible", {"text": text}, bytes=b64(raw))
