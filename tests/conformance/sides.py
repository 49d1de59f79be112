"""The implementations that a vector is put to. A side answers an operation with a JSON value or a refusal's code.

`life` and `cards` belong to the product's Python (the relay and the approver decide them there), every other operation to
the extension in a build with the feature `vectors`. The console's TypeScript is asked in Node.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from stillvault import _native
from stillvault.protocol import cards, lifecycle, objects
from stillvault.protocol.errors import Refused
from tests.conformance import console
from tests.reference import vectors as reference
from tests.reference.encoding import Refused as ReferenceRefused

Input = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came of a case: `kind` accept with `value`, refuse with `code`, or crash with `code` naming what was raised."""

    kind: str
    value: Any = None
    code: str = ""

    def __str__(self) -> str:
        return short(self.value) if self.kind == "accept" else f"{self.kind} {self.code}"


def short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 200 else f"{text[:200]}.. ({len(text)} characters)"


def _cards(given: Input) -> Any:
    requests = []
    for wrapper in given["requests"]:
        payload = _native.payload_of("request", _native.encode(wrapper))
        requests.append(msgspec.json.decode(payload, type=objects.Request))
    return {"cards": cards.group(requests)}


def _life(given: Input) -> Any:
    return {"steps": [list(step) for step in lifecycle.run(given["row"], given["events"])]}


def product(op: str, given: Input) -> Answer:
    """The extension, and the product's Python for what is decided there."""
    here: dict[str, Callable[[Input], Any]] = {"cards": _cards, "life": _life}
    try:
        if op in here:
            return Answer("accept", here[op](given))
        return Answer("accept", json.loads(_native.run_vector(op, json.dumps(given).encode())))
    except Refused as refused:
        return Answer("refuse", code=refused.code)
    except Exception as error:  # noqa: BLE001 - a vector may bring anything about, and none of it may stop the run
        return Answer("crash", code=f"{type(error).__name__}: {error}")
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a panic of Rust arrives outside the tree of Exception
            raise
        return Answer("crash", code=f"panic: {error}")


def second(op: str, given: Input) -> Answer:
    """The reference implementation."""
    try:
        return Answer("accept", reference.run(op, given))
    except ReferenceRefused as refused:
        return Answer("refuse", code=refused.code)
    except Exception as error:  # noqa: BLE001 - as above
        return Answer("crash", code=f"{type(error).__name__}: {error}")


_console = console.Console()


def third(op: str, given: Input) -> Answer:
    """The web console."""
    answer = _console.ask(op, given)
    return Answer(answer["kind"], answer.get("value"), answer.get("code", ""))


SIDES = {"extension": product, "reference": second, "console": third}
OPERATIONS = frozenset(reference.OPERATIONS)


def asked(op: str) -> dict[str, Callable[[str, Input], Answer]]:
    """The sides that have the operation."""
    return {side: ask for side, ask in SIDES.items() if side != "console" or op not in console.NOT_IN_CONSOLE}


def missing() -> str:
    """Why a side cannot be asked, or nothing."""
    if "vectors" not in _native.features():
        return "this build of stillvault._native lacks the feature `vectors`: run `make build`"
    return console.missing()
