"""A vector file in the making. Every case is put to the reference at once, which must answer as the case says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.reference import vectors as reference
from tests.reference.encoding import Refused


class Wrong(Exception):
    """The reference does not answer as the case says."""


class Book:
    def __init__(self, name: str, defaults: dict[str, dict[str, Any]] | None = None) -> None:
        self.name = name
        self.defaults = defaults or {}
        self.cases: list[dict[str, Any]] = []

    def _given(self, op: str, given: dict[str, Any]) -> dict[str, Any]:
        return json.loads(json.dumps({**self.defaults.get(op, {}), **given}))  # type: ignore[no-any-return]

    def _add(self, name: str, kind: str, op: str, given: dict[str, Any], **more: Any) -> None:
        if any(case["name"] == name for case in self.cases):
            raise Wrong(f"{self.name}: {name} stands twice")
        self.cases.append({"name": name, "kind": kind, "op": op, "input": given, **more})

    def accept(self, name: str, op: str, expect: Any = None, **given: Any) -> None:
        """`expect` where it is known beforehand; else what the reference answers, for the other implementation to match."""
        try:
            answer = reference.run(op, self._given(op, given))
        except Refused as refused:
            raise Wrong(f"{self.name}: {name}: refused, {refused}") from refused
        if expect is not None and answer != expect:
            raise Wrong(f"{self.name}: {name}: wanted {expect}, got {answer}")
        self._add(name, "accept", op, given, expect=answer)

    def refuse(self, name: str, op: str, failure: str, **given: Any) -> None:
        try:
            answer = reference.run(op, self._given(op, given))
        except Refused as refused:
            if refused.code != failure:
                raise Wrong(f"{self.name}: {name}: wanted {failure}, got {refused}") from refused
            self._add(name, "refuse", op, given, failure=failure)
            return
        raise Wrong(f"{self.name}: {name}: wanted {failure}, got {answer}")

    def text(self) -> str:
        """One case a line: a change of one case is one line of the difference."""
        lines = ",\n".join(json.dumps(case, sort_keys=True) for case in self.cases)
        defaults = ",\n".join(f"{json.dumps(op)}: {json.dumps(given, sort_keys=True)}" for op, given in self.defaults.items())
        return f'{{"format": 1, "defaults": {{\n{defaults}\n}}, "cases": [\n{lines}\n]}}\n'

    def write(self, directory: Path) -> Path:
        path = directory / f"{self.name}.json"
        path.write_text(self.text())
        return path
