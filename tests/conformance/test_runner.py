"""The runner itself: it finds a disagreement, an error in a file and an empty directory, and says so in its last line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.vectors import main

GOOD = {"name": "fine", "kind": "accept", "op": "path", "input": {"path": "a/b"}, "expect": {}}


def run(directory: Path, *arguments: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    status = main([*arguments, str(directory)], out)
    return status, out.getvalue().splitlines()


def write(directory: Path, *cases: Any, name: str = "some.json", **more: Any) -> None:
    (directory / name).write_text(json.dumps({"format": 1, "defaults": {}, "cases": list(cases), **more}))


def test_all_good(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert run(tmp_path) == (0, ["1 passed, 0 failed"])


def test_defaults_are_overlaid_and_not_deeper(tmp_path: Path) -> None:
    case = {"name": "n", "kind": "accept", "op": "hit", "expect": {}, "input": {"lease": {"window": 9, "uses": 0,
    "id": {"a": 1}}}}
    defaults = {"lease": {"id": {"b": 1}}, "start": 0, "boot": 1, "used": 1, "before": {"a": 1}, "after": {"a": 1}}
    write(tmp_path, case, defaults={"hit": defaults})
    assert run(tmp_path) == (0, ["1 passed, 0 failed"])


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ({**GOOD, "expect": {"x": 1}}, "wanted"),
        ({**GOOD, "expect": 1}, "wanted 1, got {}"),
        ({**GOOD, "input": {"path": "A"}}, "got refuse path"),
        ({"name": "n", "kind": "refuse", "op": "path", "input": {"path": "a"}, "failure": "path"}, "wanted refuse path, got {}"),
    ],
)
def test_a_disagreement_is_a_line_for_each_side(tmp_path: Path, case: Any, says: str) -> None:
    write(tmp_path, GOOD, case)
    status, lines = run(tmp_path)
    assert status == 1
    assert lines[-1] == "1 passed, 1 failed"
    assert len(lines) == 4
    for side, line in zip(("extension", "reference", "console"), lines, strict=False):
        assert line.startswith("FAILED some.json: ")
        assert f" {side}: " in line
        assert says in line


def test_another_code_is_a_note_unless_codes_are_strict(tmp_path: Path) -> None:
    write(tmp_path, {"name": "n", "kind": "refuse", "op": "path", "input": {"path": "A"}, "failure": "field"})
    status, lines = run(tmp_path)
    assert (status, lines[-1]) == (0, "1 passed, 0 failed")
    assert [line.split(" ")[0] for line in lines[:-1]] == ["note", "note", "note"]
    status, lines = run(tmp_path, "--strict-codes")
    assert (status, lines[-1]) == (1, "0 passed, 1 failed")


def test_the_three_names_of_a_bad_number_are_one(tmp_path: Path) -> None:
    given = {"type": "application/vnd.stillvault.login.v1+json", "payload": "eyJhIjotMH0"}  # {"a":-0}
    case = {"name": "n", "kind": "refuse", "op": "decode", "input": given}
    write(tmp_path, *({**case, "failure": code} for code in ("number", "json")))
    assert run(tmp_path, "--strict-codes") == (0, ["2 passed, 0 failed"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"format": 2, "defaults": {}, "cases": []}', "not a vector file"),
        ('{"format": 1, "defaults": [], "cases": []}', "`defaults` is not an object"),
        ('{"format": 1, "cases": [3]}', "case 1 is not an object"),
        ('{"format": 1, "cases": [{"name": "a", "kind": "maybe", "op": "path", "input": {}}]}', "lacks name, kind or input"),
        ('{"format": 1, "cases": [{"name": "a", "kind": "accept", "op": "fly", "input": {}}]}', "unknown operation 'fly'"),
        ('{"format": 1, "cases": [{"name": "a", "kind": "accept", "op": "path", "input": {}}]}', "lacks `expect`"),
        (
            '{"format": 1, "defaults": {"path": 1}, "cases": [{"name": "a", "kind": "accept", "op": "path", "input": {}}]}',
            "defaults that are not an object",
        ),
    ],
)
def test_what_is_not_of_the_format_counts_as_failed(tmp_path: Path, text: str, says: str) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "bad.json").write_text(text)
    status, lines = run(tmp_path)
    assert (status, lines[-1]) == (1, "1 passed, 1 failed")
    assert any(line.startswith("FAILED bad.json: ") and says in line for line in lines)


@pytest.mark.parametrize("text", ["[]", "3", '{"schema": "x"}'])
def test_other_json_is_named_and_left_out(tmp_path: Path, text: str) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "other.json").write_text(text)
    assert run(tmp_path) == (0, ["note other.json: not a vector file, left out", "1 passed, 0 failed"])


def test_a_refusal_without_a_code_is_any_refusal(tmp_path: Path) -> None:
    write(tmp_path, {"name": "n", "kind": "refuse", "op": "path", "input": {"path": "A"}})
    assert run(tmp_path, "--strict-codes") == (0, ["1 passed, 0 failed"])


def test_nothing_to_run_is_no_success(tmp_path: Path) -> None:
    assert run(tmp_path) == (1, [f"error: no vector file in {tmp_path}", "0 passed, 0 failed"])
    assert run(tmp_path / "none") == (1, [f"error: {tmp_path / 'none'} is not a directory", "0 passed, 0 failed"])
