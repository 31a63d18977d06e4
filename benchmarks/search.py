"""How long `search` takes on a catalogue on disk with a large Collection, and in how much memory.

    python benchmarks/search.py --items 1000000 --out out/search

The first 100,000 Items are generated as JSON and written by rustac, as `catalogue.index` does; further blocks are that
table with other numbers in its columns. collection.json lists them all; of the Items' own JSON only that of the answers
is written. Each size is asked in a process of its own, as its table alone and as the whole `search` (Items of the first
page, or all that match, read and parsed), and each answer is compared with what numpy finds in the numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 100_000
PAGE = 100
REPEATS = 5
EPOCH = np.datetime64("2015-01-01T00:00:00", "ms")

Numbers = dict[str, NDArray[np.float64]]

QUERIES: dict[str, dict[str, Any]] = {
    "bbox of 10 x 10 degrees": {"bbox": (10, 10, 20, 20)},
    "bbox and year": {"bbox": (10, 10, 20, 20), "datetime": "2018"},
    "bbox, year and CQL2": {"bbox": (10, 10, 20, 20), "datetime": "2018", "filter": "eo:cloud_cover < 30"},
    "CQL2 alone": {"filter": "eo:cloud_cover < 0.01"},
    "one id": {"ids": ("scene-0004321",)},
}


def numbers(block: int) -> Numbers:
    rng = np.random.default_rng([7, block])
    return {
        "west": rng.uniform(-179, 178, BLOCK).round(4),
        "south": rng.uniform(-80, 79, BLOCK).round(4),
        "second": rng.integers(0, 300_000_000, BLOCK).astype(float),
        "cloud": rng.uniform(0, 100, BLOCK).round(4),
    }


def item(number: int, west: float, south: float, second: float, cloud: float) -> dict[str, Any]:
    east, north, name = west + 0.1, south + 0.1, f"scene-{number:07d}"
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": name,
        "collection": "scenes",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": {
            "datetime": f"{EPOCH + np.timedelta64(int(second), 's')}Z",
            "gsd": 0.6,
            "eo:cloud_cover": cloud,
            "proj:code": "EPSG:32615",
            "proj:shape": [4096, 4096],
            "platform": "ab"[number % 2],
        },
        "links": [{"rel": "collection", "href": "../collection.json", "type": "application/json"}],
        "assets": {"image": {"href": "./image.tif", "type": "image/tiff", "bands": [{"name": "red"}]}},
    }


def listing(count: int) -> dict[str, Any]:
    """A Collection with a link to each Item, as `catalogue.index` writes it."""
    names = (f"scene-{number:07d}" for number in range(count))
    kind = "application/geo+json"
    links = [{"rel": "item", "href": f"./{name}/{name}.json", "type": kind, "title": name} for name in names]
    return {"type": "Collection", "stac_version": "1.1.0", "id": "scenes", "license": "other", "links": links}


def write(root: Path, blocks: int) -> float:
    """Write the catalogue of some blocks, but for the Items; the seconds that the first table takes."""
    from mage_stac import catalogue, item_table

    folder, size = root / "scenes", blocks * BLOCK
    folder.mkdir(parents=True, exist_ok=True)
    child = {"rel": "child", "href": "./scenes/collection.json"}
    catalogue.write_json(root / "catalog.json", {"type": "Catalog", "id": "big", "links": [child]})
    items = [item(number, *row) for number, row in enumerate(zip(*numbers(0).values(), strict=True))]
    start = time.perf_counter()
    with item_table.beside(folder, listing(size), items) as collection:
        seconds = time.perf_counter() - start
        catalogue.write_json(folder / "collection.json", collection)
    if blocks > 1:
        enlarge(folder / item_table.NAME, blocks, collection)
    return seconds


def enlarge(path: Path, blocks: int, collection: dict[str, Any]) -> None:
    """Add blocks to the table of the first one."""
    import pyarrow as pa
    import shapely
    from pyarrow import parquet

    from mage_stac import item_table

    first = parquet.read_table(path)
    first = first.take(np.argsort(first["id"].to_numpy()))
    metadata = parquet.ParquetFile(path).metadata.metadata
    tables = [first.replace_schema_metadata({key: metadata[key] for key in (b"geo", b"stac-geoparquet")})]
    for block in range(1, blocks):
        own = numbers(block)
        west, south = own["west"], own["south"]
        east, north = west + 0.1, south + 0.1
        fresh = {
            "id": [f"scene-{block * BLOCK + row:07d}" for row in range(BLOCK)],
            "eo:cloud_cover": own["cloud"],
            "datetime": EPOCH + own["second"].astype("timedelta64[s]"),
            "geometry": shapely.to_wkb(shapely.box(west, south, east, north)).tolist(),
            "bbox": pa.StructArray.from_arrays(
                [pa.array(side) for side in (west, south, east, north)], ["xmin", "ymin", "xmax", "ymax"]
            ),
        }
        table = tables[0]
        for name, values in fresh.items():
            field = first.schema.field(name)
            column = values if isinstance(values, pa.Array) else pa.array(values)
            table = table.set_column(table.schema.get_field_index(name), field, column.cast(field.type))
        tables.append(table)
    parquet.write_table(pa.concat_tables(tables), path)
    del tables, table
    item_table.finish(path, collection)


def write_items(folder: Path, names: set[str]) -> None:
    """The JSON of some Items."""
    own: dict[int, Numbers] = {}
    for name in names:
        number = int(name.removeprefix("scene-"))
        block, row = divmod(number, BLOCK)
        own.setdefault(block, numbers(block))
        path = folder / name / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(item(number, *(float(values[row]) for values in own[block].values())), indent=2))


def truth(blocks: int) -> dict[str, list[str]]:
    parts = [numbers(block) for block in range(blocks)]
    own = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    box = (own["west"] <= 20) & (own["west"] + 0.1 >= 10) & (own["south"] <= 20) & (own["south"] + 0.1 >= 10)
    year = (EPOCH + own["second"].astype("timedelta64[s]")).astype("datetime64[Y]") == np.datetime64("2018")
    hits = [box, box & year, box & year & (own["cloud"] < 30), own["cloud"] < 0.01, np.arange(len(box)) == 4321]
    return {name: [f"scene-{row:07d}" for row in np.flatnonzero(hit)] for name, hit in zip(QUERIES, hits, strict=True)}


def peak() -> float:
    """Largest resident memory of this process so far, MB; `getrusage` would count its parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def timed(call: Callable[[], list[str]]) -> dict[str, Any]:
    times, cpu = [], []
    for _ in range(REPEATS):
        start, used = time.perf_counter(), time.process_time()
        names = call()
        times.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.process_time() - used))
    return {"ids": names, "ms": times, "cpu": cpu}


def ask(root: Path) -> None:
    """Print, as JSON, ids and milliseconds of each query and the memory of this process in MB."""
    from mage_stac import item_table
    from mage_stac.query import Query
    from mage_stac.search import search

    before = peak()
    answers: dict[str, dict[str, Any]] = {}
    for name, fields in QUERIES.items():
        query = Query(api=str(root), **fields)
        page = replace(query, max_items=PAGE)
        answers[name] = {
            "table": timed(lambda query=query: [path.stem for path in item_table.find(root / "scenes", query).files]),
            "page": timed(lambda page=page: [each.id for each in search(page).items]),
        }
    paged = peak()
    for name, fields in QUERIES.items():
        query = Query(api=str(root), **fields)
        answers[name]["all"] = timed(lambda query=query: [each.id for each in search(query).items])
    print(json.dumps({"answers": answers, "memory": [before, paged, peak()]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=BLOCK, help=f"a multiple of {BLOCK}")
    parser.add_argument("--out", type=Path, default=Path("out/search"))
    parser.add_argument("--ask", action="store_true", help="only ask what is there")
    options = parser.parse_args()
    if options.ask:
        ask(options.out)
        return
    blocks, folder = options.items // BLOCK, options.out / "scenes"
    if (folder / "items.parquet").is_file():
        print("the catalogue made before is asked")
    else:
        seconds = write(options.out, blocks)
        print(f"the table of the first {BLOCK} Items was made in {seconds:.1f} s")
    sizes = [(folder / name).stat().st_size / 1e6 for name in ("items.parquet", "collection.json")]
    print(f"{blocks * BLOCK} Items, items.parquet {sizes[0]:.1f} MB, collection.json {sizes[1]:.1f} MB")
    right = truth(blocks)
    write_items(folder, set().union(*right.values()))
    run = [sys.executable, __file__, "--ask", "--out", str(options.out)]
    told = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    for name, ids in right.items():
        cells = []
        for kind, wanted in (("table", ids), ("page", ids[:PAGE]), ("all", ids)):
            answer = told["answers"][name][kind]
            if answer["ids"] != wanted:
                sys.exit(f"{name}, {kind}: {len(answer['ids'])} Items found where numpy finds {len(wanted)}")
            median, cpu = np.median(answer["ms"]), np.median(answer["cpu"])
            cells.append(f"{kind} {median:5.0f} ms (first {answer['ms'][0]:5.0f}, CPU {cpu:5.0f})")
        print(f"{name:25} {len(ids):6} hits  {'  '.join(cells)}")
    before, paged, every = told["memory"]
    print(f"memory: {before:.0f} MB before the first query, {paged:.0f} MB after the pages, {every:.0f} MB after all")


if __name__ == "__main__":
    main()
