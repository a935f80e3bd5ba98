"""The recover button: what would be done, the act, what becomes of it; and what stands in the way as sentences."""

import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from api_process import an_api
from full_report import a_full_report
from playwright.sync_api import expect
from service_proxy import a_service_proxy
from stack import Stack
from stores import TICK_MS, a_fleet, an_instance
from token_server import GOOD, POWERLESS, a_token_server

from agent.report import Actions
from jobs.clock import Clock
from jobs.health.recovery import Action
from jobs.store import ledger
from jobs.store.connection import open_store, transaction

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]

SHOW = "Show what would be done"
REFUSED = tuple(f"the server responded with a status of {status}" for status in (401, 403, 503))


class Asked(Stack):
    """Decoys that are watched while nothing is done by itself: what acts, somebody asked for."""

    def watch(self, inventory):
        """Start what watches, without what dispatches."""
        shared = ("--store", self.store, "--log-level", "warning")
        with closing(open_store(self.store)) as connection, transaction(connection):
            ledger.adopt(connection, [], now=Clock().moment())
        self.start("keys", "jobs", "keys", "--local", self.directory / "keys", "--instances", inventory)
        self.start("discover", "jobs", "discover", "--instances", inventory, *shared, "--window", 300)
        self.start("collect", "jobs", "collect", *shared, "--window", 300)
        self.answer()


def a_muted_report(sequence):
    """Return a report of a muted sink by an agent that does acts."""
    report = a_full_report(sequence=sequence)
    return msgspec.structs.replace(
        report,
        audio=msgspec.structs.replace(report.audio, muted=True),
        qemu=msgspec.structs.replace(report.qemu, uptime_seconds=600.0),
        actions=Actions(can=[*Action]),
    )


@contextmanager
def a_muted_instance(folder, **settings):
    """Yield an API over a store in which an act is due; settings: of its environment."""
    with a_fleet(folder / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - 5 * TICK_MS) as fleet:
        for sequence in range(1, 6):
            fleet.ticks(1, {"instance-0": a_muted_report(sequence)})
        with transaction(fleet.connection):
            ledger.adopt(fleet.connection, [], now=Clock().moment())
        with an_api(folder / "loco.db", **{name: str(value) for name, value in settings.items()}) as api:
            yield api, f"http://127.0.0.1:{api.port}/"


def press_until(page, key, is_there, most=60):
    """Press a key until something holds."""
    for _ in range(most):
        if is_there():
            return
        page.keyboard.press(key)
    raise AssertionError(f"{most} times {key} led nowhere")


def focused(page):
    """Return the words of what has the keyboard."""
    return page.evaluate("document.activeElement.textContent.trim()")


@pytest.mark.decoy
def test_a_real_fault_is_healed_by_keyboard_alone_from_the_link_to_the_outcome(open_page, keep_picture):
    with (
        tempfile.TemporaryDirectory(prefix="loco-") as directory,
        Asked(Path(directory) / "decoys", ["asked"], can_act=True, policy="boot_grace_seconds = 1\n") as stack,
    ):
        stack.wait_healthy(90)
        token = (stack.directory / "token").read_text().strip()
        page = open_page(f"{stack.url}/#token={token}")
        assert f"{stack.url}/" == page.url
        press_until(page, "Tab", lambda: focused(page) == "Decoy asked")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{stack.url}/instances/asked")

        stack.decoy("fault", "mute", "--id", "asked")
        expect(page.locator("#why")).to_contain_text("AudioMuted", timeout=60_000)
        press_until(page, "Tab", lambda: focused(page) == SHOW)
        page.keyboard.press("Enter")
        answer, progress = page.locator(".answer"), page.locator(".progress")
        expect(answer).to_have_text("Nothing was started; reset-audio would be done now for AudioMuted.")
        keep_picture(page, "recover-foreseen")
        press_until(page, "Tab", lambda: focused(page).startswith("Do it now"))
        page.keyboard.press("Enter")
        expect(answer).to_contain_text("Recovery of asked was asked for; ")
        expect(progress).to_contain_text("ended healed: ", timeout=90_000)
        expect(progress).to_contain_text("reset-audio: begun")

        expect(page.locator("#attempts")).to_contain_text("healed", timeout=10_000)
        keep_picture(page, "recover-healed", is_whole=True)
        page.locator("#attempts a").first.click()
        pictures = page.locator(".pictures img")
        expect(pictures).to_have_count(2)
        for picture in pictures.all():
            expect(picture).to_have_js_property("complete", value=True)
            assert picture.evaluate("(image) => image.naturalWidth") > 0
        keep_picture(page, "attempt", is_whole=True)
        page.close()  # before its source is ended


def test_a_local_token_comes_by_the_link_and_leaves_the_address(tmp_path, open_page):
    with a_muted_instance(tmp_path, LOCO_TOKEN_FILE=tmp_path / "token") as (_, url):
        token = (tmp_path / "token").read_text().strip()
        page = open_page(f"{url}instances/instance-0#token={token}")

        assert f"{url}instances/instance-0" == page.url
        expect(page.get_by_label("Token")).to_be_hidden()
        page.get_by_role("button", name=SHOW).click()
        expect(page.locator(".answer")).to_contain_text("reset-audio would be done now for AudioMuted")
        expect(page.get_by_role("button", name="Do it now: reset-audio")).to_be_visible()

        page.get_by_label("Wait neither").check()
        expect(page.get_by_role("button", name="Do it now")).to_be_hidden()
        page.close()  # before its source is ended


def test_without_a_token_or_with_a_wrong_one_a_sentence_says_so(tmp_path, open_page):
    with a_muted_instance(tmp_path, LOCO_TOKEN_FILE=tmp_path / "token") as (_, url):
        page = open_page(f"{url}instances/instance-0", expects=REFUSED)
        answer, field = page.locator(".answer"), page.get_by_label("Token")

        page.get_by_role("button", name=SHOW).click()
        expect(answer).to_contain_text("A token is needed")
        expect(field).to_be_focused()
        field.fill("cut off…")
        page.keyboard.press("Enter")
        expect(answer).to_contain_text("A token has letters")
        expect(answer).to_contain_text("Nothing was asked")
        field.fill("no-such-canary")
        page.keyboard.press("Enter")
        expect(answer).to_have_text(
            "Refused (401): the token isn't that of this start."
            " The line below its field says where to get one. Nothing was started."
        )
        expect(field).to_have_value("")
        page.close()  # before its source is ended


def test_where_nothing_is_due_no_button_names_an_act(tmp_path, open_page):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - 5 * TICK_MS) as fleet:
        fleet.ticks(4)
        with transaction(fleet.connection):
            ledger.adopt(fleet.connection, [], now=Clock().moment())
        with an_api(tmp_path / "loco.db", LOCO_TOKEN_FILE=str(tmp_path / "token")) as api:
            token = (tmp_path / "token").read_text().strip()
            page = open_page(f"http://127.0.0.1:{api.port}/instances/instance-0#token={token}")
            page.get_by_role("button", name=SHOW).click()

            expect(page.locator(".answer")).to_contain_text("Nothing was started")
            expect(page.locator(".asking .act")).to_have_text("Do it now")
            expect(page.locator(".asking .act")).to_be_hidden()
            page.close()  # before its source is ended


def test_in_a_cluster_the_token_is_typed_rights_decide_and_nothing_keeps_it(tmp_path, open_page, keep_picture):
    with a_token_server(tmp_path) as (server, ca):
        cluster = {"LOCO_CLUSTER_CA": ca, "KUBERNETES_SERVICE_HOST": "127.0.0.1"}
        with a_muted_instance(tmp_path, **cluster, KUBERNETES_SERVICE_PORT=server.port) as (_, url):
            page = open_page(f"{url}instances/instance-0", expects=REFUSED)
            answer, field = page.locator(".answer"), page.get_by_label("Token")
            expect(page.locator(".asking")).to_contain_text("kubectl create token loco-requester -n loco-health")
            assert "password" == field.get_attribute("type")

            field.fill(POWERLESS)
            page.get_by_role("button", name=SHOW).click()
            expect(answer).to_contain_text("Refused (403): the API server says: cronjobs.batch is forbidden")
            field.fill(GOOD)
            page.get_by_role("button", name=SHOW).click()
            act = page.get_by_role("button", name="Do it now: reset-audio")
            expect(act).to_be_visible()
            assert {} == server.jobs
            keep_picture(page, "recover-cluster", is_whole=True)
            server.refusal = (500, "etcdserver: request timed out")
            act.click()
            expect(answer).to_contain_text("Refused (503): the API server says: etcdserver: request timed out, so it")
            server.refusal = None
            page.get_by_role("button", name=SHOW).click()
            act.click()
            expect(answer).to_contain_text("Recovery of instance-0 was asked for; recover-instance-0-")
            assert 1 == len(server.jobs)
            assert "" == page.evaluate("JSON.stringify([sessionStorage, localStorage]) + document.cookie").strip(
                "[{},]"
            )
            page.close()  # before its source is ended


def test_who_asked_for_what_then_stood_down_is_told_why_nothing_is_done_and_where_more_is(tmp_path, open_page):
    with a_token_server(tmp_path) as (server, ca):
        control = tmp_path / "control"
        cluster = {"LOCO_CLUSTER_CA": ca, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "LOCO_CONTROL": control}
        with a_muted_instance(tmp_path, **cluster, KUBERNETES_SERVICE_PORT=server.port) as (_, url):
            page = open_page(f"{url}instances/instance-0")
            page.get_by_label("Token").fill(GOOD)
            page.get_by_role("button", name=SHOW).click()
            page.get_by_role("button", name="Do it now: reset-audio").click()
            expect(page.locator(".progress li")).to_have_text(["asked for"])
            # Nobody runs the Job, as if it had stood down; the page's patience is lost at once.
            control.mkdir()
            (control / "recovery").write_text("off")
            page.evaluate("performance.now = ((before) => () => before() + 60_000)(performance.now.bind(performance))")
            (job,) = server.jobs

            why = "KillSwitch: reset-audio waits: recovery is switched off in loco-control"
            expect(page.locator(".progress li").last).to_have_text(
                f"no attempt was booked; as things stand: {why}. The log of {job} says what it found."
            )
            page.close()  # before its source is ended


def test_behind_the_service_proxy_the_page_lives_and_gives_the_command(tmp_path, open_page):
    with a_muted_instance(tmp_path, LOCO_TOKEN_FILE=tmp_path / "token") as (api, _), a_service_proxy(api.port) as url:
        page = open_page(url)
        page.get_by_role("link", name="Decoy 0").click()

        expect(page.locator(".asking")).to_contain_text("kubectl loco recover instance-0 --dry-run, then without")
        expect(page.locator("form.ask, .asking form")).to_have_count(0)
        expect(page.get_by_role("img", name="Frame rate of Decoy 0")).to_be_visible()
        page.close()  # before the proxy is


def test_an_api_without_a_door_has_no_button(tmp_path, open_page):
    with a_muted_instance(tmp_path) as (_, url):
        page = open_page(f"{url}instances/instance-0")

        expect(page.locator("#ask")).to_contain_text("This API only reads")
        expect(page.locator("#ask button")).to_have_count(0)
        page.close()  # before its source is ended


def test_without_a_script_there_is_the_command(tmp_path, open_page):
    with a_muted_instance(tmp_path, LOCO_TOKEN_FILE=tmp_path / "token") as (_, url):
        page = open_page(f"{url}instances/instance-0", java_script_enabled=False)

        expect(page.locator("#ask")).to_contain_text("-d '{\"dryRun\": true}'")
        expect(page.locator("#ask button")).to_have_count(0)
        page.close()  # before its source is ended


def test_news_that_come_while_somebody_asks_leave_form_and_answer(tmp_path, open_page):
    with a_fleet(tmp_path / "loco.db", [an_instance()], at_ms=int(time.time() * 1000) - 5 * TICK_MS) as fleet:
        fleet.ticks(4)
        with an_api(tmp_path / "loco.db", LOCO_TOKEN_FILE=str(tmp_path / "token")) as api:
            page = open_page(f"http://127.0.0.1:{api.port}/instances/instance-0")
            page.get_by_label("Token").fill("half typ")
            fleet.ticks(1, {"instance-0": a_muted_report(9)})

            expect(page.locator("#why")).to_contain_text("AudioMuted", timeout=10_000)
            expect(page.get_by_label("Token")).to_have_value("half typ")
            expect(page.locator(".asking form")).to_have_count(1)
            page.close()  # before its source is ended


def test_what_is_done_is_what_was_foreseen_whatever_is_ticked_meanwhile(tmp_path, open_page):
    with a_muted_instance(tmp_path, LOCO_TOKEN_FILE=tmp_path / "token") as (_, url):
        page = open_page(f"{url}instances/instance-0#token={(tmp_path / 'token').read_text().strip()}")
        held, sent = [], []
        page.on("request", lambda one: sent.append(one.post_data_json) if one.method == "POST" else None)
        page.route("**/recover/instance-0", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks it

        page.get_by_role("button", name=SHOW).click()
        expect(page.locator(".answer")).to_contain_text("Asking what would be done")
        page.get_by_label("Wait neither").check()
        with page.expect_response("**/recover/instance-0"):
            held[0].continue_()
        expect(page.locator("form[aria-busy=false]")).to_have_count(1)
        expect(page.get_by_role("button", name="Do it now")).to_be_hidden()
        expect(page.locator(".answer")).to_have_text("")

        page.unroute("**/recover/instance-0")
        page.get_by_role("button", name=SHOW).click()
        expect(page.get_by_role("button", name="Do it now: reset-audio")).to_be_visible()
        assert [{"forceRecovery": False, "dryRun": True}, {"forceRecovery": True, "dryRun": True}] == sent
        page.close()  # before its source is ended


def test_the_form_is_there_again_after_a_page_that_told_of_a_problem(tmp_path, open_page):
    with a_muted_instance(tmp_path, LOCO_TOKEN_FILE=tmp_path / "token") as (_, url):
        page = open_page(f"{url}instances/instance-0", expects=("status of 404",))

        page.route(f"{url}instances/instance-0", lambda route: route.continue_(url=f"{url}instances/nobody"))
        expect(page.locator("main")).to_contain_text("No instance is called", timeout=10_000)
        page.unroute(f"{url}instances/instance-0")
        expect(page.get_by_role("button", name=SHOW)).to_be_visible(timeout=10_000)
        expect(page.locator(".asking form")).to_have_count(1)
        page.close()  # before its source is ended


def test_the_link_of_another_start_is_taken_by_a_tab_that_is_open(tmp_path, open_page):
    with a_muted_instance(tmp_path, LOCO_TOKEN_FILE=tmp_path / "token") as (_, url):
        page = open_page(f"{url}instances/instance-0")

        page.evaluate("location.hash = 'token=of-another-start'")
        page.wait_for_url(f"{url}instances/instance-0")
        assert "of-another-start" == page.evaluate("sessionStorage.getItem('token')")
        page.close()  # before its source is ended
