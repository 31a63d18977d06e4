"""One pair: a scenario through geometry, Blender and the sensor model to three Items on disk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray

from mage_stac import __version__, blender, catalogue, exposure, labelling, passes, publish
from mage_stac.pairs import PHASES
from mage_stac.render_spec import RenderSpec
from mage_stac.scenario import Scenario, draw
from mage_stac.scene import geometry
from mage_stac.scene import scene as scenes
from mage_stac.shots import Shot


class Clock(dict[str, float]):
    """Seconds by stage: of wall time, and as `STAGE.cpu` of processor cores."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what the body takes to a stage. `render` waits for Blender, whose own stages are `render.*`."""
        wall, cores = time.perf_counter(), time.process_time()
        yield
        self.add(name, time.perf_counter() - wall)
        self.add(f"{name}.cpu", time.process_time() - cores)

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to a stage."""
        self[name] = self.get(name, 0.0) + seconds


def render_pair(spec: RenderSpec, number: int, collection: Path, session: blender.Session) -> dict[str, float]:
    """Render pair `number` of a spec into a collection's folder; returns seconds by stage: wall, and `STAGE.cpu`.

    The Items appear together at the end, the label last; on any error none does.

    Raises:
        RenderError: the scene cannot be made or rendered.
        CatalogueError: the disk refuses.
    """
    clock = Clock()
    with clock.stage("total"):
        with clock.stage("scene"):
            scenario = draw(spec, number)
        jobs = {phase: exposure.job(spec, getattr(scenario, phase), phase) for phase in PHASES}
        root, name = collection.parent, collection.name
        with (
            catalogue.staged(root, name, f"{scenario.id}-label") as label,
            catalogue.staged(root, name, f"{scenario.id}-post") as post,
            catalogue.staged(root, name, f"{scenario.id}-pre") as pre,
        ):
            unseen, dates = {}, geometry.Dates(spec.texel)
            for phase, folder in (("pre", pre), ("post", post)):
                with tempfile.TemporaryDirectory(prefix="mage-stac-") as scratch:
                    shot: Shot = getattr(scenario, phase)
                    _render(Path(scratch), shot, jobs[phase], dates, session, clock)
                    unseen[phase] = _write_image(spec, scenario, phase, Path(scratch), folder, clock)
                    if phase == "pre":
                        truth = _truth(Path(scratch), scenario, clock)
                    elif shot.scene.flood is not None:
                        truth = labelling.surface(truth, exposure.water(spec, Path(scratch)))
            _write_label(spec, scenario, jobs, labelling.hide(truth, unseen["pre"], unseen["post"]), label, clock)
    return dict(clock)


def _render(
    scratch: Path, shot: Shot, job: blender.Job, dates: geometry.Dates, session: blender.Session, clock: Clock
) -> None:
    with clock.stage("geometry"):
        job.write(dates.build(shot.scene), scratch)
    with clock.stage("render"):
        seconds = session.render(scratch, shot.scene.id)
    for stage, value in seconds.items():
        clock.add(f"render.{stage}", value)


def _truth(scratch: Path, scenario: Scenario, clock: Clock) -> labelling.Rasters:
    with clock.stage("label"):
        seen, bare = (passes.read_labels(scratch / f"{name}.exr") for name in ("labels", "labels_buildings"))
        return labelling.rasters(seen, bare, scenario)


def _write_image(
    spec: RenderSpec, scenario: Scenario, phase: str, scratch: Path, folder: Path, clock: Clock
) -> NDArray[np.bool_]:
    """image.tif and what imagery_item makes of it, and the Item's JSON; returns which pixels do not show the ground."""
    shot: Shot = getattr(scenario, phase)
    with clock.stage("sensor"):
        image = exposure.of(spec, shot, phase, scratch)
    with clock.stage("write"):
        publish.write_cog(folder / "image.tif", image.numbers, scenario.geobox, nodata=image.sensor.nodata)
        fields = {**_properties(spec, scenario, phase), **image.properties}
        item = publish.imagery_item(
            id=f"{scenario.id}-{phase}",
            geobox=scenario.geobox,
            datetime=shot.scene.datetime,
            sensor=image.sensor,
            folder=folder,
            properties={name: value for name, value in fields.items() if value is not None},
        )
        if image.radar is not None:
            _add_radar(item, image.radar, scenario, folder)
        if phase == "pre":
            _add_scene(item, shot.scene, folder)
        if shot.scene.photo is not None:
            publish.derived_from(item, scenario.sources)
        item.collection_id = folder.parent.name
        catalogue.write_item(folder, item)
    return image.unseen


def _add_radar(item: pystac.Item, classes: NDArray[np.uint8], scenario: Scenario, folder: Path) -> None:
    """The asset that says where a radar's image is laid over or dark for want of a beam."""
    table = exposure.RADAR_CLASSES
    publish.write_cog(folder / "radar.tif", classes, scenario.geobox, colours=publish.colour_table(table))
    asset = publish.class_asset("./radar.tif", title="Layover and shadow", classes=table, geobox=scenario.geobox)
    item.add_asset("radar", asset)


def _properties(spec: RenderSpec, scenario: Scenario, phase: str | None) -> dict[str, Any]:
    """Fields of an Item of the pair; `phase` None is the label."""
    fields: dict[str, Any] = {
        "synthetic:generator": "mage-stac",
        "synthetic:version": __version__,
        "synthetic:seed": spec.seed,
        "synthetic:hazard": scenario.hazard,
        "synthetic:pair": scenario.id,
        "synthetic:place": scenario.place,
        "synthetic:style": scenario.pre.scene.style,
    }
    if scenario.intensity is not None:
        fields |= {"synthetic:intensity": scenario.intensity, "synthetic:intensity_unit": scenario.unit}
    if phase is None:
        notes = (*scenario.post.scene.notes, *scenario.truth.notes)
        fields |= {"synthetic:phase": "both", "synthetic:scene": "./scene.json", "gsd": spec.gsd}
        return fields | _credits(scenario.post.scene, notes)
    scene: scenes.Scene = getattr(scenario, phase).scene
    if phase == "post":
        fields["synthetic:shift"] = list(scenario.post.look.shift)
    return {
        **fields,
        "title": f"{scenario.id}: {'before' if phase == 'pre' else 'after'}",
        "synthetic:phase": phase,
        "synthetic:scene": "./scene.json" if phase == "pre" else f"../{scenario.id}-label/scene.json",
        "gsd": spec.gsd,
        "view:sun_azimuth": scene.light.sun_azimuth,
        "view:sun_elevation": scene.light.sun_elevation,
        "view:off_nadir": scene.view.off_nadir,
        "view:azimuth": scene.view.azimuth,
        **({"synthetic:altitude": scene.view.altitude} if scene.view.altitude else {}),
        **_credits(scene, ()),
    }


def _credits(scene: scenes.Scene, notes: tuple[str, ...]) -> dict[str, Any]:
    return {
        **({"attribution": "; ".join(scene.sources)} if scene.sources else {}),
        **({"synthetic:notes": list(notes)} if notes else {}),
    }


def _write_label(
    spec: RenderSpec,
    scenario: Scenario,
    jobs: dict[str, blender.Job],
    truth: labelling.Rasters,
    folder: Path,
    clock: Clock,
) -> None:
    with clock.stage("label"):
        item = labelling.write(folder, scenario, truth, _properties(spec, scenario, None))
        _add_scene(item, scenario.post.scene, folder)
        described = {
            phase: {"job": jobs[phase].as_dict(), "look": getattr(scenario, phase).look.as_dict()} for phase in PHASES
        }
        catalogue.write_json(folder / "render.json", {"spec": spec.pixels(), **described})
        item.add_asset("render", _json_asset("./render.json", "Render jobs and sensor draws"))
        for phase in PHASES:
            source = folder.parent / f"{scenario.id}-{phase}" / f"{scenario.id}-{phase}.json"
            title = _properties(spec, scenario, phase)["title"]
            catalogue.link_to(item, source, "source", title=title, **{"label:assets": ["damage", "buildings"]})
        item.collection_id = folder.parent.name
        catalogue.write_item(folder, item)


def _add_scene(item: pystac.Item, scene: scenes.Scene, folder: Path) -> None:
    scenes.save(scene, folder)
    item.add_asset("scene", _json_asset("./scene.json", "What stands where"))
    item.add_asset(
        "arrays",
        pystac.Asset("./arrays.npz", title="Rasters of the scene", media_type="application/zip", roles=["metadata"]),
    )


def _json_asset(href: str, title: str) -> pystac.Asset:
    return pystac.Asset(href, title=title, media_type=pystac.MediaType.JSON, roles=["metadata"])
