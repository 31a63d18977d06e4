from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac import classes, cog
from mage_stac.errors import CatalogueError, GridError


def box(rows: int, columns: int) -> GeoBox:
    return GeoBox((rows, columns), Affine(0.6, 0, 500_000, 0, -0.6, 4_100_000), "EPSG:32615")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape, dtype="uint8")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_what_was_written_is_read_back(tmp_path: Path, dtype: str) -> None:
    array = noise(2, 700, 600).astype(dtype)
    cog.write_cog(tmp_path / "a.tif", array, box(700, 600), nodata=0, descriptions=["one", "two"])
    with rasterio.open(tmp_path / "a.tif") as source:
        assert (source.read() == array).all()
        assert source.transform == box(700, 600).affine
        assert source.crs == "EPSG:32615"
        assert (source.nodata, source.descriptions) == (0, ("one", "two"))
        assert source.overviews(1) == [2]
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_four_bytes_are_no_mask(tmp_path: Path) -> None:
    cog.write_cog(tmp_path / "a.tif", np.zeros((4, 8, 8), "uint8"), box(8, 8))
    with rasterio.open(tmp_path / "a.tif") as source:
        assert source.dataset_mask().all()


def test_three_bytes_are_a_picture(tmp_path: Path) -> None:
    cog.write_cog(tmp_path / "a.tif", noise(3, 8, 8), box(8, 8))
    with rasterio.open(tmp_path / "a.tif") as source:
        assert [colour.name for colour in source.colorinterp] == ["red", "green", "blue"]


def test_class_rasters_have_colours_and_overviews_of_classes(tmp_path: Path) -> None:
    array = noise(1030, 520) % 5
    table = classes.colour_table(classes.DAMAGE_CLASSES)
    cog.write_cog(tmp_path / "a.tif", array, box(1030, 520), nodata=255, colours=table)
    with rasterio.open(tmp_path / "a.tif") as source:
        assert source.colormap(1)[4][:3] == (0xD7, 0x19, 0x1C)
        small = source.read(1, out_shape=(515, 260))
    assert set(np.unique(small)) <= set(range(5))


def test_windows_in_any_order_and_holes_are_nodata(tmp_path: Path) -> None:
    array = noise(40, 50)
    with cog.stream_cog(tmp_path / "a.tif", box(40, 50), dtype="uint8", nodata=255) as writer:
        writer.write(array[20:40], 20, 0)
        writer.write(array[np.newaxis, :20, :30], 0, 0)
    with rasterio.open(tmp_path / "a.tif") as source:
        back = source.read(1)
    assert (back[20:] == array[20:]).all()
    assert (back[:20, :30] == array[:20, :30]).all()
    assert (back[:20, 30:] == 255).all()


@pytest.mark.parametrize(("row", "col", "shape"), [(-1, 0, (4, 4)), (0, 7, (4, 4)), (6, 0, (3, 4)), (0, 0, (2, 4, 4))])
def test_a_window_outside_is_refused(tmp_path: Path, row: int, col: int, shape: tuple[int, ...]) -> None:
    with (
        pytest.raises(GridError, match="does not fit"),
        cog.stream_cog(tmp_path / "a.tif", box(8, 8), dtype="uint8") as writer,
    ):
        writer.write(np.zeros(shape, "uint8"), row, col)
    assert not list(tmp_path.iterdir())
    with pytest.raises(GridError, match="does not fit"):
        cog.write_cog(tmp_path / "a.tif", np.zeros((4, 4), "uint8"), box(8, 8))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    cog.write_cog(tmp_path / "a.tif", noise(8, 8), box(8, 8))
    before = (tmp_path / "a.tif").read_bytes()

    def half() -> None:
        with cog.stream_cog(tmp_path / "a.tif", box(8, 8), dtype="uint8") as writer:
            writer.write(np.zeros((4, 4), "uint8"), 0, 0)
            raise error

    with pytest.raises(error):
        half()
    assert (tmp_path / "a.tif").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_seen_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CatalogueError, match=r"a\.tif cannot be written: no space left"):
        cog.write_cog(tmp_path / "a.tif", noise(8, 8), box(8, 8))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A file system too small for a COG of noise; its size in KiB."""
    folder, size = tmp_path / "disk", 900
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder, size
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("side", [400, 560, 600, 640, 900])
def test_a_full_disk_seen_by_gdal(small_disk: tuple[Path, int], side: int) -> None:
    folder, size = small_disk
    array = noise(2, side, side)  # incompressible: 2 side^2 bytes, twice while it is made
    fits = array.nbytes * 2.3 < size * 1024
    with nullcontext() if fits else pytest.raises(CatalogueError, match="no space left"):
        cog.write_cog(folder / "a.tif", array, box(side, side))
    assert [path.name for path in folder.iterdir()] == (["a.tif"] if fits else [])


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="needs a disk of no size")
def test_a_folder_that_may_not_be_written_is_no_full_disk() -> None:
    assert shutil.disk_usage("/sys").free == 0  # which alone would read as full
    with pytest.raises(OSError, match=r".") as refused, Path("/sys/p.png").open("wb"):
        pass
    with pytest.raises(CatalogueError) as told, cog.writing(Path("/sys/p.png")), Path("/sys/p.png").open("wb"):
        pass
    assert str(told.value) == f"/sys/p.png cannot be written: {refused.value.strerror}; write elsewhere with --out"
    with pytest.raises(CatalogueError, match=r"p\.tif cannot be written") as by_gdal:
        cog.write_cog("/sys/p.tif", noise(1, 8, 8), box(8, 8))
    assert "no space" not in str(by_gdal.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [(errno.EROFS, "Read-only file system; write elsewhere"), (errno.ENOSPC, "no space left"), (None, "no space left")],
)
def test_what_the_system_says_goes_before_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, said: str
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    error = OSError("of GDAL") if code is None else OSError(code, os.strerror(code))
    with pytest.raises(CatalogueError, match=f"a.tif cannot be written: {said}"), cog.writing(tmp_path / "a.tif"):
        raise error


def test_a_truncated_result_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL 3.10 may close a file cut short by a full disk without an error."""
    real = rasterio.shutil.copy

    def short(source: Path, target: Path, **options: object) -> None:
        real(source, target, **options)
        data = target.read_bytes()
        target.write_bytes(data[: len(data) * 9 // 10])

    monkeypatch.setattr(rasterio.shutil, "copy", short)
    with pytest.raises(CatalogueError, match="cannot be written"):
        cog.write_cog(tmp_path / "a.tif", noise(3, 600, 600), box(600, 600))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be written"):
        cog.write_cog(tmp_path / "no" / "a.tif", noise(8, 8), box(8, 8))


def test_a_name_that_is_a_pattern_too_leaves_nothing_beside(tmp_path: Path) -> None:
    cog.write_cog(tmp_path / "a[1].tif", np.ones((8, 8), np.uint8), box(8, 8))
    assert [path.name for path in tmp_path.iterdir()] == ["a[1].tif"]


def test_a_file_of_a_longer_name_may_be_under_way_beside(tmp_path: Path) -> None:
    with cog.stream_cog(tmp_path / "a.b.tif", box(8, 8), dtype="uint8") as longer:
        cog.write_cog(tmp_path / "a.tif", np.ones((8, 8), np.uint8), box(8, 8))
        longer.write(np.full((8, 8), 7, np.uint8), 0, 0)
    with rasterio.open(tmp_path / "a.b.tif") as source:
        assert (source.read() == 7).all()
