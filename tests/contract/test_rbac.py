"""The rights in the manifests are those of the table in docs/kubernetes.md, no fewer and no more."""

import re

from kustomizations import ROOT, composed, settings

ROW = re.compile(r"^\| `(loco-[\w-]+)` \| (.+?) \| `([\w./]+)` \| (.+?) \| ([a-z, ]+) \|$", re.MULTILINE)


def documented() -> set[tuple[str, ...]]:
    """Return (account, where, group/resource, name, verb) of the table."""
    rows = ROW.findall((ROOT / "docs/kubernetes.md").read_text())
    return {
        (account, where.partition(":")[0].strip("`"), resource, "" if name == "any" else name.strip("`"), verb)
        for account, where, resource, name, verbs in rows
        for verb in verbs.split(", ")
    }


def granted(items: list[dict]) -> set[tuple[str, ...]]:
    """Return the same of the bindings of accounts of ours."""
    roles = {place(item): item["rules"] for item in items if item["kind"].endswith("Role")}
    watched = settings(items)["LOCO_NAMESPACES"].split(",")
    return {
        (subject["name"], word_for(item, watched), f"{group}/{resource}".lstrip("/"), name, verb)
        for item in items
        if item["kind"].endswith("RoleBinding")
        for subject in item["subjects"]
        for rule in roles[item["roleRef"]["kind"], item["metadata"].get("namespace"), item["roleRef"]["name"]]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def place(item: dict) -> tuple[str, str | None, str]:
    """Return what a roleRef can find a role by."""
    return item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]


def word_for(binding: dict, watched: list[str]) -> str:
    """Return the table's word for where a binding holds."""
    namespace = binding["metadata"].get("namespace", "none")
    return "watched" if namespace in watched else namespace


def all_granted(scratch) -> set[tuple[str, ...]]:
    """Return what the base and every component that grants something grant; `delete-pod` takes an account's place."""
    components = ("node-facts", "keys", "requester")
    return granted(composed(scratch / "all", *components)) | granted(composed(scratch / "delete", "delete-pod"))


def test_rights_are_exactly_those_of_the_table(tmp_path):
    assert documented() == all_granted(tmp_path)


def test_no_right_is_a_wildcard_and_every_subject_is_an_account_of_ours(tmp_path):
    items = composed(tmp_path / "own", "node-facts", "decoys", "network-policy", "keys", "requester", "delete-pod")
    accounts = {i["metadata"]["name"] for i in items if i["kind"] == "ServiceAccount"}
    subjects = [subject for item in items for subject in item.get("subjects", ())]

    assert not [right for right in all_granted(tmp_path) if any("*" in word for word in right)]
    assert {("ServiceAccount", "loco-health")} == {(s["kind"], s["namespace"]) for s in subjects}
    assert accounts - {"loco-collect", "loco-compact", "loco-api", "loco-recover"} == {s["name"] for s in subjects}


def test_what_may_be_written_to_a_watched_namespace_is_events_keys_and_the_deletion_of_a_pod(tmp_path):
    writes = {right for right in all_granted(tmp_path) if right[4] not in {"get", "list", "watch"}}

    assert {
        ("loco-dispatch", "watched", "events.k8s.io/events", "", "create"),
        ("loco-keys", "watched", "secrets", "", "create"),
        ("loco-keys", "watched", "secrets", "loco-keys", "update"),
        ("loco-recover-delete", "watched", "pods", "", "delete"),
    } == {right for right in writes if right[1] == "watched"}


def test_secrets_are_read_by_keys_alone_by_name_and_nobody_may_exec(tmp_path):
    rights = all_granted(tmp_path)

    assert {("loco-keys", "loco-keys", "get"), ("loco-keys", "loco-master", "get")} == {
        (account, name, verb) for account, _, resource, name, verb in rights if resource == "secrets" and verb == "get"
    }
    assert not [right for right in rights if right[2] == "secrets" and right[4] in {"list", "watch"}]
    assert not [right for right in rights if right[2] in {"pods/exec", "pods/ephemeralcontainers", "nodes/proxy"}]


def test_nobody_may_create_pods_or_change_jobs(tmp_path):
    """What runs is a Job of a template; admission looks at its creation alone."""
    changes = {right[2:] for right in all_granted(tmp_path) if right[4] not in {"get", "list", "watch"}}

    assert ("pods", "", "create") not in changes
    assert {("batch/jobs", "", "create")} == {right for right in changes if right[0].startswith("batch/")}
