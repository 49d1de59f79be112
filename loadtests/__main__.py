"""Runs a scenario and judges it.

    python -m loadtests steady --wheel                          a relay of what `make wheel` built last
    python -m loadtests steady --image localhost/stillvault:X   the container, by podman or docker
    python -m loadtests steady --relay https://NAME:PORT --ca ca.pem --setup-token-file FILE

Writes result.json and report.html; ends with 1 when a budget is missed. README.md says how to read them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from bench import environment
from loadtests import targets
from loadtests.check import judged, warnings
from loadtests.report import page
from loadtests.running import run, scenarios, stored
from loadtests.targets import Target


def chosen(given: argparse.Namespace, folder: Path) -> AbstractContextManager[Target]:
    """What the arguments name."""
    if given.image:
        engine = given.engine or next((name for name in ("podman", "docker") if shutil.which(name)), None)
        if engine is None:
            raise SystemExit("--image needs podman or docker")
        return targets.container(folder, given.image, engine)
    if given.relay:
        if not given.ca or not given.setup_token_file:
            raise SystemExit("--relay needs --ca and --setup-token-file")
        return nullcontext(targets.elsewhere(given.relay, given.ca, given.setup_token_file.read_text().strip()))
    return targets.process(folder)  # of this environment: the wheel's, or the one for development


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests", description="A load test of a relay.")
    parser.add_argument("scenario", choices=sorted(scenarios()))
    parser.add_argument("--wheel", action="store_true", help="the newest wheel in dist/, in an environment of its own")
    parser.add_argument("--image", help="an image of the relay, run for this")
    parser.add_argument("--engine", help="podman or docker (default: whichever is here)")
    parser.add_argument("--relay", help="https://name[:port] of a relay in the profile `laboratory`, without an organisation")
    parser.add_argument("--ca", type=Path, help="the PEM file that its certificate is verified against")
    parser.add_argument("--setup-token-file", type=Path, help="a file with its `setup_token`")
    parser.add_argument("--out", type=Path, default=Path("build/load"), help="where the result goes (default: build/load)")
    given = parser.parse_args()
    if given.wheel and not environment.entered():
        environment.enter(sys.argv[1:], "loadtests")
    with tempfile.TemporaryDirectory(prefix="sv-load-") as place, chosen(given, Path(place)) as target:
        result = run(given.scenario, target)
    path = stored(result, given.out / given.scenario)
    report = path.with_name("report.html")
    report.write_text(page(result))
    verdicts = judged(result)
    print("\n".join([*map(str, verdicts), *warnings(result), f"{report} shows it"]))
    return int(not all(one.met for one in verdicts))


if __name__ == "__main__":
    sys.exit(main())
