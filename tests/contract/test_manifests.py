"""What holds for every object of every overlay, as kubectl renders it."""

import copy
import re

import click
import pytest
from kubernetes.client import ApiClient, models
from kustomizations import (
    OVERLAYS,
    ROOT,
    base,
    composed,
    containers,
    find,
    name_of,
    overlay,
    pod_templates,
    rendered,
    settings,
)
from pydantic import ValidationError

import agent
from agent.environment import unknown_setting
from jobs.__main__ import group
from jobs.schedule import period_seconds

LABELS = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "component", "part-of", "managed-by")}
STORE_LABEL = {"loco-health/store": "loco-store"}
TOKEN_HOLDERS = {"discover", "dispatch", "keys", "recover"}
COMMANDS = {"collect", "compact", "discover", "dispatch", "recover"}  # `keys` beside them, where the component is


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Every overlay, and the base with each component, under the name of what it is."""
    scratch = tmp_path_factory.mktemp
    alone = (
        "decoys",
        "node-facts",
        "network-policy",
        "site-images",
        "dry-run",
        "delete-pod",
        "keys",
        "requester",
        "notify",
    )
    return {
        "manifests": rendered(ROOT / "manifests"),
        **{name: overlay(name, scratch(name)) for name in OVERLAYS},
        **{f"component {name}": composed(scratch(name), name) for name in alone},
        "component admission": composed(scratch("admission"), "admission", "keys"),
        "component static-instances": composed(scratch("static"), "static-instances"),
        "component notify/network-policy": composed(scratch("egress"), "network-policy", "notify/network-policy"),
    }


def check(item: dict) -> None:
    """Hold an object against the API's own schema, which allows no unknown field and no other type."""
    model = getattr(models, f"{item['apiVersion'].rsplit('/', 1)[-1].capitalize()}{item['kind']}")
    assert item == ApiClient.sanitize_for_serialization(ApiClient(), model.from_dict(copy.deepcopy(item)))


def test_every_object_is_of_the_schema(everything):
    for items in everything.values():
        for item in items:
            check(item)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), "activeDeadlineSecond", 690),
        (("jobTemplate", "spec"), "activeDeadlineSecond", 690),
        (("jobTemplate", "spec"), "active_deadline_seconds", 690),
        (("jobTemplate", "spec"), "activeDeadlineSeconds", "690"),
        (("jobTemplate", "spec", "template", "spec"), "enableServiceLink", False),
        (("jobTemplate", "spec", "template", "spec", "securityContext"), "runAsNonRoot", "yes"),
    ],
)
def test_a_planted_mistake_is_no_longer_of_the_schema(path, key, value):
    planted = copy.deepcopy(find(base(), "CronJob loco-health/collect"))
    place = planted["spec"]
    for step in path:
        place = place[step]
    place[key] = value

    with pytest.raises((ValidationError, AssertionError)):
        check(planted)


def test_every_object_carries_the_six_recommended_labels(everything):
    for items in everything.values():
        for item in items:
            assert set() == LABELS - item["metadata"]["labels"].keys(), name_of(item)
            assert agent.__version__ == item["metadata"]["labels"]["app.kubernetes.io/version"]
        for name, template in pod_templates(items):
            assert set() == LABELS - template["metadata"]["labels"].keys(), name


def test_selectors_are_name_and_component_so_that_a_new_version_is_still_selected(everything):
    stable = {"app.kubernetes.io/name", "app.kubernetes.io/component"}
    for items in everything.values():
        selectors = [item["spec"]["selector"] for item in items if "selector" in item.get("spec", {})]

        assert selectors
        for selector in selectors:
            assert stable == selector.get("matchLabels", selector).keys()


def test_every_setting_is_one_that_the_rooms_know(everything):
    for items in everything.values():
        names = {
            variable["name"] for _, t in pod_templates(items) for c in containers(t) for variable in c.get("env", ())
        }

        assert unknown_setting(names | settings(items).keys()) is None


def test_every_cronjob_runs_a_command_that_exists(everything):
    for items in everything.values():
        run = {
            name.rsplit("/", 1)[-1]: containers(t)[0]["args"] for name, t in pod_templates(items) if "CronJob" in name
        }

        assert COMMANDS == run.keys() - {"keys"}
        assert run == {name: [name] for name in run}
        assert run.keys() <= set(group.list_commands(click.Context(group)))


def test_deadlines_follow_from_the_schedule(everything):
    for items in everything.values():
        for name in ("discover", "collect", "dispatch"):
            spec = find(items, f"CronJob loco-health/{name}")["spec"]
            window = period_seconds(spec["schedule"])
            (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]

            assert {"LOCO_SCHEDULE": spec["schedule"]}.items() <= {
                e["name"]: e.get("value") for e in container["env"]
            }.items()
            assert window - 10 == spec["startingDeadlineSeconds"]
            assert 2 * window + 90 == spec["jobTemplate"]["spec"]["activeDeadlineSeconds"]


def test_no_image_is_of_whatever_is_newest(everything):
    for items in everything.values():
        for name, template in pod_templates(items):
            for container in containers(template):
                assert "@sha256:" in container["image"] or container["image"].endswith(":dev"), name
                assert "IfNotPresent" == container["imagePullPolicy"]


def test_every_pod_of_ours_is_hardened(everything):
    for items in everything.values():
        for name, template in pod_templates(items):
            if "loco-health/" in name:
                pod = template["spec"]["securityContext"]
                assert (True, 65532, 65532) == (pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"])
                assert {"type": "RuntimeDefault"} == pod["seccompProfile"]
                for container in containers(template):
                    assert_hardened(container)


def test_a_decoy_has_two_capabilities_in_its_agent_and_its_privilege_in_qemu_alone(everything):
    template = dict(pod_templates(everything["dev"]))["StatefulSet loco/loco-emulator"]
    sidecar, emulator = containers(template)

    assert {"drop": ["ALL"], "add": ["KILL", "NET_ADMIN"]} == sidecar["securityContext"]["capabilities"]
    assert not sidecar["securityContext"]["allowPrivilegeEscalation"]
    assert (
        "emulator" == emulator["name"] == template["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"]
    )
    assert emulator["securityContext"]["privileged"]


def test_only_those_who_ask_the_api_server_get_a_token(everything):
    for items in everything.values():
        templates = dict(pod_templates(items))
        holders = {
            name.rsplit("/", 1)[-1] for name, t in templates.items() if t["spec"]["automountServiceAccountToken"]
        }

        assert holders == TOKEN_HOLDERS & {name.rsplit("/", 1)[-1] for name in templates}
        assert not any(t["spec"]["enableServiceLinks"] for t in templates.values())
        assert not any(i["automountServiceAccountToken"] for i in items if i["kind"] == "ServiceAccount")


def test_pods_of_the_store_stay_on_its_node_and_the_api_only_reads(everything):
    for items in everything.values():
        for name, template in pod_templates(items):
            if "loco-health/" in name and not name.endswith("/keys"):
                (term,) = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                mount = mount_of(template, "store")

                # A pod that matches the term itself may be the first one.
                assert STORE_LABEL == term["labelSelector"]["matchLabels"]
                assert STORE_LABEL.items() <= template["metadata"]["labels"].items()
                assert "kubernetes.io/hostname" == term["topologyKey"]
                assert ("Deployment" in name) == mount.get("readOnly", False)
                assert settings(items)["LOCO_STORE"].startswith(f"{mount['mountPath']}/")


def test_every_watched_namespace_grants_its_rights_and_may_be_dialled(everything):
    for title, items in everything.items():
        watched = set(settings(items)["LOCO_NAMESPACES"].split(","))
        granted = {
            i["metadata"]["namespace"]
            for i in items
            if i["kind"] == "Role" and i["metadata"]["name"] == "loco-discover"
        }

        assert watched | {"loco-health"} == granted, title
        for policy in (i for i in items if i["metadata"]["name"] == "loco-collect" and i["kind"] == "NetworkPolicy"):
            (expression,) = policy["spec"]["egress"][0]["to"][0]["namespaceSelector"]["matchExpressions"]
            assert watched == set(expression["values"])


def assert_hardened(container: dict) -> None:
    """Pod Security `restricted`, and what it doesn't ask for: a read-only root, requests and limits, a bounded /tmp."""
    context = container["securityContext"]
    assert {"drop": ["ALL"]} == context["capabilities"]
    assert not context["allowPrivilegeEscalation"]
    assert context["readOnlyRootFilesystem"]
    assert {"cpu", "memory"} == container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def mount_of(template: dict, volume: str) -> dict:
    """Return the one mount of a volume in a pod of one container."""
    (container,) = containers(template)
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == volume)
    return mount


def test_every_key_of_the_notify_secret_is_in_its_page(everything):
    (dispatch,) = [one for one in everything["component notify"] if one["metadata"]["name"] == "dispatch"]
    pod = dispatch["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    told = {one["name"]: one for one in pod["containers"][0]["env"]}
    keys = {
        one["valueFrom"]["secretKeyRef"]["key"] for one in told.values() if "secretKeyRef" in one.get("valueFrom", {})
    }
    files = {
        one["value"].removeprefix("/etc/loco/notify/") for one in told.values() if "/notify/" in one.get("value", "")
    }
    page = (ROOT / "docs" / "notifications.md").read_text()

    assert {"alertmanager-url", "webhook-url", "alertmanager-token", "webhook-key", "ca.crt"} == keys | files
    assert keys | files == set(
        re.findall(r"^\| `([a-z.-]+)` \|", page.split("## In a cluster")[1].split("## Alert")[0], re.MULTILINE)
    )
