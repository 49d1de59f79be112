"""The load tests: do they measure what they say, do they work end to end, and is a relay made for them impossible to overlook?"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import check
from loadtests.arrivals import Plan
from loadtests.floors import Floors
from loadtests.histogram import Histogram
from loadtests.hits import Hits
from loadtests.report import page
from loadtests.running import Loop, Result, Sample, scenarios
from tests.relay.process import RelayProcess
from tests.world import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def ran(*words: str, code: int = 0) -> str:
    done = subprocess.run([sys.executable, "-P", "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE * 4,
                          check=False, env={"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin", "PYTHONPATH": str(ROOT)})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@given(st.lists(st.integers(0, 10**10), min_size=1), st.sampled_from([0, 1, 50, 95, 99, 99.9, 100]))
def test_a_percentile_is_the_true_one_or_less_than_a_hundredth_above(microseconds: list[int], percent: float) -> None:
    kept = Histogram()
    for one in microseconds:
        kept.record(one / 1e6)
    ordered = sorted(microseconds)
    truth = next(one for at, one in enumerate(ordered, 1) if at >= len(ordered) * percent / 100)
    assert truth <= round(kept.percentile(percent) * 1000) <= truth * 1.01


@given(st.lists(st.integers(0, 10**7)), st.lists(st.integers(0, 10**7)))
def test_histograms_merge_and_come_back(one: list[int], other: list[int]) -> None:
    parts, whole = (Histogram(), Histogram()), Histogram()
    for part, times in zip(parts, (one, other), strict=True):
        for time in times:
            part.record(time / 1e6)
            whole.record(time / 1e6)
    parts[0].merge(Histogram(parts[1].pairs()))
    assert (parts[0].pairs(), parts[0].count) == (whole.pairs(), len(one) + len(other))


def test_arrivals_are_drawn_once_and_for_all() -> None:
    plan = Plan(rate=50, seconds=100, seed=random.randrange(10**6), burst=7, every=10)
    starts = list(plan.starts())
    assert starts == sorted(starts) == list(plan.starts())
    assert max(starts) < 100
    at_once = {start: starts.count(start) for start in starts if starts.count(start) > 1}
    assert at_once == {float(10 * number): 7 for number in range(1, 10)}
    assert 4400 < len(starts) - 63 < 5600  # 5,000, give or take eight deviations
    assert starts != list(Plan(50, 100, plan.seed + 1, 7, 10).starts())


def test_an_open_loop_sees_a_stall_and_a_closed_one_does_not() -> None:
    found = json.loads(ran("loadtests.selftest").splitlines()[0])
    assert (found["completed"], found["failed"]) == (found["offered"], [])
    assert found["open"] >= 150  # the server stood still for 300 ms in every 2 s: this is a fact of the arrivals
    assert found["closed"] < 150  # and is hidden here


def result(**changes: object) -> Result:
    times = Histogram()
    for milliseconds in range(1, 101):
        times.record(milliseconds / 1000)
    opened = [Loop(name, 60, 100, 5, 100, 100, times=times.pairs(), lag=[(128, 100)], finished={1: 60, 2: 40})
              for name in ("open 25%", "open 50%")]
    closed = Loop("closed", 30, 3000, 100, processor=6.0)
    made = Result("steady", "a process", "2030-01-01T00:00:00Z", 2, [0.1, 0.1, 0.1], [Floors(0.1, 0.05, 0.1)], [closed, *opened],
                  Hits([500.0], [1000.0], 0.1))
    return msgspec.structs.replace(made, **changes)


def test_a_budget_that_is_missed_fails_the_check(tmp_path: Path) -> None:
    bad = result()
    bad.loops[1].completed -= 1
    path = tmp_path / "result.json"
    path.write_bytes(msgspec.json.encode(bad))
    assert "lost" in (said := ran("loadtests.check", str(path), code=1)) and "MISSED" in said


def test_a_goal_is_shown_and_fails_nothing() -> None:
    bounds = {"hits": {"at_least": 0.4, "goal": 0.5}, "processor": {"at_most": 50, "goal": 39}}
    good, bad = check.verdicts(result(), {"all": bounds})
    assert good.met and "goal 0.5 reached" in str(good)
    assert bad.met and "goal 39 not reached" in str(bad)
    (missed,) = check.verdicts(result(), {"all": {"processor": {"at_most": 39}}})
    assert not missed.met and "MISSED" in str(missed)


def test_figures_are_ratios_over_the_floors_of_the_run() -> None:
    found = check.figures(result())
    assert check.least_ms(result()) == pytest.approx(1.0)
    assert found["open 25%: p50"] == pytest.approx(50, rel=0.01)
    assert found["processor"] == pytest.approx(40)  # 2 ms a release over 0.05 ms a POST
    assert found["capacity"] == pytest.approx(0.005)  # 100 a second of 20,000 POSTs that a core answers
    assert found["hits"] == 0.5


def test_memory_that_grows_late_in_a_run_is_found() -> None:
    """What it takes in the first half, as connections open and pages are cached, is no growth."""
    bound, mib = {"all": {"growth": {"at_most": 1}}}, 2**20
    for late, met in ((lambda _: 40 * mib, True), (lambda at: 40 * mib + at * mib // 100, False)):
        grown = result()
        grown.loops[-1].samples = [Sample(float(at), 0, at * mib if at < 40 else late(at)) for at in range(1000)]
        (verdict,) = check.verdicts(grown, bound)
        assert verdict.met == met
        assert verdict.found == pytest.approx(0 if met else 6, abs=0.1)
    assert check.verdicts(result(), bound) == [], "a relay elsewhere has no memory that can be seen"


def test_every_budget_names_a_figure_that_its_scenario_has() -> None:
    budgets = tomllib.loads((ROOT / "loadtests" / "budgets.toml").read_text())
    assert set(budgets) <= {"all", *scenarios()}
    for scenario in scenarios():
        check.verdicts(result(scenario=scenario), budgets)
    with pytest.raises(ValueError, match="speed: this run has no such figure"):
        check.verdicts(result(), {"all": {"speed": {"at_most": 1}}})


def test_what_makes_the_figures_doubtful_is_said() -> None:
    doubtful = result()
    doubtful.loops[1].lag = [(50_000, 100)]
    doubtful.loops[0].drivers = [0.95]
    doubtful.loops[2].failures, doubtful.loops[2].reasons = 1, ["POST /v1/requests: 503"]
    said = "\n".join(check.warnings(doubtful))
    assert "50 ms late" in said and "busy all the time" in said and "503" in said
    assert check.warnings(result()) == []


def test_the_report_is_one_page_that_fetches_nothing() -> None:
    shown = page(result(target="<script>alert(1)</script>"))
    assert shown.count("<svg") == 2 and "open 25%" in shown
    assert not any(word in shown for word in ("<script", "http:", "https:", "src=", "@import"))


def test_the_smoke_runs_whole_releases_from_end_to_end(tmp_path: Path) -> None:
    """Two processes of Locust: hosts, approvers on the stream, consoles; then lease hits. No time is judged."""
    ran("loadtests", "smoke", "--out", str(tmp_path))
    found = check.load(tmp_path / "smoke" / "result.json")
    closed, opened = found.loops
    assert closed.releases > 0 and closed.failures == opened.failures == 0
    assert 0 < opened.offered == opened.completed == sum(count for _, count in opened.times)
    assert found.hits is not None and found.hits.daemon[0] > 0
    assert "<svg" in (tmp_path / "smoke" / "report.html").read_text()


def test_a_relay_elsewhere_is_named_and_refusals_are_sentences(relay: RelayProcess, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong\n")
    named = ["loadtests", "smoke", "--out", str(tmp_path), "--ca", str(relay.ca), "--setup-token-file", str(tmp_path / "token")]
    for url, why in ((relay.url, "did not take the organisation"), ("https://localhost:1", "Connection refused"),
                     ("http://localhost", "is not https://name[:port]"), (relay.url + "/path", "is not https://name[:port]")):
        said = ran(*named, "--relay", url, code=1)
        assert why in said and "Traceback" not in said
    assert "needs --ca and --setup-token-file" in ran("loadtests", "smoke", "--relay", relay.url, code=1)


def test_a_laboratory_says_what_it_is(relay: RelayProcess) -> None:
    done = relay.command("doctor", "--data", str(relay.data))
    assert "profile: LABORATORY: nothing spares people's screens" in done.stdout.decode()
    relay.stop()
    said = [json.loads(line) for line in relay.stderr]
    assert [one for one in said if one["level"] == "warning" and "profile laboratory" in one["event"]], said


def test_a_relay_of_people_is_no_laboratory(directory: Path) -> None:
    plain = RelayProcess(directory / "data", profile="standard").start()
    done = plain.command("doctor", "--data", str(plain.data))
    plain.stop()
    assert "profile: standard" in done.stdout.decode()
    assert b"laboratory" not in b"".join(plain.stderr)
