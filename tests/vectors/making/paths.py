"""own-paths.json: section 2, paths, patterns, and which policy holds."""

from __future__ import annotations

from tests.reference.world import World

from .book import Book

GOOD = ("a", "0", "a.b-c_d", "prod/db/main", "a/b/c/d/e/f", "a..b", "a/b..", "x" * 200, "/".join(["a"] * 100))
BAD = (
    ".", "..", "a/.", "a/..", "a/../b", "/a", "a/", "/", "A", "a/B", "-a", "_a", "a/-b", "a b", " a", "a ", "a\n", "\na",
    "a\u0000",
    "a\\b", "a%2fb", "a?b", "a#b", "a:b", "a//b", "é", "ａ", "a/é", "**", "a/**", "a*", "x" * 201, "/".join(["a"] * 101) + "a",
)  # fmt: skip
BAD_PATTERNS = (
    "", "*", "***", "/**", "**/a", "a/*", "a/**/b", "a/**/", "a**", "a/ **", "A/**", "a/**\n", "**\n", "../**", "a//**",
    "prod/*/x",
    "x" * 201, "-/**", "**/**", "a/**/**",
)  # fmt: skip


def make(world: World) -> Book:
    book = Book("own-paths", {"select": {"policies": world.policies()}})
    for path in GOOD:
        book.accept(f"path {path[:40]!r} of {len(path)}", "path", {}, path=path)
    for path in BAD:
        book.refuse(f"path {path[:40]!r} of {len(path)}", "path", "path", path=path)
    for pattern in ("**", "a", "a/**", "a/b/**", "0-._/**", "x" * 200):
        book.accept(f"pattern {pattern[:40]!r}", "pattern", {}, pattern=pattern)
    for pattern in BAD_PATTERNS:
        book.refuse(f"pattern {pattern[:40]!r} of {len(pattern)}", "pattern", "path", pattern=pattern)
    for pattern, path in (("**", "a/b/c"), ("a", "a"), ("a/b", "a/b"), ("a/**", "a/b"), ("a/**", "a/b/c"), ("a.b/**", "a.b/c")):
        book.accept(f"{pattern} over {path}", "match", {}, pattern=pattern, path=path)
    for pattern, path in (
        ("a/**", "a"), ("a", "a/b"), ("a/b", "a"), ("a/**", "ab/c"), ("a/**", "b/a/c"), ("a", "b"), ("a.b/**", "axb/c"),
        ("a/b/**", "a/b"), ("ab", "a"),
    ):  # fmt: skip
        book.refuse(f"{pattern} over {path}", "match", "no-match", pattern=pattern, path=path)
    book.refuse("a bad pattern over a good path", "match", "path", pattern="a/*", path="a/b")
    book.refuse("a good pattern over a bad path", "match", "path", pattern="a/**", path="a/../b")
    _select(book, world)
    return book


def _select(book: Book, world: World) -> None:
    for path, policy in (
        ("x", "default"), ("prod", "default"), ("production/x", "default"), ("prod/x", "prod"), ("prod/db", "prod"),
        ("prod/db/x", "db"), ("prod/db/x/y", "db"), ("prod/db/root", "crown"), ("prod/db/root/x", "db"), ("prod/solo", "solo"),
        ("prod/solo/x", "prod"),
    ):  # fmt: skip
        book.accept(f"policy for {path}", "select", {"policy": policy}, path=path)
    backwards = list(reversed(world.policies()))
    book.accept("order of the policies does not count", "select", {"policy": "crown"}, path="prod/db/root", policies=backwards)
    several = [{**world.policies()[0], "match": ["a/**", "b"]}, {**world.policies()[1], "match": ["a/b/**", "**"]}]
    for path, policy in (("a/x", "default"), ("a/b/x", "prod"), ("b", "default"), ("b/c", "prod"), ("a/b", "default")):
        book.accept(f"policies with several patterns, {path}", "select", {"policy": policy}, path=path, policies=several)
    book.refuse("no policies", "select", "no-policy", path="a", policies=[])
    book.refuse("none that matches", "select", "no-policy", path="staging/x", policies=world.policies()[1:])
    book.refuse("a path that is none", "select", "path", path="prod//x")
