"""Many loopback agents behind one nginx in a process of its own, all with the same report."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from full_report import a_full_report

from agent.report import encode
from jobs.health.model import Instance, InstanceKey

FIRST_PORT = 20_000

_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_timeout 120; keepalive_requests 100000;
  types {{ application/json json; }} default_type application/json;
  server {{ {listens} location = /health {{ alias {folder}/report.json; }} }}
}}
"""


@contextmanager
def nginx_agents(count: int) -> Iterator[list[Instance]]:
    """Yield `count` instances whose agents answer as soon as nginx is up; needs as many ports and open files."""
    folder = Path(tempfile.mkdtemp())
    ports = range(FIRST_PORT, FIRST_PORT + count)
    listens = "".join(f"listen 127.0.0.1:{port};" for port in ports)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, listens=listens))
    (folder / "report.json").write_bytes(encode(a_full_report()))
    nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        yield [
            Instance(InstanceKey(f"static/{port}"), str(port), str(port), f"http://127.0.0.1:{port}/health")
            for port in ports
        ]
    finally:
        nginx.terminate()
        nginx.wait(10)
        shutil.rmtree(folder)
