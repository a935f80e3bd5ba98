"""The fleet's switches in a folder: as kubelet mounts a ConfigMap, as a person makes one, and as it goes wrong."""

import pytest

from jobs.health.recovery import Hold
from jobs.switches import stop_in

NOW_MS = 1_800_000_000_000


def held(folder):
    stop = stop_in(folder, NOW_MS)
    return stop and stop.hold


def test_a_folder_that_is_not_there_or_empty_forbids_nothing(tmp_path):
    assert held(None) is held(tmp_path / "none") is held(tmp_path) is None


def test_a_mounted_config_map_is_read_through_its_links(tmp_path):
    data = tmp_path / "..2026_11_26"
    data.mkdir()
    (data / "recovery").write_text("off")
    (tmp_path / "..data").symlink_to(data.name)
    (tmp_path / "recovery").symlink_to("..data/recovery")

    assert "recovery is switched off in loco-control" == stop_in(tmp_path, NOW_MS).detail


def test_what_kubelet_and_editors_hide_is_no_switch(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / ".recovery.swp").write_bytes(b"\xff")
    (tmp_path / "recovery").write_text("on\n")

    assert held(tmp_path) is None


def test_a_file_that_is_no_switch_stops_everything(tmp_path):
    (tmp_path / "recover").write_text("off")

    expected = "'recover' is no switch of loco-control, it has recovery, pause-until, pause-reason"
    assert expected == stop_in(tmp_path, NOW_MS).detail


@pytest.mark.parametrize("body", [b"\xff", b"x" * 5000])
def test_a_switch_that_cannot_be_read_is_off(tmp_path, body):
    (tmp_path / "recovery").write_bytes(body)

    assert Hold.KILL_SWITCH == held(tmp_path)


def test_a_folder_that_cannot_be_listed_stops_everything(tmp_path):
    (tmp_path / "file").write_text("")

    assert Hold.KILL_SWITCH == held(tmp_path / "file")
    assert "can't be read" in stop_in(tmp_path / "file", NOW_MS).detail


def test_a_switch_that_is_a_folder_stops_everything(tmp_path):
    (tmp_path / "recovery").mkdir()

    assert Hold.KILL_SWITCH == held(tmp_path)
