"""PostgreSQL with PostGIS and pgstac, and stac-fastapi-pgstac over it, on loopback, for the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "postgres", "let-me-in"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    port: int

    def dsn(self, database: str = "postgres", user: str = USER, secret: str = PASSWORD) -> str:
        return f"host=127.0.0.1 port={self.port} user={user} dbname={database} password={secret}"

    @property
    def environment(self) -> dict[str, str]:
        own = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER, "PGPASSWORD": PASSWORD}
        return {**os.environ, **own, "PGDATABASE": USER}


def binaries() -> Path:
    """Where Debian keeps a PostgreSQL that has PostGIS."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        release = folder.parent.name
        if Path(f"/usr/share/postgresql/{release}/extension/postgis.control").is_file():
            return folder
    pytest.skip("needs Debian's postgresql and postgresql-15-postgis-3: make setup-system")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def cluster() -> Iterator[Cluster]:
    programs = binaries()
    with tempfile.TemporaryDirectory(prefix="mage-stac-pg-") as name:
        folder, port = Path(name), free_port()
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        quiet: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        quiet |= unprivileged()
        options = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        options += ["--locale=C.UTF-8", "--encoding=UTF8", f"--username={USER}"]
        subprocess.run([programs / "initdb", "-D", folder / "data", *options], check=True, **quiet)
        settings = ["listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off", "shared_buffers=32MB"]
        flags = [word for setting in settings for word in ("-c", setting)]
        where = ["-D", folder / "data", "-k", folder, "-p", str(port)]
        server = subprocess.Popen([programs / "postgres", *where, *flags], start_new_session=True, **quiet)
        try:
            ready = [programs / "pg_isready", "-q", "-h", folder, "-p", str(port)]
            until(lambda: subprocess.run(ready, check=False).returncode == 0, server)
            yield Cluster(port=port)
        finally:
            server.terminate()
            server.wait(30)


@contextmanager
def api(running: Cluster) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "stac_fastapi.pgstac.app:create_app", "--factory"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    environment = {**running.environment, "ENABLE_TRANSACTIONS_EXTENSIONS": "TRUE"}
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        try:
            until(lambda: answers(f"{url}/_mgmt/ping"), server)
            yield url
        except AssertionError:
            said.seek(0)
            sys.stderr.write(said.read().decode())
            raise
        finally:
            server.terminate()
            server.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def until(ready: Any, server: subprocess.Popen[bytes], patience: float = 120) -> None:
    end = time.monotonic() + patience
    while not ready():
        assert server.poll() is None, f"{server.args} ended with {server.returncode}"
        assert time.monotonic() < end, f"{server.args} is not ready after {patience} s"
        time.sleep(0.05)
