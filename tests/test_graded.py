"""A few graded buildings as training pairs, against shapely and the images themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import synthetic
import torch
from affine import Affine
from imagery import box, index, smooth, write_image
from odc.geo.geobox import GeoBox
from pyproj import Geod
from test_train import TINY, record

from mage_stac import catalogue, graded, models, pairs, tally, train
from mage_stac.errors import AssetError, CatalogueError, ModelError, RecipeError
from mage_stac.recipe import Data
from mage_stac.validate import validate

RGB = ("red", "green", "blue")
SIZE = 300


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of each date, 300 x 300 pixels, the later one brighter."""
    root = tmp_path_factory.mktemp("real")
    for name, day, more in (("before", "01", 0), ("after", "24", 40)):
        write_image(root, name, smooth(SIZE, SIZE) + np.uint8(more), box(SIZE, SIZE))
        path = root / "c" / name / f"{name}.json"
        content = catalogue.read_json(path)
        content["properties"]["datetime"] = f"2020-06-{day}T00:00:00Z"
        catalogue.write_json(path, content)
    index(root)
    return root


def outlines() -> gpd.GeoDataFrame:
    """Four buildings of 12 x 9 m, the first two a metre apart; the last was not graded."""
    west, north = box(SIZE, SIZE).affine.c, box(SIZE, SIZE).affine.f
    corners = ((20, 20), (33, 20), (100, 90), (60, 60))
    shapes = [shapely.box(west + x, north - y - 9, west + x + 12, north - y) for x, y in corners]
    return gpd.GeoDataFrame({"grade": [1, 4, 3, 255]}, geometry=shapes, crs="EPSG:32615")


@pytest.fixture(scope="module")
def gradings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graded") / "graded.geojson"
    outlines().to_crs("EPSG:4326").to_file(path)
    return path


@pytest.fixture(scope="module")
def made(real: Path, gradings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graded.publish_pairs(
        real, graded.Outlines(path=gradings), tmp_path_factory.mktemp("pairs"), bands=RGB, gsd=0.6
    )


def test_the_pairs_are_valid_stac_and_found(made: Path, schemas: Path) -> None:
    assert validate(made, schemas).problems == ()
    found = pairs.read([made], bands=RGB, gsd=0.6)
    assert found
    assert all(pair.real for pair in found)
    assert {link.rel for link in found[0].items[0].links} >= {"derived_from"}


def test_a_file_with_several_layers_is_asked_for_one(real: Path, tmp_path: Path) -> None:
    path = tmp_path / "many.gpkg"
    outlines().to_file(path, layer="graded")
    outlines().assign(grade=2).to_file(path, layer="other")
    with pytest.raises(AssetError, match="--layer"):
        graded.publish_pairs(real, graded.Outlines(path=path), tmp_path / "a", bands=RGB, gsd=0.6)
    one, other = (graded.Outlines(path=path, layer=name) for name in ("graded", "other"))
    assert graded.digest(one) != graded.digest(other)
    found = graded.publish_pairs(real, one, tmp_path / "b", bands=RGB, gsd=0.6)
    counts = tally.index([found], bands=RGB, gsd=0.6).totals()
    assert counts[1] > 0
    assert counts[2] == 0


def test_of_a_map_s_buildings_only_the_sure_ones_are_taken(real: Path, gradings: Path, tmp_path: Path) -> None:
    table = outlines()[:3].assign(grade=[1, 4, 3])
    chances = {1: [0.4, 0.0, 0.3], 2: [0.3, 0.1, 0.2], 3: [0.2, 0.2, 0.45], 4: [0.1, 0.7, 0.05]}
    path = tmp_path / "buildings.parquet"
    table.assign(**{f"probability_{grade}": values for grade, values in chances.items()}).to_parquet(path)
    made = graded.publish_pairs(real, graded.Outlines(path=path, sure=0.6), tmp_path / "p", bands=RGB, gsd=0.6)
    counts = tally.index([made], bands=RGB, gsd=0.6).totals()
    assert counts[1] > 0  # standing: 0.4 + 0.3
    assert counts[4] > 0
    assert counts[3] == 0
    with pytest.raises(AssetError, match="does not say how sure its grades are"):
        graded.publish_pairs(real, graded.Outlines(path=gradings, sure=0.6), tmp_path / "q", bands=RGB, gsd=0.6)


def test_pairs_of_an_earlier_call_are_gone(real: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.gpkg", tmp_path / "second.gpkg"
    outlines()[:1].to_file(first)
    outlines()[2:3].translate(60, -60).to_frame("geometry").assign(grade=4).to_file(second)
    for path, grade in ((first, 1), (second, 4)):
        made = graded.publish_pairs(real, graded.Outlines(path=path), tmp_path / "p", bands=RGB, gsd=0.6)
        totals = tally.index([made], bands=RGB, gsd=0.6).totals()
        assert [value for value in (1, 2, 3, 4) if totals[value]] == [grade]


def test_images_that_can_be_mapped_can_be_graded_too(real: Path, gradings: Path, tmp_path: Path) -> None:
    for gsd in (0.5, 0.72):  # of images of 0.6 m: `predict` maps both on the image's own pixels
        made = graded.publish_pairs(real, graded.Outlines(path=gradings), tmp_path / str(gsd), bands=RGB, gsd=gsd)
        (found, *_) = pairs.read([made], bands=RGB, gsd=gsd)
        assert found.geobox.resolution.x == pytest.approx(0.6)
    with pytest.raises(RecipeError, match=r"data\.gsd = 0\.3"):
        pairs.read([made], bands=RGB, gsd=0.3)


def test_a_neighbour_that_nobody_graded_is_left_open(real: Path, tmp_path: Path) -> None:
    table = outlines()[:2].assign(grade=[1, 255])  # a metre apart: the second lies on the first's apron
    path = tmp_path / "two.gpkg"
    table.to_file(path)
    made = graded.publish_pairs(real, graded.Outlines(path=path), tmp_path / "p", bands=RGB, gsd=0.6)
    (pair,) = pairs.read([made], bands=RGB, gsd=0.6)
    with rasterio.open(pair.label) as source:
        label, transform = source.read(1), source.transform
    rows, columns = np.indices(label.shape)
    x, y = transform @ (columns + 0.5, rows + 0.5)
    graded_one, other = (shapely.contains_xy(shape, x, y) for shape in table.geometry)
    assert (label[graded_one] == 1).all()
    assert (label[other] == 255).all()


def test_labels_hold_grades_aprons_and_nothing_else(made: Path) -> None:
    table = outlines()[:3]
    seen = set()
    for pair in pairs.read([made], bands=RGB, gsd=0.6):
        with rasterio.open(pair.label) as source:
            label = source.read(1)
            rows, columns = np.indices(label.shape)
            x, y = source.transform @ (columns + 0.5, rows + 0.5)
        inside = [shapely.contains_xy(shape, x, y) for shape in table.geometry]
        near = shapely.contains_xy(shapely.union_all(table.buffer(graded.APRON - 0.3).to_numpy()), x, y)
        far = ~shapely.contains_xy(shapely.union_all(table.buffer(graded.APRON + 0.3).to_numpy()), x, y)
        for grade, where in zip(table["grade"], inside, strict=True):
            if where.any():
                assert (label[where] == grade).all()
                seen.add(int(grade))
        assert (label[near & ~np.logical_or.reduce(inside)] == 0).all()
        assert (label[far] == 255).all()
    assert seen == {1, 3, 4}


def test_images_keep_their_values(made: Path) -> None:
    pair = pairs.read([made], bands=RGB, gsd=0.6)[0]
    with rasterio.open(pair.pre.path) as source:
        values = source.read() * pair.pre.scale * 255
        column, row = ~box(SIZE, SIZE).affine @ (source.transform.c, source.transform.f)
    row, column = round(row), round(column)
    inside = np.s_[:, : SIZE - row, : SIZE - column]
    expected = smooth(SIZE, SIZE)[:, row : row + values.shape[1], column : column + values.shape[2]]
    np.testing.assert_allclose(values[inside][:, :200, :200], expected[:, :200, :200], atol=1e-2)


def test_a_model_learns_from_graded_buildings_and_goes_on_from_another(
    real: Path, gradings: Path, tmp_path: Path
) -> None:
    blocks = synthetic.write(tmp_path / "blocks", scenes=3, size=96)
    first = train.train(TINY, blocks, tmp_path)
    quick = replace(TINY, name="quick", optimiser=replace(TINY.optimiser, steps=1, learning_rate=1e-9))
    path = train.train(quick, blocks, tmp_path, real=real, graded=graded.Outlines(path=gradings), start=first)
    told = record(path)
    assert any(name.startswith("graded-") for name in told["items"]["training"])
    assert not any(name.startswith("graded-") for name in told["items"]["validation"])
    ours, theirs = (models.load(catalogue.read_item(one)) for one in (path, first))
    torch.testing.assert_close(ours.mean, theirs.mean)
    for key, value in ours.model.named_parameters():
        torch.testing.assert_close(value, dict(theirs.model.named_parameters())[key], atol=1e-6, rtol=0)
    other = replace(quick, network=replace(TINY.network, decoder=(8, 8, 8)))
    with pytest.raises(ModelError, match="another network than the recipe"):
        train.train(other, blocks, tmp_path, start=first)


def test_graded_pairs_are_never_held_out(made: Path, tmp_path: Path) -> None:
    blocks = synthetic.write(tmp_path, scenes=4, size=64)
    training, held = tally.split(tally.index([blocks, made], bands=RGB, gsd=0.6), 0.9)
    assert any(pair.real for pair in training.pairs)
    assert not any(pair.real for pair in held.pairs)


def test_points_rasters_other_places_and_one_date_are_one_line(real: Path, gradings: Path, tmp_path: Path) -> None:
    def fails(kind: type[Exception], message: str, *, where: Path = real, what: Path = gradings) -> None:
        with pytest.raises(kind, match=message):
            graded.publish_pairs(where, graded.Outlines(path=what), tmp_path / "out", bands=RGB, gsd=0.6)

    table = outlines()
    table.set_geometry(table.centroid).to_crs("EPSG:4326").to_file(tmp_path / "points.geojson")
    fails(AssetError, "holds points", what=tmp_path / "points.geojson")
    table.translate(90_000, 0).to_frame("geometry").assign(grade=1).to_crs("EPSG:4326").to_file(
        tmp_path / "far.geojson"
    )
    fails(CatalogueError, "none of its 4 graded buildings lies where", what=tmp_path / "far.geojson")
    write_image(tmp_path / "one", "a", smooth(64, 64), box(64, 64))
    index(tmp_path / "one")
    fails(CatalogueError, "images of one date only", where=tmp_path / "one")
    with pytest.raises(CatalogueError, match="give --real"):
        train.train(TINY, tmp_path, tmp_path / "m", graded=graded.Outlines(path=gradings))


def test_an_apron_is_in_metres_where_the_grid_is_in_degrees() -> None:
    step, edge = 5e-6, -94.5 + 40 * 5e-6
    part = GeoBox((64, 64), Affine(step, 0, -94.5, 0, -step, 37.0), "EPSG:4326")
    house = np.array([shapely.box(edge - 20 * step, 37 - 40 * step, edge, 37 - 20 * step)], dtype=object)
    label = graded.label(part, house, np.array([4]))
    east = edge + (np.arange(24) + 0.5) * step
    away = Geod(ellps="WGS84").inv(np.full(24, edge), np.full(24, 37.0), east, np.full(24, 37.0))[2]
    pixel = away[1] - away[0]
    assert (label[30, 40:][away < graded.APRON - pixel] == 0).all()
    assert (label[30, 40:][away > graded.APRON + pixel] == 255).all()
    assert (label[20:40, 20:40] == 4).all()


def test_a_real_side_without_images_is_one_line(gradings: Path, tmp_path: Path) -> None:
    catalogue.index(tmp_path / "real", id="real", title="Real", collections={})
    with pytest.raises(CatalogueError, match="no real side"):
        graded.publish_pairs(tmp_path / "real", graded.Outlines(path=gradings), tmp_path / "out", bands=RGB, gsd=0.6)


def test_decibels_come_back_as_they_were(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-30, 10, (1, 64, 64)).astype(np.float32)
    grid, sides = synthetic.geobox(64), []
    for phase, image, sensor in (
        ("pre", np.full((3, 64, 64), 90, np.uint8), None),
        ("post", values, synthetic.radar()),
    ):
        sides.append([synthetic.write_image(tmp_path / "real", "p", phase, image, grid, "2011-05-01", sensor)])
    dates = Data(post_bands=("VV",), post_range=(-35, 15)).readings
    graded.write_pair(tmp_path / "out", "one", grid, sides, dates, np.ones((64, 64), np.uint8))
    graded.index(tmp_path / "out", "test")
    (pair,) = pairs.read([tmp_path / "out"], bands=dates, gsd=0.6)
    with rasterio.open(pair.post.path) as source:
        shares = source.read(1) * pair.post.scale + pair.post.offset
    np.testing.assert_allclose(shares * 50 - 35, values[0], atol=50 / 65535)  # a step of 16 bits
