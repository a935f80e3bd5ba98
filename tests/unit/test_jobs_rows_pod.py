"""What Kubernetes says of a pod as reasons: what is planned, what is a fault, and from when on."""

from dataclasses import replace

import pytest
from builders import POLICY, Watch, a_handshake, a_probe, a_report, an_instance, codes, said
from pods import BEGAN_MS, a_pod, a_pods_instance

from jobs.health.classify import classify
from jobs.health.history import EMPTY
from jobs.health.model import ProbeOutcome
from jobs.health.pods import reason_not_to_ask
from jobs.health.rows import node, wishes
from jobs.health.rows import pod as rows
from jobs.health.rule import look
from jobs.health.rules import BY_CODE, FAULTS
from jobs.health.watched import follow

ROWS = (*wishes.ROWS, *node.ROWS, *rows.ROWS)

START, PULL, END, AWAY = (
    POLICY.pod_start_seconds,
    POLICY.pod_pull_seconds,
    POLICY.pod_terminating_seconds,
    POLICY.pod_missing_seconds,
)

# What each word of a pod means while nobody asks it: phase, word, the age of its phase in seconds, the worst reason.
STATES = [
    ("Pending", "Pending", 0, "PodStarting"),
    ("Pending", "ContainerCreating", PULL - 1, "PodStarting"),
    ("Pending", "ContainerCreating", PULL, "PodPending"),
    ("Pending", "Init:0/2", PULL - 1, "PodStarting"),
    ("Pending", "Init:0/2", PULL, "PodPending"),
    ("Unknown", "Unknown", PULL, "PodPending"),
    ("Pending", "Unschedulable", START - 1, "PodStarting"),
    ("Pending", "Unschedulable", START, "PodUnschedulable"),
    ("Pending", "SchedulingGated", START, "PodUnschedulable"),
    ("Pending", "ErrImagePull", 0, "PodImageError"),
    ("Pending", "ImagePullBackOff", 0, "PodImageError"),
    ("Pending", "Init:ImagePullBackOff", 0, "PodImageError"),
    ("Pending", "CreateContainerConfigError", 0, "PodCannotStart"),
    ("Pending", "Init:CrashLoopBackOff", 0, "PodCrashLooping"),
    ("Pending", "Init:ExitCode:3", 0, "PodCrashLooping"),
    ("Pending", "OOMKilled", 0, "PodCrashLooping"),
    ("Running", "Terminating", END - 1, "PodTerminating"),
    ("Running", "Terminating", END, "PodStuckTerminating"),
    ("Missing", "Missing", AWAY - 1, "PodReplacing"),
    ("Missing", "Missing", AWAY, "PodMissing"),
    ("Missing", "AwaitsEarlier", 86_400, "PodStarting"),
    ("Failed", "Evicted", 0, "PodEnded"),
    ("Failed", "OOMKilled", 0, "PodEnded"),
    ("Succeeded", "Completed", 0, "PodEnded"),
    ("Running", "AddressRefused", 0, "PodAddressRefused"),
    ("Running", "NoAddress", 0, "PodAddressRefused"),
]


def not_asked(pod, *, age_seconds=0.0):
    """Return the assessment of a pod that wasn't asked."""
    instance = a_pods_instance(replace(pod, since_ms=BEGAN_MS - int(age_seconds * 1000)))
    probe = a_probe(at_ms=BEGAN_MS, outcome=ProbeOutcome.NOT_ASKED)
    return classify(instance, probe, None, EMPTY, POLICY)


@pytest.mark.parametrize(("phase", "word", "age_seconds", "code"), STATES)
def test_a_pod_that_can_not_be_asked_is_shown_with_its_own_word(phase, word, age_seconds, code):
    pod = a_pod(phase=phase, reason=word, detail="the kubelet's sentence")
    assessment = not_asked(pod, age_seconds=age_seconds)
    facts = {one.fact: one.value for one in assessment.reasons[0].evidence}

    assert [code] == codes(assessment)
    assert (phase, word, "the kubelet's sentence") == (facts["pod.phase"], facts["pod.reason"], facts["pod.detail"])
    assert reason_not_to_ask(a_pods_instance(pod), BEGAN_MS)


def test_every_row_of_the_pod_is_shown_to_hold_somewhere():
    elsewhere = {"AnnotationRefused", "OptOutExpired", "NodeTrouble", "NodeLost", "MonitoringOff", "PodNotServing"}
    elsewhere |= {"PodStateStale"}

    assert {rule.code for rule in ROWS} == {code for *_, code in STATES} | elsewhere


def test_a_word_that_nobody_knows_is_unknown_and_no_success():
    assessment = not_asked(a_pod(phase="Running", reason="FluxCapacitorError"), age_seconds=3600)

    assert ("unknown", "none", ["PodNotServing"]) == said(assessment)
    assert "PodNotServing" in FAULTS


def test_an_age_that_is_not_known_is_no_excuse():
    pod = a_pod(phase="Missing", reason="Missing", since_ms=None)
    instance = a_pods_instance(pod)
    assessment = classify(instance, a_probe(outcome=ProbeOutcome.NOT_ASKED), None, EMPTY, POLICY)

    assert ["PodMissing"] == codes(assessment)


def test_a_clock_that_was_set_back_grants_no_grace():
    assert ["PodMissing"] == codes(not_asked(a_pod(phase="Missing", reason="Missing"), age_seconds=-3600))


@pytest.mark.parametrize("outcome", [ProbeOutcome.REFUSED, ProbeOutcome.TIMEOUT, ProbeOutcome.WRONG_UID])
def test_a_young_pod_that_does_not_answer_yet_is_starting(outcome):
    instance = a_pods_instance(a_pod(since_ms=BEGAN_MS - int(START * 1000) + 1))
    young = classify(instance, a_probe(at_ms=BEGAN_MS, outcome=outcome), None, EMPTY, POLICY)
    old = classify(instance, a_probe(at_ms=BEGAN_MS + 1, outcome=outcome), None, EMPTY, POLICY)

    assert ("unknown", "none", ["PodStarting"]) == said(young)
    assert "PodStarting" not in codes(old)


def test_a_young_pod_whose_qemu_is_not_there_yet_is_starting_and_one_whose_qemu_is_up_is_judged():
    instance = a_pods_instance(a_pod(since_ms=BEGAN_MS - 1000))
    dead = {"qemu_healthy": False, "qemu": {"process_state": None, "run_state": None}}
    early = classify(instance, a_probe(a_report(**dead), at_ms=BEGAN_MS), None, EMPTY, POLICY)
    muted = a_probe(a_report(audio={"muted": True}), at_ms=BEGAN_MS)
    up = classify(instance, muted, a_handshake(at_ms=BEGAN_MS), EMPTY, POLICY)

    assert ["PodStarting"] == codes(early)
    assert ["AudioMuted"] == codes(up)


def test_a_crash_loop_of_a_pod_whose_agent_answers_stands_beside_what_the_agent_says():
    instance = a_pods_instance(a_pod(reason="CrashLoopBackOff", restarts=4, since_ms=BEGAN_MS - 1000))
    dead = {"qemu_healthy": False, "qemu": {"process_state": None, "run_state": None}}
    assessment = classify(instance, a_probe(a_report(**dead), at_ms=BEGAN_MS), None, EMPTY, POLICY)

    assert ("unhealthy", "qemu", ["PodCrashLooping", "QemuDead"]) == said(assessment)


def test_a_restarted_container_gets_no_second_grace():
    instance = a_pods_instance(a_pod(restarts=2))
    refused = a_probe(at_ms=BEGAN_MS, outcome=ProbeOutcome.REFUSED)

    assert ["AgentRefused"] == codes(classify(instance, refused, None, EMPTY, POLICY))


def test_a_node_that_is_lost_explains_the_silence_and_accuses_no_pod():
    instance = a_pods_instance(a_pod(node_problem="NotReady, cordoned"))
    silent = a_probe(at_ms=BEGAN_MS, outcome=ProbeOutcome.TIMEOUT)

    assert ("unreachable", "none", ["NodeLost"]) == said(classify(instance, silent, None, EMPTY, POLICY))


@pytest.mark.parametrize("problem", ["NotReady", "MemoryPressure", "cordoned", "the node is gone"])
def test_trouble_of_a_node_whose_pod_answers_is_a_finding(problem):
    instance = a_pods_instance(a_pod(node_problem=problem))
    assessment = classify(instance, a_probe(at_ms=BEGAN_MS), a_handshake(at_ms=BEGAN_MS), EMPTY, POLICY)

    assert ("healthy", "none", ["NodeTrouble"]) == said(assessment)


def test_an_annotation_that_can_not_be_taken_is_a_finding_with_its_sentence():
    instance = a_pods_instance(a_pod(notes=("annotation a is 'x'", "annotation b is 'y'")))
    assessment = classify(instance, a_probe(at_ms=BEGAN_MS), a_handshake(at_ms=BEGAN_MS), EMPTY, POLICY)

    assert ("healthy", "none", ["AnnotationRefused"]) == said(assessment)
    assert ["annotation a is 'x'", "annotation b is 'y'"] == [one.value for one in assessment.reasons[0].evidence]


def test_an_opt_out_holds_until_its_instant_and_is_a_finding_after_it():
    instance = a_pods_instance(a_pod(off_reason="new disk", off_until_ms=BEGAN_MS))
    off = classify(instance, a_probe(at_ms=BEGAN_MS - 1, outcome=ProbeOutcome.NOT_ASKED), None, EMPTY, POLICY)
    on = classify(instance, a_probe(at_ms=BEGAN_MS), a_handshake(at_ms=BEGAN_MS), EMPTY, POLICY)

    assert ("unknown", "none", ["MonitoringOff"]) == said(off)
    assert ["new disk", "2027-01-15T08:00:00Z"] == [one.value for one in off.reasons[0].evidence]
    assert ("healthy", "none", ["OptOutExpired"]) == said(on)
    assert ("monitoring is off: new disk", "") == (
        reason_not_to_ask(instance, BEGAN_MS - 1),
        reason_not_to_ask(instance, BEGAN_MS),
    )


def test_an_instance_of_a_file_and_a_pod_that_runs_are_asked():
    assert ["", ""] == [reason_not_to_ask(one, BEGAN_MS) for one in (a_pods_instance(), an_instance())]


def test_a_deleted_pod_that_comes_back_opens_no_incident():
    """The steps that a StatefulSet's pod takes, at the pace of slow ticks, with a new QEMU at the end."""
    watch = Watch(a_pods_instance())
    for _ in range(4):
        watch.see()
    steps = [
        (a_pod(reason="Terminating"), 2),
        (a_pod(phase="Missing", reason="Missing"), 2),
        (a_pod(phase="Pending", reason="ContainerCreating"), 3),
    ]
    for pod, ticks in steps:
        become(watch, pod)
        for _ in range(ticks):
            watch.see(outcome=ProbeOutcome.NOT_ASKED, vnc=None)
            assert watch.incident is None, codes(watch.watched.assessment)
    become(watch, a_pod(), uid="uid-2")
    seen = [watch.see(outcome=ProbeOutcome.REFUSED, vnc=None)]
    reports = [a_report(agent={"uid": "uid-2"}, qemu={"uptime_seconds": 10.0 + 15 * tick}) for tick in range(4)]
    seen += [watch.see(report) for report in reports]

    assert [["PodStarting"], ["Booting"], ["Booting"], [], []] == [codes(one) for one in seen]
    assert watch.incident is None


def test_a_pod_that_stays_away_opens_one_incident_that_closes_when_it_is_back_for_long_enough():
    watch = Watch(a_pods_instance())
    watch.see()
    become(watch, a_pod(phase="Missing", reason="Missing"))
    for _ in range(8):
        watch.see(outcome=ProbeOutcome.NOT_ASKED, vnc=None)
    opened = watch.incident
    become(watch, a_pod(), uid="uid-2")
    for _ in range(9):
        watch.see()

    assert opened
    assert ("PodMissing",) == opened.codes
    assert watch.incident is None


def become(watch, pod, **fields):
    """Let discovery say something new of the pod, just now."""
    pod = replace(pod, since_ms=watch.at_ms)
    watch.watched = follow(watch.watched, a_pods_instance(pod, **fields))


@pytest.mark.parametrize(("phase", "word"), [("Missing", "Missing"), ("Running", "Terminating"), ("Failed", "Evicted")])
def test_what_a_silent_cluster_last_said_of_a_pod_is_no_fault_of_now(phase, word):
    assessment = not_asked(a_pod(phase=phase, reason=word, is_stale=True), age_seconds=3600)

    assert ("unknown", "none", ["PodStateStale"]) == said(assessment)


def test_a_pod_that_answers_is_judged_by_its_answer_though_the_cluster_is_silent():
    instance = a_pods_instance(a_pod(is_stale=True))
    well = classify(instance, a_probe(at_ms=BEGAN_MS), a_handshake(at_ms=BEGAN_MS), EMPTY, POLICY)
    silent = classify(instance, a_probe(at_ms=BEGAN_MS, outcome=ProbeOutcome.TIMEOUT), None, EMPTY, POLICY)

    assert ([], ["AgentTimeout"]) == (codes(well), codes(silent))


def test_every_planned_row_of_the_pod_opens_nothing():
    planned = {"PodStarting", "PodTerminating", "PodReplacing", "PodStateStale", "MonitoringOff"}

    assert planned == {rule.code for rule in ROWS if rule.is_planned}
    assert not planned & FAULTS
    assert all(BY_CODE[code].is_final for code in planned)


def test_an_instance_that_a_file_names_has_no_pod_to_show():
    view = look(an_instance(), a_probe(), None, EMPTY, POLICY)
    shown = [*(evidence for rule in (*wishes.ROWS, *node.ROWS) for evidence in rule.evidence(view)), *node.state(view)]

    assert [] == shown
