from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import predictions
import pystac
import pytest
from pystac_client import Client
from served import ask, serving

from mage_stac import browser, serve
from mage_stac.errors import CatalogueError, ServeError

pytestmark = pytest.mark.filterwarnings("ignore::pystac_client.warnings.PystacClientWarning")  # files are no API

MAP = "predictions/map"
"""Folder of the prediction Item."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served") / "out"
    predictions.write(root, [(10, 10, 3)])
    (root / "predictions" / ".next.partial").mkdir()
    (root / "predictions" / ".next.partial" / "next.json").write_text("{}")
    (root / "half.tif.partial").write_text("half")
    (root.parent / "secret.txt").write_text("secret")
    (root / "way-out.txt").symlink_to("../secret.txt")
    (root / "way-in.json").symlink_to("catalog.json")
    (root / "to-hidden.json").symlink_to("predictions/.next.partial/next.json")
    return root


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as found:
        yield found


def test_files_come_whole_in_ranges_and_not_at_all_if_unchanged(address: str, folder: Path) -> None:
    content = (folder / MAP / "damage.tif").read_bytes()
    answer, body = ask(address, f"/{MAP}/damage.tif")
    assert (answer.status, body) == (200, content)
    assert answer.headers["Content-Type"] == str(pystac.MediaType.COG)
    part, body = ask(address, f"/{MAP}/damage.tif", Range="bytes=10-19")
    assert (part.status, body) == (206, content[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(content)}"
    _, tail = ask(address, f"/{MAP}/damage.tif", Range="bytes=-7")
    assert tail == content[-7:]
    assert ask(address, f"/{MAP}/damage.tif", Range=f"bytes={len(content)}-")[0].status == 416
    head, body = ask(address, f"/{MAP}/damage.tif", "HEAD")
    assert (int(head.headers["Content-Length"]), body) == (len(content), b"")
    assert ask(address, f"/{MAP}/damage.tif", If_None_Match=answer.headers["ETag"])[0].status == 304


def test_scripts_of_other_origins_may_read_ranges(address: str) -> None:
    origin = {"Origin": "https://example.com"}
    asked = {"Access_Control_Request_Headers": "range"}
    for method in ("GET", "HEAD"):
        asked["Access_Control_Request_Method"] = method
        preflight, _ = ask(address, f"/{MAP}/damage.tif", "OPTIONS", **origin, **asked)
        assert preflight.status == 200
        assert preflight.headers["Access-Control-Allow-Headers"] == "range"
    answer, _ = ask(address, f"/{MAP}/damage.tif", **origin, Range="bytes=0-9")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert {"Content-Range", "ETag"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/predictions/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/predictions/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "//etc/passwd",
        "/%00",
        "/way-out.txt",
        "/to-hidden.json",
        "/predictions/.next.partial/next.json",
        "/half.tif.partial",
        "/predictions",
        "/nothing",
        "/browser/nothing",
        "/browser/../secret.txt",
        "/" + "x" * 5000,
    ],
)
def test_what_is_outside_hidden_or_absent_is_one_line(address: str, path: str) -> None:
    answer, body = ask(address, path)
    assert answer.status == 404
    assert body.startswith(b"mage-stac serves nothing at GET /")
    assert body.count(b"\n") == 1


def test_a_link_within_the_folder_is_followed(address: str, folder: Path) -> None:
    assert ask(address, "/way-in.json")[1] == (folder / "catalog.json").read_bytes()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_written(address: str, method: str) -> None:
    assert ask(address, "/catalog.json", method)[0].status == 405


def test_the_front_page_is_stac_browser_without_foreign_scripts(address: str) -> None:
    page = ask(address, "/")[1].decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert "/browser/config.js" in loaded
    for path in (path for path in loaded if not path.startswith("data:")):
        answer, _ = ask(address, path)
        assert answer.status == 200, path
    options = ask(address, "/browser/config.js")[1].decode()
    assert 'catalogUrl = window.location.origin + "/catalog.json"' in options
    assert "MAGE_STAC_BASEMAP = null" in options
    assert b"@radiantearth/stac-browser 4.0.1" in ask(address, "/browser/licences.txt")[1]


def test_a_basemap_is_shown_where_asked_for() -> None:
    assert serve.OPENSTREETMAP in serve.config("osm")
    assert '"https://example.com/{z}/{x}/{y}"' in serve.config("https://example.com/{z}/{x}/{y}")


def test_the_bundle_is_what_its_recipe_says() -> None:
    recipe = Path(browser.__file__).parent / "recipe"
    lock = json.loads((recipe / "package-lock.json").read_text())
    assert lock["version"] == "4.0.1"
    assert lock["packages"]["node_modules/ol-stac"]["version"] == "1.1.0"
    assert not any("resolved" in package for package in lock["packages"].values())  # no registry's address
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_pystac_client_walks_it(address: str) -> None:
    client = Client.open(f"{address}catalog.json")
    (item,) = client.get_items(recursive=True)
    assert item.id == "map"
    assert item.assets["damage"].get_absolute_href() == f"{address}{MAP}/damage.tif"


def test_a_folder_of_catalogues_gets_a_root(folder: Path) -> None:
    with serving(folder.parent) as address:
        client = Client.open(f"{address}catalog.json")
        assert [child.title for child in client.get_children()] == ["Predictions"]
        assert [item.id for item in client.get_items(recursive=True)] == ["map"]
        assert ask(address, "/out/half.tif.partial")[0].status == 404


def test_a_folder_without_a_catalogue_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="holds no catalog"):
        serve.application(tmp_path)
    with pytest.raises(CatalogueError, match="is no folder"):
        serve.application(tmp_path / "nothing")
    (tmp_path / "catalog.json").write_text('{"type": "FeatureCollection"}')
    with pytest.raises(CatalogueError, match="no STAC Catalog"):
        serve.application(tmp_path)
    (tmp_path / "catalog.json").write_text('{"type": "Catalog"}')
    (tmp_path / "tiles").mkdir()
    with pytest.raises(CatalogueError, match="address of the server itself"):
        serve.application(tmp_path)


def test_a_port_or_host_that_is_not_ours_is_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ServeError, match="in use") as error:
        serve.run(folder, port=other.getsockname()[1], ready=print)
    assert "\n" not in str(error.value)
    with pytest.raises(ServeError, match=r"192\.0\.2\.1"):
        serve.run(folder, host="192.0.2.1", port=0, ready=print)


def test_the_verb_serves_loopback_until_ctrl_c(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("mage-stac")), "serve", str(folder), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        assert ask(address, "/catalog.json")[0].status == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.count("\n") == 1
