"""The settings of the receivers: a mistake is one sentence without a secret in it, and nothing starts."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from receivers import KEY

from jobs.commands.notify import notify
from jobs.commands.receivers import Receivers
from jobs.errors import ConfigError

SECRETS = ("hunter2", "s3cr3t", KEY[6:20])


def clock():
    return 1_800_000_000_000


def receivers(folder, **settings):
    """Return receivers whose files hold what `settings` says; a path is made of each `*_file`."""
    made = {}
    for name, value in settings.items():
        if name.endswith("_file") and value is not None:
            (folder / name).write_bytes(value if isinstance(value, bytes) else value.encode())
            made[name] = folder / name
        else:
            made[name] = value
    return Receivers(**made)


def places(told):
    return [(one.name, one.place) for one in told.destinations(clock)]


def test_without_an_address_there_is_no_receiver(tmp_path):
    assert [] == places(receivers(tmp_path, webhook_key_file="nonsense", ca_file="nonsense"))


def test_an_address_shows_neither_user_nor_path_nor_query(tmp_path):
    told = receivers(
        tmp_path,
        alertmanager_url="https://user:hunter2@alerts.example/prefix/",
        webhook_url="http://[2001:db8::1]:9000/s3cr3t?token=s3cr3t",
        webhook_key_file=KEY,
    )

    assert [("alertmanager", "https://alerts.example"), ("webhook", "http://[2001:db8::1]:9000")] == places(told)
    assert not any(secret in repr(vars(one)) for one in told.destinations(clock) for secret in SECRETS[:2])


def test_each_alertmanager_of_a_cluster_is_a_receiver_of_its_own(tmp_path):
    told = receivers(tmp_path, alertmanager_url="http://one:9093, http://two:9093")

    assert [("alertmanager", "http://one:9093"), ("alertmanager-2", "http://two:9093")] == places(told)


@pytest.mark.parametrize(
    ("url", "posted"),
    [
        ("http://alerts:9093", "http://alerts:9093/api/v2/alerts"),
        ("http://alerts:9093/", "http://alerts:9093/api/v2/alerts"),
        ("http://alerts/prefix", "http://alerts/prefix/api/v2/alerts"),
        ("http://alerts:9093/api/v2/alerts", "http://alerts:9093/api/v2/alerts"),
    ],
)
def test_alerts_are_posted_behind_the_route_prefix(tmp_path, url, posted):
    (destination,) = receivers(tmp_path, alertmanager_url=url).destinations(clock)

    assert posted == destination._line.address.url


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"webhook_url": "ftp://host.example/s3cr3t"}, "LOCO_WEBHOOK_URL: scheme 'ftp' isn't one of http and https;"),
        ({"webhook_url": "https:///s3cr3t"}, "LOCO_WEBHOOK_URL names no host;"),
        ({"webhook_url": "http://h:port/s3cr3t"}, "LOCO_WEBHOOK_URL is no URL: host or port can't be read;"),
        ({"webhook_url": "http://h/s3cr3t#x"}, "LOCO_WEBHOOK_URL holds a fragment, a space or a control character;"),
        ({"webhook_url": "http://h/s3cr3t x"}, "LOCO_WEBHOOK_URL holds a fragment, a space or a control character;"),
        (
            {"webhook_url": "http://169.254.169.254/latest"},
            "LOCO_WEBHOOK_URL: 169.254.169.254: a link-local, multicast or unspecified address is never dialled;",
        ),
        (
            {"alertmanager_url": "http://[fd00:ec2::254]/"},
            "LOCO_ALERTMANAGER_URL: fd00:ec2::254: the address of a cloud's metadata service is never dialled;",
        ),
        ({"alertmanager_url": "http://h/?s3cr3t"}, "LOCO_ALERTMANAGER_URL holds a query, and Alertmanager takes none;"),
        ({"alertmanager_url": "http://h,"}, "LOCO_ALERTMANAGER_URL: scheme '' isn't one of http and https;"),
        (
            {"alertmanager_url": "http://u:hunter2@h/", "alertmanager_token_file": "s3cr3t"},
            "LOCO_ALERTMANAGER_URL holds a user and LOCO_ALERTMANAGER_TOKEN_FILE a token, and a request takes one",
        ),
        (
            {"alertmanager_url": "http://h", "alertmanager_token_file": "s3cr3t s3cr3t"},
            "LOCO_ALERTMANAGER_TOKEN_FILE: .* doesn't hold one word of ASCII, which a token is;",
        ),
        (
            {"alertmanager_url": "http://h", "alertmanager_token_file": b"s3cr3t\xff"},
            "LOCO_ALERTMANAGER_TOKEN_FILE: .* isn't ASCII;",
        ),
        (
            {"alertmanager_url": "http://h", "alertmanager_token_file": "s3cr3t" * 5000},
            "LOCO_ALERTMANAGER_TOKEN_FILE: .* has over 16384 bytes;",
        ),
        (
            {"alertmanager_url": "http://h", "ca_file": "s3cr3t"},
            "LOCO_NOTIFY_CA_FILE: .* holds no certificate that can be read;",
        ),
        ({"webhook_url": "http://h"}, "LOCO_WEBHOOK_URL needs LOCO_WEBHOOK_KEY_FILE, with which messages are signed;"),
        ({"webhook_url": "http://h", "webhook_key_file": ""}, "LOCO_WEBHOOK_KEY_FILE: .* holds 0 keys, allowed are 1"),
        (
            {"webhook_url": "http://h", "webhook_key_file": f"{KEY}\n{KEY}\n{KEY}"},
            "LOCO_WEBHOOK_KEY_FILE: .* holds 3 keys, allowed are 1 to 2;",
        ),
        (
            {"webhook_url": "http://h", "webhook_key_file": "whsec_hunter2"},
            "LOCO_WEBHOOK_KEY_FILE: a line of .* isn't whsec_ with 24 to 64 bytes in base64 behind it;",
        ),
        (
            {"webhook_url": "http://h", "webhook_key_file": KEY.removeprefix("whsec_")},
            "LOCO_WEBHOOK_KEY_FILE: a line of .* isn't whsec_ with 24 to 64 bytes in base64 behind it;",
        ),
        ({"public_url": "loco.example"}, "LOCO_PUBLIC_URL: scheme '' isn't one of http and https;"),
        ({"public_url": "http://h/%zz"}, "LOCO_PUBLIC_URL holds a % without two hexadecimal digits behind it;"),
        ({"public_url": "http://u:hunter2@h"}, "LOCO_PUBLIC_URL: a link for people holds neither a password nor a"),
    ],
)
def test_a_mistake_is_one_sentence_without_a_secret(tmp_path, settings, sentence):
    with pytest.raises(ConfigError, match=rf"^{sentence}.* nothing was started$") as raised:
        receivers(tmp_path, **settings).destinations(clock)

    assert not any(
        secret in str(raised.value) for secret in SECRETS if not sentence.startswith("LOCO_WEBHOOK_URL: sch")
    )


def test_a_key_file_that_is_not_there_is_a_mistake_and_a_token_file_is_none(tmp_path):
    told = Receivers(webhook_url="http://h", webhook_key_file=tmp_path / "none")
    with pytest.raises(ConfigError, match=r"LOCO_WEBHOOK_KEY_FILE: .*/none can't be read: No such file or directory"):
        told.destinations(clock)

    told = Receivers(alertmanager_url="http://h", alertmanager_token_file=tmp_path / "none", ca_file=tmp_path / "none")
    assert [("alertmanager", "http://h")] == places(told)


@pytest.mark.parametrize("setting", ["alertmanager_token_file", "ca_file"])
def test_a_file_that_cannot_be_looked_for_is_a_mistake(setting):
    told = Receivers(alertmanager_url="http://h", **{setting: Path("/", "x" * 300)})

    with pytest.raises(ConfigError, match=r"/x+ can't be read: File name too long; nothing was started$"):
        told.destinations(clock)


def test_the_command_says_where_notifications_go():
    said = CliRunner().invoke(notify, ["--alertmanager-url", "http://user:hunter2@alerts:9093/prefix"])

    assert "alertmanager: http://alerts:9093\n" == said.stdout
    assert 0 == said.exit_code


def test_the_command_says_when_there_is_nowhere_to_go():
    said = CliRunner().invoke(notify, ["--test"])

    assert "no receiver is set: LOCO_ALERTMANAGER_URL and LOCO_WEBHOOK_URL are empty; nothing was sent" == str(
        said.exception
    )
