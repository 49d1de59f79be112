"""Settings: where they come from, and docs/configuration.md as the code has it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import fields

from stillvault.relay.configured import load
from stillvault.relay.settings import LABORATORY, BadSetting, Limits, Notify, Settings, names, shown
from tests.relay.process import RelayProcess

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
ROWS = {match[1]: match[2] for match in re.finditer(r"^\| `([a-z0-9_.]+)` \| ([^|]+) \|", DOCUMENT, re.MULTILINE)}


def test_the_document_lists_every_setting_with_its_default() -> None:
    assert set(ROWS) == set(names())
    for field in fields(Limits):
        assert ROWS[f"limits.{field.name}"] == str(field.default), field.name
    for group, struct in (("", Settings), ("notify.", Notify)):
        for field in fields(struct):
            if isinstance(field.default, str) and field.default:
                assert ROWS[group + field.name] == f"`{field.default}`"
            elif isinstance(field.default, int):
                assert ROWS[group + field.name] == str(field.default)


def test_the_documents_example_is_good(directory: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert example
    (directory / "config.toml").write_text(example[1])
    assert load({"data": str(directory)}, {}).limits.prompts_per_hour == 30


def test_flags_beat_the_environment_and_that_beats_the_file(directory: Path) -> None:
    (directory / "config.toml").write_text('listen = "127.0.0.1:1"\nlog_level = "error"\n[limits]\nidle_seconds = 9\n')
    environment = {"STILLVAULT_RELAY_LISTEN": "127.0.0.1:2", "STILLVAULT_RELAY_LIMITS_IDLE_SECONDS": "8", "OTHER": "x"}
    settings = load({"data": str(directory), "listen": "127.0.0.1:3"}, environment)
    assert (settings.listen, settings.limits.idle_seconds, settings.log_level) == ("127.0.0.1:3", 8, "error")
    assert load({"data": str(directory)}, environment).listen == "127.0.0.1:2"
    assert load({}, {**environment, "STILLVAULT_RELAY_DATA": str(directory)}).data == str(directory)


def test_a_secret_comes_from_a_file_and_is_never_shown(directory: Path) -> None:
    (directory / "token").write_text("t" * 40 + "\n")
    settings = load({"data": str(directory)}, {"STILLVAULT_RELAY_SETUP_TOKEN_FILE": str(directory / "token")})
    assert settings.setup_token == "t" * 40
    assert "tttt" not in json.dumps(shown(settings))
    settings = load({"data": str(directory)}, {"STILLVAULT_RELAY_NOTIFY_SMTP_PASSWORD_FILE": str(directory / "token")})
    assert settings.notify.smtp_password == "t" * 40
    assert "tttt" not in json.dumps(shown(settings))


def test_hosts_are_a_list_in_the_file_and_a_text_in_the_environment(directory: Path) -> None:
    (directory / "config.toml").write_text('[notify]\negress = ["ntfy.corp", "http://10.0.0.7:8080"]\n')
    assert load({"data": str(directory)}, {}).notify.egress == ("ntfy.corp", "http://10.0.0.7:8080")
    environment = {"STILLVAULT_RELAY_NOTIFY_EGRESS": "a.corp:8443, *.b.corp [::1]:25"}
    assert load({"data": str(directory)}, environment).notify.egress == ("a.corp:8443", "*.b.corp", "[::1]:25")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"STILLVAULT_RELAY_LISTN": "x"}, "Did you mean STILLVAULT_RELAY_LISTEN?"),
        ({"STILLVAULT_RELAY_LISTEN": "x"}, "listen: it is not HOST:PORT"),
        ({"STILLVAULT_RELAY_LISTEN": "h:99999"}, "listen: it is not HOST:PORT"),
        ({"STILLVAULT_RELAY_LIMITS_IDLE_SECONDS": "1e2"}, "limits.idle_seconds"),
        ({"STILLVAULT_RELAY_LIMITS_IDLE_SECONDS": "-5"}, "Expected `int` >= 5"),
        ({"STILLVAULT_RELAY_NOTIFY_EGRESS": "ntfy.corp, https://x/y"}, "notify.egress: an entry is not"),
        ({"STILLVAULT_RELAY_NOTIFY_EGRESS": "NTFY.corp"}, "notify.egress: an entry is not"),
        ({"STILLVAULT_RELAY_NOTIFY_SMTP_SERVER": "mail.corp:587"}, "notify.egress does not list it"),
        ({"STILLVAULT_RELAY_NOTIFY_DETAIL": "full"}, "notify.detail"),
        (
            {
                "STILLVAULT_RELAY_NOTIFY_EGRESS": "mail.corp:25",
                "STILLVAULT_RELAY_NOTIFY_SMTP_SERVER": "mail.corp:25",
                "STILLVAULT_RELAY_NOTIFY_SMTP_FROM": "vault@corp.example",
                "STILLVAULT_RELAY_NOTIFY_SMTP_USER": "vault",
                "STILLVAULT_RELAY_NOTIFY_SMTP_TLS": "none",
            },
            "in the clear",
        ),
        ({"STILLVAULT_RELAY_LISTEN_FILE": "/none"}, "the file cannot be read"),
        ({"STILLVAULT_RELAY_LISTEN_FILE": "/dev/null", "STILLVAULT_RELAY_LISTEN": "a:1"}, "given twice"),
    ],
)
def test_a_bad_variable_is_refused(directory: Path, environment: dict[str, str], said: str) -> None:
    with pytest.raises(BadSetting, match=re.escape(said)):
        load({"data": str(directory)}, environment)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listen = " + "[" * 20_000, "a number in it is too long, or a list too deep"),
        ("[limits]\nidle_seconds = " + "9" * 5000, "a number in it is too long, or a list too deep"),
        ('tls_cert = "\\u0000"\ntls_key = "x"', "line 1: tls_cert: it holds a NUL character"),
        ("listen = \n", "it is not TOML"),
    ],
)
def test_a_strange_file_is_refused_in_words(directory: Path, text: str, said: str) -> None:
    (directory / "config.toml").write_text(text)
    with pytest.raises(BadSetting, match=re.escape(said)):
        load({"data": str(directory)}, {})


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["health", "--url", "https://localhost:99999"], 2, "--url is https://host[:port]"),
        (["health", "--url", "https://[::1"], 2, "--url is https://host[:port]"),
        (["health", "--url", "http://localhost"], 2, "--url is https://host[:port]"),
        (["health", "--url", f"https://{'a' * 70}.example"], 14, "not ready"),
        (["serve", "--listen", "ä.example:1"], 78, "listen: it is not HOST:PORT"),
        (["serve", "--listen", "localhost:١"], 78, "listen: it is not HOST:PORT"),
    ],
)
def test_a_name_that_is_none_is_no_traceback(directory: Path, words: list[str], status: int, said: str) -> None:
    done = RelayProcess(directory / "data").command(*words, "--data", str(directory / "data"))
    assert (done.returncode, said in done.stderr.decode()) == (status, True), done.stderr
    assert b"Traceback" not in done.stderr


def test_a_rule_between_settings_names_the_line_the_variable_or_the_flag(directory: Path) -> None:
    (directory / "config.toml").write_text('log_level = "info"\nlisten = "8443"\n')
    flags = {"data": str(directory)}
    with pytest.raises(BadSetting, match=re.escape(f"{directory}/config.toml line 2: listen: it is not HOST:PORT")):
        load(flags, {})
    with pytest.raises(BadSetting, match=r"^environment STILLVAULT_RELAY_LISTEN: listen: it is not HOST:PORT"):
        load(flags, {"STILLVAULT_RELAY_LISTEN": "x"})
    with pytest.raises(BadSetting, match=r"^--listen: listen: it is not HOST:PORT"):
        load({**flags, "listen": "y"}, {})


def test_the_laboratory_lifts_limits_that_exist_and_single_ones_stand(directory: Path) -> None:
    assert set(LABORATORY) <= {field.name for field in fields(Limits)}
    settings = load(
        {"data": str(directory)}, {"STILLVAULT_RELAY_PROFILE": "laboratory", "STILLVAULT_RELAY_LIMITS_PENDING_PER_ORG": "3"}
    )
    assert (settings.limits.pending_per_org, settings.limits.cool_down_seconds) == (3, 0)
    assert msgspec.to_builtins(load({"data": str(directory)}, {}).limits) == msgspec.to_builtins(Limits())


def test_config_show_and_check(directory: Path) -> None:
    relay = RelayProcess(directory)
    given = json.loads(relay.command("config", "--data", str(directory), "--format", "json", "show").stdout)
    assert given["v"] == 1
    assert given["settings"]["profile"] == "laboratory"
    assert b"limits.body_bytes = 2097152" in relay.command("config", "--data", str(directory), "show").stdout
    assert relay.command("config", "--data", str(directory)).returncode == 0
