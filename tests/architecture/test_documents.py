"""The documents against the code: every code of a refusal is explained, and nothing names somebody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from stillvault.cli.helping import EXIT_CODES
from stillvault.cli.main import VERBS
from stillvault.protocol import errors

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


def markdown() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "run", "vectors"} <= targets
    command = re.compile(r"(?:^|`)make ([a-z0-9]+)", re.MULTILINE)
    named = {(path.name, one) for path in markdown() for one in command.findall(path.read_text())}
    assert {one for _, one in named} >= {"demo", "test"}
    assert [one for one in named if one[1] not in targets] == []


def test_the_exit_codes_are_one_table() -> None:
    """The constants, `help exit-codes` of the command line, and that of the front."""
    constants = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {code for code, _ in EXIT_CODES} == constants
    source = (ROOT / "native" / "cli" / "src" / "help.rs").read_text()
    told = source[source.index("EXIT_CODES: &str") :].partition('";')[0]
    assert {int(code) for code in re.findall(r"\b(\d{1,3})\b", told)} == constants


def test_the_variables_are_documented() -> None:
    """Those of the relay stand in docs/configuration.md, which has a test of its own."""
    code = (str(ROOT / "stillvault"), str(ROOT / "native"))
    sources = [path for path in tracked() if path.suffix in {".py", ".rs"} and str(path).startswith(code)]
    used = {one for path in sources for one in re.findall(r"(?<!_)STILLVAULT_[A-Z_]+[A-Z]", path.read_text())}
    used = {one for one in used if not one.startswith("STILLVAULT_RELAY")} - {"STILLVAULT_FRONT"}  # FRONT is for tests alone
    guide = (ROOT / "docs" / "guides" / "start.md").read_text()
    assert "STILLVAULT_HOME" in used
    assert [one for one in sorted(used) if f"`{one}`" not in guide] == []


def test_the_verbs_of_the_documents_exist() -> None:
    """Whatever a document says to type begins with a verb."""
    missing = []
    for path in markdown():
        for verb in re.findall(r"(?:^|`|  )stillvault ([a-z-]+)", path.read_text(), re.MULTILINE):
            if verb not in VERBS:
                missing.append((path.name, verb))
    assert missing == []


def test_every_route_is_documented() -> None:
    from stillvault.relay.routes import ROUTES

    text = (ROOT / "docs" / "api.md").read_text()
    written = set(re.findall(r"^\| `(GET|POST) ([^`?]+)[^`]*` \| ([a-z ]+) \|", text, re.MULTILINE))
    served = {(r.method, re.sub(r":\w+}", "}", r.path), r.rule.name.lower().replace("_", " ")) for r in ROUTES}
    assert written == served
