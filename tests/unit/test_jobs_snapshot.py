"""The snapshot for a ConfigMap: what people read of it, and what it keeps when it has to be trimmed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pods import a_pod, a_pods_instance
from snapshots import NOW_MS, QEMU_DEAD, an_incident

from jobs.cluster.snapshot import JSON, MAX_BYTES, SUMMARY, TABLE, TooLarge, essence, render, size_bytes
from jobs.health.model import Evidence, FailureClass, InstanceKey, Verdict
from jobs.store.discovery import Detail, Discovery, Mode, Namespace
from jobs.store.snapshot import VERSION, FleetSnapshot, SnapshotInvalid, Told, decode, encode

SEEN_MS = NOW_MS - 5000


def told(ordinal=0, *, name=None, **fields):
    """Return what is told of one healthy instance."""
    pod = a_pod(name=name or f"loco-emulator-{ordinal}")
    instance = replace(a_pods_instance(pod), public_id=f"instance-{ordinal}")
    defaults = {
        "key": instance.key,
        "id": instance.public_id,
        "verdict": Verdict.HEALTHY,
        "failure_class": FailureClass.NONE,
        "discovered_at_ms": NOW_MS - 90_000,
        "observed_at_ms": SEEN_MS,
        "since_ms": NOW_MS - 60_000,
        "instance": instance,
    }
    return Told(**{**defaults, **fields})


def sick(ordinal=0, *, evidence=(), **fields):
    """Return what is told of one whose QEMU is dead."""
    one = told(ordinal, **fields)
    reasons = (replace(QEMU_DEAD, evidence=evidence or QEMU_DEAD.evidence),)
    incident = replace(an_incident(one.instance), id=f"{ordinal:012x}", reasons=reasons)
    return told(
        ordinal,
        verdict=Verdict.UNHEALTHY,
        failure_class=FailureClass.QEMU,
        codes=("QemuDead",),
        reasons=reasons,
        recommendations=("Restart it.",),
        incident=incident,
        incident_id=incident.id,
        **fields,
    )


def a_fleet(*instances, **fields):
    """Return a snapshot."""
    found = Discovery(Mode.KUBERNETES, NOW_MS - 9000, Detail(namespaces=(Namespace(name="loco", pods=2),)))
    defaults = {"version": VERSION, "written_at_ms": NOW_MS, "revision": 7, "discovery": found}
    return FleetSnapshot(instances=instances, **{**defaults, **fields})


def test_the_summary_is_sentences_and_the_table_has_the_worst_first():
    data = render(a_fleet(told(0), sick(1), told(2)))

    assert (
        "3 instances: 2 healthy, 1 unhealthy.\n"
        "Written 2026-11-24T20:07:43Z, newest observation 2026-11-24T20:07:38Z.\n"
        "Written again when something changes, at most once a minute, and every 2 minutes anyway: "
        "5 minutes after it was written it says nothing about now.\n"
        "Open incidents: 1.\n"
        "  instance-1 (incident 000000000001), unhealthy at worst, class qemu, since 2026-11-24T20:06:43Z: "
        "No QEMU process runs.\n"
        "Discovery: kubernetes, namespaces loco, listed 2026-11-24T20:07:34Z.\n"
    ) == data[SUMMARY]
    assert ["ID", "instance-1", "instance-0", "instance-2"] == [line.split()[0] for line in data[TABLE].splitlines()]
    assert "instance-1  loco/loco-emulator-1  unhealthy  qemu   2026-11-24T20:06:43Z" in data[TABLE]


def test_no_line_ends_in_a_space_which_would_make_kubectl_print_them_all_as_one():
    for text in render(a_fleet(told(0), sick(1))).values():
        assert [] == [line for line in text.splitlines() if line != line.rstrip() or "\t" in line]


def test_what_was_written_is_read_back():
    for snapshot in (a_fleet(), a_fleet(told(0), sick(1), trimmed=("x",))):
        assert snapshot == decode(encode(snapshot))


def test_an_observation_that_was_old_when_it_was_written_reads_unknown():
    data = render(a_fleet(told(0, observed_at_ms=NOW_MS - 46_000)))

    assert data[SUMMARY].startswith("1 instances: 1 unknown.")
    assert "ObservationStale" in data[TABLE]


def test_times_alone_are_no_news_and_everything_a_reader_acts_on_is():
    before = a_fleet(told(0), told(1))
    later = a_fleet(
        told(0, observed_at_ms=SEEN_MS + 15_000, tick=9), told(1), written_at_ms=NOW_MS + 15_000, revision=9
    )
    moved = replace(a_pods_instance(a_pod(name="loco-emulator-1")), public_id="instance-1", uid="another")

    assert essence(before) == essence(later)
    for news in (
        a_fleet(told(0)),
        a_fleet(told(0), sick(1)),
        a_fleet(told(0), told(1, codes=("Booting",))),
        a_fleet(told(0), told(1, instance=moved)),
        a_fleet(told(0), told(1), discovery=None),
        a_fleet(told(0), told(1), written_at_ms=NOW_MS + 60_000),
    ):
        assert essence(before) != essence(news)


def test_evidence_goes_first_and_the_summary_says_so():
    long = tuple(Evidence("detail", "x" * 200) for _ in range(20))
    data = render(a_fleet(*(sick(n, evidence=long) for n in range(200))))
    kept = decode(data[JSON])

    assert size_bytes(data) <= MAX_BYTES
    assert "Left out for room: evidence, probes and recommendations. " in data[SUMMARY]
    assert {("QemuDead", ())} == {(reason.code, reason.evidence) for one in kept.instances for reason in one.reasons}
    assert 200 == sum(one.incident is not None for one in kept.instances)


def test_of_a_large_fleet_the_pods_of_the_sick_are_the_last_to_go():
    kept = decode(render(a_fleet(*(sick(n) if n % 10 == 0 else told(n) for n in range(1200))))[JSON])

    assert {True: {True}, False: {False}} == {
        is_sick: {one.instance is not None for one in kept.instances if (one.verdict is Verdict.UNHEALTHY) is is_sick}
        for is_sick in (True, False)
    }


def test_reasons_that_were_trimmed_are_told_again_by_what_the_rules_know_of_them():
    bare = told(verdict=Verdict.UNHEALTHY, failure_class=FailureClass.QEMU, codes=("QemuDead", "OfALaterVersion"))

    assert [("QemuDead", "qemu", "unhealthy"), ("OfALaterVersion", "none", "finding")] == [
        (reason.code, reason.failure_class, reason.severity) for reason in bare.assessment.reasons
    ]


def test_a_fleet_whose_bare_verdicts_do_not_fit_is_refused_in_one_sentence():
    with pytest.raises(TooLarge, match=r"the verdicts of 3000 instances take \d+ bytes, ConfigMap loco-health holds"):
        render(a_fleet(*(Told(**_bare(n)) for n in range(3000))))


def _bare(ordinal):
    return {
        "key": InstanceKey(f"loco/{'x' * 200}-{ordinal}"),
        "id": f"instance-{ordinal}",
        "verdict": Verdict.HEALTHY,
        "failure_class": FailureClass.NONE,
        "discovered_at_ms": NOW_MS,
    }


@settings(max_examples=10, deadline=None)
@given(
    count=st.integers(0, 900),
    share=st.integers(1, 5),
    texts=st.lists(st.text(max_size=40), max_size=3),
    repeat=st.integers(0, 30),
)
def test_any_fleet_fits_with_every_verdict_in_it(count, share, texts, repeat):
    evidence = tuple(Evidence("detail", text * repeat) for text in texts)
    fleet = a_fleet(*(sick(n, evidence=evidence) if n % share == 0 else told(n) for n in range(count)))
    data = render(fleet)
    kept = decode(data[JSON])

    assert size_bytes(data) <= MAX_BYTES
    assert [(one.id, one.verdict, one.failure_class, one.codes, one.observed_at_ms, one.incident_id)
            for one in fleet.instances] == [
        (one.id, one.verdict, one.failure_class, one.codes, one.observed_at_ms, one.incident_id)
        for one in kept.instances
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is no snapshot of a fleet"),
        ("[]", "it is no snapshot of a fleet"),
        ('{"version": 1}', "it is no snapshot of a fleet"),
        ("\ud800", "it is no snapshot of a fleet"),
        (b"\xff\xfe", "it is no snapshot of a fleet"),
        ("[" * 100_000, "it is no snapshot of a fleet"),
        (encode(a_fleet(version=2)), "it has version 2, this program reads 1"),
        (encode(a_fleet(told(0), told(0))), "it names two instances alike"),
        ("x" * 1_048_577, "it is over 1048576 bytes long"),
    ],
)
def test_a_text_of_somebody_else_is_one_clause(text, sentence):
    with pytest.raises(SnapshotInvalid) as refusal:
        decode(text)

    assert str(refusal.value).startswith(sentence)
