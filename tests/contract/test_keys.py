"""`python -m jobs keys`: files for their owner alone, Secrets beside master and instances; and no key is ever shown."""

import base64
import json
import stat
from contextlib import closing

import pytest
from click.testing import CliRunner
from object_server import an_object_server

from agent.signing import derive_key, parse_keys
from jobs.cluster.secrets import write_secrets
from jobs.commands.keys import keys
from jobs.errors import ClusterError, ConfigError, Forbidden
from jobs.keys import MasterMissing, instance_keys, read_master

SELECTOR = "app=emulator"
MASTER = "/api/v1/namespaces/loco-health/secrets/loco-master"
KEYS = "/api/v1/namespaces/loco/secrets/loco-keys"


@pytest.fixture
def inventory(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps([{"id": f"instance-{n}", "healthUrl": "http://10.0.0.7:8080"} for n in range(2)]))
    return path


def run(*words):
    """Return the outcome of the command."""
    return CliRunner().invoke(keys, [str(word) for word in words])


def local(folder, inventory, *words):
    done = run("--local", folder, "--instances", inventory, *words)
    assert done.exit_code == 0, done.output + str(done.exception)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_every_instance_gets_its_own_key_out_of_the_master(tmp_path, inventory):
    files = local(tmp_path / "keys", inventory)

    assert {"master", "instance-0.key", "instance-1.key"} == set(files)
    (master,) = parse_keys(files["master"])
    assert (derive_key(master, "static", "instance-1"),) == parse_keys(files["instance-1.key"])
    assert files["instance-0.key"] != files["instance-1.key"]


def test_only_the_owner_may_read_them(tmp_path, inventory):
    folder = tmp_path / "keys"
    local(folder, inventory)

    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_a_second_run_changes_nothing(tmp_path, inventory):
    folder = tmp_path / "keys"
    before = local(folder, inventory)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    assert before == local(folder, inventory)
    assert times == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_rotation_keeps_the_key_before_as_the_second(tmp_path, inventory):
    folder = tmp_path / "keys"
    before = local(folder, inventory)
    after = local(folder, inventory, "--rotate")

    assert [before["master"].strip()] == after["master"].split()[1:]
    assert [before["instance-0.key"].strip()] == after["instance-0.key"].split()[1:]

    assert 2 == len(local(folder, inventory, "--rotate")["master"].split())


def test_no_key_is_ever_shown(tmp_path, inventory):
    folder = tmp_path / "keys"
    done = run("--local", folder, "--instances", inventory)

    assert f"2 keys in {folder}\n" == done.output
    (folder / "master").write_text("f" * 63)
    done = run("--local", folder, "--instances", inventory)
    assert isinstance(done.exception, ConfigError)
    assert "f" * 63 not in str(done.exception)
    assert f"master key {folder}/master: line 1 isn't 64 hexadecimal digits; nothing was written" == str(done.exception)


def test_nothing_is_written_where_nothing_says_where(tmp_path, inventory):
    for words in ([], ["--namespaces", "loco"], ["--namespace", "loco-health"], ["--local", tmp_path / "keys"]):
        assert isinstance(run(*words).exception, ConfigError)
    assert not (tmp_path / "keys").exists()


def test_the_master_that_recover_reads_opens_every_instance(tmp_path, inventory):
    folder = tmp_path / "keys"
    files = local(folder, inventory, "--rotate")
    local(folder, inventory, "--rotate")
    masters = read_master(folder / "master")

    assert parse_keys((folder / "instance-0.key").read_text()) == instance_keys(masters, "static/instance-0")
    assert files["master"].split()[0] == masters[1].hex()


@pytest.mark.parametrize(("text", "why"), [(None, "No such file"), ("", "0 keys"), ("x", "hexadecimal")])
def test_a_master_that_cannot_be_read_is_said_without_its_text(tmp_path, text, why):
    path = tmp_path / "master"
    if text is not None:
        path.write_text(text)

    with pytest.raises(MasterMissing, match=why):
        read_master(path)


def test_no_master_at_all_names_the_setting():
    with pytest.raises(MasterMissing, match="LOCO_MASTER_KEY_FILE"):
        read_master(None)


# In a cluster


@pytest.fixture
def cluster():
    with an_object_server() as (objects, connect), closing(connect()) as client:
        objects.client = client
        yield objects


def a_set(name, replicas, **spec):
    return {"metadata": {"name": name, "labels": {"app": "emulator"}}, "spec": {"replicas": replicas, **spec}}


def put(objects, kind, obj):
    group = "/apis/apps/v1" if kind == "statefulsets" else "/api/v1"
    objects.kept[f"{group}/namespaces/loco/{kind}/{obj['metadata']['name']}"] = obj


def put_pod(objects, name):
    put(objects, "pods", {"metadata": {"name": name, "labels": {"app": "emulator"}}})


def secrets(objects, *, is_rotation=False):
    """Make the Secrets and return how many keys each has."""
    return write_secrets(
        objects.client, namespace="loco-health", watched=("loco",), selector=SELECTOR, is_rotation=is_rotation
    )


def entries(objects, path):
    return {name: base64.b64decode(value).decode() for name, value in objects.kept[path]["data"].items()}


def test_every_pod_that_is_there_or_wanted_has_an_entry(cluster):
    put(cluster, "statefulsets", a_set("emulator", 3))
    put(cluster, "statefulsets", a_set("late", 1, ordinals={"start": 5}))
    put_pod(cluster, "bare-pod")

    spare = range(3, 35)  # so that a set that grows finds its keys
    wanted = {f"emulator-{ordinal}" for ordinal in (0, 1, 2, *spare)}
    wanted |= {f"late-{ordinal}" for ordinal in range(5, 5 + 1 + len(spare))} | {"bare-pod"}

    assert {"loco/loco-keys": len(wanted)} == secrets(cluster)
    assert wanted == set(entries(cluster, KEYS))
    (master,) = parse_keys(entries(cluster, MASTER)["key"])
    assert (derive_key(master, "loco", "emulator-2"),) == parse_keys(entries(cluster, KEYS)["emulator-2"])


def test_a_second_run_writes_nothing(cluster):
    put_pod(cluster, "pod-0")
    secrets(cluster)
    before = len(cluster.asked)
    secrets(cluster)

    assert {"GET"} == {method for method, _ in cluster.asked[before:]}


def test_a_pod_that_comes_later_joins_and_one_that_goes_keeps_its_key(cluster):
    put_pod(cluster, "pod-0")
    secrets(cluster)
    key = entries(cluster, KEYS)["pod-0"]
    del cluster.kept["/api/v1/namespaces/loco/pods/pod-0"]
    put_pod(cluster, "pod-1")

    assert {"loco/loco-keys": 2} == secrets(cluster)
    assert key == entries(cluster, KEYS)["pod-0"]


def test_a_rotation_writes_the_instances_first(cluster):
    put_pod(cluster, "pod-0")
    secrets(cluster)
    old = entries(cluster, MASTER)["key"]
    before = len(cluster.asked)
    secrets(cluster, is_rotation=True)

    assert [KEYS, MASTER] == [path for method, path in cluster.asked[before:] if method == "PUT"]
    assert old.split() == entries(cluster, MASTER)["key"].split()[1:]
    assert 2 == len(entries(cluster, KEYS)["pod-0"].split())


def test_a_rotation_that_breaks_off_leaves_keys_that_fit(cluster):
    put_pod(cluster, "pod-0")
    secrets(cluster)
    cluster.refusals[f"PUT {MASTER}"] = (500, "etcd is away")
    with pytest.raises(ClusterError):
        secrets(cluster, is_rotation=True)

    masters = parse_keys(entries(cluster, MASTER)["key"])
    assert instance_keys(masters, "loco/pod-0")[0] in parse_keys(entries(cluster, KEYS)["pod-0"])


def test_a_first_rotation_is_only_a_beginning(cluster):
    put_pod(cluster, "pod-0")
    secrets(cluster, is_rotation=True)

    assert 1 == len(entries(cluster, MASTER)["key"].split())


def test_another_writer_in_between_loses_nothing(cluster):
    put_pod(cluster, "pod-0")
    secrets(cluster)
    put_pod(cluster, "pod-1")
    real, meddled = cluster._change, []

    def meddle(method, path, body):
        if path == KEYS and not meddled:
            meddled.append(path)
            kept = cluster.kept[KEYS]
            other = base64.b64encode(b"of another writer").decode()
            cluster.kept[KEYS] = {
                **kept,
                "metadata": {**kept["metadata"], "resourceVersion": "2"},
                "data": {**kept["data"], "pod-9": other},
            }
        return real(method, path, body)

    cluster._change = meddle

    assert {"loco/loco-keys": 3} == secrets(cluster)
    assert {"pod-0", "pod-1", "pod-9"} == set(entries(cluster, KEYS))


def test_a_right_that_is_missing_is_named(cluster):
    cluster.refusals[f"GET {MASTER}"] = (403, "secrets is forbidden: cannot get resource")

    with pytest.raises(Forbidden, match=f"GET {MASTER} answered 403: secrets is forbidden"):
        secrets(cluster)


def test_a_secret_that_somebody_broke_is_named_and_left(cluster):
    cluster.kept[MASTER] = {"metadata": {"name": "loco-master"}, "data": {"key": "%%%"}}

    with pytest.raises(ConfigError, match="Secret loco-health/loco-master holds an entry that is no text"):
        secrets(cluster)
    assert "%%%" == cluster.kept[MASTER]["data"]["key"]
