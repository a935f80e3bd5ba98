"""The API server judges the overlays, and each Job that somebody asks for."""

import json

import pytest
from deployment import OURS
from forged_jobs import FORGERIES, container, forged, in_container, named
from kustomizations import OVERLAYS, overlay

from jobs.template import ATTEMPT, INSTANCE, render_job

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

DISPATCH = f"system:serviceaccount:{OURS}:loco-dispatch"
REQUESTER = f"system:serviceaccount:{OURS}:loco-requester"
CONTROLLER = "system:serviceaccount:kube-system:cronjob-controller"
DIGEST = f"registry.example/loco-health/jobs@sha256:{'c' * 64}"


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_taken_word_for_word_and_without_a_warning(name, deployment, tmp_path):
    # A volume that is in use can't be resized by every storage, so the claim stays out. A Job of another image than the
    # CronJob that is there now is refused, which is what the tests below are about.
    items = [item for item in overlay(name, tmp_path) if item["kind"] not in {"PersistentVolumeClaim", "Job"}]
    answer = deployment.kube(
        *("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename=-"),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
    )

    assert len(items) == answer.count("(server dry run)")


def test_a_pod_that_is_not_hardened_is_kept_out_of_our_namespace(deployment):
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        deployment.kube("run", "intruder", f"--namespace={OURS}", "--image=loco-health/decoy:dev", "--privileged")


@pytest.fixture(scope="module")
def job(deployment) -> dict:
    """Return the Job that the dispatcher makes for an attempt."""
    cronjob = deployment.kube.get("cronjob", "recover", namespace=OURS)
    return render_job(cronjob, name="recover-a1b2c3-instance-0-7", annotations={ATTEMPT: "7", INSTANCE: "instance-0"})


def refusal(kube, job: dict, account: str = DISPATCH) -> str:
    """Return why the API server doesn't take a Job of an account, empty where it would."""
    try:
        kube("create", "--dry-run=server", "--filename=-", f"--as={account}", input=json.dumps(job))
    except AssertionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_job_is_refused_by_one_sentence(what, deployment, job):
    change, says = FORGERIES[what]
    said = refusal(deployment.kube, forged(job, change))

    assert says in said
    assert "ephemeral" in what or said.endswith("nothing was created")


def test_no_account_gets_a_forged_job_past_it(deployment, job):
    """Not even who may do everything else."""
    other = forged(job, in_container(image="registry.example/another:1"))

    for account in (DISPATCH, REQUESTER, "kubernetes-admin"):
        groups = ("--as-group=system:masters",) if account == "kubernetes-admin" else ()
        answer = deployment.kube.try_(
            *("create", "--dry-run=server", "--filename=-", f"--as={account}", *groups), input=json.dumps(other)
        )
        assert answer is None, account


def test_the_dispatchers_job_is_taken(deployment, job):
    assert "" == refusal(deployment.kube, job)


@pytest.mark.parametrize("cronjob", ["recover", "discover"])
def test_a_requester_may_ask_for_recovery_and_for_discovery(cronjob, deployment):
    answer = deployment.kube(
        *("create", "job", f"{cronjob}-asked-for", f"--from=cronjob/{cronjob}", "-n", OURS),
        *("--dry-run=server", f"--as={REQUESTER}"),
    )

    assert "created (server dry run)" in answer


@pytest.mark.parametrize("cronjob", ["collect", "compact", "dispatch", "keys"])
def test_a_requester_may_ask_for_nothing_else(cronjob, deployment):
    """It can't read the template; who has it from elsewhere gets no further than it says."""
    with pytest.raises(AssertionError, match="cannot get resource"):
        deployment.kube("create", "job", "x", f"--from=cronjob/{cronjob}", "-n", OURS, f"--as={REQUESTER}")


@pytest.mark.parametrize("cronjob", ["collect", "compact", "discover", "dispatch", "keys", "recover"])
def test_a_job_by_hand_is_taken_of_every_cronjob(cronjob, deployment):
    assert "created (server dry run)" in deployment.kube(
        "create", "job", f"{cronjob}-by-hand", f"--from=cronjob/{cronjob}", "-n", OURS, "--dry-run=server"
    )


def test_the_cronjobs_own_jobs_are_not_asked_about(deployment, job):
    """The monitoring doesn't stop over a rule of recovery."""
    assert "" == refusal(deployment.kube, forged(job, named(None)), CONTROLLER)
    owners = [
        owner["name"]
        for one in deployment.kube.get("jobs", namespace=OURS)["items"]
        for owner in one["metadata"].get("ownerReferences", [])
        if owner.get("controller")
    ]
    assert {"collect", "discover", "dispatch"} <= {*owners}


def test_a_changed_digest_recovers_and_the_one_before_it_is_refused(deployment, job):
    kube = deployment.kube
    image = container(job)["image"]
    patch = "/spec/jobTemplate/spec/template/spec/containers/0/image"
    set_image(kube, patch, DIGEST)
    try:
        kube.wait_until(
            lambda: not refusal(kube, forged(job, in_container(image=DIGEST))), 10, "the new digest to be taken"
        )
        said = refusal(kube, job)
    finally:
        set_image(kube, patch, image)
    kube.wait_until(lambda: not refusal(kube, job), 10, "the first image to be taken again")

    assert "in image" in said


def set_image(kube, path: str, image: str) -> None:
    """Give CronJob `recover` another image."""
    operation = [{"op": "replace", "path": path, "value": image}]
    kube("patch", "cronjob", "recover", "-n", OURS, "--type=json", f"--patch={json.dumps(operation)}")


def test_a_job_of_a_cronjob_that_is_not_there_is_refused(deployment):
    kube = deployment.kube
    cronjob = kube.get("cronjob", "keys", namespace=OURS)
    job = render_job(cronjob, name="keys-by-hand", annotations={})
    kube("delete", "cronjob", "keys", "-n", OURS, "--cascade=orphan")
    try:
        kube.wait_until(lambda: refusal(kube, job), 10, "the Job to be refused")
        said = refusal(kube, job)
    finally:
        for field in ("uid", "resourceVersion", "creationTimestamp"):
            cronjob["metadata"].pop(field)
        kube.apply(cronjob)

    assert "loco-health-jobs-keys" in said
