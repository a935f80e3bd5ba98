"""Pages about one thing: every text escaped, every address relative, nothing measured left out, a story in order."""

from dataclasses import replace

import msgspec
import pytest
from full_report import a_full_report
from markup import Tags, said
from snapshots import (
    BOOTING,
    NOW_MS,
    QEMU_DEAD,
    a_fleet_now,
    a_plan,
    a_recovery,
    a_snapshot,
    an_attempt,
    an_entry,
    an_incident,
    latest_of,
    the_standing,
)

from agent.report import Actions, Block, HealthReport
from api.asked import Way, WayKind
from api.pages import incident as incident_page
from api.pages import incidents as incidents_page
from api.pages import instance as instance_page
from api.pages.asking import asking
from api.pages.blocks import TITLES, blocks, field
from api.pages.past import Past, Span, charts_of
from api.pages.times import lasted, when
from api.story import story
from api.views.evidence import After, Bundle, Screen
from api.witnesses import witnesses
from jobs.health.model import (
    Connectivity,
    ConnectivityOutcome,
    Evidence,
    FailureClass,
    InstanceKey,
    Pod,
    ProbeOutcome,
    Reason,
    Severity,
    Verdict,
)
from jobs.health.recovery import Hold
from jobs.health.rollup import MINUTE_MS, Rollup
from jobs.store.fleet import Picture
from jobs.store.reader import Change

NASTY = "<script>alert(1)</script>\" onerror='x' & {braces}"
ENTRY = an_entry()
WAY = Way(WayKind.LOCAL, "/run/loco/token")
PNG = "iVBORw0KGgphZnRlcg=="


def the_page(snapshot=None, *, changes=(), past=None, way=WAY, now_ms=NOW_MS):
    """Return the page of the only instance."""
    fleet = a_fleet_now(snapshot, now_ms=now_ms)
    (standing,) = fleet.standings.values()
    return instance_page.render(fleet, standing, instance_page.Told(past, changes, None, way))


def test_what_couldnt_be_read_isnt_told_as_none():
    unread, empty = the_page(changes=None), the_page(changes=())

    assert (2, 1) == (unread.count("The store couldn't be read"), empty.count("The store couldn't be read"))
    assert (False, True) == ("none yet" in unread, "none yet" in empty)


def test_a_verdict_that_may_not_be_that_of_now_reads_so():
    fleet = replace(a_fleet_now(sick()), problem="store loco.db is held")
    (standing,) = fleet.standings.values()
    page = instance_page.render(fleet, standing, instance_page.Told(None, (), None, WAY))

    assert '<p class="verdict unknown">' in page
    assert "<span>last known: <b>unhealthy</b></span>" in page
    assert "no live data" in page.partition("</title>")[0]


def sick(recovery=None, **changes):
    """Return the snapshot of a dead instance with an open incident."""
    latest = latest_of(ENTRY, QEMU_DEAD, **changes)
    return a_snapshot((ENTRY, latest), incident=an_incident(ENTRY), recovery=recovery or a_recovery())


# The instance


def test_every_field_of_every_block_stands_there_with_its_label():
    report = a_full_report()
    html = blocks(report)

    for name in TITLES:
        block = getattr(report, name)
        for each in () if block is None else block.__struct_fields__:
            if each != "error":
                assert field(each, None)[0] in html, (name, each)
    assert {one.name for one in msgspec.structs.fields(HealthReport)} - set(TITLES) == {
        "timestamp",
        "overall_status",
        "qemu_healthy",
        "schema_version",
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("uptime_seconds", 12.5, ("uptime", "12.5 s")),
        ("errors_per_second", 0.0, ("errors rate", "0/s")),
        ("memory_limit_bytes", 256 * 1024**2, ("memory limit", "256 MiB")),
        ("throttled_ratio", 0.031, ("throttled", "3.1 %")),
        ("packetLoss", 0.2, ("packetLoss", "20 %")),
        ("estimated_frame_rate", 18.25, ("estimated frame rate", "18.25 frames/s")),
        ("qemu_pid", 4711, ("qemu pid", "4711")),
        ("muted", False, ("muted", "no")),
        ("checked_at", "2026-11-24T20:07:43.125Z", ("checked at", '<span class="when">2026-11-24 20:07:43 UTC</span>')),
        ("run_state", "<b>", ("run state", "&lt;b&gt;")),
        ("tx_packets", None, ("tx packets", '<span class="unmeasured">no value</span>')),
    ],
)
def test_a_value_has_the_unit_of_its_name(name, value, expected):
    assert expected == field(name, value)


def test_a_block_that_was_not_measured_says_why():
    report = a_full_report()
    network = msgspec.structs.replace(report.network, tap_up=None, error="no interface tap0")

    told = said(blocks(msgspec.structs.replace(report, network=network)))

    assert "Network Not measured: no interface tap0" in told
    assert "tap up no value" in told


def test_a_block_that_the_report_lacks_is_said():
    assert "Browsers that stream The report has no such block." in said(
        blocks(msgspec.structs.replace(a_full_report(), clients=None))
    )


def test_every_block_has_a_title():
    kinds = {one.name: one.type for one in msgspec.structs.fields(HealthReport)}

    assert set() == {name for name, kind in kinds.items() if Block in getattr(kind, "__args__", ())} - set(TITLES)


def test_a_reason_is_told_with_value_limit_since_and_witness():
    reason = replace(QEMU_DEAD, evidence=(Evidence("screen.still", 120.0, 20, "s", since_ms=NOW_MS - 60_000),))
    told = said(the_page(a_snapshot((ENTRY, latest_of(ENTRY, reason)))))

    assert "No QEMU process runs. QemuDead unhealthy, class qemu" in told
    assert "screen.still 120 s 20 s 2026-11-24 20:06:43 UTC report" in told


def test_a_stale_instance_says_what_was_last_known():
    told = said(the_page(a_snapshot((ENTRY, latest_of(ENTRY, QEMU_DEAD))), now_ms=NOW_MS + 60_000))

    assert "What was last known, 2026-11-24 20:07:41 UTC It was unhealthy." in told
    assert "This is the last good one, received 2026-11-24 20:07:41 UTC ; it says nothing of now." in told


def test_a_hold_says_what_it_means_and_what_ends_it():
    plan = a_plan(ENTRY, hold=Hold.USER_CONNECTED, detail="1 connected", until_ms=NOW_MS + 260_000)
    html = the_page(sick(a_recovery(plan)))
    told = said(html)

    assert "why not yet UserConnected 1 connected" in told
    assert "that means The act would cut off somebody who is connected" in told
    assert "it ends at the tick after they left" in told
    assert "no earlier than 2026-11-24 20:12:03 UTC" in told
    assert '<time datetime="2026-11-24T20:12:03.000Z" data-lead="in "></time>' in html


def test_a_plan_that_is_due_is_told_as_due():
    assert "next restart-qemu when it is due now for QemuDead cuts people off yes" in said(
        the_page(sick(a_recovery(a_plan(ENTRY))))
    )


def test_with_nothing_next_no_reason_is_answered_and_nobody_is_cut_off():
    plan = a_plan(ENTRY, action=None, hold=Hold.NEEDS_HUMAN, detail="every rung was tried", codes=("HostBusy",))
    told = said(the_page(sick(a_recovery(plan)))).partition("What is done next")[2].partition("Ask for")[0]

    assert "next nothing why not yet NeedsHuman" in told
    assert (False, False) == ("HostBusy" in told, "cuts people off" in told)


def test_one_bad_tick_without_an_incident_says_what_opens_one():
    told = said(the_page(a_snapshot((ENTRY, latest_of(ENTRY, QEMU_DEAD)))))

    assert "This tick is bad, and an incident opens once 2 of the last 3 ticks were bad. None is open yet" in told
    assert "This tick is bad" not in said(the_page(a_snapshot((ENTRY, latest_of(ENTRY, BOOTING)))))


def test_an_open_incident_of_a_healed_instance_says_when_it_closes():
    plan = a_plan(ENTRY, action=None, hold=Hold.NOT_ACTIONABLE, detail="nothing is wrong at this tick")
    healed = a_snapshot((ENTRY, latest_of(ENTRY)), incident=an_incident(ENTRY), recovery=a_recovery(plan))
    events = story(an_incident(ENTRY), changes=(), attempts=(), plans=())
    its_story = incident_page.Told(an_incident(ENTRY), events, [], plan, {}, {})

    for page in (the_page(healed), incident_page.render(a_fleet_now(healed), its_story)):
        assert "The incident closes once 8 ticks passed without a fault and 4 of the last 5 were healthy" in said(page)
        assert "NotActionable" not in said(page)
    assert "The incident closes" not in said(the_page(sick(a_recovery(plan))))


def test_nothing_from_a_report_or_a_file_becomes_markup():
    reason = Reason(NASTY, FailureClass.QEMU, Severity.UNHEALTHY, (Evidence(NASTY, NASTY, NASTY, NASTY, NASTY),))
    instance = replace(ENTRY, public_id=NASTY, name=NASTY, description=NASTY, health_url=NASTY, uid=NASTY)
    pod = Pod(namespace=NASTY, name=NASTY, phase=NASTY, reason=NASTY, detail=NASTY, node=NASTY, node_problem=NASTY)
    latest = latest_of(
        instance, reason, detail=NASTY, connectivity=Connectivity(ConnectivityOutcome.MUTE, NOW_MS, None, NASTY)
    )
    report = a_full_report()
    report = msgspec.structs.replace(
        report,
        screen=msgspec.structs.replace(report.screen, error=NASTY, verdict=NASTY),
        qemu=msgspec.structs.replace(report.qemu, run_state=NASTY),
        actions=Actions(can=[NASTY], cannot={NASTY: NASTY}, error=NASTY),
    )
    attempt = an_attempt(instance, incident=NASTY, detail=NASTY, requested_by=NASTY, job=NASTY, codes=(NASTY,))
    plan = a_plan(instance, detail=NASTY, codes=(NASTY,), hold=Hold.NEEDS_HUMAN)
    incident = replace(
        an_incident(instance), id=NASTY, codes=(NASTY,), reasons=(reason,), members=(InstanceKey(NASTY),)
    )
    change = Change(NOW_MS, 3, Verdict.UNHEALTHY, FailureClass.QEMU, (reason,), NASTY)
    bundle = Bundle(
        verdict=NASTY,
        reasons=[{"code": NASTY}],
        screens=[Screen(error=NASTY, takenAt=NASTY)],
        report={NASTY: NASTY},
        signals=[{"verdict": NASTY, "codes": [NASTY], "receivedAt": NASTY}],
        leftOut=[NASTY],
        after=After(verdict=NASTY, reasons=[{"code": NASTY}], screen=Screen(png="!", error=NASTY)),
    )
    names = {instance.key: NASTY}
    pages = []
    for known in (replace(instance, pod=pod), instance):
        snapshot = a_snapshot((known, latest), report=report, incident=incident, recovery=a_recovery(plan, attempt))
        pictured = replace(snapshot, pictures={instance.key: Picture(NASTY, NOW_MS)})
        past = Past(Span.HOUR, NOW_MS, [])
        pages += [the_page(snapshot, changes=[change], past=past), the_page(pictured, way=Way(WayKind.CLUSTER, NASTY))]
    pages += [asking(NASTY, None, up="../"), asking(NASTY, Way(WayKind.LOCAL, NASTY), up="../")]
    fleet = a_fleet_now()
    plans = [replace(plan, incident=NASTY), replace(plan, incident=NASTY, hold=None)]
    events = story(incident, changes=[change], attempts=[attempt], plans=plans)
    told = incident_page.Told(incident, events, [attempt], plan, names, {attempt.id: bundle})
    due = replace(told, kept={attempt.id: NASTY}, plan=replace(plan, hold=None))
    pages += [incident_page.render(fleet, told), incident_page.render(fleet, due)]
    pages.append(incident_page.render_attempt(fleet, attempt, bundle, names))
    pages.append(
        incidents_page.render(fleet, incidents_page.Listed("all", NASTY, [incident], [incident], NASTY, names))
    )

    tags = [tag for page in pages for tag in Tags(page).found]
    assert {"../static/page.js", "../static/recover.js", "static/page.js"} == {
        attributes.get("src") for tag, attributes in tags if tag == "script"
    }
    assert [] == [tag for tag in tags if any(name.startswith("on") or name == "style" for name in tag[1])]
    addresses = [tag[1][name] for tag in tags for name in ("href", "src", "action") if tag[1].get(name)]
    assert [] == [one for one in addresses if one.startswith(("/", "http", "javascript"))]


# The witnesses


def agreeing(**changes):
    """Return whether each witness agrees with the verdict."""
    standing = the_standing(a_snapshot((ENTRY, replace(latest_of(ENTRY, QEMU_DEAD), **changes))))
    return [one.agrees_with(standing.verdict) for one in witnesses(standing)]


def test_a_witness_that_speaks_for_health_disagrees_with_a_fault():
    assert [False, False, None] == agreeing()


def test_a_report_that_didnt_come_and_a_handshake_that_failed_agree_with_a_fault():
    silent = Connectivity(ConnectivityOutcome.MUTE, NOW_MS, None, "no greeting within 3 s")

    assert [True, True, None] == agreeing(outcome=ProbeOutcome.REFUSED, detail="nothing listens", connectivity=silent)


@pytest.mark.parametrize("outcome", ["not-dialled", "denied", "too-many"])
def test_a_handshake_that_wasnt_let_says_nothing(outcome):
    known = Connectivity(ConnectivityOutcome(outcome), NOW_MS)

    assert agreeing(connectivity=known)[1] is None


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"phase": "Running", "is_ready": True}, True),
        ({"phase": "Running", "is_ready": False}, False),
        ({"phase": "Running", "reason": "CrashLoopBackOff"}, False),
        ({"phase": "Pending"}, False),
        ({"phase": "Running", "is_stale": True}, None),
    ],
)
def test_a_pods_status_speaks_for_itself(pod, expected):
    instance = replace(ENTRY, pod=Pod(namespace="loco", name="loco-emulator-0", **pod))

    assert expected is witnesses(the_standing(a_snapshot((instance, latest_of(instance)))))[2].is_well


# The past


def test_charts_end_at_the_newest_observation_and_name_what_they_show():
    minute = Rollup(NOW_MS - MINUTE_MS, healthy=4, frame_rate_sum=72.0, frame_rate_count=4)
    html = charts_of(Past(Span.DAY, NOW_MS, [minute]), "Decoy 0")

    assert "Frame rate of Decoy 0: min 18, max 18, last 18 /s" in html
    assert "Sound level of Decoy 0: not measured" in html
    assert '<a href="?span=day" aria-current="true">last 24 hours</a>' in html


# Asking


def test_without_a_door_there_is_no_form_and_the_reason():
    html = asking("instance-0", None, up="../")

    assert "This API only reads" in html
    assert "<form" not in html


def test_in_a_cluster_the_command_for_a_short_lived_token_is_there():
    html = asking("instance-0", Way(WayKind.CLUSTER, "loco-health"), up="../")

    assert "kubectl create token loco-requester -n loco-health --duration=10m" in html
    assert 'data-kind="cluster"' in html


def test_on_one_machine_the_file_of_the_token_is_named():
    assert "It is in <code>/run/loco/token</code>" in asking("instance-0", WAY, up="../")


def test_an_id_is_quoted_for_the_shell():
    assert "kubectl loco recover &#x27;a b;c&#x27; --dry-run" in asking("a b;c", Way(WayKind.CLUSTER, "x"), up="../")


# Times


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (0, "0 ms"),
        (850, "850 ms"),
        (12_340, "12.3 s"),
        (59_999, "60 s"),
        (250_000, "4 min 10 s"),
        (7_500_000, "2 h 5 min"),
        (273_600_000, "3 d 4 h"),
        (-5000, "-5 s"),
    ],
)
def test_a_span_reads_in_its_largest_units(ms, expected):
    assert expected == lasted(ms)


def test_a_moment_is_told_in_full_and_the_script_adds_its_age():
    assert (
        '<span class="when">2026-11-24 20:07:43 UTC '
        '<time datetime="2026-11-24T20:07:43.000Z" data-lead=""></time></span>'
    ) == when(NOW_MS)
