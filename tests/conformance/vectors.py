"""Runs every vector file found in a directory against the extension, the reference and the web console.

    python -m tests.conformance [--strict-codes] [DIR]          (default DIR: tests/vectors)

A file is `{"format": 1, "defaults": {op: {..}}, "cases": [..]}`; a case is `{name, kind, op, input, expect?, failure?, note?}`
and its full input is `defaults[op]` overlaid, field by field and not deeper, with `input`. `accept` means that the result
equals `expect`; `refuse`, that the operation refused.

Each disagreement of a side with the expectation is one line: file, case, operation, side, wanted, got. The last line is
`N passed, N failed`, counted in cases; the status is 1 when one failed, or when there was nothing to run. What is not of the
format (a broken file, an unknown operation, a case without its fields) is an error line and counts as failed: a vector that
cannot be run has shown nothing. JSON without `format` and `cases` is named and left out.

A refusal with another code than the file's `failure` is right: an input can be wrong in two ways, and who looks first names
it. It is printed as a note. With `--strict-codes` it counts as failed; the project's own run does that for its own files,
because the codes are what a person reads and what the documentation explains, and all sides check in the order of
docs/protocol.md. Vectors made elsewhere are run without.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.conformance.sides import OPERATIONS, Answer, asked, missing, short

FORMAT = 1
TWINS = frozenset({"number", "json", "canonical"})  # one number in another form may be any of the three


class Malformed(Exception):
    """Not of the vector format."""


class Other(Exception):
    """JSON that does not mean to be a vector file."""


@dataclass(frozen=True)
class Case:
    file: str
    name: str
    kind: str
    op: str
    given: dict[str, Any]
    expect: Any
    failure: str

    @property
    def wanted(self) -> str:
        return short(self.expect) if self.kind == "accept" else f"refuse {self.failure}"


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    lines: list[str] = field(default_factory=list)


def _case(file: str, number: int, raw: Any, defaults: dict[str, Any]) -> Case:
    if not isinstance(raw, dict):
        raise Malformed(f"case {number} is not an object")
    name, kind, op = raw.get("name"), raw.get("kind"), raw.get("op")
    where = f"case {number} ({name!r})"
    if not isinstance(name, str) or kind not in ("accept", "refuse") or not isinstance(raw.get("input"), dict):
        raise Malformed(f"{where} lacks name, kind or input")
    if op not in OPERATIONS:
        raise Malformed(f"{where} has the unknown operation {op!r}")
    if not isinstance(defaults.get(op, {}), dict):
        raise Malformed(f"{where} has defaults that are not an object")
    if kind == "accept" and "expect" not in raw:
        raise Malformed(f"{where} accepts, and lacks `expect`")
    given = {**defaults.get(op, {}), **raw["input"]}
    return Case(file, name, kind, op, given, raw.get("expect"), str(raw.get("failure", "")))


def is_vector_file(content: Any) -> bool:
    """Whether it means to be one. Another JSON file may lie beside the vectors, and is named and left out."""
    return isinstance(content, dict) and ("cases" in content or "format" in content)


def read(path: Path) -> Iterator[Case | Malformed | Other]:
    """The cases of a file; a case that is not of the format comes as `Malformed` and does not hide the others."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        yield Malformed(f"not JSON: {error}")
        return
    if not is_vector_file(content):
        yield Other("not a vector file, left out")
        return
    if content.get("format") != FORMAT or not isinstance(content.get("cases"), list):
        yield Malformed(f"not a vector file of format {FORMAT}")
        return
    defaults = content.get("defaults", {})
    if not isinstance(defaults, dict):
        yield Malformed("`defaults` is not an object")
        return
    for number, raw in enumerate(content["cases"], 1):
        try:
            yield _case(path.name, number, raw, defaults)
        except Malformed as error:
            yield error


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is not true, and the order of names does not count."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def judge(case: Case, answer: Answer) -> str:
    """`ok`, `code` (refused by another check), or `wrong`."""
    if answer.kind != case.kind:
        return "wrong"
    if case.kind == "accept":
        return "ok" if same(answer.value, case.expect) else "wrong"
    twins = answer.code in TWINS and case.failure in TWINS
    return "ok" if answer.code == case.failure or twins or not case.failure else "code"


def run_case(case: Case, outcome: Outcome, *, strict_codes: bool) -> None:
    good = True
    for side, ask in asked(case.op).items():
        answer = ask(case.op, case.given)
        verdict = judge(case, answer)
        if verdict == "ok":
            continue
        bad = verdict == "wrong" or strict_codes
        good = good and not bad
        word = "FAILED" if bad else "note"
        outcome.lines.append(f"{word} {case.file}: {case.name} [{case.op}] {side}: wanted {case.wanted}, got {answer}")
    outcome.passed += good
    outcome.failed += not good


def run_directory(directory: Path, *, strict_codes: bool = False) -> Outcome:
    outcome = Outcome()
    for path in sorted(directory.rglob("*.json")):
        for found in read(path):
            if isinstance(found, Other):
                outcome.lines.append(f"note {path.name}: {found}")
            elif isinstance(found, Malformed):
                outcome.failed += 1
                outcome.lines.append(f"FAILED {path.name}: {found}")
            else:
                run_case(found, outcome, strict_codes=strict_codes)
    return outcome


def main(arguments: list[str] | None = None, out: TextIO = sys.stdout) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="Run vector files.")
    parser.add_argument("directory", nargs="?", type=Path, default=Path("tests/vectors"), metavar="DIR")
    parser.add_argument("--strict-codes", action="store_true", help="another code than the file's counts as failed")
    options = parser.parse_args(arguments)
    outcome = Outcome()
    if why := missing():
        outcome.lines.append(f"error: {why}")
    elif not options.directory.is_dir():
        outcome.lines.append(f"error: {options.directory} is not a directory")
    else:
        outcome = run_directory(options.directory, strict_codes=options.strict_codes)
        if not outcome.passed + outcome.failed:
            outcome.lines.append(f"error: no vector file in {options.directory}")
    for line in outcome.lines:
        print(line, file=out)
    print(f"{outcome.passed} passed, {outcome.failed} failed", file=out)
    return 0 if outcome.passed and not outcome.failed else 1


if __name__ == "__main__":
    raise SystemExit(main())
