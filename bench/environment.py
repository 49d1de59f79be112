"""What is measured is what is released: the wheel, in an environment of its own.

The development environment holds a build for tests. `enter` makes `build/bench` beside it: the wheel of `make wheel`, installed
there with its commands, over the libraries of the environment that runs this; then it starts the benchmark again inside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "bench"


def entered() -> bool:
    """Whether this process runs inside it."""
    return Path(sys.prefix) == PLACE


def newest_wheel() -> Path:
    """What `make wheel` built last."""
    wheels = sorted((ROOT / "dist").glob("stillvault-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if not wheels:
        raise SystemExit("there is no wheel to measure: run `make wheel`")
    return wheels[-1]


def enter(arguments: list[str], module: str = "bench") -> NoReturn:
    """Makes the environment anew and runs `python -m MODULE` in it instead of this process."""
    borrowed = sysconfig.get_path("purelib")
    venv.create(PLACE, clear=True, with_pip=False)
    python = PLACE / "bin" / "python"
    packages = next((PLACE / "lib").glob("python*/site-packages"))
    # A line of a .pth file adds a directory behind the wheel, and does not follow the .pth files there: the editable install of
    # the development environment stays out.
    (packages / "borrowed.pth").write_text(f"{borrowed}\n{ROOT}\n")
    install = ["install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check", str(newest_wheel())]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    # -P: the directory that this was started in is not a place to import from.
    os.execv(python, [str(python), "-P", "-m", module, *arguments])
