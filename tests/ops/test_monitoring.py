"""Dashboard, alert rules and their page against the metrics of a running relay, and against Prometheus' own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.ops.test_metrics import Metrics
from tests.relay.listeners import until
from tests.relay.parties import Organisation
from tests.relay.process import PATIENCE, RelayProcess
from tests.world import free_port

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "appliance" / "monitoring"
GUIDE = ROOT / "docs" / "operations" / "monitoring.md"
LATER = {"stillvault_last_backup_timestamp_seconds"}  # there is none before the first backup


def promtool(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("promtool")
    assert program, "promtool is not installed: run tools/setup"
    return subprocess.run([program, *arguments], cwd=FOLDER, input=stdin, capture_output=True, timeout=60, check=False)


def test_the_rules_are_good_and_each_was_seen_to_fire() -> None:
    for arguments in ("check rules alerts.yml", "check config prometheus.yml", "test rules alerts-test.yml"):
        done = promtool(*arguments.split())
        assert done.returncode == 0, done.stdout + done.stderr
    rules = set(re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text()))
    tried = set(re.findall(r'alertname="(\w+)"', (FOLDER / "alerts-test.yml").read_text()))
    assert rules == tried
    assert [one for one in rules if f"`{one}`" not in GUIDE.read_text()] == [], "the page says what to do at each"


def named(text: str) -> set[str]:
    """Series that a query names, a histogram's by the name of the histogram."""
    return {re.sub(r"_(bucket|sum|count)$", "", one) for one in re.findall(r"\bstillvault_[a-z_]+", text)}


@pytest.fixture
def page(directory: Path) -> str:
    port = free_port()
    relay = RelayProcess(directory / "data", metrics=f"127.0.0.1:{port}").start()
    try:
        Organisation(relay).create()
        return Metrics(port).page()
    finally:
        relay.stop()


def test_every_metric_that_is_named_exists_and_every_one_is_explained(page: str) -> None:
    exist = set(re.findall(r"^# TYPE (stillvault_[a-z_]+)", page, re.MULTILINE)) | LATER
    board = json.loads((FOLDER / "dashboard.json").read_text())
    queries = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    assert named(queries + board["templating"]["list"][1]["query"]) - exist == set()
    assert named((FOLDER / "alerts.yml").read_text()) - exist == set()
    assert named((FOLDER / "alerts-test.yml").read_text()) - exist == set()
    listed = set(re.findall(r"^\| `(stillvault_[a-z_]+)", GUIDE.read_text(), re.MULTILINE))
    assert listed == exist


def test_the_page_is_what_prometheus_reads(page: str) -> None:
    done = promtool("check", "metrics", stdin=page.encode())
    said = [line for line in done.stderr.decode().splitlines() if "stillvault_" in line]
    assert said == [], "Prometheus' linter has nothing to say"


def asked(port: int, query: str) -> Any:
    """What Prometheus answers to a query."""
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        said = json.load(answer)
    assert said["status"] == "success", said
    return said["data"]["result"]


def ready(port: int) -> bool:
    """It listens, and has read what it has to read."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=PATIENCE) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except urllib.error.URLError:
        return False


def test_a_real_prometheus_reads_a_relay_and_understands_the_dashboard(directory: Path) -> None:
    program = shutil.which("prometheus")
    assert program, "prometheus is not installed: run tools/setup"
    metrics, own = free_port(), free_port()
    settings = (FOLDER / "prometheus.yml").read_text()
    settings = settings.replace("127.0.0.1:9464", f"127.0.0.1:{metrics}").replace("15s", "1s")
    (directory / "prometheus.yml").write_text(settings)
    shutil.copy(FOLDER / "alerts.yml", directory)
    relay = RelayProcess(directory / "data", metrics=f"127.0.0.1:{metrics}").start()
    where = [f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/series"]
    command = [program, *where, f"--web.listen-address=127.0.0.1:{own}", "--log.level=error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as prometheus:
        try:
            Organisation(relay).create()
            until(lambda: ready(own))
            until(lambda: asked(own, 'up{job="stillvault"} == 1'))
            until(lambda: asked(own, "stillvault_roster_expiry_timestamp_seconds"))
            board = json.loads((FOLDER / "dashboard.json").read_text())
            for panel in board["panels"]:
                for target in panel["targets"]:
                    query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "5m")
                    assert isinstance(asked(own, query), list), panel["title"]
            assert asked(own, 'ALERTS{alertname=~"StillvaultDown|StillvaultDiskFailed"}') == []
        finally:
            prometheus.terminate()
            relay.stop()


def test_the_dashboard_fits_itself() -> None:
    board = json.loads((FOLDER / "dashboard.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
