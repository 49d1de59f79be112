"""What `scan` takes for a credential and what it does not: samples made here, and a lot of other people's code.

No sample stands here whole: a scanner that runs over this file must find nothing.
"""

from __future__ import annotations

import random
import string
import sysconfig
from pathlib import Path

import pytest

from stillvault.scan.envfile import assignments, env_like
from stillvault.scan.rules import allowed, findings
from stillvault.scan.walk import SKIPPED, Walk, decode, encode

RANDOM = random.Random(7)
LETTERS = string.ascii_letters + string.digits


def some(count: int, letters: str = LETTERS) -> str:
    return "".join(RANDOM.choices(letters, k=count))


HEX = string.digits + "abcdef"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PEM = "\n".join(some(64) for _ in range(4))
FOUND = [
    ("aws-access-key", "main.tf", "key = " + "AKIA" + some(16, UPPER)),
    ("github-token", "ci.yml", "run: git push https://" + "ghp_" + some(36) + "@github.com/a/b"),
    ("github-token", "a.md", "github_" + "pat_" + some(22) + "_" + some(59)),
    ("gitlab-token", "a.sh", "curl -H 'PRIVATE-TOKEN: " + "glpat-" + some(20) + "'"),
    ("slack-token", "a.js", "const x = f('" + "xoxb-" + some(12, string.digits) + "-" + some(24) + "')"),
    ("slack-webhook", "a", "https://hooks.slack" + ".com/services/T" + some(9, UPPER) + "/B" + some(9, UPPER) + "/" + some(24)),
    ("stripe-key", "a.rb", "Stripe.key = " + "sk_" + "live_" + some(24)),
    ("google-api-key", "a.html", "?key=" + "AI" + "za" + some(35)),
    ("anthropic-key", "notes.txt", "sk-" + "ant-api03-" + some(95)),
    ("openai-key", "a.ts", "x: " + "sk-" + "proj-" + some(48)),
    ("npm-token", ".npmrc", "//registry.npmjs.org/:_authToken=" + "npm" + "_" + some(36)),
    ("pypi-token", ".pypirc", "x " + "pypi-" + "AgEIcHlwaS5vcmc" + some(80)),
    ("vault-token", "a.hcl", "x " + "hv" + "s." + some(30)),
    ("azure-storage-key", "a.config", "Account" + "Key=" + some(86) + "=="),
    ("jwt", "a.http", "x " + "ey" + "J" + some(20) + "." + "ey" + "J" + some(30) + "." + some(43)),
    ("private-key", "id_rsa", "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + PEM),
    ("private-key", "a.json", '"k": "-----BEGIN ' + "PRIVATE KEY-----\\n" + some(64) + '\\n"'),
    ("url-password", "settings.py", "postgres" + "://app:" + some(12) + "@db.corp.internal/app"),
    ("authorization-header", "a.sh", "curl -H 'Author" + "ization: Bearer " + some(40) + "'"),
    ("login-file", ".netrc", "machine a login b pass" + "word " + some(12)),
    ("login-file", ".pgpass", "db:5432:app:app:" + some(12)),
    ("assignment", "settings.py", 'DATABASE_PASS' + 'WORD = "' + some(10) + '9a"'),
    ("assignment", "a.json", '{"client_' + 'secret": "' + some(24) + '1b"}'),
    ("assignment", "a.yaml", "pass" + "word: " + some(14) + "7c"),
    ("assignment", "a.java", 'String api' + 'Key = "' + some(20) + '3d";'),
    ("assignment", ".env", "DB_PASS" + "WORD=hunter2"),
    ("assignment", "prod.env", "export SESSION_SEC" + "RET='a b c d e'  # c"),
    ("github-token", ".env.local", "X=" + "ghp_" + some(36)),
    ("url-password", ".env", "DATABASE_URL=postgres" + "://app:" + some(12) + "@db/app"),
]
CLEAN = [
    ("a.py", """
password = os.environ["DB_PASSWORD"]
password = getpass.getpass("Password: ")
PASSWORD = "password"
token_url = "https://auth.corp.internal/oauth2/v1"
secret = "changeme1"
SECRET_KEY = "${SECRET_KEY_2}"
api_key="your-api-key-1234"
token = "<token-1234>"
password: str = Field(min_length=12)
"""),
    ("a.ts", """type="password2"\nconst tokenName = "csrf_token_v2"\n"""),
    ("a.yaml", """
secretName: my-secret-v2
password: sv://prod/db1
password: {{ .Values.password1 }}
passwordSecretRef: app-db-2024
"""),
    ("a.md", """
psql postgres://user:password@host/db
postgres://user:<password>@host
postgres://$USER:$PASSWORD@host
-----BEGIN PRIVATE KEY-----
Authorization: Bearer $TOKEN
AKIAIOSFODNN7EXAMPLE
"""),
    (".env", """
DB_PASSWORD=sv://prod/db
DB_PASSWORD=
DB_PASSWORD=changeme
DB_PASSWORD=${OTHER}
DB_PASSWORD_FILE=/run/db
PORT=8080
LOG_LEVEL=debug-everything
TOKEN_TTL=86400000
"""),
    (".env.example", "DB_PASSWORD=hunter22"),
    ("package-lock.json", '"integrity": "sha512-' + some(86) + '=="'),
    ("a.css", "content: '" + some(40) + "'"),
    ("a.svg", '<path d="' + some(300) + '"/>'),
    ("go.sum", "github.com/a/b v1.2.3 h1:" + some(43) + "="),
    ("a.txt", some(4000)),
]


@pytest.mark.parametrize(("kind", "name", "text"), FOUND, ids=[f"{kind}-{name}" for kind, name, _ in FOUND])
def test_what_is_found(kind: str, name: str, text: str) -> None:
    before = "é first line\r\n"
    (found,) = findings(before + text + "\n", name)
    assert (found.kind, found.line) == (kind, 2)
    assert found.end - found.start >= found.length


@pytest.mark.parametrize(("name", "text"), CLEAN, ids=[name for name, _ in CLEAN])
def test_what_is_left_alone(name: str, text: str) -> None:
    assert findings(text, name) == []


def test_other_peoples_code_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand files, 20 MB, that hold no credential: none is found in them."""
    monkeypatch.setattr("stillvault.scan.walk.SKIPPED", SKIPPED - {"site-packages"})
    packages = Path(sysconfig.get_path("purelib"))
    files, found = 0, []
    for name in ("litestar", "click", "uvicorn", "hypothesis", "pip", "mypy", "_pytest", "cryptography"):
        for path, text in Walk().files(str(packages / name)):
            files += 1
            found += [f"{path}:{one.line} {one.kind}" for one in findings(text, Path(path).name)]
    assert files > 1500
    assert found == []


def test_a_line_can_say_that_it_is_none() -> None:
    text = f"a\npass{''}word = '{some(12)}1a'  # stillvault:allow\npass{''}word = '{some(12)}1a'\n"
    first, second = findings(text, "a.py")
    assert allowed(text, first)
    assert not allowed(text, second)


def test_hostile_texts_cost_no_more_than_their_length() -> None:
    for text in ("password" * 100_000, "a" * 1_000_000, "-----BEGIN " * 50_000, "x://" * 200_000, "eyJ" * 300_000,
                 "token=" * 100_000, "password='" + "a" * 500_000, "\n" * 500_000,
                 "-----BEGIN PRIVATE KEY-----" + " \n" * 200_000,
                 "sk-" * 300_000, "authorization: bearer " * 40_000, "://:" * 200_000,
                 "A_TOKEN=\"" + "\\n" * 300_000, "secret\n" * 100_000,
                 "A_TOKEN=abcdefg1\n" * 50_000):
        for name in ("a.py", ".env", ".netrc", ".pgpass", "a.yaml"):
            findings(text, name)


def test_the_lines_of_an_env_file() -> None:
    text = ("# c\r\n\r\nA=1\nexport B='x # y' # z\r\n C = no\nD=\"a\\n\\\"\\$\"\nE= b c # d\nF=\nG='open\n1H=x\nI=\"\\x\"\n"
            "J='a' b\nK=#c\nL=é\u2028=x")
    got = {one.name: one.value for one in assignments(text)}
    assert got == {"A": "1", "B": "x # y", "D": 'a\n"$', "E": "b c", "F": "", "K": "", "L": "é\u2028=x"}
    replaced = text
    for one in sorted((one for one in assignments(text) if one.value), key=lambda one: -one.start):
        replaced = replaced[: one.start] + "sv://x/y" + replaced[one.end :]
    assert "B=sv://x/y # z\r\n" in replaced
    assert {one.value for one in assignments(replaced)} == {"sv://x/y", ""}
    names = (".env", ".env.local", "prod.env", ".env.example", ".env.stillvault", "env.py", ".envrc")
    assert [one for one in names if env_like(one)] == [".env", ".env.local", "prod.env", ".env.stillvault", ".envrc"]
    assert encode(decode(b"A=\xff\xfe\n")) == b"A=\xff\xfe\n"


@pytest.mark.parametrize(("line", "sealable"), [
    ("export DB_PASSWORD=hunter22x", True), ("export DB_PASSWORD='hunter 22;x'", True), ('export DB_PASSWORD="hunter 22"', True),
    ("export DB_PASSWORD=hunter22; export B=1", False), ("export DB_PASSWORD=hunter22 B=1", False),
    ("export DB_PASSWORD=hunter22 && make", False), ('export DB_PASSWORD="hunter$B"', False), ("DB_PASSWORD=hunter\\ 22", False),
])
def test_of_a_shell_file_only_plain_values_are_replaced(line: str, sealable: bool) -> None:
    """A shell reads `A=b; c` as two commands: the rest of the line is no part of a value there."""
    (found,) = findings(line + "\n", ".envrc")
    assert found.sealable is sealable
    (found,) = findings(line + "\n", ".env")
    assert found.sealable
