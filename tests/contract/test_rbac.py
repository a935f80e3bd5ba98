"""The rights in the manifests are those of the table in docs/kubernetes.md, no fewer and no more."""

import re

from kustomizations import ROOT, composed, settings

ROW = re.compile(r"^\| `(loco-\w+)` \| (.+?) \| `([\w./]+)` \| (.+?) \| ([a-z, ]+) \|$", re.MULTILINE)


def documented() -> set[tuple[str, ...]]:
    """Return (account, where, group/resource, name, verb) of the table."""
    rows = ROW.findall((ROOT / "docs/kubernetes.md").read_text())
    return {
        (account, where.strip("`").split(":")[0], resource, "" if name == "any" else name.strip("`"), verb)
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


def test_rights_are_exactly_those_of_the_table(tmp_path):
    assert documented() == granted(composed(tmp_path, "node-facts"))


def test_no_right_is_a_wildcard_and_every_subject_is_an_account_of_ours(tmp_path):
    items = composed(tmp_path, "node-facts", "decoys", "network-policy")
    rights = granted(items)
    subjects = [subject for item in items for subject in item.get("subjects", ())]

    assert not [right for right in rights if any("*" in word for word in right)]
    assert {("ServiceAccount", "loco-health")} == {(s["kind"], s["namespace"]) for s in subjects}
    assert {"loco-discover", "loco-dispatch"} == {s["name"] for s in subjects}


def test_nothing_may_read_secrets_or_write_to_a_watched_namespace_but_events(tmp_path):
    rights = granted(composed(tmp_path, "node-facts"))
    writes = {right for right in rights if right[4] not in {"get", "list", "watch"}}

    assert not [right for right in rights if right[2] in {"secrets", "pods/exec"}]
    assert {("loco-dispatch", "watched", "events.k8s.io/events", "", "create")} == {
        w for w in writes if w[1] == "watched"
    }
