"""The guest's binary is what its source says."""

import shutil
import subprocess
from pathlib import Path

import pytest

import agent.decoy

FOLDER = Path(agent.decoy.__file__).parent


@pytest.mark.skipif(shutil.which("nasm") is None, reason="nasm is not on PATH")
def test_the_guest_is_what_its_source_assembles_to(tmp_path):
    made = tmp_path / "guest.bin"
    subprocess.run(["nasm", "-f", "bin", "-o", made, FOLDER / "guest.asm"], check=True)

    assert made.read_bytes() == (FOLDER / "guest.bin").read_bytes()


def test_the_guest_is_one_boot_sector():
    guest = (FOLDER / "guest.bin").read_bytes()

    assert 512 == len(guest)
    assert b"\x55\xaa" == guest[-2:]
