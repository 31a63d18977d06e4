"""Recipe: everything that decides a training run, as frozen data read from a small TOML file."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mage_stac import presets
from mage_stac.errors import RecipeError
from mage_stac.readings import UNIT, Reading, Readings

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first of a range must not exceed the second")
    return pair


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each name may occur once")
    return names


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
FactorRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Data:
    """What is cut out of the catalogues."""

    bands: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_distinct)] = ("red", "green", "blue")
    """Band names as the Items' `bands` give them, in the order the model takes them."""
    gsd: Positive = 0.6
    """Metres; pairs must have it within a tenth."""
    size: Annotated[int, Field(ge=32, multiple_of=32)] = 128
    """Edge of the square that the model sees, px; the encoder halves it five times."""
    margin: Annotated[int, Field(ge=0)] = 24
    """Read around each chip for shifts and scaling, px."""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the places kept for validation; with 0 the figures and temperatures are of what was learnt from."""
    background: Share = 0.1
    """Share of chips drawn anywhere; the rest are drawn around a grade, each grade equally often."""
    reuse: Count = 1
    """Chips cut around each place drawn: more come faster from large scenes, and are more alike."""
    range: Range = UNIT
    """Values of the images that are taken as 0 and 1; of a radar, in dB."""
    post_bands: tuple[str, ...] = ()
    """Of the image after, where another sensor took it, such as VV of a radar: at most as many as `bands`, and repeated
    until they are as many. The network then has an encoder for each date."""
    post_range: Range = UNIT
    """Like `range`, of `post_bands`."""

    def __post_init__(self) -> None:
        """Raise ValueError for bands of after that do not fit into those of before, or an empty range."""
        if len(self.post_bands) > len(self.bands):
            raise ValueError(f"post_bands may be no more than the {len(self.bands)} of bands: leave some out")
        if self.post_range != UNIT and not self.post_bands:
            raise ValueError("post_range is that of post_bands, which are not given: set range, or name post_bands too")
        if self.range[0] == self.range[1] or self.post_range[0] == self.post_range[1]:
            raise ValueError("the two values of a range must differ")

    @property
    def readings(self) -> Readings:
        """How the images of each date are read."""
        pre = Reading(bands=self.bands, range=self.range)
        if not self.post_bands:
            return pre, pre
        repeated = tuple(islice(cycle(self.post_bands), len(self.bands)))
        return pre, Reading(bands=repeated, range=self.post_range)


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Network:
    """The U-Net."""

    dates: Literal[1, 2] = 2
    """Images that it looks at: 2 for buildings and their grades, by encoders that share their weights; 1 for the
    buildings of an image alone, which are all called undamaged."""
    encoder: Annotated[str, Field(min_length=1)] = "resnet18"
    """A name of segmentation-models-pytorch. For water also `none`: a pixel and its nearest neighbours alone decide
    (models.water_local), and `decoder` says nothing."""
    weights: Literal["none", "imagenet"] = "none"
    """What the encoder starts from: chance, or photographs of other things (models.pretrained)."""
    decoder: Annotated[tuple[Count, ...], Field(min_length=2, max_length=5)] = (128, 64, 32, 32)
    """Channels of the decoders from coarse to fine; each entry doubles the resolution, five reach the image's own."""
    lost: bool = False
    """Whether a third head says what of a roof is lost, from which buildings get their grades: for hazards that break
    roofs (adapt.partial)."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Loss:
    """Weights of the terms."""

    building: NotNegative = 1.0
    """Binary cross-entropy + Dice of building against not."""
    damage: NotNegative = 1.0
    """Focal cross-entropy of the grade on building pixels."""
    ordinal: NotNegative = 0.5
    """Squared distance between the cumulative distributions over the grades: a grade off by two costs more."""
    lost: NotNegative = 1.0
    """Binary cross-entropy of what of a roof is lost, if the network has that head."""
    focal: NotNegative = 1.0
    """Exponent; 0 is plain cross-entropy."""
    dilation: Annotated[int, Field(ge=0, le=8)] = 2
    """Grades count this far outside their building, px (a 5x5 dilation is 2, as in the xView2 winner)."""
    balance: Share = 0.5
    """Class weights are frequency ** -balance."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Augment:
    """Ranges of the random changes; pre and post change independently.

    A range (a, b) is drawn from uniformly; for `scale`, `gain` and `gamma` its logarithm is.
    """

    flips: bool = True
    """Flips and quarter turns, the same for both dates."""
    shift: Annotated[float, Field(ge=0, le=32)] = 8.0
    """Largest misregistration of post against pre, px."""
    scale: FactorRange = (0.8, 1.25)
    gain: FactorRange = (0.65, 1.5)
    gamma: FactorRange = (0.65, 1.5)
    contrast: Annotated[tuple[NotNegative, NotNegative], AfterValidator(_ordered)] = (0.6, 1.5)
    saturation: Annotated[tuple[NotNegative, NotNegative], AfterValidator(_ordered)] = (0.3, 1.7)
    bias: NotNegative = 0.08
    """Largest offset, in units of the image's range."""
    cast: NotNegative = 0.12
    """Standard deviation of the logarithm of each band's gain."""
    mixing: NotNegative = 0.06
    """Standard deviation of the leak of each band into each other: seasons, sensors."""
    haze: Share = 0.35
    """Largest share of path radiance."""
    sharpness: Range = (-1.0, 1.5)
    """Unsharp masking; -1 is a blur, 0 nothing."""
    noise: NotNegative = 0.04
    """Largest standard deviation."""
    jpeg: Share = 0.3
    """Share of images that pass an 8x8 DCT quantisation of quality 25 to 90."""
    partial: Share = 0.5
    """Share of destroyed houses that get a part of their roof back and are graded major, and of those of minor damage
    that get all of it and are undamaged, if the network has the head `lost` (adapt.partial)."""
    swap: Share = 0.0
    """Share of chips whose post image is the pre image under other light, graded no damage."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Style:
    """Transfer of the look of unlabelled real images, when there are any."""

    method: Literal["none", "histogram", "fourier"] = "histogram"
    share: Share = 0.5
    """Share of images that get it."""
    band: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    """Fourier: half-width of the square of low frequencies that is exchanged, share of the edge (beta of FDA)."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class SelfTraining:
    """Learning from unlabelled real pairs by their pseudo-labels (adapt.mean_teacher); off unless it has a weight."""

    weight: NotNegative = 0.0
    """Of its term in the loss; 1 is DAFormer's."""
    threshold: Share = 0.9
    """A pixel more probable than this counts as sure (DAFormer: 0.968)."""
    rise: Share = 0.2
    """Share of the steps over which the weight rises from 0."""
    spread: Annotated[int, Field(ge=0, le=32)] = 4
    """Pixels around pasted buildings that come along."""
    rarity: NotNegative = 0.0
    """Temperature of rare-class sampling: chips are drawn around grades by softmax((1 - frequency) / temperature); 0
    draws around each grade equally often."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Consistency:
    """The building head under changes of light of real images (adapt.consistency); off unless it has a weight."""

    weight: NotNegative = 0.0
    threshold: Share = 0.95
    """FixMatch's."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Event:
    """How a trained network is fitted to the event's unlabelled images (adapt.event); off unless asked for."""

    batch_norm: Share = 0.0
    """How far the statistics of its batch norms move to those of real images; 1 is AdaBN."""
    prior: Literal["none", "bbse", "em"] = "none"
    """How the event's shares of the grades are estimated, which the grades' probabilities are then corrected to."""
    strength: Share = 1.0
    """How far that goes."""
    thresholds: bool = False
    """Whether grades are called by thresholds of their own, of best mean F1 on the held-out places."""
    built: bool = False
    """Whether as much of the event is mapped as building as is built over in the pairs rendered of its place, `--like`
    its image with outlines (adapt.built); without such pairs, or without its images, nothing is done."""
    chips: Count = 256
    """Real windows that are looked at."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Optimiser:
    """AdamW under a one-cycle learning rate."""

    steps: Count = 1000
    batch: Annotated[int, Field(ge=2)] = 8
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps with a rising rate."""
    clip: Positive = 1.0
    """Largest gradient norm."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the exponential moving average of the weights, which is what is published; 0 publishes the last."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    accumulate: Count = 1
    """Parts of a batch that are learnt from one after the other before a step; batch norm sees each by itself."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Run:
    """How it is watched; nothing here changes what is learnt, so it is no part of a recipe's digest."""

    checkpoint_every: Count = 100
    """Steps."""
    validate_every: Count = 200
    """Steps."""
    validation_chips: Count = 64
    """At most so many windows of the held-out places, spread evenly."""
    compile: bool = False
    """Whether torch.compile translates the network first: 150 s on a CPU, for 1.2 times the speed (LOG)."""
    cache: bool = False
    """Whether decoded pixels are kept in OUT/training/pixels, as many bytes as they have, for later epochs and runs."""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Recipe:
    """A training run. Two recipes are the same when their `digest` is."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*[a-z0-9]$", max_length=60)]
    """Lower case letters, digits and dashes: becomes part of the model's id and a folder's name."""
    title: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    task: Literal["damage", "water"] = "damage"
    """What is learnt: grades of buildings from two dates, or where water is from each date by itself."""
    data: Data = Data()
    network: Network = Network()
    loss: Loss = Loss()
    augment: Augment = Augment()
    style: Style = Style()
    self_training: SelfTraining = SelfTraining()
    consistency: Consistency = Consistency()
    event: Event = Event()
    optimiser: Optimiser = Optimiser()
    run: Run = Run()


_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Recipe)
_PLAIN = Recipe(name="plain")
METHODS = (
    "task", "data.range", "data.post_bands", "data.post_range", "self_training", "consistency", "event",
    "optimiser.accumulate", "network.dates",
)  # fmt: skip
"""Tables and fields that change nothing unless asked for."""


def names() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    return presets.names("recipes")


def read(name_or_path: str | Path) -> Recipe:
    """Read a recipe from a TOML file, or by the name of one that comes with the package.

    Raises:
        RecipeError: no such file, not TOML, or a field is unknown or out of range; names field, value and expectation.
    """
    path = Path(name_or_path)
    if path.is_file():
        return parse(presets.own(path, "recipe"), str(path))
    if str(name_or_path) in names():
        return parse(presets.shipped("recipes", str(name_or_path)), str(name_or_path))
    raise RecipeError(f"recipe {name_or_path}: no such file; recipes that come with mage-stac: {', '.join(names())}")


def parse(text: str, where: str) -> Recipe:
    """Turn TOML text into a Recipe; `where` names its origin in errors (RecipeError)."""
    try:
        return _ADAPTER.validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {where} is not TOML: {error}") from error
    except ValidationError as error:
        raise RecipeError(f"recipe {where}: {'; '.join(_complaints(error))}") from error


def _complaints(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        field = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing":
            yield f"{field} is missing"
        elif fault["type"] in {"unexpected_keyword_argument", "dataclass_exact_type"}:
            yield f"{field} is unknown; {_known(fault['loc'][:-1])}"
        else:
            yield f"{field} = {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _known(table: tuple[int | str, ...]) -> str:
    fields: Any = asdict(Recipe(name="any"))
    for part in table:
        fields = fields[part]
    return f"known {'in ' + '.'.join(map(str, table)) if table else 'at the top'}: {', '.join(fields)}"


def as_toml(recipe: Recipe) -> str:
    """The recipe as TOML with every field, defaults too; `parse` of it gives the same recipe back."""
    fields = asdict(recipe)
    plain = {key: value for key, value in fields.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in fields.items() if isinstance(value, dict)}
    parts = [_lines(plain), *(f"[{name}]\n{_lines(table)}" for name, table in tables.items())]
    return "\n".join(parts)


def _lines(table: Mapping[str, object]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def flat(recipe: Recipe) -> dict[str, object]:
    """Every field under its dotted name, as `mlm:hyperparameters` wants them."""
    out: dict[str, object] = {}
    for key, value in asdict(recipe).items():
        out |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in out.items()}


def decisive(recipe: Recipe) -> dict[str, object]:
    """The fields, under their dotted names, that decide what is learnt.

    All but `title` and `run`, and what is off in METHODS, so that a new method renames no older model.
    """
    told, plain = flat(recipe), flat(_PLAIN)
    off = {name for name in METHODS if all(told[key] == plain[key] for key in told if _belongs(key, name))}
    silent = {key for key in told if key == "title" or _belongs(key, "run") or any(_belongs(key, name) for name in off)}
    return {key: value for key, value in told.items() if key not in silent}


def _belongs(key: str, name: str) -> bool:
    """Whether a dotted name is a field or lies in a table."""
    return key == name or key.startswith(f"{name}.")


def digest(recipe: Recipe, *more: object) -> str:
    """Twelve hex digits of the SHA-256 of the recipe's decisive fields and of `more` (JSON values)."""
    text = json.dumps([decisive(recipe), *more], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def difference(ours: Mapping[str, object], theirs: Mapping[str, object]) -> str:
    """Where two recipes under dotted names differ, as `field theirs -> ours`, for a message; only fields of `ours`."""
    changed = (key for key in ours if ours[key] != theirs.get(key))
    return ", ".join(f"{key} {theirs.get(key)!r} -> {ours[key]!r}" for key in changed)
