"""A shell line as the simple commands in it: enough of the grammar to see what would be printed, for a hook that is a seat belt.

Quotes, pipes, lists, redirections, here documents, substitutions, wrappers (`sudo`, `env`, `xargs`..) and `sh -c` are seen
through. Variables, aliases, functions and arithmetic are not: who wants to get past this can.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

MAX_DEPTH = 6
MAX_PIPELINE = 32
SIGNS = "();<>|&\n"
MARK = "\x02"  # where a substitution stood
HERE = re.compile(r"<<-?[ \t]*(['\"]?)([A-Za-z_]\w*)\1([^\n]*)\n.*?^[ \t]*\2[ \t]*$", re.DOTALL | re.MULTILINE)
STDERR = re.compile(r"(?<!\S)2>>?[ \t]*(?:&\d|[^\s;|&()<>]+)")
SUBSTITUTED = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
ASSIGNED = re.compile(r"[A-Za-z_]\w*\+?=")
KEYWORDS = {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "time", "fi", "done", "case", "esac", "exec",
            "command", "builtin", "nohup", "coproc"}
# Programs that start another: their options that take a word of their own.
WRAPPERS: dict[str, set[str]] = {
    "sudo": {"-u", "-g", "-C", "-h", "-p", "-D", "-R", "-T", "--user", "--group", "--host", "--prompt", "--chdir", "--chroot"},
    "doas": {"-u", "-C"}, "env": {"-u", "-C", "-S", "--unset", "--chdir"}, "nice": {"-n", "--adjustment"},
    "timeout": {"-s", "-k", "--signal", "--kill-after"}, "stdbuf": {"-i", "-o", "-e"}, "setsid": set(),
    "xargs": {"-I", "-n", "-P", "-d", "-L", "--max-args", "--max-procs", "--delimiter"}, "watch": {"-n", "--interval"},
    "ionice": {"-c", "-n"},
}
SHELLS = {"sh", "bash", "zsh", "dash", "ksh", "fish"}


@dataclass
class Command:
    """One simple command: its words, the files it reads as its input, and where its output goes."""

    words: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    to_file: bool = False
    captured: bool = False  # inside $( ): not printed by itself
    then: list[Command] = field(default_factory=list)  # the rest of its pipeline
    substituted: list[Command] = field(default_factory=list)  # what stands in it as $( )

    @property
    def name(self) -> str:
        return self.words[0].rpartition("/")[2] if self.words else ""


def commands(text: str, *, captured: bool = False, depth: int = 0) -> Iterator[Command]:
    """Every simple command of a line, those inside others too."""
    if depth > MAX_DEPTH:
        return
    text = HERE.sub(r"<<'here'\3", text.replace("\\\n", " "))
    inner: list[Command] = []
    while (found := SUBSTITUTED.search(text)) is not None:
        inside = list(commands(found[1] or found[2] or "", captured=True, depth=depth + 1))
        inner += inside
        yield from inside
        text = f"{text[: found.start()]}{MARK}{text[found.end() :]}"
    for one in _simple(text):
        one.captured = captured
        if any(MARK in word for word in one.words):
            one.substituted = inner
        for real in _unwrapped(one):
            yield real
            script = _script(real)
            if script is not None:
                yield from commands(script, captured=captured, depth=depth + 1)


def _simple(text: str) -> Iterator[Command]:
    """The simple commands of a text without substitutions, in order, each knowing the rest of its pipeline."""
    pipeline: list[Command] = [Command()]
    tokens = iter(_tokens(STDERR.sub(" ", text)))
    for token in tokens:
        if set(token) - set(SIGNS):
            pipeline[-1].words.append(token)
        elif "<" in token or ">" in token:
            word = next(tokens, "")
            if token.startswith("<") and len(token) == 1:
                pipeline[-1].inputs.append(word)
            elif ">" in token and not word.isdigit():
                pipeline[-1].to_file = not word.startswith(("/dev/std", "/dev/tty", "/dev/fd", "/proc/self/fd"))
        elif token in ("|", "|&"):
            pipeline.append(Command())
        else:
            yield from _closed(pipeline)
            pipeline = [Command()]
    yield from _closed(pipeline)


def _closed(pipeline: list[Command]) -> Iterator[Command]:
    for number, one in enumerate(pipeline):
        one.then = pipeline[number + 1 : number + 1 + MAX_PIPELINE]
        yield one


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=SIGNS)
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # a quote is not closed: the shell would refuse it, but look all the same
        return re.findall(r"[();<>|&\n]+|[^\s();<>|&]+", text.replace("'", " ").replace('"', " "))


def _unwrapped(one: Command) -> Iterator[Command]:
    """The command itself, and what it starts if all it does is to start another, and so on."""
    for _ in range(MAX_DEPTH):
        words = list(itertools.dropwhile(lambda word: word in KEYWORDS or ASSIGNED.match(word), one.words))
        one = replace(one, words=words)
        if words or one.inputs:
            yield one
        takes = WRAPPERS.get(one.name)
        if takes is None:
            return
        rest = words[1:]
        while rest and (rest[0].startswith("-") or ASSIGNED.match(rest[0]) or (one.name == "timeout" and rest[0][:1].isdigit())):
            rest = rest[2:] if rest[0] in takes else rest[1:]
        if not rest:
            return
        one = replace(one, words=rest)


def started(one: Command) -> str:
    """The name of what a command starts at last."""
    return next((real.name for real in reversed(list(_unwrapped(one)))), "")


def _script(one: Command) -> str | None:
    """What a shell is told to run."""
    if one.name == "eval":
        return " ".join(one.words[1:])
    if one.name in SHELLS:
        for number, word in enumerate(one.words[1:], 1):
            if word.startswith("-") and not word.startswith("--") and "c" in word:
                return one.words[number + 1] if number + 1 < len(one.words) else None
    return None
