"""`kubectl loco` against a real API over a real store, by `--url`."""

import json
import os
import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from api_process import an_api
from servers import serving
from stores import TICK_MS, a_fleet, an_instance
from typing_loco import a_served_fleet, an_ill_fleet, freshen, started, typed

from jobs.health.model import ProbeOutcome

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden" / "kubectl"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with a_served_fleet(tmp_path_factory.mktemp("store") / "loco.db") as served:
        yield served


@pytest.fixture
def loco(served):
    """What types a command at an API whose news is fresh."""
    fleet, url = served
    freshen(fleet)
    return lambda *words: typed(*words, "--url", url)


def steady(text):
    """Return a text without the times and the incident's id, which are others each time."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "INCIDENT", text)
    return re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", text)


def read_until(file, wanted):
    """Return what a terminal shows up to a word."""
    seen = b""
    while wanted not in seen:
        seen += file.read(4096)
    return seen + file.read(4096)


def answering(body, *, promised=None):
    """Return what answers every request with these bytes."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) if promised is None else promised}\r\n\r\n".encode()

    def serve(connection):
        connection.recv(4096)
        connection.sendall(head + body)

    return serve


def columns(line):
    return re.split(r" {2,}", line.rstrip())


def test_get_lists_the_fleet_as_a_table(loco):
    done = loco("get")

    head, *rows = map(columns, done.out.splitlines())
    assert (0, "", ["NAME", "VERDICT", "CLASS", "REASONS", "SINCE"]) == (done.code, done.err, head)
    assert [
        ["instance-0", "healthy", "none", "Booting"],
        ["instance-1", "unreachable", "network", "AgentRefused"],
        ["instance-2", "healthy", "none", "Booting"],
    ] == [row[:4] for row in rows]


def test_columns_stand_under_each_other(loco):
    lines = loco("get", "-o", "wide").out.splitlines()

    places = [[found.start() for found in re.finditer(r"(?:^|(?<=  ))\S", line)] for line in lines]
    assert [places[0]] * len(lines) == places


def test_wide_tells_more_and_what_isnt_measured_is_unknown(loco):
    head, *rows = map(columns, loco("get", "-o", "wide", "-A").out.splitlines())

    ill = dict(zip(head, rows[1], strict=True))
    assert ("loco", "loco-emulator-1", "node-1", "<unknown>", "restart-qemu", "UserConnected") == (
        ill["NAMESPACE"],
        ill["POD"],
        ill["NODE"],
        ill["FPS"],
        ill["NEXT"],
        ill["HOLD"],
    )
    assert ["loco", "loco", "arcade"] == [row[0] for row in rows]


def test_no_headers_leaves_the_first_line_out(loco):
    assert "instance-0" == loco("get", "--no-headers").out.split()[0]


def test_names_can_be_typed_again(loco):
    names = loco("get", "-o", "name").out.split()

    assert ["instance/instance-0", "instance/instance-1", "instance/instance-2"] == names
    assert "instance-1" == columns(loco("get", names[1], "--no-headers").out)[0]


@pytest.mark.parametrize("name", ["instance-1", "loco-emulator-1", "loco/loco-emulator-1"])
def test_an_instance_answers_to_its_names(loco, name):
    assert "instance-1" == json.loads(loco("get", name, "-o", "json").out)["name"]


def test_a_pods_name_that_two_namespaces_have_is_asked_back(loco):
    done = loco("get", "loco-emulator-0")

    assert (2, "") == (done.code, done.out)
    assert (
        "kubectl loco: 'loco-emulator-0' is the name of 2 pods; say one of loco/loco-emulator-0, "
        "arcade/loco-emulator-0; nothing was done\n" == done.err
    )


@pytest.mark.parametrize(
    "words", [("get",), ("describe",), ("why",), ("top",), ("screen", "-o", "-"), ("wait", "--for=verdict=healthy")]
)
def test_an_unknown_name_is_one_sentence_with_near_ones(loco, words):
    done = loco(*words, "instance-7")

    assert (4, "") == (done.code, done.out)
    assert done.err.startswith("kubectl loco: no instance is called 'instance-7'; did you mean instance-")


@pytest.mark.parametrize("name", ["..", ".", "", "a\x1b[31m"])
def test_a_name_that_no_path_could_carry_is_refused(loco, name):
    assert (2, True) == ((done := loco("why", name)).code, "is no name of an instance; nothing was asked" in done.err)


def test_json_is_stable(loco):
    shape = json.loads(loco("get", "-o", "json").out)

    for one in shape["items"]:  # what the machine's speed decides
        one["connectionLatencySeconds"] = one["connectionLatencySeconds"] and 0.004
    assert (GOLDEN / "get.json").read_text() == steady(json.dumps(shape, indent=4)) + "\n"


def test_yaml_says_what_json_says(loco):
    assert json.loads(loco("get", "instance-1", "-o", "json").out) == yaml.safe_load(
        loco("get", "instance-1", "-o", "yaml").out
    )
    assert json.loads(loco("why", "instance-1", "-o", "json").out) == yaml.safe_load(
        loco("why", "instance-1", "-o", "yaml").out
    )


def test_why_tells_verdict_evidence_and_what_is_next(loco):
    told = loco("why", "instance-1").out

    assert re.search(r"^Verdict: +unreachable$", told, re.MULTILINE)
    assert re.search(r"^ +detail +nothing listens at 10\.55\.0\.2:8080 +<none> +probe +\d+", told, re.MULTILINE)
    assert re.search(r"^  Why not now: +UserConnected: restart-qemu waits: 1 connected", told, re.MULTILINE)
    assert re.search(r"reset-guest +no-effect +\S+ +so it was$", told, re.MULTILINE)


def test_describe_tells_pod_report_recovery_and_changes(loco):
    told = loco("describe", "instance-0").out

    assert re.search(r"^Pod: +loco-emulator-0$", told, re.MULTILINE)
    assert re.search(r"^  qemu: +run_state running", told, re.MULTILINE)
    assert re.search(r"^Incident:  <none>$", told, re.MULTILINE)
    assert re.search(r"^  \S+ +healthy +none +Booting$", told, re.MULTILINE)


def test_top_puts_the_highest_first_and_the_unmeasured_last(loco):
    names = [columns(line)[0] for line in loco("top", "--sort=fps", "--no-headers").out.splitlines()]

    assert "instance-1" == names[-1]
    assert ["instance-0", "instance-1", "instance-2"] == sorted(names)


def test_top_says_whose_cpu_it_is(loco):
    head, row, *_ = map(columns, loco("top", "instance-0").out.splitlines())
    told = dict(zip(head, row, strict=True))
    one = json.loads(loco("get", "instance-0", "-o", "json").out)

    assert (f"{one['cpuPercent']:.1f}", f"{one['qemuCpuPercent']:.1f}", one["cpuScope"]) == (
        told["CPU%"],
        told["QEMU-CPU%"],
        told["SCOPE"],
    )


def test_incidents_tell_what_was_tried(loco):
    head, row = map(columns, loco("incidents").out.splitlines())
    told = dict(zip(head, row, strict=True))

    assert ("instance-1", "open", "AgentRefused", "1", "no-effect") == tuple(
        told[name] for name in ("INSTANCE", "STATE", "CODES", "ATTEMPTS", "LAST-OUTCOME")
    )


def test_an_open_incident_is_shown_however_old_and_of_another_instance_not(loco):
    assert 1 == len(json.loads(loco("incidents", "--since", "0s", "-o", "json").out)["items"])
    assert ("", "kubectl loco: no incident\n") == ((done := loco("incidents", "instance-0")).out, done.err)


def test_runs_tell_the_monitors_own_work(loco):
    head, row = map(columns, loco("runs").out.splitlines())

    assert ("collect", "3") == (row[0], dict(zip(head, row, strict=True))["INSTANCES"])


def test_wait_ends_at_once_where_the_condition_is_met(loco):
    done = loco("wait", "instance-0", "--for=verdict=healthy", "--timeout", "0s")

    assert (0, "instance/instance-0 condition met\n", "") == (done.code, done.out, done.err)


def test_wait_that_times_out_says_how_it_stands(loco):
    done = loco("wait", "instance-1", "--for=verdict=healthy", "--timeout", "1s")

    assert (1, "") == (done.code, done.out)
    assert done.err.startswith("kubectl loco: timed out after 1 s waiting for verdict=healthy of instance-1; ")
    assert done.err.endswith("; it is unreachable (AgentRefused)\n")


def test_wait_sees_what_comes_and_bears_an_api_that_is_gone_for_a_while(tmp_path):
    path, (master, slave) = tmp_path / "loco.db", os.openpty()
    words = ("wait", "instance-1", "--for=verdict=healthy", "--timeout", "2m", "--url")
    with an_ill_fleet(path) as fleet, os.fdopen(master, "rb", buffering=0) as terminal:
        with an_api(path) as api:
            waiting = started(*words, f"http://127.0.0.1:{api.port}", stderr=slave)
            os.close(slave)
            seen = read_until(terminal, b"is unreachable (AgentRefused), ")
        seen += read_until(terminal, b"and now the API at")
        freshen(fleet, {})
        with an_api(path, port=api.port):
            out, _ = waiting.communicate(timeout=120)

    assert (0, "instance/instance-1 condition met\n") == (waiting.returncode, out)
    assert b"can't be asked: [Errno 111] Connection refused" in seen


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C end what a test starts: behind the `&` of a script it is ignored, by all that is started there too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_watch_prints_what_changes_until_ctrl_c(tmp_path):
    path = tmp_path / "loco.db"
    with an_ill_fleet(path) as fleet, an_api(path) as api, ExitStack() as ends:
        watching = ends.enter_context(started("get", "-w", "--url", f"http://127.0.0.1:{api.port}"))
        ends.callback(watching.kill)
        first = [watching.stdout.readline() for _ in range(4)]
        freshen(fleet, {})
        change = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        rest, err = watching.communicate(timeout=30)

    assert ["NAME", "instance-0", "instance-1", "instance-2"] == [line.split()[0] for line in first]
    assert ["instance-1", "healthy"] == change.split()[:2]
    assert (130, "", "") == (watching.returncode, rest, err.strip())


def test_a_closed_pipe_is_silent(served):
    freshen(served[0])
    process = started("incidents", "-o", "json", "--url", served[1])
    process.stdout.close()

    assert "" == process.stderr.read()
    process.stderr.close()
    process.wait(30)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("get", "--url", "ftp://x"), "'ftp://x' is no address such as http://127.0.0.1:3000; nothing was asked"),
        (("get", "--url", "http://127.0.0.1:9/ä"), "is no address such as"),
        (("get", "--url", "http://a..b"), "is no address such as"),
        (("get", "--url", f"http://{64 * 'a'}.example"), "is no address such as"),
        (("get", "--url", "http://127.0.0.1:99999"), "is no address such as"),
        (("incidents", "--since", "soon"), "'soon' is no span of time; 90s, 15m, 1h30m or 2d is one; nothing was done"),
        (("incidents", "--since", "9999d"), "'9999d' is longer than a year; nothing was done"),
        (("wait", "a", "--for=verdict=fine"), "'verdict=fine' is no condition, verdict=healthy"),
        (("wait", "a"), "Missing option '--for'"),
        (("get", "-o", "xml"), "'xml' is not one of"),
        (("top", "--sort", "age"), "'age' is not one of"),
        (("--url", "ftp://x", "get"), "'ftp://x' is no address such as"),
        (("--url",), "--url wants a value; nothing was asked"),
        (("--url=http://127.0.0.1:3000",), "--url=http://127.0.0.1:3000 wants a command, such as get"),
        (("-n", "Wrong!", "get"), "'Wrong!' is no name of a namespace"),
        (("recover", "a", "--url", "http://x"), "use the button of the instance's page, or POST /api/quality/recover"),
        (("--url", "http://x", "pause"), "pause writes to a cluster; beside an API set the switches in the folder"),
    ],
)
def test_wrong_use_is_one_sentence(words, expected):
    done = typed(*words)

    assert (2, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert expected in done.err


@pytest.mark.parametrize("url", ["http://jane:hush@x/", "http://:hush@x", "http://jane:hush@[x", "jane:hush@x"])
def test_a_password_in_an_address_is_refused_and_not_shown(url):
    done = typed("get", "--url", url)

    sentence = "an address has no @ here, so no user and no password; nothing was asked"
    assert (2, f"kubectl loco: Invalid value for '--url': {sentence}\n") == (done.code, done.err)


@pytest.mark.parametrize("form", [("--url", "{}"), ("--url={}",), ("-n", "loco-health", "--url", "{}")])
def test_where_to_ask_may_stand_before_the_command(served, form):
    freshen(served[0])
    done = typed(*(word.format(served[1]) for word in form), "get", "instance-1", "-o", "name")

    assert (0, "instance/instance-1\n") == (done.code, done.out)


def test_nobody_at_the_address_is_one_sentence():
    done = typed("get", "--url", "http://127.0.0.1:9")

    assert (1, "kubectl loco: the API at http://127.0.0.1:9 can't be asked: [Errno 111] Connection refused\n") == (
        done.code,
        done.err,
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"instance-0": {}}', "has another shape than this version knows: KeyError('kubernetes')"),
        (b"[1]", "has another shape than this version knows: AttributeError("),
        (b"<html>", "/api/quality/deep-health answered no JSON; is this the API of loco-health?"),
        (b"[" * 100_000, "answered no JSON"),
    ],
)
def test_something_else_at_the_address_is_one_sentence(body, expected):
    with serving(answering(body)) as server:
        done = typed("get", "--url", f"http://127.0.0.1:{server.port}")

    assert (1, "", 1, True) == (done.code, done.out, done.err.count("\n"), expected in done.err)


def test_a_time_that_is_none_is_one_sentence():
    with serving(answering(b'[{"command": "collect", "startedAt": "yesterday"}]')) as server:
        done = typed("runs", "--url", f"http://127.0.0.1:{server.port}")

    assert (1, 1) == (done.code, done.err.count("\n"))
    assert "has another shape than this version knows: ValueError(" in done.err


def test_an_answer_that_is_cut_off_is_one_sentence():
    with serving(answering(b"{}", promised=100)) as server:
        done = typed("get", "--url", f"http://127.0.0.1:{server.port}")

    assert (1, True) == (done.code, "can't be asked: IncompleteRead" in done.err)


def test_incidents_of_several_pages_are_all_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("api.kubectl.incidents._PAGE", 2)
    path, ill = tmp_path / "loco.db", {f"instance-{n}": ProbeOutcome.REFUSED for n in range(5)}
    with a_fleet(path, map(an_instance, range(5)), at_ms=int(time.time() * 1000) - 4 * TICK_MS) as fleet:
        fleet.ticks(3, ill)
        with an_api(path) as api:
            found = typed("incidents", "-o", "name", "--url", f"http://127.0.0.1:{api.port}").out.split()
            only = typed(
                "incidents", "--open", "--no-headers", "--url", f"http://127.0.0.1:{api.port}"
            ).out.splitlines()

    assert (5, 5) == (len(set(found)), len(only))


def test_an_api_without_a_store_says_why(tmp_path):
    with an_api(tmp_path / "none.db") as api:
        done = typed("get", "--url", f"http://127.0.0.1:{api.port}")

    assert 1 == done.code
    assert re.match(r"kubectl loco: the API at http://127\.0\.0\.1:\d+ says 503: .*none\.db", done.err)
