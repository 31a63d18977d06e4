"""How long items.parquet takes to answer for a large Collection, and in how much memory.

    python benchmarks/search.py --items 1000000 --out out/search

The first 100,000 Items are generated as JSON and written by rustac, as `catalogue.index` does; further blocks are that
table with other numbers in its columns. Each size is asked in a process of its own, and each answer is compared with
what numpy finds in the numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 100_000
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


def write(folder: Path, blocks: int) -> float:
    """Write the table of some blocks; the seconds that the first one takes."""
    import pyarrow as pa
    import shapely
    from pyarrow import parquet

    from mage_stac import item_table

    folder.mkdir(parents=True, exist_ok=True)
    own = numbers(0)
    items = [item(number, *row) for number, row in enumerate(zip(*own.values(), strict=True))]
    start = time.perf_counter()
    with item_table.beside(folder, items):
        (folder / "collection.json").write_text("{}")
    seconds = time.perf_counter() - start
    if blocks == 1:
        return seconds
    del items
    first = parquet.read_table(folder / item_table.NAME)
    tables = [first]
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
        table = first
        for name, values in fresh.items():
            field = first.schema.field(name)
            column = values if isinstance(values, pa.Array) else pa.array(values)
            table = table.set_column(table.schema.get_field_index(name), field, column.cast(field.type))
        tables.append(table)
    whole = item_table.packed(pa.concat_tables(tables).combine_chunks())
    parquet.write_table(whole, folder / item_table.NAME, row_group_size=item_table.GROUP)
    return seconds


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


def ask(folder: Path) -> None:
    """Print, as JSON, ids and milliseconds of each query and the memory of this process in MB."""
    from mage_stac import item_table
    from mage_stac.query import Query

    before = peak()
    answers = {}
    for name, fields in QUERIES.items():
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            hits = item_table.find(folder, Query(api=str(folder), **fields))
            times.append(1000 * (time.perf_counter() - start))
        answers[name] = {"ids": [path.stem for path in hits.files], "ms": times}
    print(json.dumps({"answers": answers, "before": before, "after": peak()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=BLOCK, help=f"a multiple of {BLOCK}")
    parser.add_argument("--out", type=Path, default=Path("out/search"))
    parser.add_argument("--ask", action="store_true", help="only ask what is there")
    options = parser.parse_args()
    if options.ask:
        ask(options.out)
        return
    blocks = options.items // BLOCK
    seconds = write(options.out, blocks)
    size = (options.out / "items.parquet").stat().st_size / 1e6
    print(f"{blocks * BLOCK} Items, items.parquet {size:.1f} MB; rustac wrote the first {BLOCK} in {seconds:.1f} s")
    run = [sys.executable, __file__, "--ask", "--out", str(options.out)]
    told = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    for name, ids in truth(blocks).items():
        answer = told["answers"][name]
        if answer["ids"] != ids:
            sys.exit(f"{name}: {len(answer['ids'])} Items found where numpy finds {len(ids)}")
        print(f"{name:25} {len(ids):6} hits  first {answer['ms'][0]:6.0f} ms  median {np.median(answer['ms']):6.0f} ms")
    print(f"memory: {told['before']:.0f} MB before the first query, at most {told['after']:.0f} MB")


if __name__ == "__main__":
    main()
