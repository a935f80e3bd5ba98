import pytest

from agent.decoy.errors import BadRequest, DecoyError
from agent.decoy.folder import Folder, Record, folder_of
from agent.decoy.process import Process


def a_record():
    return Record(
        id="a",
        address="198.18.0.1",
        health_url="http://198.18.0.1:8080",
        vnc_address="198.18.0.1:5901",
        netns="loco-a",
        bridge="loco-br",
        tap="tap0",
        boot_id="b",
        is_up=True,
        programs=["agent"],
        processes={"agent": Process(7, 4000)},
    )


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    folder = Folder(tmp_path)
    folder.write(a_record())

    assert a_record() == folder.read()
    assert [tmp_path / "decoy.json"] == list(tmp_path.iterdir())


def test_a_folder_where_nothing_runs_has_no_record(tmp_path):
    assert Folder(tmp_path).read() is None


def test_a_record_that_is_none_is_named(tmp_path):
    (tmp_path / "decoy.json").write_text("{")

    with pytest.raises(DecoyError, match="is not a decoy's record"):
        Folder(tmp_path).read()


def test_clearing_leaves_the_logs(tmp_path):
    folder = Folder(tmp_path)
    folder.write(a_record())
    for path in (folder.qmp, folder.pulse, folder.qemu_pid, folder.log("qemu")):
        path.touch()

    folder.clear()
    assert [folder.log("qemu")] == list(tmp_path.iterdir())


def test_nobody_else_may_look_into_the_folders(tmp_path):
    folder = Folder(tmp_path / "decoys" / "a")
    with folder.hold():
        modes = [path.stat().st_mode & 0o777 for path in (folder.path.parent, folder.path)]

    assert [0o700, 0o700] == modes


def test_two_cannot_hold_one_folder(tmp_path):
    folder = Folder(tmp_path / "a")
    with folder.hold(), pytest.raises(BadRequest, match="runs already"), Folder(tmp_path / "a").hold():
        pass
    with folder.hold():
        pass


def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(BadRequest, match=r"can't be made \(Not a directory\)"), Folder(tmp_path / "file" / "a").hold():
        pass


@pytest.mark.parametrize("decoy_id", ["", "A", "-a", "a-", "a/b", "..", "a" * 64])
def test_an_id_that_no_pod_could_have_is_refused(tmp_path, decoy_id):
    with pytest.raises(BadRequest, match="nothing was done"):
        folder_of(tmp_path, decoy_id)


def test_a_path_too_long_for_sockets_is_refused_with_both_lengths(tmp_path):
    with pytest.raises(BadRequest, match=r"of 1\d\d bytes, the kernel takes 107"):
        folder_of(tmp_path / ("d" * 90), "a")
