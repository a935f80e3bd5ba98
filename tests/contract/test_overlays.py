"""What an overlay or a component changes, and what it refuses to build."""

import re

import pytest
import yaml
from kustomizations import (
    OVERLAYS,
    ROOT,
    SITE,
    Refused,
    base,
    changes,
    composed,
    copied,
    fill_site,
    find,
    name_of,
    overlay,
    pod_templates,
    rendered,
    settings,
)

GOLDEN = ROOT / "tests/fixtures/golden"
OUT = ("collect", "kubernetes")  # the two policies that let something out
GUIDE = (ROOT / "docs/kubernetes.md").read_text()


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_changes_this_and_nothing_else(name, tmp_path):
    """When a change is meant, copy the new lines into the golden file: they are what a reviewer reads."""
    expected = (GOLDEN / f"overlay-{name}.txt").read_text().splitlines()

    assert expected == changes(base(), overlay(name, tmp_path))


def test_the_base_is_the_manifests_as_they_are_written():
    assert [] == changes(rendered(ROOT / "manifests"), base())


@pytest.mark.parametrize(
    ("name", "key"), [*(("prod", key) for key in SITE), ("staging", "API_IMAGE"), ("staging", "JOBS_IMAGE")]
)
def test_an_overlay_is_not_built_until_its_site_is_filled_in(name, key, tmp_path):
    copied(tmp_path)
    fill_site(tmp_path)
    site = tmp_path / "kustomize/overlays" / name / "site.yaml"
    site.write_text(site.read_text().replace(f"  {key}:", f"  # {key}:"))

    with pytest.raises(Refused, match=rf"data\.{key}` is missing .*site"):
        rendered(tmp_path / "kustomize/overlays" / name)


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_an_overlay_for_a_site_is_refused_as_it_lies_here(name):
    with pytest.raises(Refused, match="is missing for replacement source ConfigMap"):
        rendered(ROOT / "kustomize/overlays" / name)


def test_the_labels_of_the_seed_are_left_alone_whatever_the_order(tmp_path_factory):
    for components in (("decoys", "network-policy", "node-facts"), ("node-facts", "network-policy", "decoys")):
        items = composed(tmp_path_factory.mktemp("order"), *components)
        labels = dict(pod_templates(items))["StatefulSet loco/loco-emulator"]["metadata"]["labels"]

        assert "lego-loco-cluster" == labels["app.kubernetes.io/part-of"]
        assert selected(settings(items)["LOCO_SELECTOR"]).items() <= labels.items()


def test_components_give_the_same_in_any_order(tmp_path_factory):
    names = ("decoys", "network-policy", "node-facts")
    forth, back = (composed(tmp_path_factory.mktemp("order"), *order) for order in (names, names[::-1]))

    assert [] == changes(forth, back)


@pytest.mark.parametrize("kind", ["overlays", "components"])
def test_every_overlay_and_component_has_its_row_in_the_docs(kind):
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", GUIDE, re.MULTILINE))

    assert {path.name for path in (ROOT / "kustomize" / kind).iterdir()} <= rows


def test_no_overlay_sets_a_namespace_for_all():
    for path in (ROOT / "kustomize/overlays").rglob("kustomization.yaml"):
        assert "namespace" not in yaml.safe_load(path.read_text()), path


def test_a_schedule_of_an_overlay_s_own_reaches_the_run(tmp_path):
    own = """
transformers: [../../schedule]
patches:
  - target: {kind: CronJob, name: collect}
    patch: '- {op: replace, path: /spec/schedule, value: "*/2 * * * *"}'
"""
    spec = find(composed(tmp_path, more=own), "CronJob loco-health/collect")["spec"]
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]

    assert ["*/2 * * * *"] == [e["value"] for e in container["env"] if e["name"] == "LOCO_SCHEDULE"]


def test_a_changed_setting_restarts_the_api(tmp_path):
    names = {settings_name(items) for items in (base(), overlay("staging", tmp_path))}

    assert 2 == len(names)


def test_policies_let_in_what_the_site_says_and_deny_the_rest(tmp_path):
    items = composed(tmp_path, "network-policy")
    deny = find(items, "NetworkPolicy loco-health/default-deny")["spec"]
    (rule,) = find(items, "NetworkPolicy loco-health/loco-api")["spec"]["ingress"]
    out = {name: selected_components(find(items, f"NetworkPolicy loco-health/loco-{name}")) for name in OUT}

    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} == deny
    assert [{"ipBlock": {"cidr": SITE["CONTROL_PLANE_CIDR"]}}] == rule["from"]
    assert [{"protocol": "TCP", "port": 3000}] == rule["ports"]
    assert {"collect": ["collect", "recover"], "kubernetes": ["api", "discover", "dispatch", "keys", "recover"]} == out


def test_the_docs_overlay_watches_a_second_namespace(tmp_path):
    items = from_docs(tmp_path, "games", "games/watch/kustomization.yaml", "games/kustomization.yaml")
    lines = changes(base(), items)

    accounts = ("discover", "dispatch", "recover", "keys")
    assert {f"+ {kind} games/loco-{who}" for kind in ("Role", "RoleBinding") for who in accounts} <= {*lines}
    assert "~ ConfigMap loco-health/loco-settings data.LOCO_NAMESPACES: loco -> loco,games" in lines
    policy = find(items, "NetworkPolicy loco-health/loco-collect")["spec"]
    assert ["loco", "games"] == policy["egress"][0]["to"][0]["namespaceSelector"]["matchExpressions"][0]["values"]
    for item in items:
        assert "part-of" in str(item["metadata"]["labels"]), name_of(item)


def test_the_docs_patches_drop_the_first_namespace(tmp_path):
    copied(tmp_path)
    patches = yaml.safe_load(documented("games/kustomization.yaml, patches"))
    items = composed(tmp_path / "own", more=yaml.safe_dump({"patches": patches}))

    assert {"loco-health"} == {
        item["metadata"]["namespace"] for item in items if item["kind"] in {"Role", "RoleBinding"}
    }


def test_the_docs_overlay_mounts_an_inventory(tmp_path):
    items = from_docs(tmp_path, "listed", "listed/kustomization.yaml")
    pod = dict(pod_templates(items))["CronJob loco-health/discover"]["spec"]
    (inventory,) = (volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "inventory")
    (variable,) = (e["value"] for e in pod["containers"][0]["env"] if e["name"] == "LOCO_INSTANCES")

    assert inventory in {item["metadata"]["name"] for item in items if item["kind"] == "ConfigMap"}
    assert "/etc/loco/inventory/instances.json" == variable


def test_the_docs_overlay_brings_a_policy_of_its_own(tmp_path):
    items = from_docs(tmp_path, "own", "own/kustomization.yaml")

    assert {"policy.toml": "stale_ticks = 4\n"} == find(items, "ConfigMap loco-health/loco-policy")["data"]


def test_the_docs_give_an_agent_its_key_as_the_decoys_have_it():
    ours = find(rendered(ROOT / "kustomize/overlays/dev"), "StatefulSet loco/loco-emulator")["spec"]["template"]["spec"]
    shown = yaml.safe_load(re.search(r"^```yaml\n(# In the pod template .*?)^```", GUIDE, re.DOTALL | re.MULTILINE)[1])
    (volume,) = shown["volumes"]

    # A fleet doesn't wait for a key, a decoy does.
    assert volume["secret"].pop("optional")
    assert volume in ours["volumes"]
    for name in ("env", "volumeMounts"):
        assert [one for one in shown[name] if one not in ours["initContainers"][0][name]] == []


def selected_components(policy: dict) -> list[str]:
    """Return the components that a network policy is about."""
    (values,) = (
        one["values"]
        for one in policy["spec"]["podSelector"]["matchExpressions"]
        if one["key"] == "app.kubernetes.io/component"
    )
    return values


def selected(selector: str) -> dict[str, str]:
    """Return a label selector of equalities as a dict."""
    return dict(term.split("=") for term in selector.split(","))


def settings_name(items: list[dict]) -> str:
    """Return the name by which the API's pod asks for its settings."""
    (container,) = dict(pod_templates(items))["Deployment loco-health/loco-api"]["spec"]["containers"]
    return container["envFrom"][0]["configMapRef"]["name"]


def documented(path: str) -> str:
    """Return the block of docs/kubernetes.md that says it is this file of kustomize/overlays/."""
    return re.search(rf"^```yaml\n# kustomize/overlays/{path}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)[1]


def from_docs(scratch, name: str, *paths: str) -> list[dict]:
    """Return the objects of an overlay that docs/kubernetes.md shows."""
    copied(scratch)
    fill_site(scratch)
    overlays = scratch / "kustomize/overlays"
    for path in paths:
        (overlays / path).parent.mkdir(parents=True, exist_ok=True)
        (overlays / path).write_text(documented(path))
    (overlays / name / "site.yaml").write_text((overlays / "prod/site.yaml").read_text())
    (overlays / name / "instances.json").write_text("[]")
    (overlays / name / "policy.toml").write_text("stale_ticks = 4\n")
    return rendered(overlays / name)
