"""The example catalogue, served, in the tools that others use: GDAL, QGIS, odc-stac, stackstac."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from pystac_client import Client
from rasterio.warp import transform
from served import served

from mage_stac import catalogue
from mage_stac.classes import DAMAGE_CLASSES

EXAMPLE = Path(__file__).resolve().parents[1] / "catalogs" / "example"
MAP = "predictions/damage"
CLASSES = [entry.value for entry in DAMAGE_CLASSES if not entry.nodata]

Point = tuple[float, float]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(EXAMPLE) as found:
        yield found


@pytest.fixture(scope="module")
def points() -> dict[int, Point]:
    """Class -> x, y in the map's CRS of a pixel amid others of that class."""
    with rasterio.open(EXAMPLE / MAP / "damage.tif") as source:
        damage = source.read(1)
        found = {}
        for value in CLASSES:
            same = np.lib.stride_tricks.sliding_window_view(damage == value, (3, 3)).all((2, 3))
            row, column = np.argwhere(same)[0] + 1
            found[value] = source.xy(row, column)
    return found


@pytest.fixture(scope="module")
def item(address: str) -> pystac.Item:
    client = Client.open(f"{address}catalog.json")
    child = client.get_child("predictions")
    assert child is not None
    return next(child.get_items())


pytestmark = pytest.mark.filterwarnings("ignore::pystac_client.warnings.PystacClientWarning")  # files are no API


def collection_file(address: str, folder: Path) -> Path:
    """The map's Item in a FeatureCollection, as STACIT wants it, with the addresses of its assets."""
    document = catalogue.read_json(EXAMPLE / MAP / "damage.json")
    for asset in document["assets"].values():
        asset["href"] = f"{address}{MAP}/{asset['href'].removeprefix('./')}"
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [document]}))
    return path


def test_pystac_client_finds_the_map_and_its_classes(item: pystac.Item) -> None:
    classes = item.assets["damage"].extra_fields["classification:classes"]
    assert [entry["name"] for entry in classes][1:5] == ["no-damage", "minor-damage", "major-damage", "destroyed"]


def test_our_gdal_reads_it_over_http(address: str, points: dict[int, Point]) -> None:
    with rasterio.open(f"/vsicurl/{address}{MAP}/damage.tif") as source:
        assert [value for (value,) in source.sample(points.values())] == list(points)


def test_our_gdals_stacit_reads_it(address: str, points: dict[int, Point], tmp_path: Path) -> None:
    path = collection_file(address, tmp_path)
    with rasterio.open(f'STACIT:"{path}":asset=damage') as source:
        assert [value for (value,) in source.sample(points.values())] == list(points)


gdal = pytest.mark.skipif(shutil.which("gdallocationinfo") is None, reason="needs gdal-bin: make setup-system")


def located(name: str, points: dict[int, Point]) -> list[int]:
    """Values at the points by the system's GDAL."""
    said = subprocess.run(
        ["gdallocationinfo", "-valonly", "-geoloc", name], check=True, capture_output=True, text=True,
        input="".join(f"{x} {y}\n" for x, y in points.values()),
    )  # fmt: skip
    assert said.stderr == ""
    return [int(value) for value in said.stdout.split()]


@gdal
def test_the_systems_gdal_reads_it_over_http(address: str, points: dict[int, Point]) -> None:
    assert located(f"/vsicurl/{address}{MAP}/damage.tif", points) == list(points)


@gdal
def test_the_systems_stacit_reads_it(address: str, points: dict[int, Point], tmp_path: Path) -> None:
    path = collection_file(address, tmp_path)
    assert located(f'STACIT:"{path}":asset=damage', points) == list(points)


def test_odc_stac_reads_it(item: pystac.Item, points: dict[int, Point]) -> None:
    import odc.stac

    found = odc.stac.load([item], bands=["damage"], resampling="nearest")
    for value, (x, y) in points.items():
        assert int(found["damage"].isel(time=0).sel(x=x, y=y, method="nearest")) == value


@pytest.mark.filterwarnings("ignore")  # it is older than our numpy and pandas
def test_stackstac_reads_it(
    address: str, points: dict[int, Point], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = pytest.importorskip("stackstac", reason="needs mage-stac[stackstac]").stack
    import pandas as pd

    own = pd.to_datetime  # pandas 3 has dropped an argument that stackstac gives
    monkeypatch.setattr(pd, "to_datetime", lambda times, errors, **_: own(times, errors=errors))
    features = json.loads(collection_file(address, tmp_path).read_text())["features"]
    found = stack(
        features, assets=["damage"], rescale=False, fill_value=np.float64("nan"), xy_coords="center"
    ).isel(time=0, band=0).compute()  # fmt: skip
    for value, (x, y) in points.items():
        assert float(found.sel(x=x, y=y, method="nearest")) == value


QGIS = """
import json, sys
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsPointXY, QgsRasterLayer, QgsVectorLayer
QgsApplication.setPrefixPath("/usr", True)
app = QgsApplication([], False)
app.initQgis()
asked = json.load(sys.stdin)
said = {}
for name, path in asked["rasters"].items():
    layer = QgsRasterLayer(path, name)
    pixels = layer.dataProvider()
    loaded = True
    if name == "styled":
        loaded = layer.loadNamedStyle(asked["style"])[1]
    renderer = layer.renderer()
    colours = [[c.value, c.color.name(), c.color.alpha(), c.label] for c in renderer.classes()] if renderer.type() == "paletted" else None
    said[name] = {
        "valid": layer.isValid(), "loaded": loaded, "crs": layer.crs().authid(), "renderer": renderer.type(), "colours": colours,
        "values": [pixels.sample(QgsPointXY(*point), 1)[0] for point in asked["points"]],
    }
buildings = QgsVectorLayer(asked["buildings"], "buildings", "ogr")
said["buildings"] = {"valid": buildings.isValid(), "count": buildings.featureCount()}
print(json.dumps(said))
"""  # noqa: E501 - a script


def qgis_python() -> str | None:
    """The system's Python if it knows QGIS."""
    python = "/usr/bin/python3"
    if not Path(python).exists():
        return None
    known = subprocess.run([python, "-c", "import qgis.core"], capture_output=True, check=False)
    return python if known.returncode == 0 else None


def test_qgis_reads_it_and_takes_our_style(address: str, points: dict[int, Point], tmp_path: Path) -> None:
    python = qgis_python()
    if python is None:
        pytest.skip("needs python3-qgis: make setup-system")
    local = shutil.copyfile(EXAMPLE / MAP / "damage.tif", tmp_path / "damage.tif")
    shutil.copyfile(EXAMPLE / MAP / "damage.qml", tmp_path / "damage.qml")
    asked = {
        "rasters": {
            "beside": str(local),
            "served": f"/vsicurl/{address}{MAP}/damage.tif",
            "styled": f"/vsicurl/{address}{MAP}/damage.tif",
            "stacit": f'STACIT:"{collection_file(address, tmp_path)}":asset=damage',
        },
        "style": str(tmp_path / "damage.qml"),
        "points": list(points.values()),
        "buildings": str(EXAMPLE / "wind-pairs/wind-2029-00000-label/buildings.geojson"),
    }
    done = subprocess.run(
        [python, "-c", QGIS], input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=300,
        env={"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    with rasterio.open(EXAMPLE / MAP / "damage.tif") as source:
        code = f"EPSG:{source.crs.to_epsg()}"
    for name in asked["rasters"]:
        assert said[name]["valid"], name
        assert said[name]["loaded"], name
        assert said[name]["crs"] == code
        assert said[name]["values"] == list(points), name
    for name in ("beside", "served", "styled"):
        colours = {value: colour for value, colour, *_ in said[name]["colours"]}
        for entry in DAMAGE_CLASSES[:5]:
            assert colours[entry.value] == f"#{entry.colour.lower()}", name
    for name in ("beside", "styled"):
        styled = {value: (alpha, label) for value, _, alpha, label in said[name]["colours"]}
        assert styled[4] == (255, "destroyed")
        assert styled[0][0] == 0
    assert said["buildings"]["valid"]
    assert said["buildings"]["count"] > 0


def test_titiler_reads_it(address: str, points: dict[int, Point]) -> None:
    from urllib.request import urlopen

    with rasterio.open(EXAMPLE / MAP / "damage.tif") as source:
        crs = source.crs
    for value, (x, y) in points.items():
        (lon,), (lat,) = transform(crs, "OGC:CRS84", [x], [y])
        with urlopen(f"{address}tiles/stac/point/{lon},{lat}?url={MAP}/damage.json&assets=damage") as answer:
            assert json.load(answer)["values"] == [value]
    with urlopen(f"{address}tiles/stac/renders?url={MAP}/damage.json") as answer:
        assert json.load(answer)["renders"]["damage"]["valid"]
