"""Chips from a web server on loopback: the file's pixels, many requests in flight, and servers in trouble."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from layers import geobox, raster, stacked, waves, written
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from web import Site, served

from mage_stac import chip_table, loader, remote, samplers
from mage_stac.chip_table import ChipTable
from mage_stac.errors import AssetError
from mage_stac.loader import Access
from mage_stac.reader import Reader
from mage_stac.remote import RemoteReader
from mage_stac.stack import Raster, Stack

pytest.importorskip("async_geotiff", reason="needs mage-stac[remote]")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without waiting."""
    quick = {"init_backoff": timedelta(milliseconds=10), "max_backoff": timedelta(milliseconds=20), "base": 2}
    monkeypatch.setattr(remote, "RETRIES", {**remote.RETRIES, "backoff": quick})


def afar(raster: Raster, site: Site) -> Raster:
    return replace(raster, path=f"{site.url}/{Path(raster.path).name}")


def tiled_file(
    path: Path, image: NDArray[np.generic], grid: GeoBox, *, mask: NDArray[np.bool_] | None = None, **options: Any
) -> None:
    """A GeoTIFF (bands, y, x) of 32 px tiles, written by rasterio alone."""
    bands, height, width = image.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=height, width=width, dtype=image.dtype, crs=str(grid.crs),
        transform=grid.affine, tiled=True, blockxsize=32, blockysize=32, **options,
    ) as target:  # fmt: skip
        target.write(image)
        if mask is not None:
            target.write_mask(mask)


def scenes(site: Site, number: int, size: int = 256) -> ChipTable:
    """A chip index of scenes on the web."""
    stacks = []
    for scene in range(number):
        grid = geobox((size, size), x=600_000 + 10_000 * scene)
        noise = np.random.default_rng(scene).integers(1, 60_000, (1, size, size)).astype(np.uint16)
        one = written(site.folder / f"s{scene}.tif", noise, grid)
        stacks.append(stacked(afar(one, site), name=f"s{scene}"))
    return chip_table.build(stacks, reader=RemoteReader())


def test_a_reader_that_is_gone_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    reader = RemoteReader()
    (thread,) = set(threading.enumerate()) - before
    del reader
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


def names(batches: Iterator[loader.Batch]) -> list[str]:
    with closing(batches):
        return sorted(name for batch in batches for name in batch["item_ids"])


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 3), ("int16", 1), ("uint16", 13), ("float32", 2)])
def test_pixels_are_the_file_s(site: Site, dtype: str, bands: int) -> None:
    grid = geobox((700, 600))
    image = waves(grid, bands=bands, dtype=dtype)
    image[:, 100:200, 30:90] = 0
    one = written(site.folder / "a.tif", image, grid, nodata=0)
    plane = RemoteReader().plane(afar(one, site), slice(50, 650), slice(20, 590))
    expected = Reader().plane(one, slice(50, 650), slice(20, 590))
    np.testing.assert_array_equal(plane.values, expected.values)
    np.testing.assert_array_equal(plane.seen, expected.seen)
    assert all(path == "/a.tif" for path in site.asked)


LAYOUTS = {
    "deflate, bands beside each other": {"compress": "deflate", "predictor": 2, "interleave": "pixel"},
    "deflate, bands apart": {"compress": "deflate", "predictor": 2, "interleave": "band"},
    "LZW, no predictor": {"compress": "lzw", "interleave": "pixel"},
    "zstd": {"compress": "zstd", "predictor": 2},
    "not compressed, the most significant byte first": {"endianness": "BIG"},
    "LERC": {"compress": "lerc_deflate", "max_z_error": 0},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_tiles(site: Site, layout: str) -> None:
    grid = geobox((100, 90))
    image = np.random.default_rng(0).integers(0, 60_000, (4, 100, 90)).astype(np.uint16)
    tiled_file(site.folder / "a.tif", image, grid, **LAYOUTS[layout])
    one = replace(raster("a.tif", grid, bands=4), bands=(4, 2))
    plane = RemoteReader().plane(afar(one, site), slice(10, 95), slice(40, 70))
    np.testing.assert_array_equal(plane.values, image[[3, 1], 10:95, 40:70])
    assert all(path == "/a.tif" for path in site.asked)


@pytest.mark.parametrize("colours", ["ycbcr", "rgb"])
def test_jpeg_with_a_mask(site: Site, colours: str) -> None:
    grid = geobox((100, 90))
    image = waves(grid, bands=3, dtype="uint8")
    mask = np.random.default_rng(0).random((100, 90)) > 0.3
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        tiled_file(site.folder / "a.tif", image, grid, mask=mask, compress="jpeg", photometric=colours)
    one = raster(site.folder / "a.tif", grid, bands=3)
    plane = RemoteReader().plane(afar(one, site), slice(10, 95), slice(40, 70))
    with rasterio.open(one.path) as source:
        np.testing.assert_array_equal(plane.values, source.read()[:, 10:95, 40:70])
    np.testing.assert_array_equal(plane.seen, mask[10:95, 40:70])
    assert all(path == "/a.tif" for path in site.asked)


def test_a_tile_that_is_damaged_is_one_line(site: Site) -> None:
    grid = geobox((100, 90))
    image = np.random.default_rng(0).integers(0, 60_000, (1, 100, 90)).astype(np.uint16)
    tiled_file(site.folder / "a.tif", image, grid, compress="deflate")
    damaged = bytearray((site.folder / "a.tif").read_bytes())
    damaged[-6000:-2000] = b"\xff" * 4000
    (site.folder / "a.tif").write_bytes(damaged)
    with pytest.raises(AssetError, match=r"Item a \(.*a\.tif\) cannot be read: ") as told:
        RemoteReader().plane(afar(raster("a.tif", grid), site), slice(0, 100), slice(0, 90))
    assert "\n" not in str(told.value)


def test_chips_of_a_stream_are_the_file_s_with_many_requests_in_flight(site: Site) -> None:
    table = scenes(site, 6)
    site.delay, site.most = 0.03, 0
    with closing(loader.batches(table, edge=32, batch=16, seed=0)) as stream:
        for batch in itertools.islice(stream, 3):
            for image, box, name in zip(batch["image"], batch["geobox"], batch["item_ids"], strict=True):
                with rasterio.open(site.folder / f"{name}.tif") as source:
                    expected = source.read(window=source.window(*box.boundingbox.bbox))
                np.testing.assert_array_equal(image[0].numpy(), expected)
    assert site.most >= 4


def test_thinned_windows_and_local_files_go_through_rasterio(site: Site) -> None:
    grid = geobox((256, 256))
    one = written(site.folder / "a.tif", np.full((1, 256, 256), 7, np.uint8), grid)
    reader = RemoteReader()
    assert reader.plane(one, slice(0, 9), slice(0, 9)).values.shape == (1, 9, 9)
    assert (reader.plane(afar(one, site), slice(0, 256), slice(0, 256), (64, 64)).values == 7).all()


def test_a_layout_it_does_not_know_goes_through_rasterio(site: Site) -> None:
    grid = geobox((64, 64))
    one = written(site.folder / "a.tif", waves(grid), grid)
    with rasterio.open(one.path) as source:
        profile, values = {**source.profile, "tiled": False, "blockysize": 8, "compress": "lerc"}, source.read()
    with rasterio.open(site.folder / "b.tif", "w", **{**profile, "driver": "GTiff"}) as target:
        target.write(values)
    plain = afar(replace(one, path="b.tif"), site)
    np.testing.assert_array_equal(RemoteReader().plane(plain, slice(0, 64), slice(0, 64)).values, values)


def test_a_server_that_stumbles_is_asked_again(site: Site) -> None:
    table = scenes(site, 1)
    site.failing = 3
    places = samplers.grid(table, 64)
    assert len(names(loader.epoch(table, places, edge=64, batch=4))) == 16


def test_a_server_that_dies_in_mid_epoch_costs_its_own_chips_only(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with served(other) as dying:
        both = chip_table.build([*scenes(site, 1).stacks, *scenes(dying, 1).stacks], reader=RemoteReader())
        twice = [
            Stack(id=name, event="e", geobox=s.geobox, dates=s.dates) for name, s in zip("ab", both.stacks, strict=True)
        ]
    table = replace(both, stacks=tuple(twice))
    places = samplers.grid(table, 64)
    told: list[AssetError] = []
    assert names(loader.epoch(table, places, edge=64, batch=4, access=Access(on_problem=told.append))) == ["a"] * 16
    assert len(told) == 1
    assert "\n" not in str(told[0])
    assert f"asset 'image' of Item s0 ({dying.url}/s0.tif) cannot be read" in str(told[0])


def test_a_server_that_dies_while_it_is_read_costs_what_is_left_only(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with served(other) as dying:
        stacks = [*scenes(site, 2).stacks, *(replace(one, id=f"d{one.id}") for one in scenes(dying, 4).stacks)]
        table = chip_table.build(stacks, reader=RemoteReader())
        begun = len(dying.asked)

        def dies(server: Site) -> None:
            server.dead = len(server.asked) > begun + 6

        dying.happens = dies
        told: list[AssetError] = []
        access = Access(on_problem=told.append, threads=2)
        places = np.random.default_rng(0).permutation(samplers.grid(table, 64))
        delivered = dict.fromkeys((stack.id for stack in stacks), 0)
        for batch in loader.epoch(table, places, edge=64, batch=4, access=access):
            for image, box, name in zip(batch["image"], batch["geobox"], batch["item_ids"], strict=True):
                folder = other if name.startswith("d") else site.folder
                with rasterio.open(folder / f"{name.removeprefix('d')}.tif") as source:
                    expected = source.read(window=source.window(*box.boundingbox.bbox))
                np.testing.assert_array_equal(image[0].numpy(), expected)
                delivered[name] += 1
    assert dying.dead
    assert (delivered["s0"], delivered["s1"]) == (16, 16)
    assert 0 < sum(delivered.values()) - 32 < 64
    assert 1 <= len(told) <= 4
    assert all("cannot be read" in str(problem) and "\n" not in str(problem) for problem in told)


@pytest.mark.parametrize("renewed", [True, False])
def test_the_token_s_hour_ends_in_mid_epoch(site: Site, tmp_path: Path, *, renewed: bool) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with served(other) as free:
        stacks = [
            *scenes(free, 1).stacks,
            *(replace(one, id=f"signed{n}") for n, one in enumerate(scenes(site, 4).stacks)),
        ]
        table = chip_table.build(stacks, reader=RemoteReader())
        begun = len(site.asked)

        def expires(server: Site) -> None:
            server.token = "second" if len(server.asked) > begun + 6 else "first"

        def sign(url: str) -> str:
            return f"{url}?sig={site.token if renewed else 'first'}" if url.startswith(site.url) else url

        site.token, site.happens = "first", expires
        told: list[AssetError] = []
        access = Access(on_problem=told.append, sign=sign, threads=2)
        found = names(loader.epoch(table, samplers.grid(table, 64), edge=64, batch=4, access=access))
    assert site.token == "second"  # noqa: S105 - no secret
    assert found.count("s0") == 16
    if renewed:
        assert told == []
        assert len(found) == 16 * 5
    else:
        assert 16 < len(found) < 16 * 5
        assert 1 <= len(told) <= 4
        assert all("the server refuses it (403): its token has expired" in str(problem) for problem in told)
        assert all("sig=" not in str(problem) for problem in told)


def test_a_file_that_is_cut_short_costs_its_own_chips_only(site: Site) -> None:
    table = scenes(site, 2, size=512)
    whole = (site.folder / "s1.tif").read_bytes()
    (site.folder / "s1.tif").write_bytes(whole[: len(whole) // 2])
    told: list[AssetError] = []
    places = samplers.grid(table, 256)
    assert names(loader.epoch(table, places, edge=256, batch=4, access=Access(on_problem=told.append))) == ["s0"] * 4
    (problem,) = told
    assert "asset 'image' of Item s1" in str(problem)
    with pytest.raises(AssetError, match="Item s1"):
        names(loader.epoch(table, places, edge=256, batch=4))


def test_a_token_whose_hour_is_over_is_renewed(site: Site) -> None:
    table = scenes(site, 1)
    site.token, signed = "first", []

    def sign(url: str) -> str:
        signed.append(url)
        return f"{url}?sig={'first' if len(signed) == 1 else 'second'}"

    reader = RemoteReader(sign)
    raster = table.stacks[0].dates[0][0]
    reader.plane(raster, slice(0, 64), slice(0, 64))
    site.token = "second"  # noqa: S105 - no secret
    assert reader.plane(raster, slice(0, 64), slice(0, 64)).values.shape == (1, 64, 64)
    assert len(signed) == 2


def test_a_token_that_cannot_be_renewed_is_one_line_without_it(site: Site) -> None:
    raster = scenes(site, 1).stacks[0].dates[0][0]
    site.token = "another"  # noqa: S105 - no secret
    signed = RemoteReader(lambda url: f"{url}?sig=worn")
    for reader in (signed, RemoteReader()):
        with pytest.raises(AssetError, match=r"Item s0 .*the server refuses it \(403\): its token has expired") as told:
            reader.plane(raster, slice(0, 64), slice(0, 64))
        assert "worn" not in str(told.value)


def test_an_item_that_contradicts_a_file_on_the_web(site: Site) -> None:
    raster = scenes(site, 1).stacks[0].dates[0][0]
    moved = replace(raster, geobox=geobox((256, 256), x=1_000_000))
    with pytest.raises(AssetError, match="Item s0 contradicts its file"):
        RemoteReader().plane(moved, slice(0, 64), slice(0, 64))
