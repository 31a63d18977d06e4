"""Scene: what stands where at one moment, as plain frozen data in local metres (x east, y north, z up)."""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass, replace
from json import dumps
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from mage_stac.errors import RenderError

SCHEMA = "mage-stac-scene/1"
"""Of scene.json; a reader refuses any other."""

Ring = tuple[tuple[float, float], ...]
"""A polygon's outer ring: local metres, counter-clockwise, first point not repeated."""

Line = tuple[tuple[float, float], ...]
"""An open line of points, local metres."""

Ring3 = tuple[tuple[float, float, float], ...]
"""A plane ring in space: local metres and metres above datum, first point not repeated."""

SEMANTIC = {
    "ground": 0,
    "building": 1,
    "road": 2,
    "tree": 3,
    "grass": 4,
    "water": 5,
    "vehicle": 6,
    "debris": 7,
    "paved": 8,
    "bare": 9,
    "field": 10,
    "object": 11,
}
"""Codes of the `semantic` asset; 255 is not observed."""

UNLABELLED = 255
"""Semantic code of what shows in images and owns no pixel of a label, such as wires: not observed."""

SEASONS = ("winter", "spring", "summer", "autumn", "tropical")
"""winter: bare crowns, straw lawns; spring: bare crowns, yellow-green lawns; summer: deep green; autumn: dull."""

LOOKS: dict[int, tuple[str, ...]] = {
    1: ("intact",),
    2: ("cover_patches", "tarpaulin", "flooded", "scorched", "cracked"),
    3: ("decking", "open_roof", "part_missing", "flooded", "tilt"),
    4: ("rooms", "rubble", "slab", "burnt", "gone", "flooded", "pancake"),
}
"""How each grade can show, see Damage.look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """What a hazard did to one building. `grade`: Joint Damage Scale, 1 no damage .. 4 destroyed."""

    grade: int
    look: str = "intact"
    """How the grade shows, one of LOOKS[grade]: cover_patches, some roof cover gone; tarpaulin, a sheet on part or all
    of the roof; decking, cover stripped to plain boards; open_roof, rafters over a dark interior; part_missing, a part
    of the roof fallen in or blown off, the rest whole; rooms, no roof, a light grid of inner walls; rubble, a heap in
    place; slab, swept to the floor; burnt, ash between wall stubs; gone, nothing left, the ground shows; flooded, as
    intact, what is wrong stands around it; cracked, as intact, what is wrong is in its walls; scorched, one side
    blackened; tilt, the whole house leans, its roof cracked; pancake, the roof lies low and broken on what was under
    it."""
    fraction: float = 0.0
    """Share of the roof that the look covers, 0..1."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Face:
    """A measured face of a building, as LoD2 city models hold it."""

    ring: Ring3
    """Counter-clockwise seen from outside."""
    holes: tuple[Ring3, ...] = ()
    """Clockwise seen from outside."""
    kind: str = "roof"
    """roof, wall or ground."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Building:
    id: str
    footprint: Ring
    height: float
    """Eaves above ground, m."""
    base: float = 0.0
    """Ground at the building, m."""
    roof: str = "gabled"
    """flat, gabled, hipped or shed."""
    pitch: float = 25.0
    """Roof slope, degrees."""
    overhang: float = 0.4
    roof_material: str = "shingle_grey"
    wall_material: str = "siding_white"
    storeys: int = 1
    kind: str = "house"
    """house, garage, shed, mobile_home, apartment, commercial, industrial, school, church."""
    seed: int = 0
    holes: tuple[Ring, ...] = ()
    """Courtyards inside the footprint, clockwise."""
    faces: tuple[Face, ...] = ()
    """Measured geometry; where there is some it is drawn instead of a roof of form `roof` on `footprint`."""
    balconies: tuple[int, ...] = ()
    """Sides of the footprint, by the number of their first corner, along which the upper storeys have balconies."""
    damage: Damage = field(default_factory=lambda: Damage(grade=1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    x: float
    y: float
    base: float = 0.0
    height: float = 8.0
    radius: float = 3.0
    species: str = "broadleaf"
    """broadleaf, conifer, shrub or hedge (evergreen and low)."""
    state: str = "standing"
    """standing, stripped, felled, scorched (leaves brown), burnt (black, bare)."""
    bearing: float = 0.0
    """Direction of fall, degrees clockwise from north."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Car:
    x: float
    y: float
    bearing: float
    base: float = 0.0
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Linear reflectance, red green blue."""
    length: float = 4.6
    state: str = "standing"
    """standing, overturned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """A patch of ground. Later surfaces lie over earlier ones."""

    ring: Ring
    kind: str
    """A material name of scene/materials.py: grass, asphalt, concrete, bare, water, field, gravel ..."""
    semantic: str
    """A key of SEMANTIC."""
    use: str = ""
    """What shows of its use: street, arterial, stalls, drive, path, fence, lawn, mown, lot; empty for none."""
    seed: int = 0
    line: Line = ()
    """Middle line of a road, path or fence, along which lanes and wear run; first edge of a car park's stalls."""
    width: float = 0.0
    """Of the road, path or fence across `line`; for parking, the depth of a row of stalls to the left of `line`, m."""
    holes: tuple[Ring, ...] = ()
    """Inside `ring` but not of the surface, clockwise."""
    lanes: int = 0
    """Of the road where known; 0 leaves it to the width."""
    oneway: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLine:
    """Supports and the wires from each to the next."""

    points: Line
    """Of the supports; they may stand outside the scene."""
    kind: str = "pole"
    """pole or tower."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Debris:
    """Loose pieces on the ground: density on a regular grid over the scene."""

    density: NDArray[np.float32]
    """(rows, columns) pieces per square metre, row 0 at the north edge."""
    mix: tuple[tuple[str, float], ...] = (("timber", 0.5), ("sheet", 0.2), ("insulation", 0.1), ("rubble", 0.2))
    """Kinds of pieces (keys of pieces.FORMS) and their shares by number."""
    bearing: float = 0.0
    """Wind that strewed the pieces blew towards here, degrees clockwise from north."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """A thin cover on the ground: mud, ash, burnt ground, rubble dust, a bare landslide scar."""

    kind: str
    """A material name of scene/materials.py."""
    cover: NDArray[np.float32]
    """(rows, columns) share of the ground covered, 0..1, over the scene, row 0 at the north edge."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Flood:
    """Water where none is otherwise."""

    depth: NDArray[np.float32]
    """(rows, columns) m above the ground, 0 is dry, over the scene, row 0 at the north edge."""
    turbidity: float = 0.5
    """0 clear and dark .. 1 loaded with soil, tan."""
    soaked: float = 0.0
    """Share of the soil around that rain and flood have soaked, 0..1."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Smoke:
    """Smoke in the air, between all that stands there and a sensor above; laid on by the sensor model."""

    depth: NDArray[np.float32]
    """(rows, columns) optical depth at 0.55 um straight down, 0 is clear, over the scene, row 0 at the north edge."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Sun and air on the day of the image. Angles in degrees; azimuth clockwise from north."""

    sun_azimuth: float = 150.0
    sun_elevation: float = 50.0
    haze: float = 0.0
    """0 clear .. 1 thick: share of path radiance added by the sensor model."""
    overcast: float = 0.0
    """0 clear sky .. 1 closed cloud cover: the sun fades, shadows go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Degrees. Off-nadir 0 is straight down; azimuth is the direction from the ground towards the sensor."""

    off_nadir: float = 0.0
    azimuth: float = 0.0
    altitude: float = 0.0
    """Of a camera straight above the middle, m above the ground there, whose perspective shows; 0 is far away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """A real image of the place, taken apart: what the ground and the roofs look like in even light."""

    ground: NDArray[np.float32]
    """(rows, columns, 3) reflectance in red, green, blue over the scene, row 0 north; buildings and the shadows that
    they cast are filled in."""
    roofs: NDArray[np.float32]
    """The same of the roofs, where the image shows them; filled in around them."""
    light: Light
    """Of the moment when the image was taken."""
    lean: tuple[float, float] = (0.0, 0.0)
    """Towards the sensor, m (east, north) per metre of height: what is h high is imaged h times this the other way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One place at one moment. The south-west corner is (0, 0); (size, size) is the north-east one."""

    id: str
    seed: int
    crs: str
    """Projected, in metres, e.g. EPSG:32615."""
    origin: tuple[float, float]
    """Easting and northing of the south-west corner, m."""
    size: tuple[float, float]
    """Width and height, m."""
    datetime: str
    """RFC 3339, UTC."""
    season: str = "summer"
    style: str = "suburb"
    light: Light = field(default_factory=Light)
    view: View = field(default_factory=View)
    surfaces: tuple[Surface, ...] = ()
    buildings: tuple[Building, ...] = ()
    trees: tuple[Tree, ...] = ()
    cars: tuple[Car, ...] = ()
    powerlines: tuple[PowerLine, ...] = ()
    debris: Debris | None = None
    films: tuple[Film, ...] = ()
    """Later ones lie over earlier ones; flood water lies over all."""
    flood: Flood | None = None
    smoke: Smoke | None = None
    terrain: NDArray[np.float32] | None = None
    """(rows, columns) m above datum over the scene, pixel centres, row 0 north; None is flat at 0."""
    ground_seed: int = 0
    """Drives the texture of the ground; the same before and after."""
    photo: Photo | None = None
    """Colours the ground and the roofs, instead of the materials of surfaces and buildings."""
    sources: tuple[str, ...] = ()
    """Credit lines of the data that the scene was made from, each with its licence."""
    notes: tuple[str, ...] = ()
    """What was repaired, left out or drawn by lot while making the scene, one fact each."""


def save(scene: Scene, folder: str | Path) -> Path:
    """Write `folder`/scene.json, and arrays.npz beside it for the rasters. Returns the JSON's path.

    Floats keep every digit: `load` gives back an equal scene, and equal scenes give equal bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.float32]] = {}
    plain = _plain(replace(scene, terrain=None, debris=None, films=(), flood=None, smoke=None, photo=None))
    del plain["terrain"], plain["films"], plain["smoke"], plain["photo"]
    if scene.terrain is not None:
        arrays["terrain"] = scene.terrain
    if scene.debris is not None:
        arrays["debris_density"] = scene.debris.density
        plain["debris"] = {"mix": scene.debris.mix, "seed": scene.debris.seed, "bearing": scene.debris.bearing}
    if scene.flood is not None:
        arrays["flood_depth"] = scene.flood.depth
        plain["flood"] = {
            "turbidity": scene.flood.turbidity,
            "soaked": scene.flood.soaked,
            "seed": scene.flood.seed,
        }
    if scene.smoke is not None:
        arrays["smoke_depth"] = scene.smoke.depth
        plain["smoke"] = {"seed": scene.smoke.seed}
    if scene.films:
        plain["films"] = [{"kind": film.kind, "seed": film.seed} for film in scene.films]
        arrays |= {f"film_{number}": film.cover for number, film in enumerate(scene.films)}
    if scene.photo is not None:
        plain["photo"] = {"light": _plain(scene.photo.light), "lean": scene.photo.lean}
        arrays |= {"photo_ground": scene.photo.ground, "photo_roofs": scene.photo.roofs}
    np.savez_compressed(folder / "arrays.npz", allow_pickle=False, **arrays)
    path = folder / "scene.json"
    path.write_text(dumps({"schema": SCHEMA, **plain}), encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    """As dataclasses.asdict, for JSON: without its copies of every number, which take longer than all else here."""
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return [_plain(one) for one in value] if isinstance(value, tuple) and value and is_dataclass(value[0]) else value


def load(folder: str | Path) -> Scene:
    """Read what `save` wrote; `folder` may also be the scene.json itself.

    Raises:
        RenderError: a file is missing, is no scene, has another schema version, or names a field of the wrong type.
    """
    path = Path(folder)
    path = path if path.suffix == ".json" else path / "scene.json"
    try:
        plain = TypeAdapter(dict[str, Any]).validate_json(path.read_bytes())
        with np.load(path.with_name("arrays.npz"), allow_pickle=False) as stored:
            arrays = dict(stored)
        if plain.pop("schema", None) != SCHEMA:
            raise RenderError(f"{path} is not a scene of schema {SCHEMA}: render it again with this version")
        return _scene(plain, arrays)
    except OSError as error:
        raise RenderError(
            f"scene {path} cannot be read ({error}): give a folder with scene.json and arrays.npz"
        ) from error
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise RenderError(f"scene {path} is broken: {str(error).splitlines()[0]}; render it again") from error


def _scene(plain: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Scene:
    debris, flood, films = plain.pop("debris", None), plain.pop("flood", None), plain.pop("films", [])
    photo, smoke = plain.pop("photo", None), plain.pop("smoke", None)
    hints = get_type_hints(Scene)
    fields = {name: TypeAdapter(hints[name]).validate_python(value) for name, value in plain.items()}
    if debris is not None:
        mix = tuple((str(kind), float(share)) for kind, share in debris["mix"])
        density = arrays["debris_density"]
        fields["debris"] = Debris(density=density, mix=mix, seed=int(debris["seed"]), bearing=float(debris["bearing"]))
    if flood is not None:
        state = {name: float(flood[name]) for name in ("turbidity", "soaked")}
        fields["flood"] = Flood(depth=arrays["flood_depth"], seed=int(flood["seed"]), **state)
    if smoke is not None:
        fields["smoke"] = Smoke(depth=arrays["smoke_depth"], seed=int(smoke["seed"]))
    if photo is not None:
        lean = float(photo["lean"][0]), float(photo["lean"][1])
        light = TypeAdapter(Light).validate_python(photo["light"])
        fields["photo"] = Photo(ground=arrays["photo_ground"], roofs=arrays["photo_roofs"], light=light, lean=lean)
    fields["films"] = tuple(
        Film(kind=str(film["kind"]), cover=arrays[f"film_{number}"], seed=int(film["seed"]))
        for number, film in enumerate(films)
    )
    return Scene(**fields, terrain=arrays.get("terrain"))
