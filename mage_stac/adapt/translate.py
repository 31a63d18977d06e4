"""Translate: rendered pairs carried to the look of an event's real images by a flow, as a catalogue to train from.

The images change, their labels do not. The flow is learnt here, from the renders and the unlabelled real images alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from mage_stac import catalogue, chip_table, chips, pairs, plane, publish, stack, unlabelled
from mage_stac import recipe as recipes
from mage_stac.adapt import flow
from mage_stac.adapt.flow import Coupled, FlowNet
from mage_stac.chip_table import ChipTable
from mage_stac.errors import CatalogueError, RecipeError
from mage_stac.models import checkpoint
from mage_stac.pairs import IMAGE, Pair
from mage_stac.progress import Step
from mage_stac.raster import can_hold, opened
from mage_stac.readings import UNIT
from mage_stac.recipe import Data

INPUTS = "mage:inputs"
"""Property of a translated Item: digest of what its flow was learnt from, and how."""


@dataclass(frozen=True, kw_only=True)
class Translation:
    """How a flow is learnt and followed."""

    steps: int = 600
    """Of learning."""
    batch: int = 16
    """Images of each date at a time; optimal transport couples that many."""
    size: int = 64
    """Edge of what it learns from, px."""
    rate: float = 1e-3
    euler: int = 4
    """Steps of Euler's method."""
    seed: int = 0
    paired: bool = True
    """Couple a rendered image of before with the photograph of the same ground, where there is one."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What flows where."""

    rendered: ChipTable
    """Both dates of the renders."""
    real: ChipTable
    """Both dates of the event."""
    together: ChipTable | None
    """A render of before, and the photograph of the same ground."""


def translate(
    roots: Sequence[Path], real: Path, out: Path, *, data: Data, how: Translation, progress: Step | None = None
) -> Path:
    """Learn a flow from labelled renders to an event and write the renders as it shows them; the catalogue's path.

    Done again, only what is missing is done; with other inputs or another `how`, everything. The network is kept as
    OUT/flow-<digest>.safetensors.

    Args:
        roots: catalogues of labelled pairs.
        real: catalogue of the event's images, before and after.
        out: catalogue to write.
        data: bands and resolution, of a recipe.
        how: to do it.
        progress: called at each step of learning, then for each pair.

    Raises:
        CatalogueError: no pairs, two of one id, no real images of both dates, or the disk refuses.
        AssetError: an asset or band is missing.
        GridError: the two real dates do not overlap.
        RecipeError: the dates are of two sensors, or of a radar.
    """
    if data.post_bands or data.range != UNIT:
        raise RecipeError("data.post_bands, data.range: only renders whose two dates are both light are translated")
    every = pairs.read(roots, bands=data.bands, gsd=data.gsd)
    _check_ids(every)
    sides = gathered(every, real, data, how)
    name = recipes.digest(
        recipes.Recipe(name="flow"),
        [pair.id for pair in every],
        str(how),
        list(data.bands),
        *(chip_table.digest(side.stacks) for side in (sides.rendered, sides.real)),
    )
    kept = out / f"flow-{name}.safetensors"
    network = FlowNet(len(data.bands))
    if kept.is_file():
        network.load_state_dict(load_file(kept))
    else:
        torch.manual_seed(how.seed)
        network = FlowNet(len(data.bands))

        def told(step: int, error: float) -> None:
            if progress:
                progress(step, how.steps, f"flow {error:.4f}")

        flow.learn(network, batches(sides, how), rate=how.rate, seed=how.seed, told=told)
        checkpoint.write(kept, network.state_dict())
    for number, pair in enumerate(every):
        if not all(_is_made(out, item, name) for item in pair.items):
            _publish(pair, network.eval(), out, how.euler, name)
        if progress:
            progress(number + 1, len(every), f"translate {pair.id}")
    _index(every, out)
    return out


def _check_ids(every: Sequence[Pair]) -> None:
    """Refuse pairs of one id, which would be written to one folder."""
    twice = next((one.id for one, other in pairwise(every) if one.id == other.id), None)  # they are sorted
    if twice is not None:
        raise CatalogueError(
            f"two of the catalogues have a pair {twice}: translate each into a folder of its own, and train from both"
        )


def _is_made(out: Path, item: pystac.Item, flow: str) -> bool:
    """Whether an Item was carried by this very flow."""
    collection = str(item.collection_id)
    if not catalogue.has(out, collection, item.id):
        return False
    there = catalogue.read_json(out / collection / item.id / f"{item.id}.json")
    return bool(there.get("properties", {}).get(INPUTS) == flow)


def gathered(every: Sequence[Pair], real: Path, data: Data, how: Translation) -> Sides:
    """Where each side was observed."""
    before, _ = unlabelled.images(real)
    target = unlabelled.table(real, bands=data.bands, gsd=data.gsd)
    renders = [stack.of_pair(pair) for pair in every]
    rendered = chip_table.build(renders)
    together = None
    if how.paired:
        both = [stack.on_grid([[pair.items[0]], list(before)], pair.geobox, bands=data.bands) for pair in every]
        try:
            together = chip_table.build(both)
        except CatalogueError:  # no photograph shows any of these places
            together = None
    return Sides(rendered=rendered, real=target, together=together)


def batches(sides: Sides, how: Translation) -> Iterator[Coupled]:
    """Coupled images, as many batches as steps; by turns paired ones, where there are any."""

    def stream(table: ChipTable, seed: int) -> Iterator[chips.Batch]:
        return chips.unlabelled(table, edge=how.size, batch=how.batch, seed=seed)

    with closing(stream(sides.rendered, how.seed)) as renders, closing(stream(sides.real, how.seed + 1)) as photographs:  # type: ignore[type-var] # generators
        if sides.together is None:
            for _ in range(how.steps):
                yield unpaired(next(renders), next(photographs))
            return
        with closing(stream(sides.together, how.seed + 2)) as both:  # type: ignore[type-var] # a generator
            for step in range(how.steps):
                yield unpaired(next(renders), next(photographs)) if step % 2 else paired(next(both))


def unpaired(renders: chips.Batch, photographs: chips.Batch) -> Coupled:
    """Both dates of renders, each coupled with photographs of the same date by optimal transport."""
    number = min(len(renders["image"]), len(photographs["image"]))
    sources, targets, seen = [], [], []
    for date in (0, 1):
        source, target = renders["image"][:number, date], photographs["image"][:number, date]
        places = flow.coupled(source, target)
        sources.append(source)
        targets.append(target[places])
        seen.append(renders["valid"][:number] & photographs["valid"][:number][places])
    dates = torch.arange(2).repeat_interleave(number).float()
    return Coupled(source=torch.cat(sources), target=torch.cat(targets), date=dates, seen=torch.cat(seen))


def paired(both: chips.Batch) -> Coupled:
    """Renders of before, each with the photograph of its ground."""
    image = both["image"]
    return Coupled(source=image[:, 0], target=image[:, 1], date=torch.zeros(len(image)), seen=both["valid"])


def _publish(pair: Pair, network: FlowNet, out: Path, steps: int, flow: str) -> None:
    for date, (item, layer) in enumerate(zip(pair.items[:2], (pair.pre, pair.post), strict=True)):
        with opened(layer.path, item.id) as source:
            numbers, seen = source.read(), source.dataset_mask() > 0
            nodata = layer.nodata if source.nodata is None else source.nodata
            nodata = nodata if nodata is not None and can_hold(source.dtypes[0], nodata) else None
        at = np.array(layer.bands) - 1
        known = plane.observed(numbers[at], nodata)
        seen = seen if known is None else seen & known
        image = numbers[at].astype(np.float32) * layer.scale + layer.offset
        image[:, ~seen] = 0  # as in the chips that the network learnt from
        carried = carry(network, torch.from_numpy(image), date, steps).numpy()
        changed = numbers.copy()
        changed[at] = _numbers((carried - layer.offset) / layer.scale, numbers.dtype, nodata)
        changed[:, ~seen] = numbers[:, ~seen]
        _write(item, changed, pair, nodata, out, flow)
    label = pair.items[2]
    with catalogue.staged(out, str(label.collection_id), label.id) as folder:
        made = _twin(label, folder)
        made.properties[INPUTS] = flow
        for source in pair.items[:2]:
            there = out / str(source.collection_id) / source.id / f"{source.id}.json"
            fields: dict[str, Any] = {"label:assets": [IMAGE]}
            catalogue.link_to(made, there, "source", **fields)
        catalogue.write_item(folder, made)


@torch.no_grad()
def carry(network: FlowNet, image: Tensor, date: int, steps: int) -> Tensor:
    """One image (C, H, W) 0..1, carried; 0..1."""
    return flow.translated(network, image[None], torch.tensor([float(date)]), steps)[0].clamp(0, 1)


def _numbers(values: NDArray[np.floating[Any]], dtype: np.dtype[Any], nodata: float | None) -> NDArray[Any]:
    """Digital numbers that keep clear of nodata."""
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    whole: NDArray[Any] = np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    if nodata is not None:
        whole[whole == nodata] = nodata + 1 if nodata < limits.max else nodata - 1
    return whole


def _write(
    item: pystac.Item, image: NDArray[np.generic], pair: Pair, nodata: float | None, out: Path, flow: str
) -> None:
    with catalogue.staged(out, str(item.collection_id), item.id) as folder:
        made = _twin(item, folder, without=(IMAGE, "visual", "thumbnail"))
        publish.write_cog(folder / "image.tif", image, pair.geobox, nodata=nodata)
        asset = item.assets[IMAGE].clone()
        asset.href = str(folder / "image.tif")
        made.add_asset(IMAGE, asset)
        publish.derived_from(made, [item])
        made.properties[INPUTS] = flow
        made.properties["processing:lineage"] = "carried to the look of real images by a flow (adapt.flow)"
        catalogue.write_item(folder, made)


def _twin(item: pystac.Item, folder: Path, without: Sequence[str] = ()) -> pystac.Item:
    """The Item without links, its other assets copied to a folder."""
    made = item.clone()
    made.clear_links()
    made.collection_id = item.collection_id
    for key in list(made.assets):
        source = Path(catalogue.asset_path(item, key))
        if key in without or not source.is_file():
            del made.assets[key]
            continue
        shutil.copyfile(source, folder / source.name)
        made.assets[key].href = str(folder / source.name)
    return made


def _index(every: Sequence[Pair], out: Path) -> None:
    names = {str(item.collection_id) for pair in every for item in pair.items}
    template = {
        "title": "Translated renders",
        "description": "Rendered pairs with the look of an event's real images, and the labels that they had.",
        "license": "other",
    }
    catalogue.index(out, id="translated", title="Translated renders", collections=dict.fromkeys(names, template))
