"""What the manifests promise of recovery: its template, its policy, its keys, its switches, and what a Job may be."""

import re
import tomllib
from dataclasses import fields

import pytest
from kustomizations import (
    OVERLAYS,
    ROOT,
    SITE,
    base,
    composed,
    containers,
    find,
    name_of,
    overlay,
    pod_templates,
    rendered,
    settings,
    volumes,
)

from jobs import template
from jobs.cluster import annotations
from jobs.health import control
from jobs.health.policy import Policy
from jobs.health.policyfile import parse_policy
from jobs.recovery.endings import LIFE_MS

LABEL = "app.kubernetes.io/component"
RECOVER = "CronJob loco-health/recover"
# The page tells what the policy allows and the switches forbid; it decides nothing.
API = "Deployment loco-health/loco-api"
# Made by commands or by people. A manifest of that name would take back what they wrote at the next apply.
WRITTEN_ELSEWHERE = {"loco-health", "loco-control", "loco-master", "loco-keys"}


@pytest.fixture(scope="module")
def overlays(tmp_path_factory):
    """Every overlay's objects, by its name."""
    return {name: overlay(name, tmp_path_factory.mktemp(name)) for name in OVERLAYS}


def test_the_template_never_fires_and_its_job_is_one_pod_that_is_never_tried_again():
    spec = find(base(), RECOVER)["spec"]
    job = spec["jobTemplate"]["spec"]

    assert (True, "0 0 31 2 *") == (spec["suspend"], spec["schedule"])
    assert {"backoffLimit": 0, "podReplacementPolicy": "Failed", "activeDeadlineSeconds": 300} == {
        key: job[key] for key in ("backoffLimit", "podReplacementPolicy", "activeDeadlineSeconds")
    }
    assert LIFE_MS == 1000 * (job["activeDeadlineSeconds"] + job["template"]["spec"]["terminationGracePeriodSeconds"])
    # Longer than the ledger's hour: a store that was lost learns from the Jobs what was done in it.
    assert 86_400 == job["ttlSecondsAfterFinished"]
    assert "Never" == job["template"]["spec"]["restartPolicy"]


def test_what_a_job_is_told_reaches_its_pod():
    told = (template.ATTEMPT, template.INSTANCE, template.ACTION, template.FORCE, template.REQUESTED_BY)
    (container,) = dict(pod_templates(base()))[RECOVER]["spec"]["containers"]
    fields = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"] if "valueFrom" in e}

    assert {f"metadata.annotations['{name}']" for name in told} == {
        path for path in fields.values() if "annotations" in path
    }
    assert "metadata.uid" == fields["LOCO_RUNNER"]


def test_every_key_of_the_policy_stands_in_its_file_with_its_default():
    text = (ROOT / "manifests/policy.toml").read_text()
    uncommented = re.sub(r"^# (?=[\w-]+ = )", "", text, flags=re.MULTILINE)

    assert {} == _leaves(tomllib.loads(text))
    assert _keys_of(Policy()) == _leaves(tomllib.loads(uncommented)).keys()
    assert Policy() == parse_policy(uncommented, "policy.toml") == parse_policy(text, "policy.toml")


def test_all_who_go_by_the_policy_or_tell_it_read_the_same(overlays):
    for items in (base(), *overlays.values()):
        mounting = {name for name, t in pod_templates(items) if "loco-policy" in volumes(t, "configMap")}

        assert {API, *(f"CronJob loco-health/{name}" for name in ("collect", "dispatch", "recover"))} == mounting


def test_the_master_key_is_mounted_by_recover_alone_and_a_pods_own_key_by_its_agent_alone(overlays):
    for title, items in overlays.items():
        mounting = {(name, secret) for name, t in pod_templates(items) for secret in volumes(t, "secret")}
        decoys = {("StatefulSet loco/loco-emulator", "loco-keys")} if title == "dev" else set()

        assert {(RECOVER, "loco-master")} | decoys == mounting


def test_a_decoys_agent_sees_its_own_key_only(overlays):
    sidecar, emulator = containers(dict(pod_templates(overlays["dev"]))["StatefulSet loco/loco-emulator"])
    (mount,) = (mount for mount in sidecar["volumeMounts"] if mount["name"] == "keys")
    values = {e["name"]: e.get("value") for e in sidecar["env"]}

    assert ("$(LOCO_POD)", True) == (mount["subPathExpr"], mount["readOnly"])
    assert mount["mountPath"] == values["LOCO_ACTION_KEY_FILE"]
    assert "keys" not in {mount["name"] for mount in emulator["volumeMounts"]}


def test_what_commands_and_people_write_is_in_no_manifest(overlays):
    for items in (base(), *overlays.values()):
        declared = {i["metadata"]["name"] for i in items if i["kind"] in {"ConfigMap", "Secret"}}

        assert set() == WRITTEN_ELSEWHERE & declared


def test_the_switches_are_mounted_where_plans_are_made_booked_or_told_and_may_be_missing():
    mounting = {name: t for name, t in pod_templates(base()) if "loco-control" in volumes(t, "configMap")}

    assert {API, "CronJob loco-health/collect", "CronJob loco-health/dispatch"} == mounting.keys()
    for one in mounting.values():
        (volume,) = (volume for volume in one["spec"]["volumes"] if volume["name"] == "control")
        assert volume["configMap"]["optional"]


def test_the_docs_switch_by_the_keys_and_annotations_that_are_read():
    guide = (ROOT / "docs/kubernetes.md").read_text()

    assert f"--from-literal={control.RECOVERY}=off" in guide
    for name in (control.PAUSE_UNTIL, control.PAUSE_REASON):
        assert f'"{name}":' in guide
    for name in (annotations.RECOVERY, annotations.MAINTENANCE):
        assert f"{name}=" in guide


def test_staging_only_says_what_it_would_do_and_the_others_do_it(overlays):
    assert {"staging"} == {name for name, items in overlays.items() if settings(items).get("LOCO_DRY_RUN") == "true"}


def test_nothing_can_delete_a_pod_without_the_component(overlays, tmp_path):
    for items in overlays.values():
        assert "LOCO_ALLOW_DELETE_POD" not in settings(items)
        assert "loco-recover" == dict(pod_templates(items))[RECOVER]["spec"]["serviceAccountName"]
        assert not [i for i in items if "delete" in str(i.get("rules", ()))]

    items = composed(tmp_path, "delete-pod")
    assert "true" == settings(items)["LOCO_ALLOW_DELETE_POD"]
    assert "loco-recover-delete" == dict(pod_templates(items))[RECOVER]["spec"]["serviceAccountName"]


def test_deletion_can_be_allowed_in_a_second_namespace_too(tmp_path):
    composed(tmp_path, "delete-pod")
    watch = tmp_path / "kustomize/overlays/own/watch"
    watch.mkdir()
    (watch / "kustomization.yaml").write_text(
        "namespace: games\nresources: [../../../components/delete-pod/namespace]\n"
    )
    role, binding = rendered(watch)

    assert ("games", [["delete"]]) == (role["metadata"]["namespace"], [rule["verbs"] for rule in role["rules"]])
    assert [("loco-recover-delete", "loco-health")] == [(s["name"], s["namespace"]) for s in binding["subjects"]]


def test_every_image_of_an_overlay_for_a_site_is_the_sites(overlays):
    for name in ("staging", "prod"):
        images = {c["image"] for _, t in pod_templates(overlays[name]) for c in containers(t)}

        assert {SITE["API_IMAGE"], SITE["JOBS_IMAGE"]} == images


def test_the_first_keys_of_dev_are_made_as_those_of_every_hour(overlays):
    job, cronjob = (find(overlays["dev"], f"{kind} loco-health/keys") for kind in ("Job", "CronJob"))

    assert cronjob["spec"]["jobTemplate"]["spec"] == job["spec"]
    assert cronjob["spec"]["jobTemplate"]["metadata"]["labels"] == job["metadata"]["labels"]


def test_every_overlay_holds_each_job_to_its_cronjob_and_refuses_the_rest(overlays):
    for items in overlays.values():
        cronjobs = {i["metadata"]["name"] for i in items if i["kind"] == "CronJob"}
        bindings = {i["metadata"]["name"]: i["spec"] for i in items if i["kind"] == "ValidatingAdmissionPolicyBinding"}
        other = bindings.pop("loco-health-other-jobs")["matchResources"]["objectSelector"]["matchExpressions"]

        assert {f"loco-health-jobs-{name}" for name in cronjobs} == bindings.keys()
        assert [{"key": LABEL, "operator": "NotIn", "values": sorted(cronjobs)}] == other
        for name in cronjobs:
            binding = bindings[f"loco-health-jobs-{name}"]
            assert {LABEL: name} == binding["matchResources"]["objectSelector"]["matchLabels"]
            assert (name, "Deny") == (binding["paramRef"]["name"], binding["paramRef"]["parameterNotFoundAction"])


def test_what_can_not_be_judged_is_refused(overlays):
    for items in overlays.values():
        policies = [i for i in items if i["kind"] == "ValidatingAdmissionPolicy"]
        bindings = [i for i in items if i["kind"] == "ValidatingAdmissionPolicyBinding"]

        assert [["Deny"]] * len(bindings) == [i["spec"]["validationActions"] for i in bindings]
        assert {"loco-health-jobs", "loco-health-other-jobs"} == {i["metadata"]["name"] for i in policies}
        for policy in policies:
            assert "Fail" == policy["spec"]["failurePolicy"], name_of(policy)
            assert {"kubernetes.io/metadata.name": "loco-health"} == (
                policy["spec"]["matchConstraints"]["namespaceSelector"]["matchLabels"]
            )


def _keys_of(policy: Policy) -> set[str]:
    """Return the dotted name of everything that a policy file may say."""
    thresholds = {one.name for one in fields(policy)} - {"recovery", "remedies"}
    bounds = {f"recovery.{one.name}" for one in fields(policy.recovery)} - {"recovery.verify_seconds"}
    verify = {f"recovery.verify_seconds.{action}" for action in policy.recovery.verify_seconds}
    return thresholds | bounds | verify | {f"remedies.{code}" for code in policy.remedies}


def _leaves(table: dict, path: str = "") -> dict[str, object]:
    """Return each value of a TOML document under its dotted name."""
    return {
        name: value
        for key, inner in table.items()
        for name, value in (_leaves(inner, f"{path}{key}.") if isinstance(inner, dict) else {path + key: inner}).items()
    }
