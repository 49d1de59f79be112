"""`stillvault inject`: a file from a template, byte for byte, whole or not at all."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.front.conftest import Front


def test_values_stand_where_the_references_stood(front: Front) -> None:
    (front.place / "t").write_bytes(b"user: {{ sv://app/user }}\npass: {{sv://app/pass}}\n{{ .Helm }} \xff {{ sv://app/user }}")
    with front.holding(app_user=b"u\n", app_pass=b"\0{{ sv://app/user }}") as daemon:
        ended = front("inject", "-i", "t", "-o", "out", umask=0)
    assert (ended.exit, ended.out, ended.err) == (0, b"", "out written, 2 secrets\n")
    # What was put in is not looked at again.
    assert (front.place / "out").read_bytes() == b"user: u\n\npass: \0{{ sv://app/user }}\n{{ .Helm }} \xff u\n"
    assert stat.S_IMODE((front.place / "out").stat().st_mode) == 0o600
    assert [call["refs"] for call in daemon.calls] == [["app/user", "app/pass"]]
    assert sorted(p.name for p in front.place.iterdir()) == ["out", "t"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(before=st.binary(max_size=50), value=st.binary(max_size=300), after=st.binary(max_size=50))
def test_any_bytes(front: Front, before: bytes, value: bytes, after: bytes) -> None:
    before, after = before.replace(b"{", b""), after.replace(b"}", b"")
    (front.place / "t").write_bytes(before + b"{{ sv://a }}" + after)
    with front.holding(a=value):
        assert front("inject", "-i", "t", "-o", "out", "--force").exit == 0
    assert (front.place / "out").read_bytes() == before + value + after


def test_from_standard_input_and_in_json(front: Front) -> None:
    (front.place / "t").write_text("{{ sv://a }}")
    with front.holding(a=b"x"), (front.place / "t").open("rb") as template:
        ended = front("inject", "-i", "-", "-o", "out", "--format", "json", stdin=template)
    assert json.loads(ended.out) == {"v": 1, "file": "out", "paths": ["a"]}


def test_a_file_that_exists_is_kept(front: Front) -> None:  # L19
    (front.place / "t").write_text("{{ sv://a }}")
    (front.place / "out").write_text("mine")
    (front.place / "link").symlink_to("out")
    with front.holding(a=b"x") as daemon:
        assert front("inject", "-i", "t", "-o", "out").exit == 2
        assert front("inject", "-i", "t", "-o", "link", "--force").exit == 2
    assert daemon.calls == []
    assert (front.place / "out").read_text() == "mine"


def test_nothing_is_left_of_a_refusal(front: Front) -> None:
    (front.place / "t").write_text("{{ sv://a }}{{ sv://b }}")
    with front.daemon(lambda call: call.refuse(10, "denied")):
        assert front("inject", "-i", "t", "-o", "out").exit == 10
    assert [p.name for p in front.place.iterdir()] == ["t"]


def test_a_full_disk_leaves_nothing(front: Front) -> None:
    """A file system of 16 KiB: the value does not fit, and no part of it stays."""
    import subprocess

    disk = front.place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], check=True)
    try:
        with front.holding(a=b"x" * 60000):
            ended = front("read", "sv://a", "--out-file", disk / "value")
        assert ended.exit == 1
        assert "No space left" in ended.err
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (b"none here", "holds no reference"),
        (b"\n{{ sv://A }}", "line 2: 'A' is not the path"),
        (b"{{ sv://a", "line 1: a reference is not closed"),
        (b"{{ sv://\xff }}", "line 1: a reference is not text"),
        (b"{{ sv://a# }}", "not the name of a field"),
        (b"x" * (1024 * 1024 + 1), "larger than 1 MiB"),
    ],
    ids=["none", "path", "open", "binary", "field", "large"],
)
def test_templates_that_are_refused(front: Front, template: bytes, why: str) -> None:
    (front.place / "t").write_bytes(template)
    ended = front("inject", "-i", "t", "-o", "out")
    assert (ended.exit, why in ended.err) == (2, True), ended.err
    assert not (front.place / "out").exists()


def test_usage(front: Front) -> None:
    for words in (["-i", "t"], ["-o", "out"], ["t", "out"], ["-i", "none", "-o", "out"], ["-i", "t", "-o", "/"]):
        assert front("inject", *words).exit == 2
    (front.place / "t").write_text("{{ sv://a }}")
    ended = front("inject", "-i", "t", "-o", "out", "--dry-run")
    assert (ended.exit, ended.out) == (0, b"sv://a\n")
    assert not Path(front.place / "out").exists()
