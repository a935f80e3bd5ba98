"""The API server and its Pod Security judge the overlays themselves."""

import json

import pytest
from deployment import OURS
from kustomizations import OVERLAYS, overlay

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_taken_word_for_word_and_without_a_warning(name, deployment, tmp_path):
    # A volume that is in use can't be resized by every storage, so the claim stays out.
    items = [item for item in overlay(name, tmp_path) if item["kind"] != "PersistentVolumeClaim"]
    answer = deployment.kube(
        *("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename=-"),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
    )

    assert len(items) == answer.count("(server dry run)")


def test_a_pod_that_is_not_hardened_is_kept_out_of_our_namespace(deployment):
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        deployment.kube("run", "intruder", f"--namespace={OURS}", "--image=loco-health/decoy:dev", "--privileged")
