"""`dispatch` launches: one attempt and one Job of each due plan, and an end for each, whatever the API server does."""

import pytest
from launching import CRONJOB, JOBS, Dispatch, a_fleet, cluster_jobs, jobs_of, only, put_template
from object_server import an_object_server

from jobs.health.control import Stop
from jobs.health.recovery import AttemptOutcome, AttemptState, Hold
from jobs.recovery.endings import CREATE_MS
from jobs.recovery.launcher import MAX_BOOKED, MAX_OPEN
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


def test_a_due_plan_is_an_attempt_first_and_a_job_a_second_later(fleet, objects, dispatch):
    dispatch.go()
    booked = only(fleet)
    jobs_then = jobs_of(objects)
    dispatch.go()
    (job,) = jobs_of(objects)
    named = only(fleet)

    assert (AttemptState.PLANNED, None, []) == (booked.state, booked.job, jobs_then)
    assert f"recover-{fleet.store()}-instance-0-1" == job["metadata"]["name"] == named.job
    assert {
        "cronjob.kubernetes.io/instantiate": "manual",
        "loco-health/attempt": "1",
        "loco-health/incident": "incident-0",
        "loco-health/instance": "instance-0",
        "loco-health/key": "loco-instances/loco-emulator-0",
        "loco-health/action": "reset-audio",
    } == job["metadata"]["annotations"]
    assert {
        "loco-health/attempt": "1",
        "loco-health/incident": "incident-0",
        "loco-health/action": "reset-audio",
    }.items() <= (job["metadata"]["labels"].items())
    assert [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "recover", "uid": "uid-of-recover"}] == (
        job["metadata"]["ownerReferences"]
    )
    assert "1" == job["spec"]["template"]["metadata"]["annotations"]["loco-health/attempt"]


def test_a_plan_is_booked_once_however_long_it_stays(fleet, objects, dispatch):
    dispatch.go(30)

    assert (1, 1) == (len(fleet.attempts()), len(jobs_of(objects)))


def test_a_plan_that_is_older_than_a_switch_is_no_attempt(fleet, dispatch):
    dispatch.stop = Stop(Hold.KILL_SWITCH, "recovery is switched off")
    dispatch.go(3)
    before = fleet.attempts()
    dispatch.stop = None
    fleet.tick()
    dispatch.go()

    assert ([], 1) == (before, len(fleet.attempts()))


def test_an_attempt_that_is_older_than_a_switch_still_has_its_end_looked_after(fleet, objects, dispatch):
    dispatch.go()
    dispatch.stop = Stop(Hold.KILL_SWITCH, "recovery is switched off")
    dispatch.go()

    assert 1 == len(jobs_of(objects)), "its pod reads the switch afresh, and writes that it stood down"


def test_a_plan_that_is_not_due_is_no_attempt(fleet, dispatch):
    fleet.tick(action=None)
    dispatch.go(3)

    assert [] == fleet.attempts()


def test_a_plan_of_a_collector_that_has_died_is_no_attempt(fleet, dispatch):
    fleet.time.wait(36)
    dispatch.go(3)

    assert [] == fleet.attempts()


def test_a_plan_of_another_boot_is_no_attempt(fleet, dispatch):
    with transaction(fleet.connection):
        fleet.connection.execute("UPDATE leases SET boot_id = 'boot-0'")
    dispatch.go(3)

    assert [] == fleet.attempts()


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wall_clock_that_jumps_makes_no_plan_older_or_younger(fleet, dispatch, hours):
    fleet.time.wall_ms += hours * 3_600_000
    dispatch.go()

    assert 1 == len(fleet.attempts())


def test_a_plan_from_before_an_attempts_end_is_not_booked_again(fleet, dispatch):
    dispatch.go(2)
    with transaction(fleet.connection):
        ending = ledger.Ending(AttemptOutcome.SUPERSEDED, "as the test says")
        ledger.end(fleet.connection, 1, ending, now=fleet.time.clock.moment())
    fleet.time.wait(25)  # past the cool-down, and the plan is younger than two ticks
    dispatch.go(3)
    attempts = len(fleet.attempts())
    fleet.tick()
    dispatch.go(3)

    assert (1, 2) == (attempts, len(fleet.attempts()))


def test_a_job_that_is_there_for_this_attempt_is_the_one(fleet, objects, dispatch):
    dispatch.go()
    dispatch.go(is_killed=True)
    Dispatch(fleet, dispatch.launcher._jobs).go(2)

    assert 1 == len(jobs_of(objects))
    assert 2 == objects.asked.count(("POST", JOBS))
    assert jobs_of(objects)[0]["metadata"]["name"] == only(fleet).job


def test_a_job_of_the_name_that_is_of_another_attempt_is_a_collision(fleet, objects, dispatch):
    dispatch.go()
    name = f"recover-{fleet.store()}-instance-0-1"
    annotations = {"loco-health/attempt": "1", "loco-health/key": "elsewhere/pod-9"}
    objects.kept[f"{JOBS}/{name}"] = {"metadata": {"name": name, "annotations": annotations}}
    dispatch.go()
    attempt = only(fleet)

    assert AttemptOutcome.NAME_COLLISION is attempt.outcome
    assert f"Job {name} was there already, and is of attempt 1 of elsewhere/pod-9" == attempt.detail


@pytest.mark.parametrize("lost", [f"POST {JOBS}", f"GET {CRONJOB}"])
def test_a_reply_that_is_lost_is_made_up_for_by_reading(fleet, objects, dispatch, lost):
    dispatch.go()
    objects.lost = [lost]
    problem = dispatch.go()
    dispatch.go(3)

    assert "failed" in problem or "broke off" in problem
    assert 1 == len(jobs_of(objects))
    assert (AttemptState.PLANNED, jobs_of(objects)[0]["metadata"]["name"]) == (only(fleet).state, only(fleet).job)


@pytest.mark.parametrize(("status", "said"), [(500, "etcd is away"), (422, "Job is invalid")])
def test_a_job_that_can_never_be_made_is_given_up_after_a_minute_and_a_few_tries(
    fleet, objects, dispatch, status, said
):
    dispatch.go()
    objects.refusals[f"POST {JOBS}"] = (status, said)
    problems = {dispatch.go() for _ in range(CREATE_MS // 1000 + 15)}
    attempt = only(fleet)

    assert AttemptOutcome.NOT_CREATED is attempt.outcome
    assert f"it had no Job after 60 s: POST {JOBS} answered {status}: {said}" == attempt.detail
    assert objects.asked.count(("POST", JOBS)) <= 8
    assert 1 == len(problems - {None})


def test_an_attempt_that_outlived_its_dispatcher_by_far_gets_no_job(fleet, objects, dispatch):
    dispatch.go()
    fleet.time.wait(CREATE_MS / 1000)
    dispatch.go()

    assert (AttemptOutcome.NOT_CREATED, []) == (only(fleet).outcome, jobs_of(objects))


def test_a_server_that_wants_to_be_left_alone_is(fleet, objects, dispatch):
    dispatch.go()
    objects.refusals[f"POST {JOBS}"], objects.retry_after = (429, "too many requests"), "5"
    dispatch.go()
    asked = len(objects.asked)
    for _ in range(4):
        fleet.tick()
        dispatch.go()
    asked_meanwhile = len(objects.asked) - asked
    objects.refusals, objects.retry_after = {}, ""
    dispatch.go(2)

    assert 0 == asked_meanwhile
    assert only(fleet).job is not None


@pytest.mark.parametrize(
    ("request_line", "told"),
    [
        (f"GET {CRONJOB}", "dispatch may not get cronjobs recover in namespace loco-health: apply manifests/rbac.yaml"),
        (f"POST {JOBS}", "dispatch may not create jobs in namespace loco-health: apply manifests/rbac.yaml"),
    ],
)
def test_a_missing_right_is_named(fleet, objects, dispatch, request_line, told):
    objects.refusals[request_line] = (403, 'jobs.batch is forbidden: User "x" cannot')
    problem = [dispatch.go() for _ in range(2)][-1]

    assert problem.startswith(told)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("exceeded quota: compute, requested: pods=1", "the quota of namespace loco-health has no room for a recovery"),
        ("loco-recovery denied request: the image is", "admission in namespace loco-health refuses the recovery Job"),
        ("namespace is being terminated", "namespace loco-health is being deleted, so nothing acts"),
    ],
)
def test_a_refusal_that_is_no_missing_right_says_what_it_is(fleet, objects, dispatch, said, told):
    objects.refusals[f"POST {JOBS}"] = (403, f"jobs.batch is forbidden: {said}")

    assert [dispatch.go() for _ in range(2)][-1].startswith(told)


def test_without_the_template_nothing_is_booked_and_it_is_said_once(fleet, objects, dispatch, caplog):
    cronjob = objects.kept.pop(CRONJOB)
    problems = []
    for _ in range(4):
        problems.append(dispatch.go())
        fleet.time.wait(10)
        fleet.tick()
    nothing = fleet.attempts()
    objects.kept[CRONJOB] = cronjob
    fleet.tick()
    dispatch.go()

    assert [] == nothing
    # A namespace's watch of a test before may still have something to say.
    said = [record for record in caplog.records if record.name == "jobs.recovery.launcher"]
    assert 1 == len(set(problems)) == len(said)
    assert problems[0].startswith("CronJob recover, the template of recovery Jobs, isn't in namespace loco-health")
    assert 1 == len(fleet.attempts())


def test_a_template_without_a_job_is_one_sentence(fleet, objects, dispatch):
    dispatch.go()
    objects.kept[CRONJOB] = {"metadata": {}, "spec": {}}

    assert dispatch.go().startswith("CronJob recover in namespace loco-health has no Job to make others of")


def change_image(job):
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "elsewhere/evil:1"
    return job


def change_account(job):
    job["spec"]["template"]["spec"]["serviceAccountName"] = "loco-admin"
    return job


@pytest.mark.parametrize(("change", "told"), [(change_image, "elsewhere/evil:1"), (change_account, "as loco-admin")])
def test_a_job_that_a_webhook_has_changed_acts_for_nobody(fleet, objects, dispatch, change, told):
    dispatch.go()
    objects.admit = change
    dispatch.go()
    attempt = only(fleet)

    assert AttemptOutcome.NOT_CREATED is attempt.outcome
    assert told in attempt.detail
    with transaction(fleet.connection):
        assert None is ledger.claim(fleet.connection, 1, "pod-1", now=fleet.time.clock.moment())


def test_many_due_plans_are_booked_little_by_little_and_only_so_many_at_once(tmp_path, server):
    with a_fleet(tmp_path / "loco.db", instances=12) as fleet:
        fleet.tick()
        dispatch = Dispatch(fleet, cluster_jobs(server[1]))
        counts = []
        for _ in range(8):
            dispatch.go()
            counts.append(len(fleet.attempts()))

        assert [MAX_BOOKED * n for n in range(1, 5)] == counts[:4]
        assert {MAX_OPEN} == set(counts[4:])
        assert MAX_OPEN == len(jobs_of(server[0]))


def test_twenty_dispatchers_that_race_make_one_attempt_and_one_job(fleet, server, objects):
    jobs = cluster_jobs(server[1])
    rivals = [Dispatch(fleet, jobs) for _ in range(20)]
    # All of them see the plan before the first writes, then all see the attempt before the first names its Job.
    for _ in range(3):
        seen = [rival.launcher.observe(rival.connection) for rival in rivals]
        for rival, observed in zip(rivals, seen, strict=True):
            if observed.write:
                with transaction(rival.connection):
                    observed.write(rival.connection)
        fleet.time.wait(1)

    assert (1, 1) == (len(fleet.attempts()), len(jobs_of(objects)))
    assert 20 == objects.asked.count(("POST", JOBS))
