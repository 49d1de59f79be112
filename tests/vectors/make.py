"""Writes the project's own vector files: `python -m tests.vectors.make [DIR]` (default: beside this file).

They are built on the reference implementation with fixed keys, so that each run writes the same bytes; a test compares. Every
case says what must come out, the reference is asked at once, and the extension is held against the files by
`make vectors`. The files without `own-` in their name were made elsewhere and are not touched.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.reference.world import World
from tests.vectors.making import (
    approver,
    encoding,
    enrol,
    lifecycle,
    objects,
    paths,
    recovery,
    release,
    roster,
    sealed,
    signatures,
)
from tests.vectors.making.book import Book


def books() -> list[Book]:
    world = World()
    modules = (encoding, objects, signatures, paths, sealed, roster, release, approver, recovery, lifecycle, enrol)
    return [module.make(world) for module in modules]


def main(directory: Path) -> None:
    for book in books():
        path = book.write(directory)
        print(f"{path.name}: {len(book.cases)} cases")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
