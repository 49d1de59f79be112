"""What `stillvault mcp` hands to a model of what a command printed, and of what people wrote: bounded, and every escape whole."""

from __future__ import annotations

import re

import pytest

from stillvault.agents.mcp import answers
from stillvault.agents.mcp.running import HEAD, TAIL, Output
from stillvault.protocol.text import HIDDEN

LEFT_OUT = re.compile(r"\n\[\.\.\. (\d+) characters left out \.\.\.\]\n")
ESCAPE = re.compile(r"\\u\{[0-9a-f]+\}")


def printed(*blocks: bytes) -> Output:
    out = Output()
    for block in blocks:
        out.add(block)
    out.add(b"", last=True)
    return out


@pytest.mark.parametrize("size", [1, 7, 1000, 65536])
@pytest.mark.parametrize("unit", [b"\0", b"\xe2\x80\xae", b"ab\x1b", b"\xf3\xa0\x80\x81", b"\xff", "ü".encode(), b"x\n\t"])
def test_long_output_is_bounded_after_it_was_written_out(unit: bytes, size: int) -> None:
    raw = unit * 20_000
    out = printed(*(raw[at : at + size] for at in range(0, len(raw), size)))
    text = out.text()
    head, count, tail = LEFT_OUT.split(text)
    assert (len(head) <= HEAD, len(tail) <= TAIL, out.truncated) == (True, True, True)
    assert len(head) > HEAD - 10
    assert len(tail) > TAIL - 10
    whole = printed(unit).text() * 20_000
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + len(tail) + int(count) == len(whole)
    rest = ESCAPE.sub("", head) + ESCAPE.sub("", tail)
    assert "\\" not in rest
    assert "}" not in rest
    assert not HIDDEN.search(text.replace("\n", "").replace("\t", ""))


def test_short_output_is_as_it_was() -> None:
    assert printed(b"a\xc3", b"\xbc\n", b"\x1b[2J").text() == "aü\n\\u{1b}[2J"
    assert printed(b"x" * HEAD).text() == "x" * HEAD
    assert printed(b"x" * HEAD, b"y" * TAIL).text() == "x" * HEAD + "y" * TAIL
    assert printed(b"\xc3").text() == "�"
    assert not printed().truncated


@pytest.mark.parametrize("length", range(280, 300))
def test_words_of_people_are_cut_between_escapes(length: int) -> None:
    shown = answers.quote("a" * length + "\u202e" * 5)
    assert len(shown) <= answers.MAX_QUOTED
    assert "\\" not in ESCAPE.sub("", shown)
    assert shown.endswith("…") == (length + 5 * 8 > answers.MAX_QUOTED)
