"""The whole sweep (`make attack`): every mutation of every leaf of every flow, in several processes, with a world for each.

    python -m tests.hostile [--shards N] [--flow NAME] [--log FILE] [--all]

Of mutations that differ in positions of lists alone the first and the last are made, with `--all` every one. Prints the count and
every finding; ends with 1 where there is one. Takes about twenty minutes on two cores. A log that is there is gone on with.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile import sweep
from tests.hostile.town import Stage, Town


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--shard", type=int, default=-1)
    parser.add_argument("--flow", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--log", type=Path, default=Path("target/attack.log"))
    chosen = parser.parse_args()
    if chosen.shard >= 0:
        return shard(chosen)
    chosen.log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    again = [sys.executable, "-m", "tests.hostile", *sys.argv[1:], "--shards", str(chosen.shards)]
    with chosen.log.open("a") as log:
        running = [subprocess.Popen([*again, "--shard", str(number)], stdout=log) for number in range(chosen.shards)]
        ended = [process.wait() for process in running]
    lines = chosen.log.read_text().splitlines()
    made = dict(line.removeprefix("case ").rpartition(" -> ")[::2] for line in lines if line.startswith("case "))
    same = sum(state == "same" for state in made.values())
    found = [line for line in lines if line.startswith("FINDING ")]
    took = f"{time.monotonic() - begun:.0f} s"
    print(f"{len(made)} mutations, {took}: {len(made) - same} refused or left to expire, {same} listed as harmless; "
          f"{len(found)} findings; {chosen.log} has all of it")
    print("\n".join(found))
    return 1 if found or any(ended) else 0


def done_before(log: Path) -> set[str]:
    """What a log says was made."""
    lines = log.read_text().splitlines() if log.exists() else []
    return {line.partition(" ")[2].rpartition(" -> ")[0] for line in lines if line.startswith(("case ", "unreached "))}


def shard(chosen: argparse.Namespace) -> int:
    """Every `shards`-th mutation, from the `shard`-th."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the relay is ended, too
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    town = Town(root)
    try:
        town.start()
        stage = Stage(town)
        skip = done_before(chosen.log)
        every = [case for one, cases in sweep.prepared(stage) for case in cases if not chosen.flow or one.name == chosen.flow]
        every = every if chosen.all else sweep.ends(every)
        random.Random(1).shuffle(every)  # so that what was interrupted is an even sample
        for case in every[chosen.shard :: chosen.shards]:
            if str(case) in skip:
                continue
            result = sweep.try_case(stage, case)
            state = "same" if result.outcome.same else ",".join(result.outcome.codes)
            lines = [f"{'case' if result.made else 'unreached'} {case} -> {state}"]
            lines += [f"FINDING {finding}" for finding in sweep.findings([result])]
            print("\n".join(lines), flush=True)
        stage.close()
    finally:
        town.stop()
        shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
