"""The walls of the architecture: who may import whom, where SQL may stand, what pure means.

The rings are import contracts in pyproject.toml; what an import statement cannot say is read from the syntax here.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "stillvault"
SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|PRAGMA|BEGIN\b)",
    re.S,
)
# What reads the world: clocks, randomness, files, processes, networks.
IMPURE = {
    "asyncio", "ctypes", "datetime", "fcntl", "glob", "http", "io", "logging", "multiprocessing", "os",
    "pathlib", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
PURE = sorted([*(PACKAGE / "protocol").rglob("*.py"), PACKAGE / "client" / "flow.py", PACKAGE / "approver" / "device.py"])


def sources(*, outside: Path | None = None) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if outside is None or outside not in path.parents:
            yield path, ast.parse(path.read_text(), str(path))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, also inside functions and behind TYPE_CHECKING, with the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that they can be read and searched"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_import_contracts() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_crypto_ring_imports_the_extension() -> None:
    outside = [
        str(path) for path, tree in sources(outside=PACKAGE / "crypto") if any("_native" in name for name in imports(tree))
    ]
    assert outside == []


def test_the_public_module_takes_nothing_private() -> None:
    tree = ast.parse((PACKAGE / "crypto" / "public.py").read_text())
    names = {name.rpartition(".")[2] for name in imports(tree)}
    private = {
        "SigningKey",
        "KemKey",
        "Value",
        "Ephemeral",
        "LeaseCache",
        "seal",
        "release",
        "open_releases",
        "kem_seal",
        "run_vector",
    }
    assert names.isdisjoint(private)


def test_sql_stands_in_the_store_alone() -> None:
    found = []
    for path, tree in sources(outside=PACKAGE / "relay" / "store"):
        if {name.partition(".")[0] for name in imports(tree)} & {"apsw", "sqlite3"}:
            found.append(f"{path}: imports a database")
        found += [
            f"{path}:{node.lineno}: {node.value[:40]!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
        ]
    assert found == []


def test_nobody_above_the_store_calls_a_connection() -> None:
    # A second engine has other connections: above the store they are passed on and nothing more (ADR 12).
    own = {"execute", "executemany", "pragma", "commit", "rollback", "changes", "last_insert_rowid", "filecontrol"}
    found = [
        f"{path}:{node.lineno}: .{node.func.attr}()"
        for path, tree in sources(outside=PACKAGE / "relay" / "store")
        if PACKAGE / "relay" in path.parents
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in own
    ]
    assert found == []


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pure_code_reaches_for_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text(), str(path))
    modules = {name.partition(".")[0] for name in imports(tree)}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert modules & IMPURE == set()
    assert calls & {"open", "print", "input", "exec", "eval", "__import__"} == set()
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
    if "protocol" in path.parts:
        assert modules <= {"msgspec", "stillvault", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "module", ["stillvault.crypto", "stillvault.crypto.public", "stillvault.relay.app", "stillvault.relay.main"]
)
def test_a_blind_process_loads_nothing_private(module: str) -> None:
    # B1
    script = f"import sys, {module}; print(*[name for name in sys.modules if name.startswith('stillvault')])"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert {"stillvault.crypto.private", "stillvault.crypto.leases"}.isdisjoint(loaded)
