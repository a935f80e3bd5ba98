"""Recovery as the API reads it from a real ledger: the budget is the ledger's, and bodies move with it only."""

import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from api_process import an_api
from snapshots import an_attempt, an_entry
from stores import TICK_MS, a_fleet, an_instance

from api.follower import Follower
from api.recovery import Bounds
from api.views.evidence import bundle
from api.views.recovery import recovery
from jobs.health.model import InstanceKey, ProbeOutcome
from jobs.health.recovery import Action, Attempt, AttemptOutcome, Hold, Limits, Order, Plan
from jobs.store import ledger, plans, reader
from jobs.store.connection import transaction
from jobs.store.evidence import path_of, write_bundle
from jobs.store.ledger import Ending, Moment

REFUSED = {"instance-0": ProbeOutcome.REFUSED}
KEY = InstanceKey("static/instance-0")


class Scene:
    """A store with one ill instance, its ledger on a clock of our own, and an API's eye on it."""

    def __init__(self, fleet, path, bounds):
        self.connection = fleet.connection
        self.fleet = fleet
        self.now_ms = 1000
        self.follower = Follower(path, lambda: fleet.at_ms, bounds=bounds)
        with transaction(self.connection):
            ledger.adopt(self.connection, [], now=self.now)

    @property
    def now(self):
        """The ledger's moment."""
        return Moment("boot", self.now_ms, self.fleet.at_ms)

    def plan(self, **changes):
        """Write what is next."""
        (incident,) = reader.open_incidents(self.connection).values()
        plan = Plan(incident=incident.id, key=KEY, decided_at_ms=self.fleet.at_ms, action=Action.RESET_GUEST)
        with transaction(self.connection):
            plans.put_plans(self.connection, [replace(plan, **changes)])
            ledger.witness(self.connection, self.now)
        self.fleet.ticks(1, REFUSED)

    def attempt(self, *, has_acted=True):
        """Let one attempt run through, and its cool-down pass."""
        with transaction(self.connection):
            order = Order(key=KEY, action=Action.RESET_GUEST, uid="u")
            booked = ledger.book(self.connection, order, Limits(), now=self.now)
            assert isinstance(booked, Attempt), booked
            ledger.claim(self.connection, booked.id, "r", now=self.now)
            if has_acted:
                ledger.begin_act(self.connection, booked.id, "r", now=self.now)
            ending = Ending(AttemptOutcome.NO_EFFECT if has_acted else AttemptOutcome.STOOD_DOWN, "so it was")
            ledger.end(self.connection, booked.id, ending, now=self.now, runner="r")
            self.now_ms += 60_000
            ledger.witness(self.connection, self.now)
        return booked

    @property
    def told(self):
        """What the API tells of the instance."""
        return recovery(self.follower.look().standings["instance-0"])


@pytest.fixture
def scene(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - 4 * TICK_MS) as fleet:
        fleet.ticks(3, REFUSED)
        made = Scene(fleet, tmp_path / "loco.db", Bounds())
        with closing(made.follower):
            yield made


def test_the_budget_that_is_told_is_the_ledgers(scene):
    scene.plan()
    counted = [scene.told["attempts"]]
    for _ in range(3):
        scene.attempt()
        counted.append(scene.told["attempts"])

    told = scene.told
    assert ([0, 1, 2, 3], 3, False, "BudgetSpent") == (
        counted,
        told["maxAttempts"],
        told["canRecover"],
        told["hold"],
    )
    assert "BudgetSpent: 3 attempts in 60 minutes, at most 3 are allowed" == told["reason"]


def test_an_attempt_that_stood_down_is_told_and_costs_no_budget(scene):
    scene.attempt(has_acted=False)

    assert (0, ["stood-down"]) == (scene.told["attempts"], [one["outcome"] for one in scene.told["history"]])


def test_after_sixty_minutes_of_witnessed_time_it_is_forgotten_here(scene):
    scene.attempt()
    with transaction(scene.connection):
        scene.now_ms += 3_600_000 + 60_000
        ledger.witness(scene.connection, scene.now)
    scene.fleet.ticks(1, REFUSED)

    assert (0, []) == (scene.told["attempts"], scene.told["history"])


def test_a_ledger_that_isnt_read_yet_holds_everything(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000)) as fleet:
        fleet.ticks(3, REFUSED)
        (incident,) = reader.open_incidents(fleet.connection).values()
        plan = Plan(incident=incident.id, key=KEY, decided_at_ms=fleet.at_ms, action=Action.RESET_GUEST)
        with transaction(fleet.connection):
            plans.put_plans(fleet.connection, [plan])
        with closing(Follower(tmp_path / "loco.db", lambda: fleet.at_ms)) as follower:
            told = recovery(follower.look().standings["instance-0"])

    assert (False, Hold.LEDGER_UNREAD) == (told["canRecover"], told["hold"])


def test_a_booking_is_seen_by_the_next_look_and_a_clock_alone_by_none(scene):
    scene.plan()
    before = scene.follower.look()
    with transaction(scene.connection):
        scene.now_ms += 1000
        ledger.witness(scene.connection, scene.now)
    same = scene.follower.look().snapshot.recovery
    scene.attempt()

    assert before.snapshot.recovery is same
    assert 1 == scene.told["attempts"]


def test_a_policy_may_lower_the_budget_that_is_told_and_a_dry_run_is_on_the_page(tmp_path):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - TICK_MS) as fleet:
        fleet.ticks()
    (tmp_path / "policy.toml").write_text("[recovery]\nattempts = 2\n")
    settings = {"LOCO_POLICY": str(tmp_path / "policy.toml"), "LOCO_DRY_RUN": "true"}
    with an_api(tmp_path / "loco.db", **settings) as api:
        most = api.ask("/api/quality/recovery-status").json["instance-0"]["maxAttempts"]

        assert (2, True) == (most, b"<b>Dry run.</b>" in api.ask("/").body)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_switch_is_on_the_page_from_the_next_request_on(tmp_path, is_named):
    control = tmp_path / ("elsewhere" if is_named else "control")
    control.mkdir()
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - TICK_MS) as fleet:
        fleet.ticks()
    with an_api(tmp_path / "loco.db", **({"LOCO_CONTROL": str(control)} if is_named else {})) as api:
        said = [api.ask("/").body]
        for line in ("off", "on"):
            (control / "recovery").write_text(line)
            said.append(api.ask("/").body)

    assert [False, True, False] == [b"KillSwitch: recovery is switched off in loco-control" in page for page in said]
    assert [True, False, True] == [b"recovery acts" in page for page in said]


def test_a_bundle_is_told_as_it_was_kept(tmp_path):
    store = tmp_path / "loco.db"
    write_bundle(store, 12, b'{"screens": []}')

    told = bundle(an_attempt(an_entry()), store)

    assert (12, "reset-audio", b'{"screens": []}', None) == (
        told["attempt"],
        told["action"],
        bytes(told["bundle"]),
        told["problem"],
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, "it was deleted: bundles are kept for 7 days, and 256 MiB of them"),
        (b'{"screens": [', "it is damaged"),
        (b'{"screens": "\xff"}', "it is damaged"),
        (b"x" * (2 * 1024 * 1024 + 1), "it can't be read: "),
    ],
)
def test_a_bundle_that_cant_be_told_any_more_says_why(tmp_path, body, expected):
    store = tmp_path / "loco.db"
    if body is not None:
        write_bundle(store, 12, b"{}")
        Path(path_of(store, 12)).write_bytes(body)

    told = bundle(an_attempt(an_entry()), store)

    assert (None, True) == (told["bundle"], told["problem"].startswith(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, "policy.toml can't be read"), ("[recovery]\nattempts = 9\n", "recovery.attempts is 9, allowed is")],
)
def test_a_policy_that_the_jobs_wouldnt_take_stops_the_api_too(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "policy.toml").write_text(text)
    command = [sys.executable, "-m", "api", "--store", tmp_path / "loco.db", "--policy", tmp_path / "policy.toml"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert (2, True) == (done.returncode, expected in done.stderr)
