"""docs/troubleshooting.md puts the copy in the place of a damaged store; its command is run as it stands there."""

import subprocess
from contextlib import closing

import pytest
import yaml
from kubernetes.client import ApiClient, models
from kustomizations import ROOT
from ledgers import KEY, an_adopted_store

from jobs.errors import StoreCorrupt
from jobs.store import ledger, reader
from jobs.store.backup import back_up
from jobs.store.connection import open_store

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
POD = yaml.safe_load(PAGE.partition("```yaml\n")[2].partition("```")[0])


def test_the_copy_takes_the_place_of_a_damaged_store(tmp_path):
    store = tmp_path / "loco.db"
    with closing(an_adopted_store(store)) as connection:
        back_up(connection, store)
    store.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreCorrupt, match=r"copy .*loco\.db\.backup in its place"):
        open_store(store)
    shell, flag, command = POD["spec"]["containers"][0]["command"]
    subprocess.run([shell, flag, command.replace("/var/lib/loco", str(tmp_path))], check=True, capture_output=True)

    with closing(open_store(store)) as connection:
        assert {KEY} == set(reader.open_incidents(connection))
        assert not ledger.is_adopted(connection)  # what was done since the copy was made is read from Kubernetes first
    assert b"no database" == (tmp_path / "damaged/loco.db").read_bytes()[:11]


def test_its_pod_is_of_the_schema():
    assert POD == ApiClient.sanitize_for_serialization(ApiClient(), models.V1Pod.from_dict(POD))
