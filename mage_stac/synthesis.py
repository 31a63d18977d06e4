"""Synthesis: scenarios to pre, post and label Items, in parallel, resumable, failures recorded and passed over."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mage_stac import blender, catalogue, cluster, kept, scenario, workers
from mage_stac.errors import CatalogueError, MageStacError, RenderError
from mage_stac.hazards.limits import UNTOUCHED
from mage_stac.progress import Step
from mage_stac.render_spec import RenderSpec
from mage_stac.rendering import render_pair

__all__ = ["RenderSpec", "Report", "render_pairs"]

FAILURES = "failures.json"
HOPELESS = 5
"""Failures without a single success after which a run stops."""
TITLE = "Rendered disasters"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a run did. Ids are those of pairs."""

    made: tuple[str, ...]
    skipped: tuple[str, ...]
    """Complete before."""
    failed: dict[str, str]
    """Id -> reason; also in failures.json in the collection's folder."""
    seconds: dict[str, float]
    """Seconds by stage, summed over pairs and workers: of wall time and, as `STAGE.cpu`, of processor cores; `render.*`
    are Blender's own."""
    untouched: dict[str, str] = field(default_factory=dict)
    """Id -> the note of a pair, made now, in which the hazard changed nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One pair: rendered, or why not."""

    id: str
    error: str | None = None
    note: str | None = None
    """That the hazard changed nothing."""
    seconds: dict[str, float] = field(default_factory=dict)


def render_pairs(spec: RenderSpec, out: Path, progress: Step | None = None) -> Report:
    """Render the pairs of a spec that `out` does not yet hold, as Items of the collection `<hazard>-pairs`.

    A pair is complete when its label Item is there, which is written last. A pair that fails is recorded in
    failures.json in the collection's folder, and the rest goes on; the next run tries it again.

    Raises:
        RenderError: no Blender was found, the first scenes all failed, or `out` holds pairs of these names made with
            other options.
        MageStacError: a file of the spec cannot serve (`scenario.check`), a worker process was killed, or the Dask
            cluster has no workers or went away.
        CatalogueError: the disk refuses.
    """
    scenario.check(spec)
    folder = out / collection_id(spec)
    ids = [spec.pair_id(index) for index in range(spec.pairs)]
    done = [name for name in ids if catalogue.has(out, folder.name, f"{name}-label")]
    _check_same(spec, folder, done)
    todo = [index for index, name in enumerate(ids) if name not in set(done)]
    made: list[str] = []
    failed: dict[str, str] = {}
    untouched: dict[str, str] = {}
    seconds: dict[str, float] = {}
    try:
        for outcome in _outcomes(spec, out, todo):
            for stage, value in outcome.seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + value
            if outcome.note is not None:
                untouched[outcome.id] = outcome.note
            if outcome.error is None:
                made.append(outcome.id)
            else:
                failed[outcome.id] = outcome.error
            if progress is not None:
                progress(len(done) + len(made) + len(failed), spec.pairs, outcome.id)
            _stop_if_hopeless(made, failed)
    finally:
        if failed:
            folder.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            _record(folder / FAILURES, failed, {*made, *done})
            index(out)
    return Report(made=tuple(sorted(made)), skipped=tuple(done), failed=failed, seconds=seconds, untouched=untouched)


def collection_id(spec: RenderSpec) -> str:
    """Id of the collection that the pairs of a spec go to."""
    return f"{spec.hazard}-pairs"


def index(out: Path) -> None:
    """Write the catalogue and its collections anew from the pairs on disk."""
    templates = {
        path.name: {
            "title": f"Rendered pairs: {path.name.removesuffix('-pairs')}",
            "description": (
                "Places before and after a hazard, rendered, with exact labels. Imagery and labels are synthetic."
            ),
            "license": "CC0-1.0",
            "keywords": ["synthetic", "disaster", "damage", path.name.removesuffix("-pairs")],
            "providers": [{"name": "mage-stac", "roles": ["producer", "processor"]}],
        }
        for path in out.glob("*-pairs")
    }
    catalogue.index(out, id=catalogue.safe_id(out.resolve().name), title=TITLE, collections=templates)


def _outcomes(spec: RenderSpec, out: Path, todo: list[int]) -> Iterator[Outcome]:
    if not todo:
        return
    if spec.scheduler is None:
        opener = partial(_worker, spec, out, _blender(spec))
        results = workers.each(opener, todo, min(spec.workers, len(todo)))
    else:
        opener = partial(_worker, spec, out.absolute(), None)
        results = cluster.each(opener, todo, spec.scheduler, partial(_lost, spec))
    with closing(results) as outcomes:
        for outcome in outcomes:
            yield outcome if spec.scheduler is None else _arrived(spec, out, outcome)


def _blender(spec: RenderSpec) -> tuple[str, ...]:
    return blender.with_device(blender.find(spec.blender), spec.device)


@contextmanager
def _worker(
    spec: RenderSpec, out: Path, command: tuple[str, ...] | None, number: int, crew: int
) -> Iterator[Callable[[int], Outcome]]:
    """A Blender, and what renders a pair with it; without a command, the Blender that this machine has."""
    threads = 0 if crew == 1 else max((os.cpu_count() or crew) // crew, 1)
    machine = blender.Machine(threads=threads, device=spec.device, turn=number)
    program = command or _blender(spec)
    session = blender.Session if spec.keep is None else partial(kept.Session, keep=Path(spec.keep))
    with session(program, machine=machine, restart_after=spec.restart_after, timeout=spec.timeout) as running:
        yield partial(_attempt, spec, out, running)


def _lost(spec: RenderSpec, number: int, reason: str) -> Outcome:
    return Outcome(id=spec.pair_id(number), error=reason)


def _arrived(spec: RenderSpec, out: Path, outcome: Outcome) -> Outcome:
    """What another machine did, unless it wrote to a disk of its own."""
    if outcome.error is None and not catalogue.has(out, collection_id(spec), f"{outcome.id}-label"):
        reason = f"its Dask worker does not see {out.absolute()}: give a folder that all machines share"
        return Outcome(id=outcome.id, error=reason)
    return outcome


def _attempt(spec: RenderSpec, out: Path, session: blender.Session, number: int) -> Outcome:
    name = spec.pair_id(number)
    collection = out / collection_id(spec)
    try:
        seconds = render_pair(spec, number, collection, session)
        return Outcome(id=name, seconds=seconds, note=_untouched(collection / f"{name}-label"))
    except CatalogueError:  # the disk: no other pair would fare better
        raise
    except MageStacError as error:
        return Outcome(id=name, error=str(error))
    except Exception as error:  # noqa: BLE001 - one scene's broken geometry must not end a night's run
        return Outcome(id=name, error=f"{type(error).__name__}: {error}")


def _untouched(folder: Path) -> str | None:
    """The note, in a label Item's folder, of a hazard that changed nothing."""
    notes = catalogue.read_json(folder / f"{folder.name}.json")["properties"].get("synthetic:notes", [])
    return next((note for note in notes if UNTOUCHED in note), None)


def _stop_if_hopeless(made: list[str], failed: dict[str, str]) -> None:
    if not made and len(failed) >= HOPELESS:
        raise RenderError(f"the first {len(failed)} scenes all failed, the last with: {list(failed.values())[-1]}")


def _check_same(spec: RenderSpec, folder: Path, done: list[str]) -> None:
    """Refuse to mix pairs of other options under one name: compare with the first complete pair."""
    if not done:
        return
    path = folder / f"{done[0]}-label" / "render.json"
    then, now = catalogue.read_json(path).get("spec", {}), json.loads(json.dumps(spec.pixels()))
    names = [name for name in then | now if then.get(name) != now.get(name)]
    other = [f"{name} {then.get(name)!r}, not {now.get(name)!r}" for name in names]
    if other:
        raise RenderError(
            f"{folder} holds {done[0]}, made with {'; '.join(other)}: give another --out or --seed, or the same options"
        )


def _record(path: Path, failed: dict[str, str], succeeded: set[str]) -> None:
    """Merge a run's failures into the file; a pair that is complete by now is taken out, an empty file removed."""
    before = catalogue.read_json(path) if path.is_file() else {}
    after = {name: reason for name, reason in {**before, **failed}.items() if name not in succeeded}
    if after:
        catalogue.write_json(path, dict(sorted(after.items())))
    else:
        path.unlink(missing_ok=True)
