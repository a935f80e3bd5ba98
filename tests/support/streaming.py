"""A streaming page on one machine: aiortc serves its stream, the nginx of docs/client-stats.md stands before all."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack import free_port, until

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "tests" / "browser" / "streaming_page"
NGINX = shutil.which("nginx", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", f"{ROOT}/.venv/debian/usr/sbin"]))


class Stream:
    """The other end of the browsers' connections."""

    def __init__(self, port: int) -> None:
        self.port = port

    def lose(self, ratio: float) -> None:
        """Lose that share of the packets from now on."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/loss", json.dumps(ratio).encode())
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def a_stream() -> Iterator[Stream]:
    """Yield a stream with its page."""
    command = [sys.executable, Path(__file__).with_name("stream_server.py"), PAGE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield Stream(int(server.stdout.readline()))
        finally:
            server.terminate()


@contextmanager
def an_ingress(folder: Path, *, agent: str, stream: Stream) -> Iterator[str]:
    """Yield the address at which a browser finds the page, and under /instance-3/ the agent. agent: its address."""
    port = free_port()
    (folder / "nginx.conf").write_text(_configuration(folder, port, agent, stream))
    with subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"]) as nginx:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url), 10, "nginx to answer")
            yield url
        finally:
            nginx.terminate()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def _configuration(folder: Path, port: int, agent: str, stream: Stream) -> str:
    """Return what the docs say, with what nginx needs around it to run here."""
    said = re.search(
        r"```nginx\n# http\n(.*?)# server\n(.*?)```", (ROOT / "docs" / "client-stats.md").read_text(), re.DOTALL
    )
    assert said is not None
    location = re.sub(r"http://[^/]*:8080/", f"{agent}/", said[2])
    return f"""
    daemon off; pid {folder}/pid; error_log stderr crit;
    events {{}}
    http {{
      access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
      fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
      {said[1]}
      server {{ listen 127.0.0.1:{port}; {location} location / {{ proxy_pass http://127.0.0.1:{stream.port}; }} }}
    }}"""
