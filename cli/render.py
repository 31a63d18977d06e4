"""`mage-stac render`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .progress import bar

if TYPE_CHECKING:
    from mage_stac.render_spec import RenderSpec
    from mage_stac.synthesis import Report


def render(  # noqa: PLR0913 - a command's options
    *,
    out: Annotated[Path, typer.Option(help="Catalogue to write to; what it already holds is kept and not made again.")],
    procedural: Annotated[
        str,
        typer.Option(
            metavar="STYLE",
            help="Style of the invented towns: suburb, old_town, village, hillside, informal, industrial, farmland, "
            "compounds.",
        ),
    ] = "suburb",
    place: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="A real place instead: footprints, a city model, an OSM extract, terrain ...; repeat for a mix.",
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="TOML", help="Which columns of the place's files mean what.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="ITEM",
            help="A real image (Item or folder of Items): its grid, light and view; with --place also its own pixels "
            "as ground and roofs, into which the damage is rendered. --gsd and --off-nadir-from overrule it.",
        ),
    ] = None,
    hazard: Annotated[str, typer.Option(help="What strikes: wind, flood, earthquake, fire, or none.")] = "wind",
    intensity: Annotated[
        float | None,
        typer.Option(help="How strong, in the hazard's unit (m/s, m, magnitude ...); drawn for each pair otherwise."),
    ] = None,
    event: Annotated[
        str | None, typer.Option(help="A well-known event, such as norcia-2016: its hazard, settings and intensity.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the hazard, such as source=rain, by=discharge, distance=20, smoke=true; repeatable.",
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of images, before and after.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pairs.")] = 0,
    size: Annotated[int, typer.Option(min=16, help="Pixels along each side.")] = 512,
    gsd: Annotated[
        float | None, typer.Option(help="Ground sampling distance, metres; else that of --like, or the sensor's own.")
    ] = None,
    sensor: Annotated[
        str, typer.Option(help="Sensor of both dates, or a TOML file that describes one.")
    ] = "aerial-rgb",
    post_sensor: Annotated[
        str | None, typer.Option(help="Sensor of the date after the event if it is another, such as sar-x.")
    ] = None,
    off_nadir: Annotated[float, typer.Option(help="The most that a view leans, degrees.")] = 8.0,
    off_nadir_from: Annotated[float | None, typer.Option(help="The least that a view leans; 0 if not given.")] = None,
    altitude: Annotated[
        float | None, typer.Option(help="Metres above ground of a camera whose perspective shows; else the sensor's.")
    ] = None,
    undamaged: Annotated[float, typer.Option(help="Share of pairs in which nothing happens, 0..1.")] = 0.15,
    samples: Annotated[int, typer.Option(min=1, help="Light paths per rendered pixel (4 to an image pixel).")] = 4,
    denoise: Annotated[
        bool, typer.Option(help="Clean images of the noise of few light paths, by OpenImageDenoise.")
    ] = True,
    clouds: Annotated[
        float | None,
        typer.Option(help="Share of the sky under clouds, 0..1; what they hide is 255 in labels."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes in parallel, each with a Blender of its own.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler (tcp://HOST:PORT): its workers render, one pair at a time each, into --out, which "
            "all machines must share.",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="What renders the images: auto takes a GPU if Cycles finds one; gpu or cpu. With --workers, each "
            "takes a GPU in turn."
        ),
    ] = "auto",
    blender: Annotated[
        str | None, typer.Option(help="A Blender, or a virtual environment or Python with bpy; else MAGE_STAC_BLENDER.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Keep Blender's passes there and take them from there: another --sensor or --clouds renders nothing.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any scene failed, not only if all did.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Render invented or real places before and after a hazard, with exact labels.

    A killed run goes on where it stopped. Scenes that fail are listed in failures.json in the collection's folder.

    Example: mage-stac render --procedural suburb --hazard wind --pairs 20 --seed 7 --out out/synthetic

    Into a real image: mage-stac render --like real/pre --place footprints.geojson --hazard wind --out out/hybrid

    A known event: mage-stac render --event norcia-2016 --set distance=12 --procedural old_town --out out/quake

    Of a real place: mage-stac render --place town.osm.pbf --place terrain.tif --hazard flood --pairs 5 --out out/town
    """
    from mage_stac import likeness, sensors
    from mage_stac.hazards import events
    from mage_stac.render_spec import RenderSpec, fitting_oversample
    from mage_stac.synthesis import render_pairs

    metres = gsd or (likeness.opened(like).gsd if like else sensors.read(sensor).gsd)
    spec = RenderSpec(
        hazard=events.read(event).hazard if event else hazard,
        intensity=intensity,
        event=event,
        settings=tuple(setting) if setting else None,
        seed=seed,
        style=procedural,
        place=tuple(place) if place else None,
        columns=columns,
        like=like,
        size_px=size,
        gsd=metres,
        oversample=fitting_oversample(metres),
        sensor=sensor,
        post_sensor=post_sensor,
        off_nadir=off_nadir,
        off_nadir_from=off_nadir_from,
        undamaged_share=undamaged,
        samples=samples,
        denoise=denoise,
        altitude=altitude,
        clouds=clouds,
        pairs=pairs,
        workers=workers,
        scheduler=scheduler,
        device=device,
        blender=blender,
        keep=keep,
    )
    with bar("render") as step:
        report = render_pairs(spec, out, step)
    _tell(report, spec, out, as_json=as_json)
    if report.failed and (strict or not report.made + report.skipped):
        raise typer.Exit(1)


def _tell(report: Report, spec: RenderSpec, out: Path, *, as_json: bool) -> None:
    """Say what was made, and what was not."""
    for pair, note in report.untouched.items():
        typer.echo(f"warning: {pair}: {note}", err=True)
    if report.failed:
        first, why = next(iter(report.failed.items()))
        where = out / f"{spec.hazard}-pairs" / "failures.json"
        typer.echo(f"{len(report.failed)} of {spec.pairs} scenes failed: see {where}; {first}: {why}", err=True)
    if as_json:
        summary = {"catalogue": str(out), "made": report.made, "skipped": report.skipped, "failed": report.failed}
        typer.echo(json.dumps(summary | {"seconds": report.seconds}))
    elif report.made + report.skipped:
        typer.echo(out / f"{spec.hazard}-pairs")
