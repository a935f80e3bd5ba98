"""What notifications say: to people in words, to Alertmanager as alerts, to a webhook as a documented contract."""

import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from builders import POLICY, a_probe, a_report
from jsonschema import Draft202012Validator
from receivers import KEY

from jobs.health.causes import FLEET
from jobs.health.classify import classify
from jobs.health.history import EMPTY
from jobs.health.incident import Incident
from jobs.health.model import Evidence, FailureClass, Instance, InstanceKey, Pod, Reason, Severity, Verdict
from jobs.health.recovery import Action, Hold, Plan
from jobs.notify import alerts
from jobs.notify.address import Links
from jobs.notify.letter import in_words, letter_of
from jobs.notify.secret import read_keys
from jobs.notify.signature import sign
from jobs.notify.wire import Envelope, a_test, encode, envelope
from jobs.store.deliveries import Notice
from jobs.store.outbox import Kind, Message

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "notifications.md").read_text()
SCHEMA = DOCS / "notification.schema.json"

AT_MS = 1_795_662_000_000
POD = Pod(namespace="loco", name="loco-emulator-0", phase="Running", node="worker-2")
INSTANCE = Instance(
    InstanceKey("loco/loco-emulator-0"),
    "instance-0",
    "Windows 98 - Game Server",
    "http://10.0.0.7:8080/health",
    uid="5f1c2a3b-0000-4000-8000-000000000000",
    pod=POD,
    expect_motion_seconds=20.0,
)
# As the rules make it of a report, so that the docs' example is what really comes.
STILL = a_report(screen={"verdict": "still", "still_seconds": 46.0, "largest_colour_ratio": 0.62})
SEEN = classify(INSTANCE, a_probe(STILL, at_ms=AT_MS - 15_000), None, EMPTY, POLICY).reasons
FROZEN = next(one for one in SEEN if one.code == "ScreenFrozen")
INCIDENT = Incident(
    "3f9c1b7e2a40",
    INSTANCE.key,
    AT_MS - 15_000,
    101,
    FailureClass.QEMU,
    Verdict.UNHEALTHY,
    ("ScreenFrozen",),
    (FROZEN,),
    102,
)
PLAN = Plan(
    incident=INCIDENT.id,
    key=INSTANCE.key,
    decided_at_ms=AT_MS,
    action=Action.RESET_GUEST,
    detail="reset-guest is due for ScreenFrozen",
)
IDS = {InstanceKey(f"loco/loco-emulator-{number}"): f"instance-{number}" for number in range(11)}
LINKS = Links("https://loco.example", "https://docs.example/runbooks")


def a_letter(kind=Kind.INCIDENT_OPENED, *, plan=PLAN, earlier=(), at_ms=AT_MS, **message):
    """Return a letter about the incident. message: fields of jobs.store.outbox.Message that differ."""
    content = Message(**{"incident": INCIDENT, "instance": INSTANCE, **message})
    name = f"{INCIDENT.id}-{content.escalation or kind}"
    plans = {INCIDENT.id: plan} if plan else {}
    return letter_of(Notice(1, name, kind, content, at_ms, 0, earlier), plans, IDS)


def escalated(escalation, **message):
    return a_letter(Kind.INCIDENT_ESCALATED, escalation=escalation, at_ms=AT_MS + 60_000, **message)


def closed(*earlier, after_ms=200_000, **message):
    incident = replace(INCIDENT, closed_at_ms=INCIDENT.opened_at_ms + after_ms)
    return a_letter(Kind.INCIDENT_CLOSED, incident=incident, earlier=tuple(one.notice for one in earlier), **message)


def several(key, code, *members):
    """Return the message of an incident of several instances."""
    reason = Reason(code, FailureClass.NONE, Severity.UNHEALTHY, (Evidence("instances", len(members), 3),))
    incident = replace(INCIDENT, key=key, reasons=(reason,), members=members, codes=(code,))
    return {"incident": incident, "instance": None}


def test_an_opening_says_what_is_wrong_with_value_and_limit_and_what_is_done_about_it():
    assert (
        "instance-0 is unhealthy, class qemu. The picture stands still for longer than is normal for this instance: "
        "screen verdict still (should be moving), screen still 46 s (limit 20 s), screen largest colour 0.62. "
        "Recovery: reset-guest is due for ScreenFrozen."
    ) == a_letter().text


def test_a_hold_is_told_with_its_words():
    held = replace(PLAN, hold=Hold.USER_CONNECTED, detail="reset-guest waits: 1 connected")

    assert a_letter(plan=held).text.endswith("Recovery: UserConnected, reset-guest waits: 1 connected.")
    assert a_letter(plan=replace(PLAN, detail="")).text.endswith("Recovery: reset-guest is next.")
    assert a_letter(plan=replace(PLAN, action=None, detail="")).text.endswith("Recovery: nothing is next.")
    assert a_letter(plan=None).text.endswith("Recovery: no plan is made, the incident is over or has only just begun.")


@pytest.mark.parametrize(
    ("escalation", "headline"),
    [
        ("NeedsHuman", "instance-0 needs a person: recovery can do no more"),
        ("BudgetSpent", "instance-0 has had all its recovery attempts of the last hour"),
        (
            "StreamNeedsHuman",
            "instance-0 needs a person: its browsers complain, and nothing is left to do to its stream",
        ),
        (
            "StreamBudgetSpent",
            "instance-0 has had the acts on its stream of the last hour, and its browsers complain",
        ),
        ("VerdictUnhealthy", "instance-0 got worse: now unhealthy, class qemu"),
        ("ClassMixed", "instance-0 got worse: now unhealthy, class qemu"),
    ],
)
def test_an_escalation_says_what_got_worse(escalation, headline):
    assert headline == escalated(escalation).headline


def test_an_escalation_has_the_reasons_of_its_own_moment():
    dead = Reason("QemuDead", FailureClass.QEMU, Severity.UNHEALTHY)

    assert "No QEMU process runs." in escalated("VerdictUnhealthy", reasons=(dead,)).text


def test_an_end_says_how_long_it_was_and_how_bad():
    assert (
        "instance-0 is healthy again after 3 min 20 s. It was unhealthy at worst: ScreenFrozen."
        == closed(a_letter()).text
    )
    assert "instance-0 has left the inventory, after 45 s" == closed(after_ms=45_000, has_left=True).headline


def test_an_incident_of_several_names_them():
    members = tuple(InstanceKey(f"loco/loco-emulator-{number}") for number in range(12))
    cause = several(InstanceKey("common/node/worker-2"), "CommonCause", *members)
    letter = a_letter(**cause)

    assert "node worker-2 is a common cause: 12 instances are ill" == letter.headline
    assert (
        "instance-8, instance-9 and 2 more. Recovery: nothing is done to them one by one while it is so." in letter.text
    )
    brake = a_letter(**several(FLEET, "FleetBrake", *members[:3]))
    assert "fleet brake is on: too many instances are ill at once without a common cause" == brake.headline
    assert (
        "fleet brake is on: too many instances are ill at once without a common cause. Instances 3 (limit 3). "
        "Ill: instance-0, instance-1, instance-2. Recovery: nothing is done to any instance while it is so."
    ) == brake.text
    over = replace(cause["incident"], closed_at_ms=INCIDENT.opened_at_ms + 60_000)
    assert (
        "node worker-2 is over after 1 min 0 s" == a_letter(Kind.INCIDENT_CLOSED, incident=over, instance=None).headline
    )


def test_who_has_left_the_inventory_is_named_by_its_key():
    gone = InstanceKey("loco/loco-emulator-11")
    letter = a_letter(**several(FLEET, "FleetBrake", INSTANCE.key, gone))

    assert "Ill: instance-0, loco/loco-emulator-11." in letter.text


def test_facts_read_as_words_and_what_nobody_knows_is_left_out():
    facts = (
        Evidence("audio.qemu_streams", 0),
        Evidence("audio.muted", None),
        Evidence("audio.silent", 21.0, 15.0, "s"),
        Evidence("screen.verdict", None, "no dump yet"),
        Evidence("a.b_c packet loss", 0.5),
        Evidence("explains", "AudioSilent"),
    )

    assert (
        "No QEMU process runs: audio qemu streams 0, audio silent 21 s (limit 15 s), "
        "screen verdict unknown (no dump yet), a.b_c packet loss 0.5, explains AudioSilent"
    ) == in_words(Reason("QemuDead", FailureClass.QEMU, Severity.UNHEALTHY, facts))
    assert "No QEMU process runs" == in_words(Reason("QemuDead", FailureClass.QEMU, Severity.UNHEALTHY, facts[1:2]))


def test_a_notice_without_an_incident_is_a_bug_that_is_named():
    with pytest.raises(ValueError, match="notice 3f9c1b7e2a40-incident-opened is of no incident"):
        a_letter(incident=None)


def test_the_alert_of_an_incident_keeps_its_labels_from_its_opening_to_its_end():
    opening, worse = a_letter(), escalated("NeedsHuman")
    shown = [alerts.active(one, LINKS, until_ms=AT_MS + 900_000)["labels"] for one in (opening, worse)]
    later = [alerts.active(one, LINKS, until_ms=AT_MS + 960_000)["labels"] for one in (opening, worse)]
    ended = alerts.resolved(closed(opening, worse), LINKS)

    assert shown == later == [one["labels"] for one in ended]
    assert shown[0] != shown[1]
    assert {"2026-11-26T03:03:05.000Z"} == {one["endsAt"] for one in ended}


def test_an_alert_never_ends_before_it_starts():
    early = closed(a_letter(), escalated("NeedsHuman"), after_ms=-60_000)

    assert all(one["startsAt"] <= one["endsAt"] for one in alerts.resolved(early, LINKS))


def test_an_alert_of_a_clock_that_ran_ahead_ends_no_earlier_than_it_begins():
    ahead = a_letter(incident=replace(INCIDENT, opened_at_ms=AT_MS + 3_600_000))
    alert = alerts.active(ahead, LINKS, until_ms=AT_MS + 900_000)

    assert alert["startsAt"] == alert["endsAt"]


def test_an_alert_links_to_the_incident_and_the_runbook_where_these_are_known():
    known = alerts.active(a_letter(), LINKS, until_ms=AT_MS)
    unknown = alerts.active(a_letter(), Links(), until_ms=AT_MS)

    assert "https://loco.example/incidents/3f9c1b7e2a40" == known["generatorURL"]
    assert "https://docs.example/runbooks/ScreenFrozen.md" == known["annotations"]["runbook_url"]
    assert {"summary", "description"} == set(unknown["annotations"])
    assert "generatorURL" not in unknown


@pytest.mark.parametrize(
    ("letter", "severity"),
    [
        (a_letter(), "critical"),
        (a_letter(incident=replace(INCIDENT, verdict=Verdict.DEGRADED)), "warning"),
        (escalated("BudgetSpent", incident=replace(INCIDENT, verdict=Verdict.DEGRADED)), "warning"),
        (escalated("NeedsHuman", incident=replace(INCIDENT, verdict=Verdict.DEGRADED)), "critical"),
        (escalated("StreamNeedsHuman", incident=replace(INCIDENT, verdict=Verdict.DEGRADED)), "warning"),
    ],
)
def test_severity_is_of_that_moment(letter, severity):
    assert severity == alerts.labels(letter)["severity"]


def test_alerts_of_several_instances_have_a_name_of_their_own():
    brake = a_letter(**several(FLEET, "FleetBrake"))
    cause = a_letter(**several(InstanceKey("common/node/worker-2"), "CommonCause"))

    assert [("LocoIncidentOfSeveral", "fleet brake"), ("LocoIncidentOfSeveral", "node worker-2")] == [
        (alerts.labels(one)["alertname"], alerts.labels(one)["instance"]) for one in (brake, cause)
    ]


def every_message():
    """Return every kind of message as it is sent."""
    static = replace(INSTANCE, pod=None, uid=None)
    messages = [
        envelope(letter, links)
        for links in (LINKS, Links())
        for letter in (
            a_letter(),
            a_letter(instance=static),
            a_letter(plan=None),
            escalated("NeedsHuman"),
            closed(a_letter()),
            a_letter(**several(FLEET, "FleetBrake", INSTANCE.key)),
        )
    ]
    return [json.loads(encode(one)) for one in (*messages, a_test(AT_MS))]


def test_the_schema_in_the_docs_is_the_one_of_the_code():
    made = json.dumps(msgspec.json.schema(Envelope), indent=2) + "\n"

    assert made == SCHEMA.read_text(), f"write this to {SCHEMA}:\n{made}"


def test_every_message_is_of_the_schema_in_the_docs():
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    for message in every_message():
        Draft202012Validator(schema).validate(message)


def test_the_example_in_the_docs_is_what_is_sent():
    (example,) = re.findall(r"```json\n(\{.*?)```", PAGE, re.DOTALL)
    sent = json.loads(encode(envelope(a_letter(), LINKS)))

    assert sent == json.loads(example), json.dumps(sent, indent=2)


@pytest.fixture
def is_ours():
    """The function that the docs give to receivers."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102 - our own page
    return names["is_ours"]


def signed(tmp_path, *, at_seconds, keys=KEY):
    body = encode(envelope(a_letter(), LINKS))
    path = tmp_path / "key"
    path.write_text(keys)
    return sign(read_keys("KEY", path), delivery="3f9c-opened", at_seconds=at_seconds, body=body), body


def test_the_docs_example_takes_our_signature_and_no_other(is_ours, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: AT_MS / 1000)
    headers, body = signed(tmp_path, at_seconds=AT_MS // 1000)
    other = "whsec_" + "b3RoZXJv" * 4

    assert is_ours(KEY, headers, body)
    assert not is_ours(KEY, headers, body + b" ")
    assert not is_ours(KEY, {**headers, "webhook-id": "3f9c-closed"}, body)
    assert not is_ours(KEY, {**headers, "webhook-timestamp": str(AT_MS // 1000 + 1)}, body)
    assert not is_ours(other, headers, body)
    assert not is_ours(KEY, {**headers, "webhook-signature": "v1,é"}, body)


def test_while_the_key_changes_receivers_with_the_old_and_with_the_new_one_take_it(is_ours, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: AT_MS / 1000)
    new = "whsec_" + "bmV3LWtleS0zMi1ieXRlcy1sb25nLWVub3VnaC0tLS0="
    headers, body = signed(tmp_path, at_seconds=AT_MS // 1000, keys=f"{new}\n{KEY}\n")

    assert is_ours(KEY, headers, body)
    assert is_ours(new, headers, body)


def test_an_old_message_is_refused_by_the_docs_example(is_ours, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: AT_MS / 1000 + 301)
    headers, body = signed(tmp_path, at_seconds=AT_MS // 1000)

    assert not is_ours(KEY, headers, body)
