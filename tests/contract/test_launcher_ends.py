"""`dispatch` launches: each attempt has an end, and no store acts before it knows what was done before it."""

import pytest
from launching import JOBS, PODS, Dispatch, a_fleet, cluster_jobs, finish, jobs_of, only, put_template
from object_server import an_object_server

from jobs.health.recovery import AttemptOutcome, AttemptState
from jobs.recovery.endings import CREATE_MS, JOB_MS, LIFE_MS
from jobs.store import ledger
from jobs.store.connection import transaction


@pytest.fixture
def server():
    with an_object_server() as (objects, connect):
        put_template(objects)
        yield objects, connect


@pytest.fixture
def objects(server):
    return server[0]


@pytest.fixture
def fleet(tmp_path):
    with a_fleet(tmp_path / "loco.db") as fleet:
        fleet.tick()
        yield fleet


@pytest.fixture
def dispatch(fleet, server):
    return Dispatch(fleet, cluster_jobs(server[1]))


def pod(**status):
    """Return the pod of the first Job."""
    return {"metadata": {"name": "pod-1"}, "status": status}


def oom(name):
    return pod(containerStatuses=[{"name": name, "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}])


@pytest.mark.parametrize(
    ("end", "pods", "told"),
    [
        (("Failed", "BackoffLimitExceeded"), [oom("recover")], "OOMKilled"),
        (("Failed", "BackoffLimitExceeded"), [pod(reason="Evicted")], "Evicted"),
        (("Failed", "DeadlineExceeded"), [], "DeadlineExceeded"),
        (("Complete", ""), [], "it ended by itself"),
    ],
)
def test_a_job_that_ended_without_a_word_is_an_unknown_outcome(fleet, objects, dispatch, end, pods, told):
    dispatch.go(2)
    (job,) = jobs_of(objects)
    for one in pods:
        one["metadata"]["labels"] = {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
        objects.kept[f"{PODS}/pod-1"] = one
    finish(job, *end)
    dispatch.go(7)
    attempt = only(fleet)

    assert AttemptOutcome.UNKNOWN is attempt.outcome
    assert f"its Job has ended ({told}), no act was begun" == attempt.detail


def test_what_the_runner_wrote_stands_when_its_job_ends(fleet, objects, dispatch):
    dispatch.go(2)
    claim(fleet)
    with transaction(fleet.connection):
        ending = ledger.Ending(AttemptOutcome.HEALED, "as the test says")
        ledger.end(fleet.connection, 1, ending, now=fleet.time.clock.moment(), runner="pod-1")
    finish(jobs_of(objects)[0])
    dispatch.go(7)

    assert AttemptOutcome.HEALED is only(fleet).outcome


def claim(fleet, *, acts=False):
    """Have the attempt's pod claim it, and begin its act."""
    with transaction(fleet.connection):
        assert ledger.claim(fleet.connection, 1, "pod-1", now=fleet.time.clock.moment())
        assert not acts or ledger.begin_act(fleet.connection, 1, "pod-1", now=fleet.time.clock.moment())


def test_an_act_that_was_begun_is_not_given_up_while_it_may_still_come(fleet, objects, dispatch):
    dispatch.go(2)
    claim(fleet, acts=True)
    finish(jobs_of(objects)[0])
    dispatch.go(35)
    early = only(fleet).state
    dispatch.go(15)
    attempt = only(fleet)

    assert AttemptState.RUNNING is early
    assert AttemptOutcome.UNKNOWN is attempt.outcome
    assert "its Job has ended (BackoffLimitExceeded), what its act did wasn't seen" == attempt.detail


@pytest.mark.parametrize(("acts", "seconds"), [(False, 7), (True, JOB_MS // 1000 + 5)])
def test_a_job_that_vanished_ends_at_once_unless_it_has_begun_to_act(fleet, objects, dispatch, acts, seconds):
    dispatch.go(2)
    claim(fleet, acts=acts)
    (path,) = [path for path in objects.kept if path.startswith(f"{JOBS}/")]
    del objects.kept[path]
    dispatch.go(seconds - 7)
    early = only(fleet).state
    dispatch.go(14)
    attempt = only(fleet)

    assert AttemptState.RUNNING is early
    assert AttemptOutcome.UNKNOWN is attempt.outcome
    assert attempt.detail.startswith("its Job isn't there any more")


def test_a_job_that_another_replaced_under_its_name_has_vanished(fleet, objects, dispatch):
    dispatch.go(2)
    jobs_of(objects)[0]["metadata"]["annotations"]["loco-health/attempt"] = "77"
    dispatch.go(7)

    assert "its Job isn't there any more (another Job has its name), no act was begun" == only(fleet).detail


def test_a_job_that_goes_on_for_ever_is_given_up_though_not_before_one_that_was_made_late_must_be_over(
    fleet, objects, dispatch
):
    dispatch.go((CREATE_MS + LIFE_MS) // 1000 + 10)
    early = only(fleet).state
    dispatch.go(30)

    assert AttemptState.PLANNED is early
    assert "its Job isn't over 420 s after it was booked, no act was begun" == only(fleet).detail


def test_an_api_server_that_is_away_ends_nothing(fleet, objects, dispatch):
    dispatch.go(2)
    objects.refusal = (503, "the server is starting")
    problem = [dispatch.go() for _ in range(60)][-1]
    objects.refusal = None
    mended = [dispatch.go() for _ in range(10)][-1]

    assert AttemptState.PLANNED is only(fleet).state
    assert problem.endswith("answered 503: the server is starting")
    assert None is mended


def test_a_store_that_knows_nothing_takes_over_what_was_done_before(tmp_path, server, fleet, objects, dispatch):
    dispatch.go(2)
    objects.page_items = 1
    by_hand = {"name": "recover-instance-0-again", "labels": dict(jobs_of(objects)[0]["metadata"]["labels"])}
    objects.kept[f"{JOBS}/{by_hand['name']}"] = {"metadata": by_hand}
    with a_fleet(tmp_path / "new.db", is_adopted=False) as fresh:
        fresh.tick()
        Dispatch(fresh, dispatch.launcher._jobs).go(3)
        adopted = [(one.key, one.job, one.outcome, one.action) for one in fresh.attempts()]

    key = "loco-instances/loco-emulator-0"
    assert [
        (key, f"recover-{fleet.store()}-instance-0-1", "unknown-outcome", "reset-audio"),
        (key, "recover-instance-0-again", "unknown-outcome", "restart-qemu"),
    ] == adopted


def test_nothing_is_booked_before_it_is_known_what_was_done_before(tmp_path, server, objects):
    objects.refusals[f"GET {JOBS}"] = (403, 'jobs.batch is forbidden: User "x" cannot list')
    with a_fleet(tmp_path / "new.db", is_adopted=False) as fleet:
        fleet.tick()
        dispatch = Dispatch(fleet, cluster_jobs(server[1]))
        problem = dispatch.go()
        dispatch.go(10)
        nothing = fleet.attempts()
        objects.refusals = {}
        fleet.tick()
        dispatch.go(2)

        assert problem.startswith("dispatch may not list jobs in namespace loco-health: apply manifests/rbac.yaml")
        assert ([], 1) == (nothing, len(fleet.attempts()))


def test_an_older_state_of_the_store_finds_that_its_jobs_know_more(tmp_path, server, fleet, objects, dispatch):
    dispatch.go(2)
    name = jobs_of(objects)[0]["metadata"]["name"]
    with a_fleet(tmp_path / "old.db") as old:
        with transaction(old.connection):
            old.connection.execute("UPDATE ledger SET store = ?", (fleet.store(),))
        old.tick()
        Dispatch(old, dispatch.launcher._jobs).go(3)

        assert fleet.store() != old.store()
        assert [(name, AttemptOutcome.UNKNOWN)] == [(one.job, one.outcome) for one in old.attempts()]
