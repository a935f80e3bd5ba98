"""Notifications by real runs: tried out by hand, sent by `dispatch` though it is killed, and under `jobs local`."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from contextlib import contextmanager

import pytest
from api_server import wait_for
from notifying import now_ms
from receivers import KEY, a_receiver, an_alertmanager, told
from servers import NO_NAME
from stack import free_port
from stores import a_fleet, an_instance
from token_server import make_certificate

from jobs.health.model import ProbeOutcome

CANARY = "s3cr3t-canary"
REFUSED = {f"instance-{ordinal}": ProbeOutcome.REFUSED for ordinal in range(5)}


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "webhook-key"
    path.write_text(KEY)
    return path


def settings(**values):
    return {**os.environ, **{f"LOCO_{name}": str(value) for name, value in values.items()}}


def notify(*arguments, **values):
    """Return exit code and output of one call."""
    command = (sys.executable, "-m", "jobs", "notify", *arguments)
    done = subprocess.run(command, env=settings(**values), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@contextmanager
def a_run(*arguments, log, **values):
    """Yield a run of `python -m jobs`, which is killed at the end."""
    with log.open("ab") as file:
        process = subprocess.Popen((sys.executable, "-m", "jobs", *arguments), env=settings(**values), stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_notify_sends_one_test_message_to_each_receiver_and_says_what_came_back(tmp_path, key):
    with an_alertmanager(tmp_path / "alertmanager") as (alertmanager, people), a_receiver() as receiver:
        code, said, _ = notify(
            "--test", ALERTMANAGER_URL=alertmanager.url, WEBHOOK_URL=receiver.url, WEBHOOK_KEY_FILE=key
        )
        wait_for(lambda: told(people))

        assert 0 == code
        first, second = said.splitlines()
        assert first.startswith(f"alertmanager: {alertmanager.url}: it answered 200, the message is there (")
        assert second.startswith(f"webhook: http://127.0.0.1:{receiver.port}: it answered 200, the message is there (")
        assert [("LocoTest", "", None, "firing")] == told(people)
        assert ["test"] == [message.json["type"] for message in receiver.taken]


def test_notify_says_which_receiver_did_not_take_it_and_ends_with_1(tmp_path, key):
    with a_receiver() as receiver:
        receiver.answer = 401
        code, said, _ = notify(
            "--test",
            ALERTMANAGER_URL=f"http://127.0.0.1:{free_port()}",
            WEBHOOK_URL=receiver.url,
            WEBHOOK_KEY_FILE=key,
        )

    assert 1 == code
    first, second = said.splitlines()
    assert ": connection refused (" in first
    assert ": it answered 401 (" in second


def test_a_bad_setting_stops_a_run_with_one_sentence(tmp_path):
    code, _, said = notify(WEBHOOK_URL="gopher://x")

    assert (2, "loco-jobs: LOCO_WEBHOOK_URL: scheme 'gopher' isn't one of http and https; nothing was started\n") == (
        code,
        said,
    )


def speak_tls(receiver, folder):
    """Have a receiver speak TLS; return the certificate that vouches for it."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl here to make a certificate with")
    certificate, key = folder / "ca.crt", folder / "tls.key"
    make_certificate(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.wrap(context)
    return certificate


@pytest.mark.parametrize("failure", ["refused", "dies", "500", "untrusted", "unresolved"])
def test_no_secret_is_in_any_text_whatever_fails(tmp_path, key, failure):
    with a_receiver() as receiver:
        receiver.answer = {"dies": "dies", "500": 500}.get(failure, 200)
        host = {"refused": f"127.0.0.1:{free_port()}", "unresolved": NO_NAME}.get(failure, f"127.0.0.1:{receiver.port}")
        scheme = "https" if failure == "untrusted" else "http"
        if failure == "untrusted":
            speak_tls(receiver, tmp_path)
        url = f"{scheme}://{CANARY}:{CANARY}@{host}/{CANARY}?token={CANARY}"
        code, *said = notify("--test", WEBHOOK_URL=url, WEBHOOK_KEY_FILE=key)

    assert 1 == code
    assert f"webhook: {scheme}://{host}: " in said[0]
    assert not any(secret in text for secret in (CANARY, KEY[6:16]) for text in said)


def test_a_receiver_whose_certificate_our_file_vouches_for_is_reached(tmp_path, key):
    with a_receiver() as receiver:
        certificate = speak_tls(receiver, tmp_path)
        url = receiver.url.replace("http:", "https:")
        trusted, _, _ = notify("--test", WEBHOOK_URL=url, WEBHOOK_KEY_FILE=key, NOTIFY_CA_FILE=certificate)
        untrusted, said, _ = notify("--test", WEBHOOK_URL=url, WEBHOOK_KEY_FILE=key)

    assert (0, 1) == (trusted, untrusted)
    assert "its certificate isn't trusted: " in said


def test_a_dispatch_that_is_killed_while_it_sends_loses_nothing_and_changes_no_id(tmp_path, key):
    store = tmp_path / "loco.db"
    arguments = ("dispatch", "--store", str(store), "--window", "300")
    instances = [an_instance(ordinal) for ordinal in range(5)]
    with a_receiver() as receiver, a_fleet(store, instances, at_ms=now_ms() - 600_000) as fleet:
        values = {"WEBHOOK_URL": receiver.url, "WEBHOOK_KEY_FILE": key, "RECOVERY_NAMESPACE": ""}
        with a_run(*arguments, log=tmp_path / "log", **values):
            wait_for(lambda: fleet.connection.execute("SELECT 1 FROM destinations").fetchone())
            receiver.answers = [200, 200, "mute"]  # it has two, and dies with the third on its way
            fleet.ticks(3, REFUSED)
            wait_for(lambda: len(receiver.got) == 3)
        receiver.is_released.set()
        with a_run(*arguments, log=tmp_path / "log", **values):
            wait_for(lambda: len(receiver.ids) == 5, seconds=60)
            wait_for(lambda: not fleet.connection.execute("SELECT 1 FROM deliveries WHERE outcome IS NULL").fetchone())
        rows = fleet.connection.execute("SELECT notice FROM outbox WHERE notice IS NOT NULL ORDER BY id").fetchall()

    assert [notice for (notice,) in rows] == receiver.ids
    assert len(receiver.taken) <= 2 * 5


def test_jobs_local_notifies_of_an_instance_that_nobody_answers_for(tmp_path, key):
    inventory = tmp_path / "instances.json"
    inventory.write_text(json.dumps([{"id": "instance-0", "healthUrl": f"http://127.0.0.1:{free_port()}"}]))
    with (
        a_receiver() as receiver,
        a_run(
            "local",
            "--instances",
            str(inventory),
            "--store",
            str(tmp_path / "loco.db"),
            "--window",
            "60",
            log=tmp_path / "log",
            WEBHOOK_URL=receiver.url,
            WEBHOOK_KEY_FILE=key,
        ) as local,
    ):
        wait_for(lambda: receiver.taken, seconds=90)
        local.send_signal(signal.SIGTERM)
        local.wait(30)

    assert "instance-0 is unreachable, class network" == receiver.taken[0].json["data"]["headline"]
