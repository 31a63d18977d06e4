from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import forkserver
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import synthetic
import torch
from affine import Affine
from mage_stac.cli import app
from mage_stac.cli.predict import predict as verb
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from mage_stac import catalogue, cluster, jobs, predict, publish, sensors
from mage_stac.errors import AssetError, CatalogueError, GridError, MageStacError, ModelError
from mage_stac.grid import crop
from mage_stac.mosaic import Tiling
from mage_stac.prediction import Sources
from mage_stac.products import footprints
from mage_stac.validate import validate

RGB = ("red", "green", "blue")
TAUGHT = (RGB, synthetic.GSD)
SMALL = predict.Options(tiling=Tiling(window=64, margin=8), align=False)


def brightness(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Building where pre is red; destroyed where post is not red there any more."""
    assert observed.shape == (len(images), 2, *images.shape[-2:])
    house = np.clip((images[:, 0, 0] - images[:, 0, 2]) * 8, 0, 1)
    lost = np.clip(1 - (images[:, 1, 0] - images[:, 1, 2]) * 8, 0, 1)
    zero = np.zeros_like(house)
    return np.stack([1 - house, house * (1 - lost), zero, zero, house * lost], axis=1)


def scene(rows: int = 96, columns: int = 128, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pre and post (3, rows, columns): two red houses on grey texture, the second gone afterwards."""
    rng = np.random.default_rng(seed)
    ground = np.clip(gaussian_filter(rng.normal(size=(rows, columns)), 1.5) * 120 + 110, 20, 250)
    pre = np.stack([ground] * 3)
    pre[:, 20:36, 20:44] = np.array([220, 90, 40])[:, None, None]
    post = pre.copy()
    pre[:, 60:76, 80:100] = np.array([220, 90, 40])[:, None, None]
    return pre.astype(np.uint8), post.astype(np.uint8)


GRID = crop(synthetic.geobox(128), slice(0, 96), slice(0, 128))


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., pystac.Item]:
    """Makes an Item of an image, in a catalogue of its own."""

    def make(
        name: str, image: np.ndarray, grid: GeoBox = GRID, nodata: float | None = None, date: str = "2011-05-24"
    ) -> pystac.Item:
        with catalogue.staged(tmp_path / "real", "images", name) as folder:
            publish.write_cog(folder / "image.tif", image, grid, nodata=nodata)
            made = publish.imagery_item(
                id=name, geobox=grid, datetime=date, sensor=sensors.read("aerial-rgb"), folder=folder
            )
            made.collection_id = "images"
            catalogue.write_item(folder, made)
        catalogue.index(tmp_path / "real", id="real", title="Real", collections={"images": {"title": "Images"}})
        return catalogue.read_item(tmp_path / "real/images" / name)

    return make


@pytest.fixture
def model(tmp_path: Path) -> pystac.Item:
    """A model Item with nothing behind it: the network is given beside it."""
    (tmp_path / "models/models/toy").mkdir(parents=True)
    (tmp_path / "models/models/toy/toy.json").write_text("{}")
    return toy(tmp_path)


def toy(root: Path) -> pystac.Item:
    made = pystac.Item("toy", None, None, datetime(2026, 1, 1, tzinfo=UTC), {"mlm:name": "Toy"})
    made.set_self_href(str(root / "models/models/toy/toy.json"))
    return made


def mapped(
    out: Path, sources: Sources, network: jobs.Network = brightness, options: predict.Options = SMALL
) -> pystac.Item:
    return catalogue.read_item(predict.publish_map(sources, network, TAUGHT, out, "map", options))


def band(item: pystac.Item, key: str) -> np.ndarray:
    with rasterio.open(catalogue.asset_path(item, key)) as source:
        return source.read()


def test_a_map_of_two_houses(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item, schemas: Path
) -> None:
    pre, post = scene()
    sources = Sources(model=model, pre=(place("pre", pre, date="2010-06-01"),), post=(place("post", post),))
    item = mapped(tmp_path / "out", sources)
    damage = band(item, "damage")[0]
    wanted = np.zeros(GRID.shape, np.uint8)
    wanted[20:36, 20:44], wanted[60:76, 80:100] = 1, 4
    assert (damage == wanted).mean() > 0.999
    with rasterio.open(catalogue.asset_path(item, "damage")) as source:
        assert (source.nodata, source.crs, source.transform) == (255, "EPSG:32615", GRID.affine)
        assert source.colormap(1)[4][:3] == (215, 25, 28)
    assert (band(item, "visual")[:, damage == 4].T == (215, 25, 28)).all()
    probability = band(item, "probability")
    assert probability.shape == (5, *GRID.shape)
    assert np.abs(probability.sum(axis=0, dtype=int) - 250).max() <= 2
    frame = gpd.read_parquet(catalogue.asset_path(item, "buildings"))
    assert sorted(frame["grade"]) == [1, 4]
    assert item.datetime == datetime(2011, 5, 24, tzinfo=UTC)
    assert item.properties["mage:buildings"]["destroyed"] == 1
    assert item.properties["processing:level"] == "L4"
    assert item.properties["processing:expression"] == {
        "format": "stac-mlm",
        "expression": "../../../models/models/toy/toy.json",
    }
    sources_named = {link.title: link.extra_fields.get("mlm:name") for link in item.get_links("derived_from")}
    assert sources_named == {"pre": None, "post": None, "toy": "Toy"}
    assert Path(catalogue.asset_path(item, "thumbnail")).stat().st_size > 0
    report = validate(tmp_path / "out", schemas)
    assert report.problems == ()
    assert report.checked == 3


def test_a_constant_network_gives_a_constant_map_to_the_last_pixel(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    def constant(images: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.broadcast_to(
            np.array([0.2, 0.1, 0.1, 0.4, 0.2], np.float32)[:, None, None], (len(images), 5, *images.shape[-2:])
        )

    pre, post = scene(90, 70)
    grid = crop(GRID, slice(0, 90), slice(0, 70))
    sources = Sources(model=model, pre=(place("pre", pre, grid),), post=(place("post", post, grid),))
    for margin in (0, 1, 8):
        options = predict.Options(tiling=Tiling(window=32 + 2 * margin, margin=margin), align=False)
        item = mapped(tmp_path / "out", sources, constant, options)
        assert (band(item, "damage") == 3).all()
        assert (band(item, "probability") == np.array([50, 25, 25, 100, 50])[:, None, None]).all()


def test_a_house_that_lost_two_fifths_of_its_roof_is_major_where_the_network_says_what_is_lost(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item, schemas: Path
) -> None:
    pre, post = scene()
    post[:, 60:76, 80:92] = np.array([220, 90, 40])[:, None, None]
    sources = Sources(model=model, pre=(place("pre", pre, date="2010-06-01"),), post=(place("post", post),))
    plain = mapped(tmp_path / "plain", sources)
    assert set(np.unique(band(plain, "damage")[0, 62:74, 82:98])) == {1, 4}
    model.properties["mlm:hyperparameters"] = {"network.lost": True}
    item = mapped(tmp_path / "out", sources)
    wanted = np.zeros(GRID.shape, np.uint8)
    wanted[20:36, 20:44], wanted[60:76, 80:100] = 1, 3
    damage = band(item, "damage")[0]
    assert (damage == wanted).mean() > 0.999
    assert (band(item, "visual")[:, damage == 3].T == (253, 141, 60)).all()
    with rasterio.open(catalogue.asset_path(item, "probability")) as source:
        assert source.descriptions[-1] == "roof-lost"
    with rasterio.open(catalogue.asset_path(item, "damage")) as source:
        assert (source.nodata, source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"]) == (255, "COG")
    table = gpd.read_parquet(catalogue.asset_path(item, "buildings"))
    assert sorted(table["grade"]) == [1, 3]
    again = footprints.traced(Path(catalogue.asset_path(item, "damage")))
    assert set(table.geometry.to_wkb()) == set(again.geometry.to_wkb())  # painting them moves no outline
    assert {path.suffix for path in (tmp_path / "out/predictions/map").iterdir()} == {
        ".json", ".parquet", ".png", ".qml", ".tif",
    }  # fmt: skip
    assert not (tmp_path / "out/predictions/map/graded.tif").exists()
    assert "by the share of it that is" in item.properties["processing:lineage"]
    assert "by the share of it that is" not in plain.properties["processing:lineage"]
    assert validate(tmp_path / "out", schemas).problems == ()


class Convolutions(torch.nn.Module):
    """Sees 7 pixels around each, both dates; gives what a model of the project gives."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(6, 8, 7, padding=3), torch.nn.Tanh(), torch.nn.Conv2d(8, 5, 9, padding=4)
        )

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        out = 4 * self.body(image.flatten(1, 2))
        return {"building": out[:, :1], "damage": out[:, 1:]}


def loaded(module: torch.nn.Module) -> predict.LoadedModel:
    from mage_stac.recipe import Recipe

    return predict.LoadedModel(
        id="toy", model=module.eval(), recipe=Recipe(name="toy"), mean=torch.full((3,), 0.4), std=torch.full((3,), 0.2),
        bands=RGB, gsd=synthetic.GSD,
    )  # fmt: skip


def test_the_window_does_not_show_in_the_probabilities(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    pre, post = scene(150, 170)
    grid = crop(synthetic.geobox(170), slice(0, 150), slice(0, 170))
    sources = Sources(model=model, pre=(place("pre", pre, grid),), post=(place("post", post, grid),))
    network = predict.network_of(loaded(Convolutions()))
    found = [
        band(
            mapped(tmp_path / "out", sources, network, replace(SMALL, tiling=Tiling(window=size, margin=16))),
            "probability",
        )
        for size in (64, 96, 256)
    ]
    assert found[0].std() > 5
    for other in found[1:]:
        assert np.abs(other.astype(int) - found[0]).max() <= 1  # of 250


def test_flips_average_the_four_mirror_images() -> None:
    network = predict.network_of(loaded(Convolutions()), flips=True)
    rng = np.random.default_rng(0)
    images = rng.random((2, 2, 3, 32, 32), dtype=np.float32)
    seen = rng.random((2, 2, 32, 32)) > 0.1
    straight = network(images, seen)
    mirrored = network(np.flip(images, -1).copy(), np.flip(seen, -1).copy())
    assert np.abs(np.flip(mirrored, -1) - straight).max() < 1e-5
    assert np.abs(straight.sum(axis=1) - 1).max() < 1e-5


def test_a_mosaic_of_tiles_is_the_map_of_the_whole(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    pre, post = scene()
    whole = mapped(tmp_path / "whole", Sources(model=model, pre=(place("pre", pre),), post=(place("post", post),)))
    cuts = (slice(0, 50), slice(50, 90), slice(90, 128))
    tiles = tuple(place(f"t{cut.start}", pre[:, :, cut], crop(GRID, slice(0, 96), cut)) for cut in cuts)
    found = mapped(tmp_path / "tiles", Sources(model=model, pre=tiles, post=(place("post", post),)))
    assert (band(found, "probability") == band(whole, "probability")).all()
    assert len(found.get_links("derived_from")) == 5


def test_only_what_both_dates_show_is_mapped_and_nodata_stays_unseen(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    pre, post = scene()
    pre[:, :30, :40] = 0
    post[:, 50:, 110:] = 0
    sources = Sources(
        model=model,
        pre=(place("pre", pre, nodata=0),),
        post=(place("post", post[:, 10:], crop(GRID, slice(10, 96), slice(0, 128)), nodata=0),),
    )
    item = mapped(tmp_path / "out", sources)
    damage = band(item, "damage")[0]
    unseen = (pre == 0).all(axis=0) | (post == 0).all(axis=0)
    assert damage.shape == (86, 128)
    assert ((damage == 255) == unseen[10:]).all()
    assert ((band(item, "probability") == 255).all(axis=0) == unseen[10:]).all()
    assert (band(item, "visual")[:, damage == 255] == 255).all()
    frame = gpd.read_parquet(catalogue.asset_path(item, "buildings"))
    assert sorted(frame["grade"]) == [1, 4]
    assert item.geometry["type"] == "Polygon"
    assert item.bbox != catalogue.read_item(tmp_path / "real/images/pre").bbox


@pytest.mark.parametrize("align", [True, False])
def test_a_shift_is_measured_recorded_and_corrected(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item, align: bool
) -> None:
    pre, post = scene(192, 256, seed=3)
    grid = GeoBox((192, 256), GRID.affine, GRID.crs)
    moved = np.roll(post, (2, -3), axis=(1, 2))
    sources = Sources(model=model, pre=(place("pre", pre, grid),), post=(place("post", moved, grid),))
    item = mapped(tmp_path / "out", sources, options=replace(SMALL, align=align))
    assert item.properties["mage:shift_rows"] == pytest.approx(2, abs=0.1)
    assert item.properties["mage:shift_columns"] == pytest.approx(-3, abs=0.1)
    assert item.properties["mage:shift_confidence"] > 0.5
    assert item.properties["mage:shift_corrected"] is align
    damage = band(item, "damage")[0]
    rim = (damage[20:36, 20:44] == 4).mean()
    assert rim < 0.03 if align else rim > 0.15
    assert ((damage == 255).any()) == align  # two rows and three columns have nothing to show any more


def test_footprints_given_in_another_crs_are_graded(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    import shapely

    pre, post = scene()
    corners = [GRID.affine @ p for p in ((20, 20), (44, 36), (80, 60), (100, 76))]
    boxes = [shapely.box(a[0], b[1], b[0], a[1]) for a, b in (corners[:2], corners[2:])]
    path = tmp_path / "footprints.gpkg"
    gpd.GeoDataFrame({"osm_id": [11, 22]}, geometry=boxes, crs="EPSG:32615").to_crs("EPSG:4326").to_file(path)
    sources = Sources(model=model, pre=(place("pre", pre),), post=(place("post", post),), footprints=path)
    frame = gpd.read_parquet(catalogue.asset_path(mapped(tmp_path / "out", sources), "buildings"))
    assert dict(zip(frame["footprint_id"], frame["grade"], strict=True)) == {"11": 1, "22": 4}
    assert frame.crs == "EPSG:32615"
    gpd.GeoDataFrame({"osm_id": [9]}, geometry=[boxes[0].union(boxes[1])], crs="EPSG:32615").to_file(path, layer="aoi")
    with pytest.raises(AssetError, match="has 2 layers: choose one of footprints, aoi with --layer"):
        mapped(tmp_path / "out", sources)
    frame = gpd.read_parquet(
        catalogue.asset_path(mapped(tmp_path / "out", replace(sources, layer="footprints")), "buildings")
    )
    assert sorted(frame["footprint_id"]) == ["11", "22"]
    frame = gpd.read_parquet(catalogue.asset_path(mapped(tmp_path / "out", replace(sources, layer="aoi")), "buildings"))
    assert list(frame["footprint_id"]) == ["9"]
    elsewhere = tmp_path / "elsewhere.geojson"
    gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326").to_file(elsewhere)
    with pytest.raises(GridError, match="none of the 1 footprints"):
        mapped(tmp_path / "other", replace(sources, footprints=elsewhere))
    assert not list((tmp_path / "other").rglob("*.tif"))


def test_loose_footprints_are_moved_onto_the_houses_and_come_in_other_formats(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item, schemas: Path
) -> None:
    import shapely

    pre, post = scene()
    corners = [GRID.affine @ p for p in ((25, 17), (49, 33), (85, 57), (105, 73))]
    boxes = [shapely.box(a[0], b[1], b[0], a[1]) for a, b in (corners[:2], corners[2:])]
    path = tmp_path / "footprints.geojson"
    gpd.GeoDataFrame(geometry=boxes, crs="EPSG:32615").to_file(path)
    sources = Sources(model=model, pre=(place("pre", pre),), post=(place("post", post),), footprints=path)
    options = replace(SMALL, align=True, formats=("gpkg", "fgb"))
    item = mapped(tmp_path / "out", sources, options=options)
    frame = gpd.read_parquet(catalogue.asset_path(item, "buildings"))
    assert frame["shift_east"].tolist() == pytest.approx([-5 * synthetic.GSD] * 2, abs=0.2)
    assert frame["shift_north"].tolist() == pytest.approx([-3 * synthetic.GSD] * 2, abs=0.2)
    assert item.properties["mage:footprints_moved"] == 2
    for key in ("buildings-gpkg", "buildings-fgb"):
        same = gpd.read_file(catalogue.asset_path(item, key)).sort_values("building_id")
        assert same["grade"].tolist() == frame["grade"].tolist()
        assert same.crs == frame.crs
    assert predict.prediction.completed(tmp_path / "out/predictions/map", ("geojson",)).name == "map"
    item = catalogue.read_item(tmp_path / "out/predictions/map")
    assert len(gpd.read_file(catalogue.asset_path(item, "buildings-geojson"))) == 2
    assert validate(tmp_path / "out", schemas).problems == ()


def test_a_post_image_in_another_crs_and_resolution(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    from rasterio.warp import reproject

    pre, post = scene()
    west, south, east, north = GRID.geographic_extent.boundingbox.bbox
    degrees = GeoBox((120, 110), Affine((east - west) / 110, 0, west, 0, (south - north) / 120, north), "EPSG:4326")
    warped = np.zeros((3, 120, 110), np.uint8)
    reproject(
        post,
        warped,
        src_transform=GRID.affine,
        src_crs="EPSG:32615",
        dst_transform=degrees.affine,
        dst_crs="EPSG:4326",
        resampling=1,
    )
    sources = Sources(model=model, pre=(place("pre", pre),), post=(place("post", warped, degrees, nodata=0),))
    item = mapped(tmp_path / "out", sources)
    damage = band(item, "damage")[0]
    assert damage.shape == GRID.shape
    assert (damage[23:33, 24:40] == 1).all()
    assert (damage[62:74, 83:97] == 4).all()


class Border:
    """Ground on both sides of the border between UTM zones 15 and 16, as an image of either zone shows it."""

    SHAPE = (160, 130)
    HOLE = np.s_[60:90, 75:105]
    """Rows and columns of zone 16's image after, where it shows nothing."""

    def __init__(self, zone: int) -> None:
        self.degrees = pyproj.Transformer.from_crs(f"EPSG:326{zone}", "EPSG:4326", always_xy=True)
        x, y = self.degrees.transform(-90.0, 37.0, direction="INVERSE")
        first = 110 if zone == 15 else 20  # columns of it west of the border
        self.grid = GeoBox(
            self.SHAPE, Affine(0.6, 0, round(x) - first * 0.6, 0, -0.6, round(y) + 48), f"EPSG:326{zone}"
        )

    def places(self) -> np.ndarray:
        """Longitude and latitude (2, rows, columns) of its pixels' centres."""
        columns, rows = np.meshgrid(np.arange(self.SHAPE[1]) + 0.5, np.arange(self.SHAPE[0]) + 0.5)
        return np.stack(self.degrees.transform(*(self.grid.affine @ (columns, rows))))

    def inside(self, places: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Pixels by which places lie within a part of the image; below 0 outside."""
        x, y = ~self.grid.affine @ tuple(self.degrees.transform(*places, direction="INVERSE"))
        return np.minimum.reduce([x - columns.start, columns.stop - x, y - rows.start, rows.stop - y])


def wave(places: np.ndarray, turn: float) -> np.ndarray:
    """What the ground looks like, DN: waves 12 m long, so that a tenth of a pixel shows."""
    east, north = (places[0] + 90) * 111_320 * np.cos(np.radians(37)), (places[1] - 37) * 110_980
    return 128 + 90 * np.sin(2 * np.pi / 12 * (east * np.cos(turn) + north * np.sin(turn)))


def test_a_map_across_the_border_of_two_utm_zones(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    sides = {zone: Border(zone) for zone in (15, 16)}

    def taken(zone: int, turn: float) -> pystac.Item:
        image = np.rint([wave(sides[zone].places(), turn)] * 3).astype(np.uint8)
        if zone == 16 and turn:
            image[(slice(None), *Border.HOLE)] = 0
        return place(f"zone-{zone}-{turn:.0f}", image, sides[zone].grid, nodata=0)

    def both(images: np.ndarray, _: np.ndarray) -> np.ndarray:
        before, after = images[:, 0, 0] / 2, images[:, 1, 0] / 2
        zero = np.zeros_like(before)
        return np.stack([1 - before - after, before, zero, zero, after], axis=1)

    pre, post = (taken(15, 0.0), taken(16, 0.0)), (taken(16, 1.0), taken(15, 1.0))
    item = mapped(tmp_path / "out", Sources(model=model, pre=pre, post=post), both)
    assert item.properties["proj:code"] == "EPSG:32615"
    assert item.bbox[0] < -90 < item.bbox[2]
    with rasterio.open(catalogue.asset_path(item, "probability")) as source:
        found, affine = source.read(), source.transform
    columns, rows = np.meshgrid(np.arange(found.shape[2]) + 0.5, np.arange(found.shape[1]) + 0.5)
    there = np.stack(sides[15].degrees.transform(*(affine @ (columns, rows))))
    west, east = (side.inside(there, slice(0, Border.SHAPE[0]), slice(0, Border.SHAPE[1])) for side in sides.values())
    hole = sides[16].inside(there, *Border.HOLE)
    after = np.maximum(west, np.minimum(east, -hole))  # pixels to what is not observed after, which is all that is not
    assert (found[:, after < -1.5] == 255).all()
    seen = after > 1.5
    assert (found[:, seen] != 255).all()
    assert (seen & (there[0] < -90.0001)).any()
    assert (seen & (there[0] > -89.9999)).any()
    assert (np.abs(after) > 1.5).mean() > 0.9
    assert (hole > 1.5).sum() > 500
    smooth = seen & (np.abs([west, east, hole]) > 1.5).all(axis=0)  # the last pixel of an image has but half a kernel
    for position, turn in ((1, 0.0), (4, 1.0)):
        wanted = wave(there, turn)[smooth] / 255 / 2 * 250
        assert np.abs(found[position][smooth] - wanted).max() < 2  # a tenth of a pixel makes 1.4, a fifth 2.8


def test_no_overlap_and_nothing_observed_are_refused_and_leave_nothing(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    pre, post = scene()
    far = crop(synthetic.geobox(128, 3), slice(0, 96), slice(0, 128))
    with pytest.raises(GridError, match=r"do not overlap: pre covers .*-93.*post west"):
        mapped(tmp_path / "out", Sources(model=model, pre=(place("pre", pre),), post=(place("far", post, far),)))
    pre[:, :, 60:] = 0
    post[:, :, :60] = 0
    halves = Sources(model=model, pre=(place("left", pre, nodata=0),), post=(place("right", post, nodata=0),))
    with pytest.raises(GridError, match="no pixel of the map is observed on both dates"):
        mapped(tmp_path / "out", halves)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_items_that_do_not_fit_the_model(tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item) -> None:
    pre, post = scene()
    one, two = place("pre", pre), place("post", post)
    without = two.clone()
    del without.assets["image"]
    with pytest.raises(AssetError, match="Item post has no asset 'image'; it has: thumbnail, visual"):
        mapped(tmp_path / "out", Sources(model=model, pre=(one,), post=(without,)))
    with pytest.raises(AssetError, match=r"Item pre lacks band nir; it has red, green, blue"):
        predict.publish_map(
            Sources(model=model, pre=(one,), post=(two,)),
            brightness,
            (("red", "nir"), 0.6),
            tmp_path / "out",
            "map",
            SMALL,
        )
    raw = two.clone()
    raw.assets["image"].extra_fields["raster:scale"] = 1.0  # DN, taken for reflectance
    with pytest.raises(
        ModelError, match=r"the image of Item post holds values about \d+, but the model learnt from 0 to 1"
    ):
        mapped(tmp_path / "out", Sources(model=model, pre=(one,), post=(raw,)))
    swapped = two.clone()
    swapped.assets["image"].extra_fields["bands"] = [{"name": name} for name in ("blue", "green", "red")]
    with pytest.raises(AssetError, match="in different places"):
        mapped(tmp_path / "out", Sources(model=model, pre=(one, swapped), post=(two,)))


def test_a_truncated_image_is_named_and_nothing_is_left(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(1, 255, (3, *GRID.shape), dtype=np.uint8)
    sources = Sources(model=model, pre=(place("pre", noise),), post=(place("post", noise),))
    path = Path(catalogue.asset_path(sources.post[0], "image"))
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(AssetError, match=r"asset 'image' of Item post .*image\.tif"):
        mapped(tmp_path / "out", sources)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_a_stop_midway_leaves_what_was_there(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item, stop: type[BaseException]
) -> None:
    pre, post = scene()
    sources = Sources(model=model, pre=(place("pre", pre),), post=(place("post", post),))
    first = mapped(tmp_path / "out", sources)
    before = files(tmp_path / "out")
    calls = 0

    def stopping(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise stop
        return brightness(images, observed)

    one_by_one = replace(SMALL, tiling=Tiling(window=64, margin=8, batch=1))
    for name in ("map", "new"):
        calls = 0
        with pytest.raises(stop):
            predict.publish_map(sources, stopping, TAUGHT, tmp_path / "out", name, one_by_one)
    assert files(tmp_path / "out") == before
    assert first.id == "map"


def files(root: Path) -> dict[Path, bytes]:
    """All but what a stopped run keeps for the next."""
    paths = (path for path in root.rglob("*") if path.is_file() and ".kept" not in path.parent.name)
    return {path: path.read_bytes() for path in paths}


def test_a_stopped_run_goes_on_where_it_was_and_ends_the_same(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    pre, post = (place(name, image) for name, image in zip(("pre", "post"), scene(), strict=True))
    sources = Sources(model=model, pre=(pre,), post=(post,))
    one_by_one = replace(SMALL, tiling=Tiling(window=64, margin=8, batch=1))
    calls, last = 0, 5

    def counted(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt
        return brightness(images, observed)

    with pytest.raises(KeyboardInterrupt):
        mapped(tmp_path / "out", sources, counted, one_by_one)
    assert not list((tmp_path / "out/predictions").glob("map*"))
    calls, last = 0, 100
    again = mapped(tmp_path / "out", sources, counted, one_by_one)
    assert calls == 3  # of six, the second of two rows
    assert sorted(path.name for path in (tmp_path / "out/predictions").iterdir() if path.is_dir()) == ["map"]
    straight = mapped(tmp_path / "straight", sources, counted, one_by_one)
    assert calls == 9
    for key in ("damage", "probability", "visual"):
        assert (band(again, key) == band(straight, key)).all()


def test_workers_of_a_cluster_give_the_same_map_to_the_bit(
    tmp_path: Path, place: Callable[..., pystac.Item], trained: Path
) -> None:
    import dask
    from distributed import LocalCluster

    for name, image in zip(("pre", "post"), scene(), strict=True):
        place(name, image)
    images = tmp_path / "real/images"
    given = (trained, images / "pre", images / "post")
    options = replace(SMALL, tiling=Tiling(window=96, margin=16, batch=1))
    alone = predict.predict(*given, tmp_path / "alone", options=options)
    # Both workers are forked from one process that has imported torch once.
    forkserver.set_forkserver_preload(["distributed", "mage_stac.predict"])
    forkserver.ensure_running()
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as workers,
    ):
        address = workers.scheduler_address
        spread = predict.predict(*given, tmp_path / "spread", options=replace(options, scheduler=address))
    one, two = (catalogue.read_item(folder) for folder in (alone, spread))
    for key in ("damage", "probability"):
        assert (band(one, key) == band(two, key)).all()
    assert band(one, "probability").std() > 0
    assert one.properties["mage:inputs"] == two.properties["mage:inputs"]


def test_a_cluster_that_is_not_there(
    tmp_path: Path, place: Callable[..., pystac.Item], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", "0.5s")
    for name, image in zip(("pre", "post"), scene(), strict=True):
        place(name, image)
    images = tmp_path / "real/images"
    options = replace(SMALL, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(MageStacError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        predict.predict(trained, images / "pre", images / "post", tmp_path / "out", options=options)
    assert files(tmp_path / "out") == {}


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, place: Callable[..., pystac.Item], model: pystac.Item
) -> None:
    """The kernel refuses to let files grow beyond 64 KiB, as a full disk would."""
    pre, post = scene()
    sources = Sources(model=model, pre=(place("pre", pre),), post=(place("post", post),))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    try:
        with pytest.raises(CatalogueError, match="cannot be written"):
            mapped(tmp_path / "out", sources)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("trained"))


def untrained(root: Path, dates: int = 2) -> Path:
    """A model Item as `train` writes it, with random weights."""
    from mage_stac import models
    from mage_stac.models.item import Trained, publish
    from mage_stac.recipe import Network, Recipe

    recipe = Recipe(name="toy", network=Network(encoder="resnet18", decoder=(8, 8), dates=dates))
    torch.manual_seed(0)
    network = models.build(recipe)
    source = catalogue.read_items(synthetic.write(root / "synthetic", scenes=1, size=64))
    return publish(
        Trained(
            id="toy-model", recipe=recipe, weights=network.state_dict(), parameters=1, mean=(0.4,) * 3, std=(0.2,) * 3,
            sources=source, losses=[[1.0] * 4] * 2, validation=[], record={},
        ),
        root / "models",
    )  # fmt: skip


def test_the_verb_from_files_to_catalogue(
    tmp_path: Path,
    place: Callable[..., pystac.Item],
    trained: Path,
    schemas: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pre, post = scene()
    for name, image in (("pre", pre), ("post", post)):
        place(name, image)
    images = tmp_path / "real/images"
    given = {"model": trained.parent, "pre": images / "pre", "post": images / "post/post.json", "out": tmp_path / "out"}
    verb(**given, window=96, margin=16)
    folder = Path(capsys.readouterr().out.strip())
    assert folder.name.startswith("damage-20110524-")
    assert sorted(path.name for path in folder.iterdir()) == [
        "buildings.parquet", f"{folder.name}.json", "damage.qml", "damage.tif", "probability.tif", "thumbnail.png",
        "visual.tif",
    ]  # fmt: skip
    assert validate(tmp_path / "out", schemas).problems == ()
    item = catalogue.read_item(folder)
    assert [link.extra_fields.get("mlm:name") for link in item.get_links("derived_from")] == [None, None, "toy-model"]
    written = folder.stat().st_mtime_ns
    verb(**given, window=96, margin=16, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["item"] == str(folder / f"{folder.name}.json")
    assert {"buildings", "shift_rows", "shift_confidence"} <= set(told)
    assert folder.stat().st_mtime_ns == written  # the same inputs and options: kept
    verb(**given, window=96, margin=8)
    assert folder.stat().st_mtime_ns != written
    written = folder.stat().st_mtime_ns
    stated = images / "post/post.json"
    mended = json.loads(stated.read_text("utf-8"))
    mended["assets"]["image"]["raster:scale"] = 1 / 300
    stated.write_text(json.dumps(mended), "utf-8")
    verb(**given, window=96, margin=8)
    assert folder.stat().st_mtime_ns != written  # the same files, but they mean something else


def test_a_model_of_one_date_maps_one_image(tmp_path: Path, place: Callable[..., pystac.Item]) -> None:
    one = place("pre", scene()[0])
    single = untrained(tmp_path / "single", dates=1)
    maps = [
        predict.predict(single, [one], post, tmp_path / "out", id=name, options=SMALL)
        for name, post in (("alone", None), ("twice", [one]))
    ]
    seen = []
    for folder in maps:
        with rasterio.open(folder / "damage.tif") as source:
            seen.append(source.read(1))
    assert set(np.unique(seen[0])) <= {0, 1}
    np.testing.assert_array_equal(*seen)


def test_what_the_verb_refuses(tmp_path: Path, place: Callable[..., pystac.Item], trained: Path) -> None:
    one, two = place("pre", scene()[0]), place("post", scene()[1], date="2011-06-01")
    with pytest.raises(GridError, match="windows of 64 px with margins of 32"):
        verb(model=trained, pre=tmp_path, post=tmp_path, out=tmp_path / "out", window=64, margin=32)
    with pytest.raises(CatalogueError, match="one of the two dates holds no Items"):
        predict.predict(trained, [], [one], tmp_path / "out")
    with pytest.raises(CatalogueError, match="cannot be a file name"):
        predict.predict(trained, [one], [two], tmp_path / "out", id="../up")
    with pytest.raises(ModelError, match="device 'toaster' cannot be used"):
        predict.predict(trained, [one], [two], tmp_path / "out", options=predict.Options(device="toaster"))
    with pytest.raises(ModelError, match="has no asset 'model'"):
        predict.predict(tmp_path / "real/images/pre", [one], [two], tmp_path / "out")
    with pytest.raises(CatalogueError, match="Item pre is both in pre and in post: give the images of one date each"):
        predict.predict(trained, tmp_path / "real", [one], tmp_path / "out")
    with pytest.raises(CatalogueError, match="model Item toy-model compares two dates: give the images after"):
        predict.predict(trained, [one], None, tmp_path / "out")
    with pytest.raises(CatalogueError, match="post was taken on 2011-05-24, before pre on 2011-06-01: swap them"):
        predict.predict(trained, [two], [one], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_dates_in_order_overlapping_or_unknown_are_taken(place: Callable[..., pystac.Item], model: pystac.Item) -> None:
    image = scene()[0]
    long, day = place("long", image, date="2011-05-01/2011-07-01"), place("day", image, date="2011-06-01")
    undated = place("undated", image)
    undated.datetime = None
    for pre, post in ((long, day), (day, long), (undated, day), (day, undated)):
        predict._check_dates(Sources(model=model, pre=(pre,), post=(post,)))


def test_ctrl_c_ends_the_verb_with_one_line(
    tmp_path: Path,
    place: Callable[..., pystac.Item],
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, image in zip(("pre", "post"), scene(), strict=True):
        place(name, image)
    calls = []

    def interrupted(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return brightness(images, observed)

    monkeypatch.setattr(predict, "network_of", lambda *_, **__: interrupted)
    images = tmp_path / "real/images"
    given = {"model": trained, "pre": images / "pre", "post": images / "post", "out": tmp_path / "out"}
    options = [part for name, path in given.items() for part in (f"--{name}", str(path))]
    monkeypatch.setattr(sys, "argv", ["mage-stac", "predict", *options, "--window=32", "--margin=0", "--batch=1"])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    said = capsys.readouterr()
    assert (stopped.value.code, said.out, len(said.err.splitlines())) == (130, "", 1)
    # Only rows that the next run takes up again may stay, out of sight.
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in left if not path.parent.name.endswith(".kept")]
