from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlencode

import numpy as np
import predictions
import pyproj
import pystac
import pytest
import rasterio
from PIL import Image
from served import ask, serving

from mage_stac import catalogue
from mage_stac.classes import DAMAGE_CLASSES, colour_table

pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:rio_tiler\..*")  # bands without statistics are no fault

ITEM = "predictions/map/map.json"
DAMAGE = "predictions/map/damage.tif"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUSES = [(20, 30, 3), (60, 200, 4), (120, 90, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiles") / "out"
    predictions.write(root, HOUSES)
    (root.parent / "outside.tif").write_bytes((root / DAMAGE).read_bytes())
    (root / "way-out.tif").symlink_to("../outside.tif")
    virtual = '<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    (root / "virtual.tif").write_text(virtual)
    return root


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as found:
        yield found


def get(address: str, path: str, **query: object) -> tuple[int, bytes]:
    answer, body = ask(address, f"/tiles{path}?{urlencode(query, doseq=True)}")
    return answer.status, body


def middle(house: tuple[int, int, int]) -> tuple[float, float]:
    """Longitude and latitude of a house's middle."""
    row, column, _ = house
    x, y = predictions.GRID.affine @ (column + predictions.EDGE / 2, row + predictions.EDGE / 2)
    lon, lat = pyproj.Transformer.from_crs("EPSG:32615", "OGC:CRS84", always_xy=True).transform(x, y)
    return lon, lat


@pytest.mark.parametrize("house", HOUSES)
def test_points_have_the_right_class(address: str, house: tuple[int, int, int]) -> None:
    lon, lat = middle(house)
    status, body = get(address, f"/cog/point/{lon},{lat}", url=DAMAGE)
    assert (status, json.loads(body)["values"]) == (200, [house[2]])
    status, body = get(address, f"/stac/point/{lon},{lat}", url=ITEM, assets="damage")
    assert (status, json.loads(body)["values"]) == (200, [house[2]])


def test_a_file_may_be_named_by_its_address_here(address: str) -> None:
    lon, lat = middle(HOUSES[0])
    assert get(address, f"/cog/point/{lon},{lat}", url=f"{address}{DAMAGE}")[0] == 200


def test_the_item_says_how_to_draw_it_and_the_picture_has_the_colours(address: str) -> None:
    status, body = get(address, "/stac/renders/damage", url=ITEM)
    render = json.loads(body)
    assert (status, render["valid"]) == (200, True)
    tiles = next(link["href"] for link in render["links"] if link["rel"] == "tilesets-map")
    path, _, query = unquote(tiles).replace("{tileMatrixSetId}", "WebMercatorQuad").partition("?")
    answer, body = ask(address, f"/{path.removeprefix(address)}?{query}")
    assert answer.status == 200
    west, south, east, north = json.loads(body)["bounds"]
    status, body = get(address, f"/stac/bbox/{west},{south},{east},{north}.png", url=ITEM, **render["params"])
    assert status == 200
    seen = {tuple(int(v) for v in pixel) for pixel in np.unique(_pixels(body)[..., :3].reshape(-1, 3), axis=0)}
    colours = colour_table(DAMAGE_CLASSES)
    assert {colours[grade] for _, _, grade in HOUSES} <= seen
    assert colours[2] not in seen


def _pixels(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


def test_the_map_tile_of_a_house_has_its_colour(address: str) -> None:
    import morecantile

    lon, lat = middle(HOUSES[1])
    tile = morecantile.tms.get("WebMercatorQuad").tile(lon, lat, 18)
    status, body = get(address, f"/cog/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png", url=DAMAGE)
    assert status == 200
    assert (_pixels(body)[..., :3] == colour_table(DAMAGE_CLASSES)[HOUSES[1][2]]).all(-1).any()


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("../outside.tif", 404),
        ("way-out.tif", 404),
        ("nothing.tif", 404),
        ("virtual.tif", 400),
        ("/vsicurl/http://127.0.0.1:1/x.tif", 404),
        ("http://example.com/x.tif", 400),
        ("file:///etc/passwd", 400),
    ],
)
def test_only_rasters_of_the_folder_are_read(address: str, url: str, status: int) -> None:
    found, body = get(address, "/cog/info", url=url)
    assert found == status
    assert list(json.loads(body)) == ["detail"]


def test_an_items_assets_outside_the_folder_are_left_out(address: str, folder: Path) -> None:
    document = catalogue.read_json(folder / ITEM)
    document["assets"]["damage"]["href"] = "../../../outside.tif"
    document["assets"]["visual"]["href"] = "http://example.com/visual.tif"
    (folder / "stranger.json").write_text(json.dumps(document | {"id": "stranger"}))
    (folder / "probability.tif").write_bytes((folder / DAMAGE).read_bytes())
    status, body = get(address, "/stac/assets", url="stranger.json")
    assert (status, json.loads(body)) == (200, ["probability"])


@pytest.mark.parametrize("own", [None, 7])
def test_pixels_that_only_the_item_calls_nodata_are_clear(address: str, folder: Path, own: int | None) -> None:
    import morecantile

    values = np.full((256, 256), 9, np.uint8)
    values[:, :128] = 0
    with rasterio.open(folder / DAMAGE) as like:
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "crs": like.crs, "transform": like.transform}
    with rasterio.open(folder / "collar.tif", "w", width=256, height=256, nodata=own, **profile) as made:
        made.write(values, 1)
        west, east = (made.xy(128, column) for column in (64, 192))
        to_degrees = pyproj.Transformer.from_crs(made.crs, "OGC:CRS84", always_xy=True).transform
    item = pystac.Item("collar", *(catalogue.read_json(folder / ITEM)[key] for key in ("geometry", "bbox")), NOW, {})
    item.add_asset("data", pystac.Asset("collar.tif", extra_fields={"bands": [{"name": "a", "nodata": 0}]}))
    (folder / "collar.json").write_text(json.dumps(item.to_dict(include_self_link=False)))
    seen = []
    for place in (west, east):
        tile = morecantile.tms.get("WebMercatorQuad").tile(*to_degrees(*place), 20)
        path = f"/stac/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png"
        status, body = get(address, path, url="collar.json", assets="data", rescale="0,10")
        assert status == 200
        seen.append(int(np.median(_pixels(body)[..., 3])))
    assert seen == [0 if own is None else 255, 255]
