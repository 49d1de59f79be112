"""A plaintext as an opaque object: where it comes from, where it goes, and that nothing of it stays in Python."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillvault.crypto.private import Value
from stillvault.protocol.errors import Refused

LIMIT = 60 * 1024


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def read_value(path: Path, *, limit: int = LIMIT) -> Value:
    fd = os.open(path, os.O_RDONLY)
    try:
        return Value.read_fd(fd, limit)
    finally:
        os.close(fd)


@pytest.mark.parametrize("length", [0, 1, 59, 60, 61, 4096, LIMIT])
def test_a_value_is_read_and_written_whole(length: int, tmp_path: Path) -> None:
    given, taken = tmp_path / "given", tmp_path / "taken"
    given.write_bytes(os.urandom(length))
    value = read_value(given)
    assert value.length == length
    fd = os.open(taken, os.O_WRONLY | os.O_CREAT)
    value.write_fd(fd)
    os.close(fd)
    assert taken.read_bytes() == given.read_bytes() == value.reveal()


def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_bytes(bytes(LIMIT + 1))
    for limit in (LIMIT, 10, 10 * LIMIT):
        with pytest.raises(Refused, match="size"):
            read_value(path, limit=limit)
    with pytest.raises(Refused, match="size"):
        Value.from_bytes(bytes(LIMIT + 1))
    with pytest.raises(Refused, match="size"):
        Value.random(LIMIT)


def test_random_values_are_text_and_differ() -> None:
    one, other = Value.random(32), Value.random(32)
    assert one.length == 43
    assert one.reveal() != other.reveal()
    assert one.reveal().decode().isascii()


@pytest.mark.parametrize("fd", [-1, 987_654])
def test_a_wrong_descriptor_is_an_error(fd: int) -> None:
    for attempt in (lambda: Value.from_bytes(b"x").write_fd(fd), lambda: Value.read_fd(fd)):
        with pytest.raises(OSError, match="descriptor"):
            attempt()


def test_a_closed_pipe_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for wait in (True, False):
        with pytest.raises(BrokenPipeError):
            Value.from_bytes(b"x").write_fd(writer, wait=wait)
    os.close(writer)


def test_a_write_that_waits_stops_nobody_else(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    value = Value.from_bytes(bytes(LIMIT))
    os.write(writer, b"in the way" * 1000)
    writing = threading.Thread(target=value.write_fd, args=(writer,))
    writing.start()
    assert value.length == LIMIT  # the interpreter and the value are free while the other thread waits
    left = 10_000 + LIMIT
    while left:
        left -= len(os.read(reader, left))
    writing.join()


def test_a_wiped_value_is_empty() -> None:
    value = Value.from_bytes(b"canary-00aa")
    value.wipe()
    value.wipe()
    for use in (value.reveal, lambda: value.length, lambda: value.write_fd(1)):
        with pytest.raises(Refused, match="memory"):
            use()
