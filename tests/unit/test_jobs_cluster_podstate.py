"""The word for a pod is the one that kubectl shows."""

import pytest
from pods import ended, pod_json, waiting

from jobs.cluster.podstate import State, state_of

NOT_INITIALIZED = [{"type": "PodScheduled", "status": "True"}, {"type": "Initialized", "status": "False"}]


def pending(*containers, init=(), conditions=NOT_INITIALIZED):
    """Return a pod that doesn't run yet."""
    statuses = {"containerStatuses": list(containers), "initContainerStatuses": list(init)}
    return pod_json(status={"phase": "Pending", "podIP": None, "conditions": conditions, **statuses})


def word(pod):
    """Return phase and reason."""
    state = state_of(pod)
    return state.phase, state.reason


def test_a_pod_that_runs_has_no_word():
    assert State("Running", "") == state_of(pod_json())


def test_a_pod_that_is_being_deleted_is_terminating_unless_it_has_ended_already():
    deleted = {"deletionTimestamp": "2026-11-25T21:00:00Z"}

    assert ("Running", "Terminating") == word(pod_json(metadata=deleted))
    assert ("Failed", "Evicted") == word(pod_json(metadata=deleted, status={"phase": "Failed", "reason": "Evicted"}))
    assert ("Running", "NodeLost") == word(pod_json(metadata=deleted, status={"reason": "NodeLost"}))


@pytest.mark.parametrize("reason", ["Unschedulable", "SchedulingGated"])
def test_a_pod_without_a_node_says_why(reason):
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": "0/2 nodes are available"}

    assert State("Pending", reason, "0/2 nodes are available") == state_of(pending(conditions=[condition]))


@pytest.mark.parametrize("reason", ["ContainerCreating", "ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff"])
def test_a_container_that_waits_gives_its_word_and_its_sentence(reason):
    initialized = [{"type": "Initialized", "status": "True"}]
    state = state_of(pending(waiting(reason, "back-off 10s"), conditions=initialized))

    assert State("Pending", reason, "container emulator: back-off 10s") == state


def test_a_crash_loop_says_how_the_last_life_ended():
    looping = waiting("CrashLoopBackOff", "back-off 40s", last={"reason": "OOMKilled", "exitCode": 137})
    state = state_of(pod_json(status={"containerStatuses": [looping]}))

    assert ("Running", "CrashLoopBackOff") == (state.phase, state.reason)
    assert "container emulator: back-off 40s; it last ended with OOMKilled, exit code 137" == state.detail


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ended("OOMKilled", exit_code=137), "OOMKilled"),
        (ended("Error"), "Error"),
        (ended(exit_code=3), "ExitCode:3"),
        (ended(signal=9), "Signal:9"),
    ],
)
def test_a_container_that_ended_gives_its_reason_or_its_code(status, expected):
    assert ("Running", expected) == word(pod_json(status={"containerStatuses": [status]}))


def test_one_container_that_completed_beside_one_that_runs_is_no_fault():
    done = ended("Completed", exit_code=0, container="setup")
    running = {"name": "emulator", "ready": True, "state": {"running": {}}}

    assert ("Running", "") == word(pod_json(status={"containerStatuses": [done, running]}))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (waiting("CrashLoopBackOff", container="agent"), "Init:CrashLoopBackOff"),
        (waiting("ImagePullBackOff", container="agent"), "Init:ImagePullBackOff"),
        (waiting("PodInitializing", container="agent"), "Init:0/1"),
        (ended("Error", container="agent"), "Init:Error"),
        (ended(exit_code=7, container="agent"), "Init:ExitCode:7"),
        (ended(signal=11, container="agent"), "Init:Signal:11"),
        ({"name": "agent", "state": {"running": {}}, "started": False}, "Init:0/1"),
    ],
)
def test_an_init_container_or_a_sidecar_that_is_not_up_gives_its_word(status, expected):
    assert ("Pending", expected) == word(pending(waiting("PodInitializing"), init=[status]))


def test_a_sidecar_that_started_hands_the_word_to_the_next():
    started = {"name": "agent", "started": True, "state": {"running": {}}}

    assert ("Pending", "ErrImagePull") == word(pending(waiting("ErrImagePull"), init=[started]))


def test_a_pod_that_has_ended_says_why():
    assert ("Succeeded", "Completed") == word(
        pod_json(status={"phase": "Succeeded", "containerStatuses": [ended("Completed", exit_code=0)]})
    )
    evicted = state_of(pod_json(status={"phase": "Failed", "reason": "Evicted", "message": "low on memory"}))
    assert State("Failed", "Evicted", "low on memory") == State(evicted.phase, evicted.reason, evicted.detail)


def test_a_long_sentence_is_cut_and_made_printable():
    state = state_of(pod_json(status={"phase": "Failed", "reason": "x\x1b[31m\n", "message": "y" * 10_000}))

    assert ("x [31m", 200) == (state.reason, len(state.detail))


def test_an_init_container_that_is_through_hands_the_word_to_the_next():
    through = ended("Completed", exit_code=0, container="setup")

    assert ("Pending", "ErrImagePull") == word(pending(waiting("ErrImagePull"), init=[through]))


def test_once_a_pod_was_initialized_its_containers_have_the_word():
    restarted = waiting("CrashLoopBackOff", container="agent")
    status = {"initContainerStatuses": [restarted], "containerStatuses": [ended("OOMKilled", exit_code=137)]}

    assert ("Running", "OOMKilled") == word(pod_json(status=status))
