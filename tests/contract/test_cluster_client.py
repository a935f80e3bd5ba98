"""One connection to an API server: what it refuses, never ends or never says is one error, in one sentence."""

from datetime import datetime

import pytest
from api_server import STREAM, an_api_server, refusing
from kubernetes.client.configuration import Configuration
from kubernetes.config.incluster_config import InClusterConfigLoader
from pods import pod_json
from servers import http

from jobs.cluster.client import ClusterClient
from jobs.errors import ClusterError, Conflict, Forbidden, Gone, NotFound


@pytest.fixture
def cluster():
    with an_api_server() as (server, connect):
        server.put(pod_json("loco-emulator-0"))
        yield server, connect


@pytest.mark.parametrize(
    ("code", "kind"), [(403, Forbidden), (404, NotFound), (409, Conflict), (410, Gone), (418, ClusterError)]
)
def test_each_refusal_is_an_error_of_its_kind(cluster, code, kind):
    server, connect = cluster
    server.fail("list", refusing(code, "because"))
    with connect() as client, pytest.raises(ClusterError, match=f"answered {code}: because") as caught:
        list(client.pages("/api/v1/namespaces/loco/pods"))

    assert kind is type(caught.value)


def test_what_a_server_says_is_one_printable_line(cluster):
    server, connect = cluster
    server.fail("list", refusing(500, "first line\nsecond \x1b[31mred" + 400 * "x"))
    with connect() as client, pytest.raises(ClusterError) as caught:
        client.get("/api/v1/namespaces/loco/pods")

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("body", [b'{"message": 7}', b"[1]", b"[" * 100_000, b"\xff"])
def test_a_refusal_that_is_no_status_is_shown_as_it_came(cluster, body):
    server, connect = cluster
    server.fail("list", lambda connection: connection.sendall(http(body, status="502 Bad Gateway")))
    with connect() as client, pytest.raises(ClusterError, match="answered 502: "):
        client.get("/api/v1/namespaces/loco/pods")


def test_a_server_that_wants_to_be_left_alone_says_for_how_long(cluster):
    server, connect = cluster
    for told, expected in (("7", 7.0), ("99999", 60.0), ("tomorrow", 0.0)):
        server.fail("list", refusing(429, "slow down", head=f"Retry-After: {told}\r\n"))
        with connect() as client, pytest.raises(ClusterError) as caught:
            client.get("/api/v1/namespaces/loco/pods")
        assert expected == caught.value.retry_seconds


def test_a_token_that_was_emptied_is_one_sentence(tmp_path):
    files = [tmp_path / name for name in ("token", "ca.crt")]
    for file in files:
        file.write_text("something")
    place = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    loader = InClusterConfigLoader(*map(str, files), environ=place)
    configuration = Configuration()
    loader.load_and_set(configuration)
    loader.token_expires_at = datetime.min  # noqa: DTZ901 - the loader's own clock knows no zone
    files[0].write_text("")

    with ClusterClient(configuration) as client, pytest.raises(ClusterError, match=r"GET /api failed: .* empty"):
        client.get("/api")


def test_without_any_configuration_there_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ClusterError, match="no way to the Kubernetes API: neither a service account nor a kubeconfig"):
        ClusterClient()


def endless_event(connection):
    """Send an event that never ends."""
    piece = b"x" * 2**20
    connection.sendall(STREAM)
    for _ in range(100):
        connection.sendall(b"100000\r\n" + piece + b"\r\n")


def test_an_event_without_an_end_is_given_up(cluster):
    server, connect = cluster
    server.fail("watch", endless_event)
    with connect() as client, pytest.raises(ClusterError, match="a watch event passed 8388608 bytes without an end"):
        list(client.watch("/api/v1/namespaces/loco/pods", {}, silence_seconds=5))
