from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import synthetic
from affine import Affine
from imagery import box, write_raster
from odc.geo.geobox import GeoBox
from pyproj import Geod
from rasterio.windows import Window

from mage_stac import catalogue, cube, pairs
from mage_stac.errors import AssetError, CatalogueError, GridError, RecipeError
from mage_stac.reader import Reader
from mage_stac.recipe import Data

RGB = ("red", "green", "blue")
GREY = np.full((3, 64, 64), 9, np.uint8)
SCALED = {"raster:scale": 1e-4, "raster:offset": -0.1}
NOTHING = np.zeros((64, 64), np.uint8)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=2, size=64)


def rewrite(root: Path, name: str, **changes: object) -> None:
    """Change properties of an Item on disk."""
    path = root / synthetic.COLLECTION / name / f"{name}.json"
    document = catalogue.read_json(path)
    document["properties"].update(changes)
    catalogue.write_json(path, document)


def test_pairs_are_joined_by_their_id(blocks: Path) -> None:
    found = pairs.read([blocks], bands=("blue", "red"), gsd=0.6)
    assert [pair.id for pair in found] == ["blocks-0-00000", "blocks-0-00001"]
    assert found[0].pre.bands == (3, 1)
    assert found[0].pre.scale == pytest.approx(1 / 255)
    assert found[0].post.item_id == "blocks-0-00000-post"
    assert found[0].geobox == synthetic.geobox(64, 0)
    assert found[0].place == "blocks-0-00000"


def test_pairs_of_one_place_share_it(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path, scenes=1, size=64)
    rewrite(root, "blocks-0-00000-pre", **{"synthetic:place": "elm street"})
    assert pairs.read([root], bands=RGB, gsd=0.6)[0].place == "elm street"


def test_pairs_of_one_id_in_two_catalogues_keep_their_own_images_and_labels(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 4)):  # as `render` with the same seed in another style
        for index in range(2):
            grey, label = np.full((3, 64, 64), 50 * value, np.uint8), np.full((64, 64), value, np.uint8)
            synthetic.write_pair(tmp_path / name, f"wind-0-{index}", synthetic.geobox(64, index), grey, grey, label)
        synthetic.index(tmp_path / name)

    def first(path: str) -> int:
        with rasterio.open(path) as source:
            return int(source.read(1)[0, 0])

    def shown(*roots: Path) -> list[tuple[str, int, int, int]]:
        found = pairs.read(roots, bands=RGB, gsd=0.6)
        return [(pair.id, first(pair.pre.path), first(pair.post.path), first(pair.label)) for pair in found]

    both = [(f"wind-0-{index}", 50 * value, 50 * value, value) for index in (0, 1) for value in (1, 4)]
    assert shown(tmp_path / "a", tmp_path / "b") == both
    assert shown(tmp_path / "a", tmp_path / "a" / synthetic.COLLECTION) == both[::2]  # not twice
    children = [{"rel": "child", "href": f"./{name}/catalog.json", "type": "application/json"} for name in "ab"]
    catalogue.write_json(
        tmp_path / "catalog.json",
        {"type": "Catalog", "stac_version": "1.1.0", "id": "both", "description": "Both", "links": children},
    )
    assert shown(tmp_path) == both


def test_another_gsd_is_refused(blocks: Path) -> None:
    with pytest.raises(RecipeError, match=r"blocks-0-00000 has pixels of 0\.6 m but .*data\.gsd = 0\.3"):
        pairs.read([blocks], bands=RGB, gsd=0.3)


def test_a_missing_band_is_named_with_those_that_exist(blocks: Path) -> None:
    with pytest.raises(AssetError, match=r"blocks-0-00000-pre lacks band nir; it has red, green, blue"):
        pairs.read([blocks], bands=("red", "nir"), gsd=0.6)


def test_no_labels_at_all(tmp_path: Path) -> None:
    synthetic.write_image(tmp_path, "x", "pre", GREY, synthetic.geobox(64), "2020-01-01T00:00:00Z")
    synthetic.index(tmp_path)
    with pytest.raises(CatalogueError, match="no labelled pairs"):
        pairs.read([tmp_path], bands=RGB, gsd=0.6)


def test_a_pair_without_its_post_image(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path, scenes=1, size=64)
    rewrite(root, "blocks-0-00000-post", **{"synthetic:phase": "never"})
    with pytest.raises(CatalogueError, match="blocks-0-00000 has a label but no image of phase post"):
        pairs.read([root], bands=RGB, gsd=0.6)


@pytest.mark.parametrize("move", [Affine.translation(0.1, 0), Affine.scale(1.001)])
def test_a_label_on_another_grid(tmp_path: Path, move: Affine) -> None:
    grid = synthetic.geobox(64)
    other = GeoBox(grid.shape, grid.affine @ move, grid.crs)
    images = [
        synthetic.write_image(tmp_path, "p", phase, GREY, grid, "2020-01-01T00:00:00Z") for phase in ("pre", "post")
    ]
    synthetic.write_label(tmp_path, "p", NOTHING, other, images)
    synthetic.index(tmp_path)
    with pytest.raises(GridError, match="'damage' of Item p-label lies on another grid"):
        pairs.read([tmp_path], bands=RGB, gsd=0.6)


def test_held_out_places_are_whole_and_spread_over_the_damage() -> None:
    places = {f"p{i:02d}": i / 20 for i in range(20)}
    kept = pairs.held_out(places, 0.2)
    assert len(kept) == 4
    damage = sorted(places[place] for place in kept)
    assert damage[0] < 0.25
    assert damage[-1] > 0.75
    assert kept == pairs.held_out(dict(reversed(places.items())), 0.2)


@pytest.mark.parametrize(("count", "share", "kept"), [(2, 0.01, 1), (2, 0.99, 1), (5, 0.2, 1), (5, 0.9, 4)])
def test_both_sides_of_a_split_get_a_place(count: int, share: float, kept: int) -> None:
    assert len(pairs.held_out({str(i): 0.0 for i in range(count)}, share)) == kept


def test_one_place_cannot_be_split() -> None:
    with pytest.raises(CatalogueError, match=r"at least two places.*there is 1: .*smaller --size.*holdout = 0"):
        pairs.held_out({"only": 0.5}, 0.2)


def test_unlabelled_images_are_told_apart_by_phase_or_date(blocks: Path, tmp_path: Path) -> None:
    pre, post = pairs.unlabelled(blocks, bands=RGB)
    assert {layer.item_id[-3:] for layer in pre} == {"pre"}
    assert len(pre) == len(post) == 2
    for day in (1, 2, 24, 25):
        name = f"d{day}"
        synthetic.write_image(tmp_path, name, "any", GREY, synthetic.geobox(64), f"2020-01-{day:02d}T00:00:00Z")
        rewrite(tmp_path, f"{name}-any", **{"synthetic:phase": None})
    synthetic.index(tmp_path)
    pre, post = pairs.unlabelled(tmp_path, bands=RGB)
    assert [layer.item_id for layer in pre] == ["d1-any", "d2-any"]
    assert [layer.item_id for layer in post] == ["d24-any", "d25-any"]


def test_what_a_collection_or_an_item_says_of_its_date_counts_more_than_the_middle_of_all() -> None:
    def item(name: str, date: str, collection: str, **told: str) -> pystac.Item:
        return pystac.Item(
            name, None, None, datetime.fromisoformat(date + "T00:00Z"), dict(told), collection=collection
        )

    early, late = item("early", "2022-01-01", "pre"), item("late", "2024-04-20", "pre")
    after = item("after", "2024-05-02", "post")
    assert pairs.by_phase([after, early, late]) == ((early, late), (after,))
    assert pairs.by_phase([after]) == ((), (after,))
    graded = item("graded", "2024-04-20", "graded-pairs", **{"mage:phase": "pre"})
    assert pairs.by_phase([early, after, graded]) == ((early, graded), (after,))


def test_items_of_one_id_in_two_collections_are_told_apart() -> None:
    before, after = (
        pystac.Item("tile-7", None, None, datetime(year, 5, 24, tzinfo=UTC), {}, collection=name)
        for year, name in ((2008, "pre"), (2011, "post"))
    )
    assert pairs.by_phase([after, before]) == ((before,), (after,))
    assert pairs.by_phase([]) == ((), ())


def test_without_a_gsd_the_ground_tells_it_in_degrees_too(tmp_path: Path) -> None:
    step = 5e-6
    grid = GeoBox((64, 64), Affine(step, 0, -94.5, 0, -step, 37.0), "EPSG:4326")
    path = write_raster(tmp_path / "image.tif", GREY, grid)
    item = pystac.Item("i", None, None, datetime(2020, 1, 1, tzinfo=UTC), {})
    item.add_asset("image", pystac.Asset(str(path), extra_fields={"bands": [{"name": name} for name in RGB]}))
    _, _, (width, height) = Geod(ellps="WGS84").inv([-94.5] * 2, [37.0] * 2, [-94.5 + step, -94.5], [37.0, 37.0 - step])
    assert pairs.layer(item, RGB).gsd == pytest.approx((width * height) ** 0.5, rel=1e-3)


def test_an_empty_real_side(tmp_path: Path) -> None:
    synthetic.index(tmp_path)
    with pytest.raises(CatalogueError, match="no real side"):
        pairs.unlabelled(tmp_path, bands=RGB)


def image(folder: Path, dtype: str, **fields: object) -> pystac.Item:
    """An Item whose `image` another tool made, in two bands."""
    path = write_raster(folder / "image.tif", np.ones((2, 8, 8), dtype), box(8, 8))
    item = pystac.Item("i", None, None, datetime(2020, 1, 1, tzinfo=UTC), {})
    item.add_asset("image", pystac.Asset(str(path), extra_fields=dict(fields)))
    return item


@pytest.mark.parametrize(
    ("dtype", "fields", "scale", "offset"),
    [
        ("uint8", {"bands": [{"name": "red"}, {"name": "nir"}]}, 1 / 255, 0.0),
        ("uint16", {"bands": [{"name": "red"}, {"name": "nir"}]}, 1.0, 0.0),
        ("uint16", {"bands": [{"name": "red", **SCALED}, {"name": "nir", **SCALED}]}, 1e-4, -0.1),
        (
            "uint16",
            {
                "eo:bands": [{"name": "B04", "common_name": "red"}, {"name": "B08", "common_name": "nir"}],
                "raster:bands": [{"scale": 1e-4, "offset": -0.1}] * 2,
            },
            1e-4,
            -0.1,
        ),
    ],
)  # fmt: skip
def test_units_and_bands_of_any_age_of_stac(
    dtype: str, fields: dict[str, object], scale: float, offset: float, tmp_path: Path
) -> None:
    item = image(tmp_path, dtype, **fields)
    layer = pairs.layer(item, ("nir", "red"))
    assert (layer.bands, layer.scale, layer.offset, layer.gsd) == ((2, 1), scale, offset, 0.6)
    read, _ = Reader().image(layer, Window(0, 0, 8, 8))
    assert read == pytest.approx(cube.read([item], box(8, 8), bands=layer.bands)[0])


def test_bands_of_two_scales_are_refused(tmp_path: Path) -> None:
    rows = [{"name": "red", "raster:scale": 1e-4}, {"name": "nir", "raster:scale": 2e-4}]
    with pytest.raises(AssetError, match="differ in scale or offset"):
        pairs.layer(image(tmp_path, "uint16", bands=rows), ("red", "nir"))


def test_the_images_of_a_mosaic_have_their_bands_in_one_order(tmp_path: Path) -> None:
    rows = [{"name": "red"}, {"name": "nir"}]
    first, other = (image(tmp_path / name, "uint8", bands=bands) for name, bands in (("a", rows), ("b", rows[::-1])))
    assert pairs.positions([first, first], ("nir",)) == (2,)
    with pytest.raises(AssetError, match=r"have the bands nir in different places, \(2,\) and \(1,\)"):
        pairs.positions([first, other], ("nir",))  # of one id, as two Collections may have


def test_each_date_is_read_in_its_own_bands_and_unit(tmp_path: Path) -> None:
    root = synthetic.write_seen_by_radar(tmp_path, scenes=1)
    with pytest.raises(AssetError, match="lacks band red, green, blue; it has VV"):
        pairs.read([root], bands=RGB, gsd=0.6)
    (pair,) = pairs.read([root], bands=Data(post_bands=("VV",), post_range=(-35, 15)).readings, gsd=0.6)
    assert (pair.pre.bands, pair.pre.scale, pair.pre.offset) == ((1, 2, 3), 1 / 255, 0)
    assert pair.post.bands == (1, 1, 1)
    for decibels, share in ((-35, 0), (15, 1), (-10, 0.5)):
        assert decibels * pair.post.scale + pair.post.offset == pytest.approx(share)


def test_images_of_one_sensor_do_not_stand_for_another_s(tmp_path: Path) -> None:
    synthetic.write_image(tmp_path, "p", "pre", np.full((3, 32, 32), 9, np.uint8), synthetic.geobox(32), "2011-05-01")
    synthetic.index(tmp_path)
    assert pairs.unlabelled(tmp_path, bands=RGB)
    with pytest.raises(CatalogueError, match=r"one side of the event.*different sensors"):
        pairs.unlabelled(tmp_path, bands=Data(post_bands=("VV",)).readings)
