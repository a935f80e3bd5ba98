from pathlib import Path

import pytest

from jobs.store.mounts import filesystem_type, is_remote

MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:40 / /data rw,relatime shared:7 master:2 - nfs4 filer:/export rw,vers=4.2
32 31 0:41 / /data/local rw,relatime - xfs /dev/sdb rw
33 22 0:42 / /mnt/my\\040disk rw,relatime - fuse.sshfs me@there:/ rw
34 22 0:43 / /twice rw,relatime - ext4 /dev/sdc rw
35 22 0:44 / /twice rw,relatime - cifs //filer/share rw
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/var/lib/loco", "ext4"),
        ("/data", "nfs4"),
        ("/data/store", "nfs4"),
        ("/data/local/store", "xfs"),
        ("/database", "ext4"),
        ("/mnt/my disk/store", "fuse.sshfs"),
        ("/twice/store", "cifs"),
    ],
)
def test_a_folder_lies_on_the_nearest_mount_above_it(folder, expected):
    assert expected == filesystem_type(Path(folder), MOUNTINFO)


def test_a_folder_that_no_mount_covers_lies_on_nothing_known():
    assert filesystem_type(Path("/var"), "31 22 0:40 / /data rw - nfs4 filer:/export rw\n") is None


@pytest.mark.parametrize("filesystem", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "virtiofs", "fuse", "fuse.sshfs"])
def test_file_systems_behind_another_host_or_process_are_remote(filesystem):
    assert is_remote(filesystem)


@pytest.mark.parametrize("filesystem", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "fuseblk"])
def test_local_file_systems_are_not_remote(filesystem):
    assert not is_remote(filesystem)
