"""Material: all that a training run learns from, gathered from catalogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mage_stac import catalogue, chips, graded, models, pairs, tally, unlabelled
from mage_stac import recipe as recipes
from mage_stac.adapt import event, methods
from mage_stac.chip_table import ChipTable
from mage_stac.chips import Looks
from mage_stac.classes import GRADES
from mage_stac.errors import CatalogueError, RecipeError
from mage_stac.graded import Outlines
from mage_stac.models import losses
from mage_stac.pairs import Layer
from mage_stac.progress import Step
from mage_stac.recipe import Recipe
from mage_stac.stack import Raster
from mage_stac.tally import ChipIndex
from mage_stac.unread import Problem


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that a run learns from."""

    recipe: Recipe
    training: ChipIndex
    validation: ChipIndex
    """Of places that no training chip shows."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: tuple[float, ...]
    """Of grades 1..4 in the loss."""
    looks: Looks | None
    target: ChipTable | None = None
    """Where the event's unlabelled images were observed, if the recipe adapts to them."""
    start: models.LoadedModel | None = None
    """Whose weights to go on from."""
    on_problem: Problem | None = None
    """Told of each asset that cannot be read while the run goes on."""

    @property
    def digest(self) -> str:
        """Changes with the recipe, the Items and the pixels: by their statistics, or sizes of real images' files."""
        ids = [[pair.id for pair in part.pairs] for part in (self.training, self.validation)]
        real = told([*self.looks.pre, *self.looks.post]) if self.looks else []
        if self.target:
            real += told([one for stack in self.target.stacks for date in stack.dates for one in date])
        before = [self.start.id] if self.start else []
        return recipes.digest(self.recipe, ids, real, self.training.totals(), self.mean, self.std, *before)


def told(images: Sequence[Layer | Raster]) -> list[tuple[str, int | None]]:
    """Id and bytes of each image: other pixels under the same id have another size, a copy of them has not."""
    return [(one.item_id, path.stat().st_size if (path := Path(one.path)).is_file() else None) for one in images]


def gather(
    recipe: Recipe,
    roots: Sequence[Path],
    real: Path | None,
    progress: Step | None = None,
    start: Path | None = None,
    on_problem: Problem | None = None,
) -> Material:
    """Index the pairs, hold whole places out, and measure what normalisation and class weights need."""
    models.check(recipe)
    data = recipe.data
    whole = tally.index(roots, bands=data.readings, gsd=data.gsd, progress=progress, on_problem=on_problem)
    training, validation = tally.split(whole, data.holdout)
    tally.check_classes(training, graded=recipe.network.dates == 2)
    first = None if start is None else models.load(catalogue.read_item(start))
    measured = chips.statistics(training, recipe.seed, on_problem, by_date=bool(data.post_bands))
    _check_unit(recipe, measured[0])
    mean, std = _scaling(first) if first is not None and first.recipe.data.readings == data.readings else measured
    looks = None
    if real is not None and recipe.style.method != "none":
        pre, post = pairs.unlabelled(real, bands=data.readings)
        looks = Looks(pre=pre, post=post, gsd=data.gsd, on_problem=on_problem)
    totals = training.totals()
    return Material(
        recipe=recipe,
        training=training,
        validation=validation,
        mean=mean,
        std=std,
        weights=losses.class_weights([totals[grade] for grade in GRADES], recipe.loss.balance),
        looks=looks,
        target=_target(recipe, real),
        start=first,
        on_problem=on_problem,
    )


def _check_unit(recipe: Recipe, mean: Sequence[float]) -> None:
    """Refuse values that light and its changes, which are made up between 0 and 1, would cut away.

    Raises:
        RecipeError: a band's mean lies beyond.
    """
    worst = max(mean, key=lambda value: abs(value - 0.5))
    if not 0 <= worst <= 1:
        raise RecipeError(
            f"recipe {recipe.name}: a band of the pairs has a mean of {worst:.4g}, but images are 0..1: set data.range"
            " (or data.post_range) to the values that are to be 0 and 1, such as [-35, 15] for a radar's dB"
        )


def _scaling(model: models.LoadedModel) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(model.mean.tolist()), tuple(model.std.tolist())


def _target(recipe: Recipe, real: Path | None) -> ChipTable | None:
    if not methods.chosen(recipe) and not event.wanted(recipe.event):
        return None
    if real is None:
        if not methods.chosen(recipe) and not event.more(recipe.event):
            return None
        raise RecipeError(f"recipe {recipe.name} adapts to an event's real images: give them with --real")
    table = unlabelled.table(real, bands=recipe.data.readings, gsd=recipe.data.gsd, dates=recipe.network.dates)
    if event.more(recipe.event):
        event.check(table, recipe.data.size)
    return table


def graded_pairs(recipe: Recipe, real: Path | None, gradings: Outlines, out: Path) -> Path:
    """A catalogue of pairs of the real images around buildings that a person graded.

    Raises:
        CatalogueError: no real images.
    """
    if real is None:
        raise CatalogueError(f"graded buildings ({gradings.path}) need the real images that show them: give --real")
    return graded.publish_pairs(real, gradings, out, bands=recipe.data.readings, gsd=recipe.data.gsd)
