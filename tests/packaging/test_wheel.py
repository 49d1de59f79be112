"""What is released, as a stranger gets it: the wheel, installed by pip into an empty environment.

The development build has an entry point for test vectors that takes keys; the wheel must not. A wheel of PyO3 bindings drops the
front without a word; the build must refuse that.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(place), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that holds the wheel and what it names as its needs."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=True)
    subprocess.run(
        [home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", str(wheel)], check=True
    )
    return home / "bin"


def output(*command: str | Path) -> str:
    # Not in the checkout: what is found must come from the environment. No PATH: a script must find its siblings by itself.
    done = subprocess.run(command, cwd="/", env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_front_is_the_native_program(scripts: Path) -> None:
    assert (scripts / "stillvault").read_bytes().startswith(b"\x7fELF")
    assert output(scripts / "stillvault", "--version").split() == ["stillvault", "0.1.0"]


def test_the_front_hands_over_to_python(scripts: Path) -> None:
    assert "policy" in output(scripts / "stillvault", "org", "--help") + output(scripts / "stillvault", "--help")


def test_the_plugin_for_agents_is_whole(scripts: Path) -> None:
    """Names that begin with a dot get lost easily between a checkout and a wheel."""
    folder = Path(output(scripts / "stillvault", "skill", "marketplace").strip())
    held = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {".claude-plugin/plugin.json", ".claude-plugin/marketplace.json", ".mcp.json", "hooks/hooks.json"} <= held
    assert "skills/stillvault/SKILL.md" in held
    output(scripts / "stillvault", "skill", "verify")


def test_the_relay_starts(scripts: Path) -> None:
    assert "serve" in output(scripts / "stillvault-relay", "--help")


def test_the_released_extension_exposes_no_key_for_vectors(scripts: Path) -> None:
    script = "import stillvault._native as core; print(core.features(), hasattr(core, 'run_vector'))"
    assert output(scripts / "python", "-c", script).split() == ["[]", "False"]


def backend() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backend", ROOT / "tools" / "backend.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copy_without(wheel: Path, target: Path, ending: str, *, instead: bytes | None = None) -> Path:
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            if not name.endswith(ending):
                copy.writestr(name, source.read(name))
            elif instead is not None:
                copy.writestr(name, instead)
    return target


def test_the_helpers_are_found_by_their_names(scripts: Path) -> None:
    """git and container tools look for them on PATH; each becomes the front beside it, also through a link."""
    link = scripts.parent / "elsewhere"
    link.symlink_to(scripts / "docker-credential-stillvault")
    for helper, code, said in ((scripts / "git-credential-stillvault", 2, b"which secret"), (link, 1, b"credentials not found")):
        done = subprocess.run([helper, "get"], input=b"", capture_output=True, check=False, env={"PATH": "/usr/bin:/bin"})
        assert done.returncode == code and said in done.stdout + done.stderr, done


def test_a_wheel_that_lacks_a_part_is_refused(wheel: Path, tmp_path: Path) -> None:
    build = backend()
    build.check_wheel(wheel)
    with pytest.raises(build.Incomplete, match="native front"):
        build.check_wheel(copy_without(wheel, tmp_path / "a.whl", "scripts/stillvault"))
    with pytest.raises(build.Incomplete, match="native front"):
        build.check_wheel(copy_without(wheel, tmp_path / "b.whl", "scripts/stillvault", instead=b"#!/bin/sh\n"))
    with pytest.raises(build.Incomplete, match="git-credential-stillvault"):
        build.check_wheel(copy_without(wheel, tmp_path / "h.whl", "scripts/git-credential-stillvault"))
    with pytest.raises(build.Incomplete, match="expected one extension"):
        build.check_wheel(copy_without(wheel, tmp_path / "c.whl", ".so"))
    with pytest.raises(build.Incomplete, match="web console is missing"):
        build.check_wheel(copy_without(wheel, tmp_path / "e.whl", "console/console.json"))
    with pytest.raises(build.Incomplete, match="not the one of its console"):
        build.check_wheel(copy_without(wheel, tmp_path / "f.whl", ".css"))
    with pytest.raises(build.Incomplete, match=r"index\.html is not the file"):
        build.check_wheel(copy_without(wheel, tmp_path / "g.whl", "console/index.html", instead=b"<p>"))
    with pytest.raises(build.Incomplete, match="vectors"):
        build.check_wheel(
            copy_without(wheel, tmp_path / "d.whl", ".so", instead=(ROOT / "stillvault" / "_native.abi3.so").read_bytes())
        )


def test_a_source_distribution_brings_all_that_is_built(tmp_path: Path) -> None:
    """The front's sources, those of the web console, and the tools; nothing that npm installed or Vite made."""
    name = backend().build_sdist(str(tmp_path))
    with tarfile.open(tmp_path / name) as packed:
        names = {member.name.partition("/")[2] for member in packed}
        cargo = packed.extractfile(f"{name.removesuffix('.tar.gz')}/Cargo.toml")
        assert cargo is not None
        assert cargo.read() == (ROOT / "Cargo.toml").read_bytes()  # with the front in the workspace
    assert {"tools/backend.py", "tools/console", "native/cli/src/main.rs", "console/package-lock.json", "console/src/main.tsx",
            "console/index.html", "console/served.ts", "console/vite.config.ts"} <= names  # fmt: skip
    assert [one for one in names if "node_modules" in one or one.startswith("stillvault/console/")] == []
