"""A hook that keeps values out of a model's context: it blocks commands that print them and says what to do instead.

The protocol is that of PreToolUse hooks: one JSON object on standard input (`tool_name`, `tool_input`, `cwd`); to block, one on
standard output whose `hookSpecificOutput.permissionDecision` is `deny`; else silence. It never allows: what it does not block
goes the harness's own way.

**A seat belt, not a wall.** It reads names and shell lines; a program that means to print a value can. The reasons are fixed
sentences: nothing of the event is repeated in them.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
from typing import Any

from stillvault.agents.patterns import named
from stillvault.agents.project import ENV_FILE as OF_REFERENCES
from stillvault.agents.shell import MAX_DEPTH, Command, commands, started
from stillvault.scan.envfile import env_like

MAX_FILE = 1024 * 1024  # bytes
INSTEAD = ("Hand the value to the program that needs it instead: `stillvault run --env NAME=sv://PATH --reason WHY -- COMMAND`. "
           "See the skill `stillvault`.")
READ = f"This prints a secret into the conversation. {INSTEAD}"
ENVIRONMENT = f"This prints the environment, and with it every secret in it. {INSTEAD}"
ENV_FILE = (f"This prints a file that holds plaintext credentials. {INSTEAD} "
            "A person can turn the file into references: `stillvault scan --seal PREFIX`.")
NO_MASKING = "Without masking, what the command prints may show the secret. Run it without --no-masking."

# What only passes its input on to the screen, in this form or that.
SHOWERS = {
    "cat", "head", "tail", "less", "more", "tee", "bat", "batcat", "nl", "tac", "rev", "sort", "uniq", "tr", "cut", "sed",
    "awk", "gawk", "jq", "yq", "grep", "egrep", "fgrep", "rg", "ag", "ack", "fold", "strings", "xxd", "od", "hexdump",
    "base64", "base32", "column", "fmt", "paste", "dd", "view", "pr", "diff", "comm", "join", "split", "zcat", "most", "ccat",
    "pygmentize", "hd", "expand", "shuf", "look",
}
NAMES_FILES = {"find", "fd", "fdfind", "ls", "echo", "printf", "git", "locate", "realpath", "readlink"}  # before `xargs cat`
COPIES = {"cp", "install", "ln", "rsync", "scp", "mv"}
SCREEN = re.compile(r"/dev/(?:stdout|stderr|tty|fd/[12])|/proc/(?:self|\d+)/fd/[12]")
PASSES_ON = SHOWERS | {"xargs", "echo", "printf", "read"}  # at the end of a pipe: `xargs echo`, `while read`
QUIET = re.compile(r"-[a-zA-Z]*[qcl][a-zA-Z]*|--quiet|--silent|--count|--files-with-matches")  # of grep and its like
SECRET_VARIABLE = re.compile(
    r"(?i)\$(?:\{)?(?!#)(?=\w)[A-Za-z0-9_]*(?:passw|passphrase|secret|token|api_?key|access_?key|private_?key|credential|pgpass)"
    r"[A-Za-z0-9_]*(?!\w)(?!:?\+)"
)
ENVIRON = re.compile(r"/proc/\S+/environ")
READERS = re.compile(r"(?i)\A(?:read|read_file|readfile|view|view_file|open_file|notebookread|grep|grep_search|search_files?)\Z")
OURS = ("stillvault", "stillvault-python")
HELPERS = ("git-credential-stillvault", "docker-credential-stillvault")
NO_VALUE = {"--help", "-h", "--detach", "--state", "--dry-run"}
KEEPS = {"store", "list", "delete", "erase"}  # what a credential helper does without a value on its output
SHOWN_BY_GIT = {"show", "diff", "cat-file", "log", "blame", "grep"}


def decide(event: dict[str, Any]) -> str:
    """Why the tool call must not happen; empty where it may."""
    given = event.get("tool_input")
    if not isinstance(given, dict):
        return ""
    folder = event.get("cwd") if isinstance(event.get("cwd"), str) else ""
    command = given.get("command")
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        command = shlex.join(command)
    if isinstance(command, str):
        return next((why for one in commands(command) if (why := _blocked(one, str(folder)))), "")
    if READERS.match(str(event.get("tool_name", ""))):
        named = [given.get(key) for key in ("file_path", "absolute_path", "path", "notebook_path", "glob", "include")]
        if any(isinstance(one, str) and ENVIRON.search(one) for one in named):
            return ENVIRONMENT
        if any(isinstance(one, str) and _credentials(one, str(folder)) for one in named):
            return ENV_FILE
    return ""


def _blocked(one: Command, folder: str, depth: int = 0) -> str:
    name, words = one.name, one.words[1:]
    if name in OURS or _reads(one):
        return _stillvault(one, folder, depth)
    if any(ENVIRON.search(word) for word in (*words, *one.inputs)) and name not in ("ls", "stat", "test", "["):
        return ENVIRONMENT
    if _prints_environment(name, words) and not one.captured:
        return ENVIRONMENT
    if name in ("echo", "printf", "print") and _shown(one):
        if any(SECRET_VARIABLE.search(word) for word in words):
            return ENVIRONMENT
        if any(_reads(inner) for inner in one.substituted):
            return READ
    # What looks in folders of its own is judged by the name alone.
    where = os.devnull if name in ("find", "fd", "fdfind", "locate") else folder
    if _prints_files(one) and any(_credentials(word, where) for word in (*words, *one.inputs)):
        return ENV_FILE
    return ""


def _prints_files(one: Command) -> bool:
    """Whether a command puts files that it names on the screen: itself, by what it starts for each, or by copying them there."""
    name, words = one.name, one.words[1:]
    if name == "find":
        started_by = [after for word, after in itertools.pairwise(words) if word in ("-exec", "-execdir", "-ok", "-okdir")]
        if any(after.rpartition("/")[2] in SHOWERS for after in started_by):
            return _shown(one)
    if name in NAMES_FILES and any(after.name == "xargs" and started(after) in SHOWERS for after in one.then):
        return not any(after.to_file for after in one.then)
    if name in COPIES and any(map(SCREEN.fullmatch, words)):
        return True
    if name in ("perl", "ruby"):
        return _shown(one) and any(re.fullmatch(r"-[a-zA-Z0-9]*[np][a-zA-Z0-9]*", word) for word in words)
    if name in ("curl", "wget"):
        return _shown(one) and any(word.startswith("file:") for word in words)
    return _shows_files(name, words) and _shown(one)


def _shows_files(name: str, words: list[str]) -> bool:
    if name == "git":
        return bool(SHOWN_BY_GIT & set(words[:4]))
    if name.endswith("grep") or name in ("rg", "ag"):
        return not any(map(QUIET.fullmatch, words))
    return name in SHOWERS or not name


def _stillvault(one: Command, folder: str, depth: int) -> str:
    if _reads(one):
        if "--reveal" in one.words:
            return READ
        return READ if _shown(one) and not one.captured and not _to_file(one.words) else ""
    if _verb(one) == "run":
        at = one.words.index("--") if "--" in one.words else len(one.words)
        if "--no-masking" in one.words[:at]:
            return NO_MASKING
        child = one.words[at + 1 :] if depth < MAX_DEPTH else []
        return next((why for real in commands(shlex.join(child)) if (why := _blocked(real, folder, depth + 1))), "")
    return ""


def _verb(one: Command) -> str:
    """The verb of a `stillvault` command: its first word that is no option."""
    if one.name not in OURS:
        return ""
    words = [word for before, word in itertools.pairwise(one.words) if before != "--format" and not word.startswith("-")]
    return words[0] if words else ""


def _reads(one: Command) -> bool:
    """Whether a command writes a value to its standard output. `--detach` prints a handle, `--state` how it stands."""
    if one.name in HELPERS:
        return "get" in one.words
    if one.name == "git":
        return ("credential", "fill") in itertools.pairwise(one.words)
    return (_verb(one) in ("read", "wait") and not NO_VALUE & set(one.words)) or (
        _verb(one) == "credential" and not (KEEPS | {"--help", "-h"}) & set(one.words))


def _to_file(words: list[str]) -> bool:
    """Whether --out-file names a real file."""
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--out-file":
            target = value if equals else words[number + 1] if number + 1 < len(words) else ""
            return not target.startswith(("/dev/", "/proc/")) and target != "-"
    return False


def _shown(one: Command) -> bool:
    """Whether what a command prints reaches the screen: not where it goes into a file, or into a program that uses it."""
    return not one.to_file and not any(after.to_file or started(after) not in PASSES_ON for after in one.then)


def _prints_environment(name: str, words: list[str]) -> bool:
    options = [word for word in words if word.startswith("-")]
    rest = [word for word in words if not word.startswith("-")]
    match name:
        case "printenv":
            return "--help" not in options and "--version" not in options
        case "env":
            taken = {word for before, word in itertools.pairwise(words) if before in ("-u", "-C", "--unset", "--chdir")}
            return all("=" in word or word in taken for word in rest) and not {"--help", "--version"} & set(options)
        case "set":
            return not words
        case "export" | "declare" | "typeset":
            return not rest and "-f" not in options and "-F" not in options
        case "ps":
            return bool(words) and not words[0].startswith("-") and "e" in words[0] and words[0].isalpha()
    return False


def _credentials(word: str, folder: str) -> bool:
    """Whether a word names a file of variables that holds plaintext, also by a pattern of the shell. One that holds only
    references may be shown."""
    path = word.rpartition(":")[2] if ":" in word and not word.startswith("/") else word
    return any(_holds_plaintext(one, folder) for one in named(path, folder))


def _holds_plaintext(path: str, folder: str) -> bool:
    if not env_like(os.path.basename(path)) or os.path.basename(path) == ".envrc":
        return False
    text = _text(os.path.join(folder, os.path.expanduser(path)))
    if text is None:
        return not path.endswith(OF_REFERENCES)  # not to be read from here: its name alone speaks
    from stillvault.scan.rules import findings

    return bool(findings(text, ".env"))


def _text(path: str) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            raw = file.read(MAX_FILE + 1)
        except OSError:
            return None
    return raw.decode("utf-8", "surrogateescape") if raw is not None and len(raw) <= MAX_FILE else None


def answer(reason: str) -> dict[str, Any]:
    """What the harness is told."""
    told = {"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": reason}
    return {"hookSpecificOutput": told}
