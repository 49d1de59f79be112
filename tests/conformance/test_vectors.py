"""The vector files of the project: all sides agree with them, they cover what they must, and they are what the script writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conformance import console, sides
from tests.conformance.vectors import Case, read, run_directory
from tests.vectors.make import books

VECTORS = Path(__file__).parents[1] / "vectors"
FILES = sorted(VECTORS.glob("*.json"))


def failure_codes() -> set[str]:
    """The table of tests/vectors/README.md."""
    table = (VECTORS / "README.md").read_text().partition("## Failure codes")[2]
    return set(re.findall(r"`([a-z0-9-]+)`", table))


def cases() -> list[object]:
    return [found for path in FILES for found in read(path)]


def test_all_sides_agree_with_every_case_and_every_code() -> None:
    assert not sides.missing()
    outcome = run_directory(VECTORS, strict_codes=True)
    assert not outcome.lines
    assert outcome.failed == 0
    assert outcome.passed > 1500


def test_the_console_answers_every_operation_but_those_named() -> None:
    assert set(sides.third("operations", {}).value) == sides.OPERATIONS - set(console.NOT_IN_CONSOLE)


def test_every_case_is_of_the_format() -> None:
    assert not [found for found in cases() if not isinstance(found, Case)]


def test_every_failure_code_stands_in_some_case() -> None:
    found = {case["failure"] for path in FILES for case in json.loads(path.read_text())["cases"] if case["kind"] == "refuse"}
    assert found == failure_codes()


def test_every_operation_is_accepted_and_refused_somewhere() -> None:
    found = {(case["op"], case["kind"]) for path in FILES for case in json.loads(path.read_text())["cases"]}
    never_refuse = {"visible", "keys", "cards", "life", "lease"}
    assert found >= {(op, "accept") for op in sides.OPERATIONS}
    assert found >= {(op, "refuse") for op in sides.OPERATIONS - never_refuse}


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return {f"{book.name}.json": book.text() for book in books()}


def test_the_own_files_are_what_the_script_writes(written: dict[str, str]) -> None:
    assert set(written) == {path.name for path in FILES if path.name.startswith("own-")}
    for name, text in written.items():
        assert (VECTORS / name).read_text() == text, f"{name}: run `python -m tests.vectors.make`"
