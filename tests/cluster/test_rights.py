"""What each service account may do in a real API server: exactly the list of the architecture, and no more."""

import json

import pytest
from deployment import INSTANCES, OURS
from kustomizations import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

READ = ("get", "list", "watch")

# service account -> namespace -> {(group/resource, name or "", verb)}
RIGHTS = {
    "loco-discover": {
        INSTANCES: {(f"{what}", "", verb) for what in ("/pods", "/services", "apps/statefulsets") for verb in READ},
        OURS: {("/configmaps", "", "create")} | {("/configmaps", "loco-health", verb) for verb in ("get", "patch")},
    },
    "loco-collect": {},
    "loco-dispatch": {
        INSTANCES: {("events.k8s.io/events", "", "create")},
        OURS: {("batch/jobs", "", verb) for verb in ("create", "get", "list")}
        | {("/pods", "", "list"), ("batch/cronjobs", "recover", "get")},
    },
    "loco-recover": {
        INSTANCES: {("/pods", "", "get")},
        OURS: {("/configmaps", "loco-control", "get")},
    },
    "loco-keys": {
        INSTANCES: {("/pods", "", "list"), ("apps/statefulsets", "", "list"), ("/secrets", "", "create")}
        | {("/secrets", "loco-keys", verb) for verb in ("get", "update")},
        OURS: {("/secrets", "", "create")} | {("/secrets", "loco-master", verb) for verb in ("get", "update")},
    },
    "loco-requester": {
        OURS: {("batch/jobs", "", "create")} | {("batch/cronjobs", name, "get") for name in ("discover", "recover")},
    },
    "loco-compact": {},
    "loco-api": {},
}


def rights(kube, account: str, namespace: str) -> set[tuple[str, str, str]]:
    """Return what an account may do in a namespace, as the API server itself lists it."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = kube("create", "-f", "-", "-o", "json", "--validate=false", f"--as={account}", input=json.dumps(review))
    return {
        (f"{group}/{resource}", name, verb)
        for rule in json.loads(answer)["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("account", RIGHTS)
@pytest.mark.parametrize("namespace", [INSTANCES, OURS, "default", "kube-system"])
def test_an_account_may_do_exactly_its_list(account, namespace, deployment):
    everybody = rights(deployment.kube, "system:serviceaccount:default:default", "default")
    found = rights(deployment.kube, f"system:serviceaccount:{OURS}:{account}", namespace)

    assert RIGHTS[account].get(namespace, set()) == found - everybody


@pytest.mark.parametrize(
    ("account", "verb", "what", "namespace"),
    [
        ("loco-recover", "delete", "pods", INSTANCES),
        ("loco-recover", "get", "secrets/loco-master", OURS),
        ("loco-recover", "create", "jobs", OURS),
        ("loco-dispatch", "get", "secrets/loco-master", OURS),
        ("loco-dispatch", "create", "pods", OURS),
        ("loco-requester", "get", "jobs", OURS),
        ("loco-requester", "create", "pods", OURS),
        ("loco-requester", "create", "serviceaccounts/loco-recover", OURS),
        ("loco-keys", "list", "secrets", INSTANCES),
        ("loco-keys", "get", "secrets/any", INSTANCES),
        ("loco-keys", "create", "pods", INSTANCES),
        ("loco-api", "create", "jobs", OURS),
        ("loco-collect", "get", "configmaps/loco-control", OURS),
    ],
)
def test_what_would_open_more_is_refused(account, verb, what, namespace, deployment):
    subject = f"--as=system:serviceaccount:{OURS}:{account}"
    token = ("--subresource=token",) if what.startswith("serviceaccounts") else ()

    assert deployment.kube.try_("auth", "can-i", verb, what, *token, "-n", namespace, subject) is None


def test_the_component_delete_pod_adds_one_verb_where_instances_are(deployment):
    """Its account stands beside the deployment for this test; recovery goes on as it is."""
    component = ROOT / "kustomize/components/delete-pod"
    kube, account = deployment.kube, f"system:serviceaccount:{OURS}:loco-recover-delete"
    everybody = rights(kube, "system:serviceaccount:default:default", "default")
    kube("apply", "-k", str(component / "namespace"))
    try:
        found = {namespace: rights(kube, account, namespace) - everybody for namespace in (INSTANCES, OURS, "default")}
    finally:
        kube("delete", "-k", str(component / "namespace"))

    assert {INSTANCES: {("/pods", "", "delete")}, OURS: set(), "default": set()} == found


def test_the_table_of_the_docs_is_what_the_test_proves(deployment):
    """Every account of the namespace is one of the table's: none is forgotten."""
    accounts = {one["metadata"]["name"] for one in deployment.kube.get("serviceaccounts", namespace=OURS)["items"]}

    assert set(RIGHTS) == accounts - {"default"}


def test_only_those_who_ask_the_api_server_have_a_token(deployment):
    """Every pod that has run or runs is asked for its mounts."""
    with_token = {
        pod["spec"]["serviceAccountName"]
        for pod in deployment.kube.get("pods", namespace=OURS)["items"]
        for container in pod["spec"]["containers"]
        for mount in container.get("volumeMounts", [])
        if mount["mountPath"].startswith("/var/run/secrets/kubernetes.io")
    }

    assert with_token <= {"loco-discover", "loco-dispatch", "loco-keys", "loco-recover"}
    assert "loco-discover" in with_token
