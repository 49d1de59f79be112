"""The recipes of docs/guides/helpers/recipes.md, as they stand there: direnv, make, pre-commit, a command for a key."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.agents.helpers.conftest import Place, needed, nothing_leaks

VALUE = "a value for a recipe"
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "helpers" / "recipes.md"


def recipe(name: str) -> str:
    """The block of the guide that a comment names."""
    text = GUIDE.read_text()
    return text.split(f"<!-- {name} -->\n```", 1)[1].split("\n", 1)[1].split("\n```", 1)[0] + "\n"


def test_direnv_hands_on_references(place: Place) -> None:
    needed("direnv")
    place.seal("once/recipe", VALUE)
    project = place.work / "direnv"
    project.mkdir()
    (project / ".envrc").write_text(recipe("direnv").replace("sv://prod/db", "sv://once/recipe"))
    assert place.run("direnv", "allow", project).code == 0
    plain = place.run("direnv", "exec", project, "printenv", "PGPASSWORD")
    assert plain.text == "sv://once/recipe\n"  # to enter the directory asks nobody
    done, card = place.approved("direnv", "exec", project, "stillvault", "run", "--no-masking", "--", "printenv", "PGPASSWORD")
    assert done.text == f"{VALUE}\n", done.said
    assert card["claimed"]["argv"][0] == "printenv"


def test_make_asks_once_for_a_target(place: Place) -> None:
    needed("make")
    place.seal("once/recipe", VALUE)
    project = place.work / "make"
    project.mkdir()
    makefile = recipe("make").replace("sv://prod/db", "sv://once/recipe")
    makefile = makefile.replace("psql -h db-1 -f schema.sql", "printenv PGPASSWORD")
    (project / "Makefile").write_text(makefile.replace("    ", "\t"))
    done, card = place.approved("make", "-s", "-C", project, "schema")
    assert done.text == "<concealed by stillvault>\n", (done.text, done.said)
    assert len(card["requests"]) == 1
    nothing_leaks(done, VALUE)


def test_a_command_for_a_key_prints_the_key_alone(place: Place) -> None:
    place.seal("once/recipe", VALUE)
    command = json.loads(recipe("key-helper"))["apiKeyHelper"].replace("sv://dev/model-key", "sv://once/recipe")
    done, card = place.approved("/bin/sh", "-c", command)
    assert (done.code, done.text) == (0, VALUE), done.said
    assert card["claimed"]["reason"] == "the key of the agent itself"
    refused = place.denied("/bin/sh", "-c", command)
    assert (refused.code, refused.out) == (10, b"")


def test_pre_commit_stops_a_plaintext_credential(place: Place) -> None:
    needed("pre-commit", "git")
    project = place.work / "hooked"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", "init", "-q", project], check=True)
    (project / ".pre-commit-config.yaml").write_text(recipe("pre-commit"))
    assert place.run("pre-commit", "install", cwd=project).code == 0
    (project / "settings.env").write_text("DB_PASSWORD=hunter2hunter2Zx9\n")
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    stopped = place.run(*git, "commit", "-qm", "one", cwd=project)
    assert stopped.code != 0 and "settings.env" in stopped.text + stopped.said
    nothing_leaks(stopped, "hunter2hunter2Zx9")
    (project / "settings.env").write_text("DB_PASSWORD=sv://prod/db\n")
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    done = place.run(*git, "commit", "-qm", "one", cwd=project)
    assert done.code == 0, done.text + done.said
