"""Chips per CPU-second, side by side: ours, torchgeo, odc-stac, stackstac, rasterio, memmap. Pixels are checked.

    uv venv --python 3.11 .venv-peers
    uv pip install --python .venv-peers/bin/python -e '.[train,remote,stackstac]' torchgeo==0.8.1 'zarr>=3.1'
    GDAL_CACHEMAX=64 .venv-peers/bin/python benchmarks/loader.py

Files: two scenes of 4096² px, 4 bands of uint16 (smooth ground and noise, 5 % nodata), written by our own COG writer.
Ours, rasterio and torchgeo draw from 64 hard links of them, so that GDAL's cache holds next to nothing of what comes
next; of two scenes, a round of 256 of our chips decodes most blocks once for several chips: that has its own row.
Rounds are interleaved, so a busy machine is busy for all; figures are medians over the rounds, CPU-seconds those of all
threads. A turn of ours begins with files closed and ends with nothing read ahead. GDAL_CACHEMAX=64, since with GDAL's
default all files fit into the block cache.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window, from_bounds
from scipy.ndimage import gaussian_filter, map_coordinates

from mage_stac import chip_table, loader, publish, samplers, stack, whole
from mage_stac.loader import Access
from mage_stac.samplers import Sampling

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

Bounds = tuple[float, float, float, float]
Chips = Iterator[tuple[NDArray[np.float32], list[Bounds]]]
"""Batches (B, C, H, W) of DN as float32, and where each chip lies."""
Turn = Callable[[], Chips]
"""Begins, and ends, a turn of a loader."""

SCENES, SIZE, BANDS, EDGE, BATCH = 2, 4096, 4, 256, 32
COPIES = 64
REUSE = 8
"""Chips of a window, as recipes have it (recipe.Data.reuse)."""
STEP = 10.0
REMOTE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES"}
"""What GDAL is usually told before it reads from the web."""
STRAY = 60.0
"""Mean DN apart beyond which a chip of another grid is not of its place: the nearest pixel is 45 off, by its noise."""
ZONE, NEXT, FRANCE = "EPSG:32631", "EPSG:32632", "EPSG:2154"
"""UTM of the files; the neighbouring zone, turned against it by 4 degrees; Lambert-93, by next to nothing."""


# ---------------------------------------------------------------- the data


def place(number: int) -> GeoBox:
    return GeoBox((SIZE, SIZE), Affine(STEP, 0, 300_000 + SIZE * STEP * number, 0, -STEP, 5_100_000), ZONE)


def picture(number: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(number)
    ground = gaussian_filter(rng.normal(0, 1, (SIZE // 4, SIZE // 4)), 3).repeat(4, 0).repeat(4, 1)
    ground = gaussian_filter(ground, 2) / ground.std()
    bands = [3000 + 900 * ground * (1 + band / 4) + rng.normal(0, 40, ground.shape) for band in range(BANDS)]
    image = np.stack(bands).clip(1, 10_000).astype(np.uint16)
    image[:, : SIZE // 20] = 0
    return image


def written(folder: Path) -> None:
    """Each scene as one file, one file a band (stackstac knows no other), and bare pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(SCENES):
        bare = folder / f"s{number}.npy"
        if bare.exists():
            continue
        image = picture(number)
        files = {folder / f"s{number}-{band}.tif": image[band] for band in range(BANDS)}
        for path, array in {folder / f"s{number}.tif": image, **files}.items():
            if not path.exists():
                publish.write_cog(path, array, place(number), nodata=0)
        np.save(bare, image)


def items(root: str) -> list[pystac.Item]:
    return [item(f"{root}/s{number}.tif", number) for number in range(SCENES)]


def item(path: str, number: int) -> pystac.Item:
    box = place(number)
    made = pystac.Item(
        id=f"s{number}", geometry=box.geographic_extent.json, bbox=list(box.geographic_extent.boundingbox.bbox),
        datetime=pystac.utils.str_to_datetime("2024-06-01T00:00:00Z"),
        properties={**publish.grid_fields(box)},
    )  # fmt: skip
    asset = pystac.Asset(path, media_type=pystac.MediaType.COG)
    asset.extra_fields["bands"] = [{"name": f"b{n}", "nodata": 0, "data_type": "uint16"} for n in range(1, BANDS + 1)]
    made.add_asset("image", asset)
    for band in range(BANDS):
        single = pystac.Asset(path.replace(".tif", f"-{band}.tif"), media_type=pystac.MediaType.COG)
        made.add_asset(f"b{band}", single)
    return made


def many(folder: Path) -> list[pystac.Item]:
    """COPIES scenes more by hard links: so many that independent chips of a round hardly ever share a block."""
    made = []
    for copy in range(COPIES):
        number = copy % SCENES
        link = folder / f"copy{copy}.tif"
        if not link.exists():
            link.hardlink_to(folder / f"s{number}.tif")
        one = item(str(link), number)
        one.id = f"copy{copy}"
        made.append(one)
    return made


def spread(table: chip_table.ChipTable, stacks: list[stack.Stack]) -> chip_table.ChipTable:
    """The index of COPIES stacks that show what the table's show, in turn."""
    per = [np.flatnonzero(table.cells[:, 0] == copy % SCENES) for copy in range(COPIES)]
    cells = table.cells[np.concatenate(per)]
    cells[:, 0] = np.repeat(np.arange(COPIES), [len(rows) for rows in per])
    return chip_table.ChipTable(
        stacks=stacks,
        cells=cells,
        seen=np.concatenate([table.seen[rows] for rows in per]),
        spots=np.concatenate([table.spots[rows] for rows in per]),
        counts=np.concatenate([table.counts[rows] for rows in per]),
        classes=(),
    )


# ---------------------------------------------------------------- the loaders


def ours(table: chip_table.ChipTable, chips: int, reuse: int = 1, **access: Any) -> Turn:
    """A turn draws anew and ends with its last chip: nothing is read ahead into the turns of the others."""
    turns = itertools.count()

    def turn() -> Chips:
        rng = np.random.default_rng([0, next(turns)])
        sampling = Sampling(reuse=reuse)
        size = samplers.round_of(sampling, EDGE, loader.BUFFER)
        drawn = [samplers.draw(table, sampling, rng, size, EDGE) for _ in range(-(-chips // size))]
        settled = loader.loading(table, EDGE, BATCH, Access(**access), full=True)
        with closing(loader.stream(settled, lambda number: drawn[number] if number < len(drawn) else None)) as stream:
            for batch in stream:
                yield batch["image"].numpy()[:, 0], [tuple(box.boundingbox.bbox) for box in batch["geobox"]]

    return turn


def theirs(chips: Chips, batches: int) -> Turn:
    """A turn of a loader that reads nothing ahead."""
    return lambda: itertools.islice(chips, batches)


def spots(seed: int = 0) -> Iterator[tuple[int, int, int]]:
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(SCENES)), *(int(n) for n in rng.integers(0, SIZE - EDGE, 2))


def chip_box(scene: int, row: int, column: int) -> GeoBox:
    box = place(scene)
    return GeoBox((EDGE, EDGE), box.affine @ Affine.translation(column, row), box.crs)


def one_by_one(read: Callable[[int, int, int], NDArray[Any]], box: Callable[..., GeoBox] = chip_box) -> Chips:
    for some in itertools.batched(spots(), BATCH) if hasattr(itertools, "batched") else _batched(spots()):
        yield (
            np.stack([read(*spot) for spot in some]).astype(np.float32),
            [tuple(box(*spot).boundingbox.bbox) for spot in some],
        )


def _batched(found: Iterator[Any]) -> Iterator[list[Any]]:
    while some := list(itertools.islice(found, BATCH)):
        yield some


def by_rasterio(root: str, threads: int = 1, files: int = 0, *, apart: bool = False) -> Chips:
    """Of so many hard links, or of the scenes themselves, or `apart` of their bands' own files."""
    handles: dict[tuple[str, int], Any] = {}
    turns = itertools.count()

    def read(scene: int, row: int, column: int, worker: int = 0) -> NDArray[Any]:
        name = f"copy{(SCENES * next(turns) + scene) % files}" if files else f"s{scene}"
        parts = []
        with rasterio.Env(**REMOTE):
            for path in [f"{root}/{name}-{band}.tif" for band in range(BANDS)] if apart else [f"{root}/{name}.tif"]:
                if (path, worker) not in handles:
                    handles[path, worker] = rasterio.open(path)
                parts.append(handles[path, worker].read(window=Window(column, row, EDGE, EDGE)))
        return np.concatenate(parts) if apart else parts[0]

    if threads == 1:
        yield from one_by_one(read)
    pools = [ThreadPoolExecutor(1) for _ in range(threads)]
    for some in _batched(spots()):
        futures = [pools[n % threads].submit(read, *spot, n % threads) for n, spot in enumerate(some)]
        yield (
            np.stack([future.result() for future in futures]).astype(np.float32),
            [tuple(chip_box(*spot).boundingbox.bbox) for spot in some],
        )


def by_memmap(folder: Path) -> Chips:
    """The limit: bare pixels, straight into one array that is used again."""
    maps = [np.load(folder / f"s{number}.npy", mmap_mode="r") for number in range(SCENES)]
    images = np.empty((BATCH, BANDS, EDGE, EDGE), np.float32)
    for some in _batched(spots()):
        for image, (scene, row, column) in zip(images, some, strict=True):
            image[:] = maps[scene][:, row : row + EDGE, column : column + EDGE]
        yield images, [tuple(chip_box(*spot).boundingbox.bbox) for spot in some]


def by_zarr(folder: Path, *, packed: bool) -> Chips:
    """A sharded zarr v3 array of each scene: chunks of a chip's size, 16 to a shard; zstd (zarr's default) or bare."""
    import zarr

    arrays = []
    for number in range(SCENES):
        store = folder / f"s{number}-{'packed' if packed else 'bare'}.zarr"
        if not store.exists():
            made = zarr.create_array(
                store, shape=(BANDS, SIZE, SIZE), chunks=(BANDS, EDGE, EDGE), shards=(BANDS, 4 * EDGE, 4 * EDGE),
                dtype="uint16", zarr_format=3, compressors="auto" if packed else None,
            )  # fmt: skip
            made[:] = np.load(folder / f"s{number}.npy", mmap_mode="r")
        arrays.append(zarr.open_array(store, mode="r"))
    return one_by_one(lambda scene, row, column: arrays[scene][:, row : row + EDGE, column : column + EDGE])


def by_odc(root: str, box: Callable[..., GeoBox] = chip_box) -> Chips:
    import odc.stac

    found = items(root)
    bands = [f"image.{n}" for n in range(1, BANDS + 1)]

    def read(scene: int, row: int, column: int) -> NDArray[Any]:
        near = found if box is not chip_box else [found[scene]]
        return odc.stac.load(
            near, bands=bands, geobox=box(scene, row, column), groupby=lambda *_: 0, resampling="bilinear",
            dtype="uint16", nodata=0,
        ).to_array().values[:, 0]  # fmt: skip

    return one_by_one(read, box)


def by_stackstac(root: str) -> Chips:
    import stackstac

    lazy = [
        stackstac.stack(
            [one], assets=[f"b{n}" for n in range(BANDS)], epsg=32631, resolution=STEP,
            bounds=tuple(place(number).boundingbox.bbox), dtype="uint16", fill_value=np.uint16(0), rescale=False,
            xy_coords="center", snap_bounds=False, chunksize=512,
        )[0]
        for number, one in enumerate(items(root))
    ]  # fmt: skip

    def read(scene: int, row: int, column: int) -> NDArray[Any]:
        part = lazy[scene].isel(y=slice(row, row + EDGE), x=slice(column, column + EDGE))
        return part.compute(scheduler="single-threaded").values

    return one_by_one(read)


def by_torchgeo(root: str, crs: str | None = None) -> Chips:
    """A dataset for each link, all at once open and in turn: of links that lie on each other it would read all."""
    from pyproj import CRS
    from torchgeo.datasets import RasterDataset
    from torchgeo.samplers import RandomGeoSampler

    class Scene(RasterDataset):
        filename_glob = "*.tif"

    known = CRS.from_user_input(crs) if crs else None
    data = [Scene(f"{root}/copy{copy}.tif", crs=known, res=STEP) for copy in range(COPIES)]
    queries = [iter(RandomGeoSampler(one, size=EDGE, length=10**6)) for one in data]
    turns = itertools.cycle(zip(data, queries, strict=True))
    while True:
        some = [(one, next(query)) for one, query in itertools.islice(turns, BATCH)]
        images = np.stack([one[query]["image"].numpy() for one, query in some])
        yield images, [(q[0].start, q[1].start, q[0].stop, q[1].stop) for _, q in some]


def moved(scene: int, row: int, column: int) -> GeoBox:
    """A chip of the neighbouring zone's grid."""
    return GeoBox((EDGE, EDGE), target(scene).affine @ Affine.translation(column, row), NEXT)


def target(scene: int, crs: str = NEXT) -> GeoBox:
    """The scene's area on the next zone's grid (or another), which cuts off its turned corners."""
    box = place(scene).extent.to_crs(crs).boundingbox
    x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    half = STEP * SIZE / 2
    return GeoBox((SIZE, SIZE), Affine(STEP, 0, x - half, 0, -STEP, y + half), crs)


def by_vrt(root: str) -> Chips:
    def read(scene: int, row: int, column: int) -> NDArray[Any]:
        box = moved(scene, row, column)
        if scene not in files:
            files[scene] = rasterio.open(f"{root}/s{scene}.tif")
        with WarpedVRT(
            files[scene], crs=NEXT, transform=box.affine, width=EDGE, height=EDGE,
            resampling=rasterio.enums.Resampling.bilinear,
        ) as warped:  # fmt: skip
            return warped.read()

    files: dict[int, Any] = {}
    return one_by_one(read, moved)


# ---------------------------------------------------------------- measuring


def measured(loaders: dict[str, Turn], rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median chips per second by the wall, and per CPU-second of this process, over interleaved rounds."""
    clocks = (time.perf_counter, time.process_time)
    rates: dict[str, list[list[float]]] = {name: [] for name in loaders}
    for _ in range(rounds):
        for name, turn in loaders.items():
            started = [clock() for clock in clocks]
            number = sum(len(images) for images, _ in turn())
            rates[name].append([number / (clock() - start) for clock, start in zip(clocks, started, strict=True)])
    wall, busy = ({name: statistics.median(row[at] for row in found) for name, found in rates.items()} for at in (0, 1))
    return wall, busy


def checked(loaders: dict[str, Turn], folder: Path) -> None:
    """Every loader's chips are the file's pixels; torchgeo's windows ignore the pixels' edges, so it may be off by one.

    It warms up, too.
    """
    files = [rasterio.open(folder / f"s{number}.tif") for number in range(SCENES)]
    left = [one.bounds.left for one in files]
    for name, turn in loaders.items():
        room = 1 if "torchgeo" in name else 0
        images, boxes = next(itertools.islice(turn(), 1))
        for image, box in list(zip(images, boxes, strict=True))[:8]:
            source = files[max(0, int(np.searchsorted(left, box[0] + 1, side="right")) - 1)]
            if box[2] > source.bounds.right:
                continue  # torchgeo draws across the border of two scenes
            window = from_bounds(*box, source.transform)
            row, column = round(window.row_off), round(window.col_off)
            same = any(
                np.array_equal(
                    source.read(window=Window(column + x, row + y, EDGE, EDGE), boundless=bool(room), fill_value=0),
                    image,
                )
                for y in range(-room, room + 1)
                for x in range(-room, room + 1)
            )
            if not same:
                raise SystemExit(f"{name}: pixels differ from the file's")


def by_gdal(box: GeoBox, folder: Path, **options: Any) -> NDArray[np.float32]:
    """The first scene that observed a pixel of a grid, warped by GDAL; NaN for nodata."""
    values = np.full((BANDS, *box.shape), np.nan, np.float32)
    for number in range(SCENES):
        with (
            rasterio.open(folder / f"s{number}.tif") as source,
            WarpedVRT(
                source, crs=str(box.crs), transform=box.affine, width=box.shape[1], height=box.shape[0],
                resampling=rasterio.enums.Resampling.bilinear, dtype="float32", **options,
            ) as warped,
        ):  # fmt: skip
            found = warped.read()
        found[:, (found == 0).all(axis=0)] = np.nan
        np.copyto(values, found, where=np.isnan(values))
    return values


def exact(box: GeoBox, folder: Path) -> NDArray[np.float32]:
    """The same without GDAL: pyproj places every pixel's centre, scipy weighs the four pixels around it.

    Nodata have no weight; a pixel is nodata where the one under its centre is.
    """
    from pyproj import Transformer

    rows, columns = np.indices(box.shape) + 0.5
    x, y = box.affine @ (columns, rows)
    values = np.full((BANDS, *box.shape), np.nan, np.float32)
    for number in range(SCENES):
        to_scene = Transformer.from_crs(str(box.crs), ZONE, always_xy=True)
        column, row = ~place(number).affine @ to_scene.transform(x, y)
        image = np.load(folder / f"s{number}.npy", mmap_mode="r")
        under = np.stack([np.floor(row), np.floor(column)]).astype(int)
        inside = ((under >= 0) & (under < SIZE)).all(axis=0)
        if not inside.any():
            continue
        top, left = (max(0, int(part[inside].min()) - 1) for part in under)
        near = np.asarray(image[:, top : under[0][inside].max() + 2, left : under[1][inside].max() + 2], np.float64)
        seen = (near != 0).any(axis=0)
        inside[inside] = seen[tuple(part[inside] - low for part, low in zip(under, (top, left), strict=True))]
        at = np.stack([row - 0.5 - top, column - 0.5 - left])
        weight = map_coordinates(seen.astype(np.float64), at, order=1)
        for band, pixels in zip(values, near, strict=True):
            found = map_coordinates(np.where(seen, pixels, 0), at, order=1) / np.where(weight > 0, weight, np.nan)
            np.copyto(band, found, where=inside & np.isnan(band), casting="unsafe")
    return values


def on_grid(folder: Path, crs: str) -> chip_table.ChipTable:
    """The chip index of the scenes as mosaics on their grids of another system."""
    stacks = [stack.on_grid([items(str(folder))], target(number, crs)) for number in range(SCENES)]
    return chip_table.build(stacks, saved=folder / f"{crs[5:]}.npz")


def told_apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    both = ~np.isnan(one) & ~np.isnan(other)
    return np.abs(one - other)[both]


def close_to_others(table: chip_table.ChipTable, root: str, title: str) -> None:
    """Chips of another grid by us, odc-stac and GDAL, from the exact ones in DN; stops where nodata differ."""
    import odc.stac

    apart: dict[str, list[NDArray[np.float32]]] = {}
    differ, pixels = 0, 0
    with closing(loader.batches(table, edge=EDGE, batch=8, seed=1)) as stream:
        batch = next(stream)
    for image, valid, box in zip(batch["image"], batch["valid"], batch["geobox"], strict=True):
        true = exact(box, Path(root))
        made = {
            "ours": np.where(valid.numpy(), image[0].numpy(), np.nan),
            "odc-stac": odc.stac.load(
                items(root), bands=[f"image.{n}" for n in range(1, BANDS + 1)], geobox=box, groupby=lambda *_: 0,
                resampling="bilinear", dtype="float32", nodata=float("nan"),
            ).to_array().values[:, 0],
            "GDAL, its defaults": by_gdal(box, Path(root)),
            "GDAL, kernel not widened": by_gdal(box, Path(root), XSCALE=1, YSCALE=1),
        }  # fmt: skip
        for name, values in made.items():
            apart.setdefault(f"{name} - exact", []).append(told_apart(values, true))
        apart.setdefault("ours - odc-stac", []).append(told_apart(made["ours"], made["odc-stac"]))
        differ += int((np.isnan(true[0]) == valid.numpy()).sum())
        pixels += valid.numel()
    print(f"\nreprojected, {title}: nodata differ from the exact in {differ} of {pixels} px; DN apart:")
    for name, parts in apart.items():
        every = np.concatenate(parts)
        print(
            f"  {name:34s} median {np.median(every):6.3f}  mean {every.mean():6.3f}  99.9 %"
            f" {np.percentile(every, 99.9):6.2f}  largest {every.max():6.2f}"
            f"  more than 2 DN {100 * (every > 2).mean():6.2f} %",
            flush=True,
        )
    if differ > pixels / 1000:
        raise SystemExit("reprojected: nodata differ")


def placed(loaders: dict[str, Turn], folder: Path) -> None:
    """Every loader's chips of the other grid show what lies there: stops where one is off by more than its kernel can.

    Ground varies by 900 DN, noise by 40 from pixel to pixel. It warms up, too: two batches of torchgeo open all files.
    """
    for name, turn in loaders.items():
        apart = []
        for images, boxes in (*itertools.islice(turn(), 2), *itertools.islice(turn(), 1)):
            for image, box in list(zip(images, boxes, strict=True))[:2]:
                left, bottom, right, top = box
                size = Affine((right - left) / EDGE, 0, left, 0, (bottom - top) / EDGE, top)
                true = exact(GeoBox((EDGE, EDGE), size, NEXT), folder)
                apart.append(told_apart(np.where((image != 0).all(axis=0), image, np.nan), true))
        every = np.concatenate(apart)
        print(f"  {name:38s} {every.size} values, mean {every.mean():6.2f} DN from the exact", flush=True)
        if every.mean() > STRAY:
            raise SystemExit(f"{name}: pixels are of another place")


def _serve(folder: Path, delay: float, pipe: Any) -> None:
    from web import served

    with served(folder) as site:
        site.delay = delay
        pipe.send(site.url)
        pipe.recv()


@contextmanager
def server(folder: Path, delay: float) -> Iterator[str]:
    """The folder on loopback HTTP, from a process of its own."""
    ours_end, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, delay, theirs), daemon=True)
    process.start()
    try:
        yield ours_end.recv()
    finally:
        ours_end.send(None)
        process.join(5)


def whole_scene(folder: Path, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Megabytes of uint16 pixels by the wall's second and by the CPU's."""
    (one,) = stack.of_items(items(str(folder))[:1])

    def plain(dtype: str) -> NDArray[Any]:
        out = np.empty((BANDS, SIZE, SIZE), dtype)

        def half(top: int) -> None:
            with rasterio.open(folder / "s0.tif") as source:
                source.read(out=out[:, top : top + SIZE // 2], window=Window(0, top, SIZE, SIZE // 2))

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(half, (0, SIZE // 2)))
        return out

    readers: dict[str, Callable[[], NDArray[Any]]] = {
        "ours, float32 and valid": lambda: whole.read(one).image[0],
        "rasterio, 2 threads, float32": lambda: plain("float32"),
        "rasterio, 2 threads, uint16": lambda: plain("uint16"),
    }
    if not np.array_equal(readers["ours, float32 and valid"](), plain("uint16")):
        raise SystemExit("whole scene: pixels differ from the file's")
    turns = {name: _scene(read) for name, read in readers.items()}
    size = BANDS * SIZE**2 * 2 / 1e6
    wall, busy = ({name: size * rate for name, rate in rates.items()} for rates in measured(turns, rounds))
    return wall, busy


def _scene(read: Callable[[], NDArray[Any]]) -> Turn:
    """A scene as the one chip of a turn."""
    return lambda: iter([(read()[None], [])])


def shown(title: str, rates: dict[str, float], unit: str) -> None:
    print(f"\n{title} ({unit})", flush=True)
    for name, rate in rates.items():
        print(
            f"  {name:36s} {rate:9.1f}   "
            + "  ".join(f"{rate / other:6.2f} x {n}" for n, other in rates.items() if n != name)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mage-stac-loader")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay", type=float, default=0.03, help="seconds before the server answers a request")
    parser.add_argument("--only", default="same,other,grids,http,cache,whole")
    told = parser.parse_args()
    folder, root, cases = told.folder, str(told.folder), told.only.split(",")
    warnings.simplefilter("ignore")
    written(folder)
    many(folder)
    same = chip_table.build(stack.of_items(items(root)), saved=folder / "index.npz")
    if "same" in cases:
        sparse = spread(same, stack.of_items(many(folder)))
        loaders = {
            "ours, independent": ours(sparse, 1024, threads=1),
            f"ours, {REUSE} chips a window": ours(sparse, 4096, reuse=REUSE, threads=1),
            f"ours, independent, of {SCENES} scenes": ours(same, 512, threads=1),
            "torchgeo 0.8.1": theirs(by_torchgeo(root), 4),
            "rasterio, cached handles": theirs(by_rasterio(root, files=COPIES), 6),
            "odc-stac": theirs(by_odc(root), 2),
            "stackstac": theirs(by_stackstac(root), 3),
        }
        checked(loaders, folder)
        shown("same grid", measured(loaders, told.rounds)[1], "chips per CPU-second")
    if "cache" in cases:
        cached = {
            "ours, from the cache": ours(same, 4096, cache=folder / "cache", threads=1),
            "memmap": theirs(by_memmap(folder), 128),
            "zarr, sharded, bare": theirs(by_zarr(folder, packed=False), 8),
            "zarr, sharded, zstd": theirs(by_zarr(folder, packed=True), 8),
        }
        for stack_ in same.stacks:
            loader.loading(same, EDGE, BATCH, Access(cache=folder / "cache"), full=True).piece(
                stack_, slice(0, SIZE), slice(0, SIZE)
            )
        checked(cached, folder)
        shown("epochs after the first", measured(cached, told.rounds)[1], "chips per CPU-second")
    if "grids" in cases:
        close_to_others(on_grid(folder, NEXT), root, "next zone, turned by 4 degrees")
        close_to_others(on_grid(folder, FRANCE), root, "Lambert-93, hardly turned")
    if "other" in cases:
        other = on_grid(folder, NEXT)
        copies = many(folder)
        pairs = [copies[n - n % SCENES :][:SCENES] for n in range(COPIES)]
        apart = spread(other, [stack.on_grid([pair], target(n % SCENES)) for n, pair in enumerate(pairs)])
        loaders = {
            "ours, independent": ours(apart, 256, threads=1),
            f"ours, {REUSE} chips a window": ours(apart, 2048, reuse=REUSE, threads=1),
            f"ours, independent, of {SCENES} scenes": ours(other, 256, threads=1),
            "torchgeo 0.8.1": theirs(by_torchgeo(root, NEXT), 1),
            "rasterio WarpedVRT": theirs(by_vrt(root), 1),
            "odc-stac": theirs(by_odc(root, moved), 1),
        }
        placed(loaders, folder)
        shown("reprojected", measured(loaders, told.rounds)[1], "chips per CPU-second")
    if "http" in cases:
        with server(folder, told.delay) as url:
            together = stack.of_items(items(url))
            apart = stack.of_items(items(url), asset=tuple(f"b{band}" for band in range(BANDS)))
            loaders = {
                "ours": ours(replace(same, stacks=together), 512),
                f"ours, {REUSE} chips a window": ours(replace(same, stacks=together), 1024, reuse=REUSE),
                "rasterio, 2 threads": theirs(by_rasterio(url, threads=2), 1),
                "ours, a file a band": ours(replace(same, stacks=apart), 512),
                f"ours, a file a band, {REUSE} chips a window": ours(replace(same, stacks=apart), 1024, reuse=REUSE),
                "rasterio, 2 threads, a file a band": theirs(by_rasterio(url, threads=2, apart=True), 1),
            }
            checked(loaders, folder)
            title = f"HTTP, {1000 * told.delay:.0f} ms a request"
            for rates, unit in zip(measured(loaders, told.rounds), ("second", "CPU-second"), strict=True):
                shown(title, rates, f"chips per {unit}")
    if "whole" in cases:
        for rates, unit in zip(whole_scene(folder, told.rounds), ("second", "CPU-second"), strict=True):
            shown("whole scene, 2 threads", rates, f"MB of uint16 per {unit}")


if __name__ == "__main__":
    main()
