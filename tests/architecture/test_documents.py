"""The documents against the code: every code of a refusal is explained, and nothing names somebody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click

from stillvault.cli.helping import EXIT_CODES
from stillvault.cli.main import VERBS, cli
from stillvault.protocol import errors
from stillvault.relay.main import main as relay

ROOT = Path(__file__).resolve().parents[2]
FRONT = {verb for verb, (module, _, _) in VERBS.items() if module == "front"}


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


def test_the_daemons_map_has_every_module() -> None:
    package = ROOT / "stillvault" / "client"
    modules = {file.stem for file in package.glob("*.py")} - {"__init__"}
    named = re.findall(r"`(\w+)`", (package / "__init__.py").read_text())
    assert sorted(named) == sorted(modules)


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


def commands(text: str) -> list[list[str]]:
    """What a document says to type: the words of each `stillvault ..` and `stillvault-relay ..`, up to a pipe or a remark."""
    blocks = "\n".join(re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    found = []
    for line in blocks.split("\n") + re.findall(r"`(stillvault(?:-relay)? [a-z][^`\n]*)`", text):
        for one in re.findall(r"(?<![\w/.-])(stillvault(?:-relay)? [a-z].*?)(?=   |  #|[;|&<>`)]|$)", line):
            words = re.findall(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""", one)
            found.append([word.strip("[]().,:") for word in words[: words.index("--") if "--" in words else None]])
    return found


def test_the_options_of_the_documents_exist() -> None:
    """Whatever a document says to type has options that its verb takes: by the command line itself, and the help of the front."""
    told = (ROOT / "native" / "cli" / "src" / "help.rs").read_text()
    missing, seen = [], 0
    for path in markdown():
        for program, *words in commands(path.read_text()):
            command: click.Command = cli if program == "stillvault" else relay
            allowed = {"--help", "--version"}
            for word in words:
                if isinstance(command, click.Group) and not word.startswith("-"):
                    command = command.get_command(click.Context(command), word) or command
                allowed |= {one for option in command.params for one in (*option.opts, *option.secondary_opts)}
            if command.name in FRONT:
                allowed |= set(re.findall(r"--?[a-z][a-z-]*", told))
            given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
            seen += len(given)
            missing += [(path.name, program, *words, one) for one in given if one not in allowed]
    assert missing == []
    assert seen > 100


def test_every_route_is_documented() -> None:
    from stillvault.relay.routes import ROUTES

    text = (ROOT / "docs" / "api.md").read_text()
    written = set(re.findall(r"^\| `(GET|POST) ([^`?]+)[^`]*` \| ([a-z ]+) \|", text, re.MULTILINE))
    served = {(r.method, re.sub(r":\w+}", "}", r.path), r.rule.name.lower().replace("_", " ")) for r in ROUTES}
    assert written == served
