"""Bands of satellites' Items, a file each, gathered into one image. Oracles: a closed form, and rasterio."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from imagery import UTM, box, write_raster
from numpy.typing import NDArray
from pyproj import Transformer

from mage_stac import catalogue, cube, gather, grid, retrieve
from mage_stac.errors import AssetError, GridError
from mage_stac.gather import Wanted
from mage_stac.query import Query
from mage_stac.search import search
from mage_stac.validate import validate

FINE, COARSE = box(80, 80, step=10), box(40, 40, step=20)
"""One corner, as a Sentinel-2 tile's grids have."""
DN = 3000
Files = Mapping[str, tuple[NDArray[Any], Mapping[str, Any]]]
"""Key of an asset -> its pixels and its fields."""
WEST, NORTH = 500_000.0, 4_100_000.0


def lonlat(left: float, bottom: float, right: float, top: float) -> Any:
    """A box in lon/lat round a box in metres from the grids' corner."""
    corners = [(WEST + left, NORTH + bottom), (WEST + right, NORTH + top)]
    (west, south), (east, north) = (
        Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(*c) for c in corners
    )
    return shapely.box(west, south, east, north)


WHOLE = lonlat(-500, -1300, 1300, 500)


def field(grid_: Any, x: float, y: float) -> NDArray[np.uint16]:
    """DN (1, rows, columns) that rise by x a metre eastward and y a metre southward: known between pixels too."""
    rows, columns = np.indices(grid_.shape) + 0.5
    step = grid_.affine.a
    rising: NDArray[np.uint16] = np.rint(DN + x * columns * step + y * rows * step).astype(np.uint16)
    return rising[np.newaxis]


def item(
    folder: Path,
    files: Files,
    *,
    nodata: float | None = 0,
    **properties: Any,
) -> pystac.Item:
    """An Item as an API gives it: a file an asset, its grid stated, in the CRS that the Item states."""
    date = datetime(2023, 5, 1, 10, 50, 31, tzinfo=UTC)
    made = pystac.Item("s2", shapely.geometry.mapping(WHOLE), list(WHOLE.bounds), date, {})
    made.properties |= {"platform": "Sentinel-2A", "proj:code": UTM, **properties}
    for key, (values, fields) in files.items():
        own = {80: FINE, 40: COARSE}[values.shape[1]]
        write_raster(folder / f"{key}.tif", values, own, nodata=nodata)
        placed = {"proj:shape": list(own.shape), "proj:transform": list(own.affine)[:6]}
        made.add_asset(key, pystac.Asset(f"./{key}.tif", media_type="image/tiff", extra_fields={**placed, **fields}))
    made.collection_id = "sentinel-2-l2a"
    catalogue.write_json(folder / "s2.json", made.to_dict(include_self_link=False, transform_hrefs=False))
    return catalogue.read_item(folder / "s2.json")


def new(name: str, common: str) -> dict[str, Any]:
    """STAC 1.1."""
    return {"bands": [{"name": name, "eo:common_name": common}], "raster:scale": 1e-4, "raster:offset": -0.1}


def old(name: str, common: str) -> dict[str, Any]:
    """STAC 1.0."""
    return {
        "eo:bands": [{"name": name, "common_name": common}],
        "raster:bands": [{"scale": 1e-4, "offset": -0.1, "nodata": 0, "data_type": "uint16"}],
    }


def made(folder: Path, given: pystac.Item, bands: str, area: Any = WHOLE, hide: str | None = None) -> gather.Gathered:
    folder.mkdir(exist_ok=True)
    return gather.gather(given, Wanted(bands=tuple(bands.split(",")), hide=hide), area, folder)


def pixels(folder: Path) -> tuple[NDArray[Any], Any]:
    with rasterio.open(folder / "image.tif") as source:
        return source.read(), grid.of_dataset(source)


@pytest.mark.parametrize("style", [new, old])
def test_coarse_bands_land_to_a_hundredth_of_a_pixel(style: Any, tmp_path: Path) -> None:
    fine, coarse = field(FINE, 2, 3), field(COARSE, 5, 4)  # 50 DN a pixel of 10 m
    given = item(tmp_path, {"B02": (fine, style("B02", "blue")), "B11": (coarse, style("B11", "swir16"))})
    found = made(tmp_path / "out", given, "swir16,blue")
    dn, own = pixels(tmp_path / "out")
    assert own == FINE
    assert (dn[1] == fine[0]).all()
    inner = np.s_[1:-1, 1:-1]  # beyond the outermost centres of 20 m there is nothing to interpolate to
    assert np.abs(dn[0][inner].astype(int) - field(FINE, 5, 4)[0][inner]).max() <= 0.01 * 50 + 0.5
    image = found.item.assets["image"].extra_fields
    assert [(band["name"], band["eo:common_name"]) for band in image["bands"]] == [("B11", "swir16"), ("B02", "blue")]
    read, valid = cube.read([catalogue_of(found.item, tmp_path / "out")], FINE)
    assert valid.all()
    assert read[1] == pytest.approx(fine[0] * 1e-4 - 0.1, abs=1e-6)
    assert found.notices == ()


@pytest.mark.parametrize("style", [new, old])
def test_search_keeps_an_image_and_named_assets_as_valid_stac(style: Any, tmp_path: Path, schemas: Path) -> None:
    files: Files = {
        "B02": (field(FINE, 2, 3), style("B02", "blue")),
        "B11": (field(COARSE, 5, 4), style("B11", "swir16")),
    }
    given = item(tmp_path / "in", files)
    document = catalogue.read_json(tmp_path / "in" / "s2.json")
    version = "v1.1.0" if style is old else "v2.0.0"
    uris = [f"https://stac-extensions.github.io/{name}/{version}/schema.json" for name in ("raster", "eo")]
    catalogue.write_json(tmp_path / "in" / "s2.json", document | {"stac_extensions": uris})
    west, south, east, north = WHOLE.bounds
    query = Query(api=str(tmp_path / "in" / "s2.json"), bbox=(west, south, east, north))
    image = Wanted(bands=("swir16", "blue"))
    saved = retrieve.save(search(query), query, tmp_path / "out", download=True, assets=("B11",), image=image)
    found = catalogue.read_item(saved.items[0])
    assert sorted(found.assets) == ["B11", "image", "thumbnail", "visual"]
    assert cube.read([found], COARSE, asset="B11")[0] == pytest.approx(cube.read([given], COARSE, asset="B11")[0])
    assert validate(tmp_path / "out", schemas).problems == ()


def catalogue_of(gathered: pystac.Item, folder: Path) -> pystac.Item:
    """The Item as another step reads it from disk."""
    place = folder / "s2"
    place.mkdir()
    for file in folder.glob("*.*"):
        file.rename(place / file.name)
    gathered.links = []
    catalogue.write_item(place, gathered)
    return catalogue.read_item(place)


def test_an_area_inside_sees_the_pixels_beyond_it(tmp_path: Path) -> None:
    files = {"B02": (field(FINE, 2, 3), new("B02", "blue")), "B11": (field(COARSE, 5, 4), new("B11", "swir16"))}
    made(tmp_path / "out", item(tmp_path, files), "blue,swir16", lonlat(301, -599, 499, -301))
    dn, own = pixels(tmp_path / "out")
    rows, columns = (
        slice(round(at), round(at) + size)
        for at, size in zip(((NORTH - own.affine.f) / 10, (own.affine.c - WEST) / 10), own.shape, strict=True)
    )
    assert 20 <= own.shape[1] <= 21
    assert (dn[0] == field(FINE, 2, 3)[0][rows, columns]).all()
    assert np.abs(dn[1].astype(int) - field(FINE, 5, 4)[0][rows, columns]).max() <= 1


@pytest.mark.parametrize(
    ("fields", "properties", "scale", "offset", "said"),
    [
        ({}, {"s2:processing_baseline": "05.11"}, 1e-4, -0.1, "states no scale: that of Sentinel-2"),
        ({}, {"s2:processing_baseline": "02.12"}, 1e-4, 0.0, "states no scale: that of Sentinel-2"),
        ({}, {}, 1e-4, -0.1, "states no scale"),  # by its date
        ({}, {"platform": "kompsat"}, 1.0, 0.0, "its values are taken as they are"),
        (new("b", "blue"), {"earthsearch:boa_offset_applied": True}, 1e-4, 0.0, "was applied before"),
        (old("b", "blue"), {"earthsearch:boa_offset_applied": False}, 1e-4, -0.1, None),
    ],
)  # fmt: skip
def test_units(
    fields: dict[str, Any], properties: dict[str, Any], scale: float, offset: float, said: str | None, tmp_path: Path
) -> None:
    given = item(tmp_path, {"blue": (field(FINE, 2, 3), fields)}, **properties)
    found = made(tmp_path / "out", given, "blue")
    asset = found.item.assets["image"].extra_fields
    assert (asset["raster:scale"], asset["raster:offset"]) == (scale, offset)
    assert [notice for notice in found.notices if said and said in notice] == list(found.notices)
    assert bool(found.notices) == bool(said)


def test_bands_of_other_scales_become_the_values_themselves(tmp_path: Path) -> None:
    blue, red = field(FINE, 2, 3), field(FINE, 1, 0)
    files: Files = {
        "b": (blue, new("b", "blue")),
        "r": (red, {**new("r", "red"), "raster:scale": 2e-4, "raster:offset": 0}),
    }
    made(tmp_path / "out", item(tmp_path, files), "blue,red")
    values, _ = pixels(tmp_path / "out")
    assert values.dtype == np.float32
    assert values == pytest.approx(np.concatenate([blue * 1e-4 - 0.1, red * 2e-4]), abs=1e-6)


def test_seen_is_what_every_band_and_the_mask_show(tmp_path: Path) -> None:
    blue, swir, scl = field(FINE, 2, 3), field(COARSE, 5, 4), np.full((1, 40, 40), 4, np.uint8)
    blue[0, :, :10], swir[0, :3] = 0, 0
    scl[0, 20:30, 20:30] = 9
    files: Files = {"B02": (blue, new("B02", "blue")), "B11": (swir, new("B11", "swir16")), "SCL": (scl, {"nodata": 0})}
    found = made(tmp_path / "out", item(tmp_path, files), "blue,swir16", hide="SCL")
    with rasterio.open(tmp_path / "out" / "image.tif") as source:
        seen = (source.read() != 0).all(axis=0)
        assert (seen == (source.dataset_mask() > 0)).all()
    expected = np.ones((80, 80), bool)
    expected[:, :10], expected[:6], expected[40:60, 40:60] = False, False, False
    edge = np.zeros_like(expected)
    edge[6] = True  # half a coarse pixel, where interpolation meets nodata
    assert (seen == expected)[~edge].all()
    assert sorted(found.item.assets) == ["image", "thumbnail", "visual"]
    assert found.item.properties["gsd"] == pytest.approx(10, rel=1e-3)


def test_a_picture_of_three_bands_is_taken_where_there_is_nothing_else(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (3, 80, 80)).astype("uint8")
    rows = [{"name": name, "eo:common_name": name} for name in ("red", "green", "blue")]
    given = item(tmp_path, {"visual": (picture, {"bands": rows})}, nodata=None, platform="WV02")
    found = made(tmp_path / "out", given, "blue,red")
    dn, _ = pixels(tmp_path / "out")
    assert (dn == picture[[2, 0]]).all()
    assert "nodata" not in found.item.assets["image"].extra_fields
    assert found.item.assets["image"].extra_fields["raster:scale"] == pytest.approx(1 / 255)


def test_reflectance_goes_before_the_picture_and_the_finer_file_before_the_coarser(tmp_path: Path) -> None:
    rows = [{"name": name, "eo:common_name": common} for name, common in (("B04", "red"), ("B02", "blue"))]
    files: Files = {
        "visual": (np.zeros((2, 80, 80), "uint8"), {"bands": rows}),
        "B02_20m": (field(COARSE, 2, 3), new("B02", "blue")),
        "B02_10m": (field(FINE, 2, 3), new("B02", "blue")),
    }
    (place,) = gather.places(item(tmp_path, files), ["blue"])
    assert (place.key, place.position) == ("B02_10m", 1)


def test_a_band_of_a_named_asset(tmp_path: Path) -> None:
    rows = [{"name": f"BAND_{name}", "eo:common_name": common} for name, common in (("R", "red"), ("B", "blue"))]
    files: Files = {
        "ms_analytic": (np.zeros((2, 40, 40), "uint16"), {"bands": rows}),
        "visual": (np.zeros((2, 80, 80), "uint8"), {"bands": rows}),
    }
    found = gather.places(item(tmp_path, files), ["blue", "ms_analytic.blue", "ms_analytic.BAND_R"])
    assert [(place.key, place.position, place.band.name) for place in found] == [
        ("visual", 2, "BAND_B"),  # the finer
        ("ms_analytic", 2, "BAND_B"),
        ("ms_analytic", 1, "BAND_R"),
    ]


def test_bands_known_by_their_keys_alone(tmp_path: Path) -> None:
    given = item(tmp_path, {"B02": (field(FINE, 2, 3), {}), "B11": (field(COARSE, 5, 4), {})})
    assert [(place.key, place.band.common_name) for place in gather.places(given, ["swir16", "B02"])] == [
        ("B11", "swir16"),
        ("B02", "blue"),
    ]


def test_what_cannot_be_gathered_is_told(tmp_path: Path) -> None:
    given = item(
        tmp_path, {"B02": (field(FINE, 2, 3), new("B02", "blue")), "empty": (np.zeros((1, 80, 80), "uint8"), {})}
    )
    with pytest.raises(AssetError, match="Item s2 lacks band red; it has B02/blue, empty"):
        made(tmp_path / "out", given, "blue,red")
    with pytest.raises(GridError, match="Item s2 observed nothing of the area"):
        made(tmp_path / "out", given, "empty")
    with pytest.raises(GridError, match="reaches into the area"):
        made(tmp_path / "out", given, "blue", shapely.box(10, 10, 10.1, 10.1))
    assert not list((tmp_path / "out").glob(".bands-*"))
