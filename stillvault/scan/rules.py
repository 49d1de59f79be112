"""What looks like a plaintext credential, and what only looks as if. Rules of our own: small, quick, and silent about the value.

Three families, in this order; a place is reported once:

1. **Tokens** that say themselves what they are: a fixed prefix and a fixed alphabet. Taken wherever they stand.
2. **Shapes**: a private key's block, a password inside a URL, an Authorization header, lines of `.netrc` and `.pgpass`.
3. **Assignments**: a name that speaks of a secret, and a value that could be one. In code the value must be quoted and must not
   read like a word, a path, an expression or a placeholder; in an `.env` file and its like any value of six characters counts.

What is not found: a password of plain words in code, a value that is computed, encoded or cut over lines, anything in a binary
file. Every pattern is bounded, so that no text costs more than its length. `tests/agents/test_scan_rules.py` holds both sides:
what must be found, and thousands of files of other people's code in which next to nothing may be.
"""

from __future__ import annotations

import bisect
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from stillvault.scan.envfile import assignments, env_like

LONG_LINE = 2000  # characters: longer lines are minified or data, and only tokens are looked for in them
SHELL_PLAIN = re.compile(r"""'[^']*'|"[^"$`\\!]*"|[A-Za-z0-9_@%+=:,./-]*""")
ALLOWED = ("stillvault:allow", "gitleaks:allow", "pragma: allowlist secret")


@dataclass(frozen=True)
class Finding:
    """One credential: where it is and of what kind, never what it is. `start`, `end`: its place in the text."""

    kind: str
    line: int
    length: int  # characters
    start: int
    end: int
    name: str = ""  # of the variable, where there is one
    sealable: bool = False  # the whole value of a KEY=VALUE line, which a reference can replace


# kind, what must stand in the text, the pattern
TOKENS = [(kind, needle, re.compile(pattern)) for kind, needle, pattern in (
    ("aws-access-key", "AKIA", r"(?<![A-Za-z0-9])AKIA[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("github-token", "gh", r"(?<![A-Za-z0-9_])gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9_])"),
    ("github-token", "github_pat_", r"(?<![A-Za-z0-9_])github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}(?![A-Za-z0-9_])"),
    ("gitlab-token", "glpat-", r"(?<![A-Za-z0-9])gl(?:pat|ptt|dt|rt)-[A-Za-z0-9_-]{20,64}"),
    ("slack-token", "xox", r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,200}"),
    ("slack-token", "xapp-", r"(?<![A-Za-z0-9])xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{64}"),
    ("slack-webhook", "hooks.slack.com", r"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}"),
    ("stripe-key", "_live_", r"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{16,247}(?![A-Za-z0-9])"),
    ("google-api-key", "AIza", r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("google-oauth-secret", "GOCSPX-", r"(?<![A-Za-z0-9])GOCSPX-[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])"),
    ("anthropic-key", "sk-ant-", r"(?<![A-Za-z0-9])sk-ant-[a-z0-9]{3,12}-[A-Za-z0-9_-]{80,120}"),
    ("openai-key", "sk-", r"(?<![A-Za-z0-9])sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}"),
    ("openai-key", "T3BlbkFJ", r"(?<![A-Za-z0-9])sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    ("npm-token", "npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,400}"),
    ("huggingface-token", "hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{34,40}(?![A-Za-z0-9])"),
    ("sendgrid-key", "SG.", r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    ("digitalocean-token", "_v1_", r"(?<![A-Za-z0-9])do[opr]_v1_[a-f0-9]{64}(?![a-f0-9])"),
    ("vault-token", "hvs.", r"(?<![A-Za-z0-9])hvs\.[A-Za-z0-9_-]{24,200}"),
    ("shopify-token", "shp", r"(?<![A-Za-z0-9])shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}(?![A-Za-z0-9])"),
    ("telegram-token", ":AA", r"(?<![A-Za-z0-9])\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
    ("azure-storage-key", "AccountKey=", r"AccountKey=(?P<value>[A-Za-z0-9+/]{86}==)"),
    ("age-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("jwt", "eyJ", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1000}"),
    # A header alone, as documents show it, is no key: some of its base64 must follow.
    ("private-key", "PRIVATE KEY", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|[\s\"'+,]){1,40}"
                                   r"(?:[A-Za-z-]{1,20}: [^\n]{1,100}\n){0,4}\s{0,4}(?P<value>[A-Za-z0-9+/=]{40,100})"),
    ("url-password", "://", r"(?<![A-Za-z0-9])[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'`<>{}$%]{0,60}:"
                            r"(?P<value>[^\s/:@\"'`<>{}()\[\]$%|\\]{3,120})@[A-Za-z0-9\[]"),
    ("authorization-header", "uthorization", r"[Aa]uthorization[\"']?\s{0,2}[:,=]\s{0,2}[\"']?(?:Bearer|Basic|token)\s"
                                             r"(?P<value>[A-Za-z0-9+/._~=-]{16,500})"),
)]  # fmt: skip

SECRET_NAME = re.compile(
    r"(?i)(?:pass(?:word|wd|phrase|code)|(?<![a-z])pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|encryption[_-]?key|(?<![a-z])auth(?![a-z0-9])|credential|(?<![a-z])dsn)[A-Za-z0-9_.-]{0,40}"
)
# A name of this end speaks of where, what or how long, not of the secret itself.
OTHER_NAME = re.compile(
    r"(?i)(?:file|path|dir|folder|url|uri|endpoint|host|port|id|ids|name|names|type|types|kind|ttl|timeout|expir\w*|expires_in"
    r"|length|len|size|count|field|fields|header|headers|param|params|prefix|suffix|regex|pattern|policy|hint|label|title|text"
    r"|error|message|msg|placeholder|class|module|method|scope|scopes|mode|env|var|alg|algorithm|hash|digest|sha\d*|checksum|version"
    r"|format|data|so[.\d]*|provider|backend|store|manager|enabled|required|strategy|key_?ref|ref|selector|icon|page|form|input|button|view)\Z"
)
PLACEHOLDER = re.compile(
    r"(?i)\A(?:|null|none|nil|true|false|undefined|todo|tbd|n/?a|x+|\*+|\.+|-+|_+|[0-9]{1,6})\Z"
    r"|change[-_ ]?me|change[-_ ]?this|replace[-_ ]?(?:me|this|with)|example|sample|placeholder|dummy|redacted|masked|hidden"
    r"|insert|your[-_ ]|<[^>]*>|\$\{|\{\{|%\(|\$\(|\Asv://|\A(?:op|vault|pass|ref)(?:\+\w+)?://|x{4}|\*{3}|\.{3}|0{8}"
    r"|abcdef|12345678|foobar|(?:pass|my|test|the|some|fake|mock)[-_]?(?:word|secret|token|key|pass)"
)
QUOTED = re.compile(r"""["']?\]?\s{0,4}(?::=|=>|==|=|:)\s{0,4}[rbu]?(?P<quote>["'`])(?P<value>[^"'`\s]{8,200})(?P=quote)""")
UNQUOTED = re.compile(r"""["']?[ \t]{0,4}[=:][ \t]{0,4}(?P<value>[^\s"'`#,;]{8,200})[ \t]*(?=\r?\n|\Z|[ \t]#)""")
SCALARS = (".ini", ".cfg", ".conf", ".cnf", ".properties", ".yaml", ".yml", ".npmrc", ".pypirc", ".tfvars", "credentials")
EXPRESSION = re.compile(r"[()<>{}\[\]|\\^]|::|->|\A[/.~@#&?]|\A[a-z+]{2,12}://|\A(?:[A-Za-z_][A-Za-z_-]*[./:]){1,8}[A-Za-z_-]*\Z")


def findings(text: str, name: str) -> list[Finding]:
    """Every finding in the text of a file with this base name, in order of place. Lines that say so are left out."""
    taken: list[tuple[int, int]] = []  # places that are reported already, in order; none overlaps another
    found: list[Finding] = []
    for one in _all(text, name, _Lines(text)):
        at = bisect.bisect(taken, (one.start, one.end))
        before, after = taken[at - 1 : at] if at else [], taken[at : at + 1]
        if not any(start < one.end and one.start < end for start, end in (*before, *after)):
            taken.insert(at, (one.start, one.end))
            found.append(one)
    return sorted(found, key=lambda one: one.start)


def allowed(text: str, finding: Finding) -> bool:
    """Whether the line of a finding says that it is none: `stillvault:allow`."""
    start = text.rfind("\n", 0, finding.start) + 1
    end = text.find("\n", finding.start)
    line = text[start : len(text) if end < 0 else end]
    return any(sign in line for sign in ALLOWED)


def _all(text: str, name: str, lines: _Lines) -> Iterator[Finding]:
    if env_like(name):  # first, so that a token in it is reported with its variable, and can be sealed
        yield from _env(text, shell=name.lower() == ".envrc")
    yield from _tokens(text, lines)
    yield from _logins(text, name.lower(), lines)
    yield from _assignments(text, name.lower(), lines)


def _env(text: str, *, shell: bool) -> Iterator[Finding]:
    """Of a file that a shell runs, what means something else to a shell is found, but not to be replaced."""
    for one in assignments(text):
        value = one.value
        token = next((kind for kind, needle, rule in TOKENS if needle in value and (hit := rule.search(value)) is not None
                      and not PLACEHOLDER.search(_value(hit)[0])), "")
        named = SECRET_NAME.search(one.name) is not None and not OTHER_NAME.search(one.name)
        if token or (named and len(value) >= 6 and not PLACEHOLDER.search(value) and not value.startswith(("/", "./", "$"))):
            sealable = not shell or SHELL_PLAIN.fullmatch(text, one.start, one.end) is not None
            yield Finding(token or "assignment", one.line, len(value), one.start, one.end, one.name, sealable=sealable)


def _tokens(text: str, lines: _Lines) -> Iterator[Finding]:
    for kind, needle, rule in TOKENS:
        if needle not in text:
            continue
        for hit in rule.finditer(text):
            value, start = _value(hit)
            if PLACEHOLDER.search(value) or (kind in ("url-password", "authorization-header") and not _password(kind, value)):
                continue
            if _entropy(value) >= 2.5 or kind == "url-password":
                yield Finding(kind, lines.of(hit.start()), len(value), start, start + len(value))


def _value(hit: re.Match[str]) -> tuple[str, int]:
    group = "value" if "value" in hit.re.groupindex else 0
    return hit[group], hit.start(group)


def _password(kind: str, value: str) -> bool:
    """Whether what stands in a URL or a header could be one, and is not a word of a manual."""
    words = ("password", "passwd", "pass", "pwd", "secret", "token", "pw", "user", "port", "credentials")
    return value.lower() not in words and (kind == "url-password" or _mixed(value))


def _logins(text: str, name: str, lines: _Lines) -> Iterator[Finding]:
    rule = None
    if name in (".netrc", "_netrc"):
        rule = re.compile(r"\bpassword[ \t]{1,8}(?P<value>\S{3,200})")
    elif name in (".pgpass", "pgpass.conf"):
        rule = re.compile(r"^(?:[^#:\n][^:\n]{0,200})(?::[^:\n]{0,200}){3}:(?P<value>[^:\n]{3,200})$", re.MULTILINE)
    for hit in rule.finditer(text) if rule else ():
        if not PLACEHOLDER.search(hit["value"]):
            yield Finding("login-file", lines.of(hit.start()), len(hit["value"]), hit.start("value"), hit.end("value"))


def _assignments(text: str, name: str, lines: _Lines) -> Iterator[Finding]:
    scalars = name.endswith(SCALARS)
    for hit in SECRET_NAME.finditer(text):
        if lines.long(hit.start()):
            continue
        start = hit.start()
        while start > 0 and hit.start() - start < 60 and (text[start - 1].isalnum() or text[start - 1] in "_.-"):
            start -= 1
        whole = text[start : hit.end()].strip(".-")
        found = QUOTED.match(text, hit.end()) or (UNQUOTED.match(text, hit.end()) if scalars else None)
        if found is None or OTHER_NAME.search(whole):
            continue
        value = found["value"]
        if not PLACEHOLDER.search(value) and not EXPRESSION.search(value) and _mixed(value) and _entropy(value) >= 2.75:
            yield Finding("assignment", lines.of(hit.start()), len(value), found.start("value"), found.end("value"), whole[:80])


def _mixed(value: str) -> bool:
    """Whether a value is made as passwords are: a digit and a letter, and not words with a number at the end."""
    if not re.search(r"[A-Za-z]", value) or not re.search(r"\d", value):
        return False
    return re.fullmatch(r"[A-Za-z]*(?:[-_.][A-Za-z]+){0,8}[-_.]?v?\d{0,4}", value) is None


def _entropy(value: str) -> float:
    """Bits a character, by the value's own letters."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


class _Lines:
    """Which line a place is on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at, self._line = 0, 1

    def of(self, place: int) -> int:
        if place < self._at:
            self._at, self._line = 0, 1
        self._line += self._text.count("\n", self._at, place)
        self._at = place
        return self._line

    def long(self, place: int) -> bool:
        """Whether the line around a place is longer than a person writes."""
        before = self._text.rfind("\n", max(0, place - LONG_LINE), place)
        after = self._text.find("\n", place, place + LONG_LINE)
        start = before if before >= 0 else max(0, place - LONG_LINE)
        return (after if after >= 0 else min(len(self._text), place + LONG_LINE)) - start >= LONG_LINE
