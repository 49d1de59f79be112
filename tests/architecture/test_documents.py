"""The documents against the code: every code of a refusal is explained, and nothing names somebody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def refusal_codes() -> list[str]:
    """The stable codes as the core lists them."""
    source = (ROOT / "native" / "core" / "src" / "error.rs").read_text()
    listed = source[source.index("\ncodes! {") :]
    codes = re.findall(r'\w+ = "([a-z0-9-]+)"', listed)
    assert len(codes) > 50
    assert len(codes) == len(set(codes))
    return codes


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_every_refusal_is_documented() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text()
    assert [code for code in refusal_codes() if f"`{code}`" not in text] == []


def test_nothing_names_a_machine() -> None:
    """The project stands alone: no file points to a place that only its author has."""
    place = re.compile(rb"(?<![\w.$}*])/(?:work|Users/\w+|home/(?!\w+/\.config)\w+/\w+)/|\.\./shared\b")
    found = [str(path) for path in tracked() if path.suffix not in {".lock", ".png"} and place.search(path.read_bytes())]
    assert found == [str(Path(__file__))] or found == []


def test_the_tests_that_the_threat_model_names_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    named = re.findall(r"`((?:core|[a-z]+)/[a-z_/]+\.(?:py|rs))`", text)
    assert len(named) > 30
    places = [ROOT / "native/core/tests" / name[5:] if name.startswith("core/") else ROOT / "tests" / name for name in named]
    assert [str(place) for place in places if not place.is_file()] == []
