"""The Dockerfile copies enough code for each image; tests/cluster/test_images.py looks into the images themselves."""

import re
import shutil
import subprocess
import sys

import pytest
from kustomizations import ROOT

STAGES = {"agent": ("decoy-code", "agent-code"), "jobs": ("jobs-code",), "api": ("api-code",)}

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
room = importlib.import_module(sys.argv[2])
for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("image", STAGES)
def test_an_image_has_every_module_that_its_room_imports(image, tmp_path):
    text = (ROOT / "Dockerfile").read_text()
    for stage in STAGES[image]:
        for line in re.search(rf"^FROM \S+ AS {stage}\n(.*?)(?=^FROM )", text, re.MULTILINE | re.DOTALL)[
            1
        ].splitlines():
            follow(line, tmp_path)

    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_ALL, tmp_path / "app", image], capture_output=True, text=True, check=False
    )

    assert "" == done.stderr


def follow(line: str, root) -> None:
    """Do what a COPY or `RUN rm` of the Dockerfile does."""
    word, *arguments = line.split() or [""]
    if word == "COPY":
        *sources, place = arguments
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, root / place.lstrip("/"), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, root / place.lstrip("/"))
    elif arguments[:2] == ["rm", "-r"]:
        shutil.rmtree(root / arguments[2].lstrip("/"))
