"""What the real Blender renders, against the geometry it was given."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from mage_stac import blender, exposure, labelling, passes
from mage_stac.errors import RenderError
from mage_stac.render_spec import RenderSpec
from mage_stac.scenario import draw
from mage_stac.scene import balconies, geometry, infrared
from mage_stac.scene.geometry import Geometry
from mage_stac.scene.scene import SEMANTIC, UNLABELLED, Building

pytestmark = pytest.mark.blender

GSD = 0.5
BOXES = ((4.1, 5.2, 12.3, 20.4, 5.0), (30.1, 28.1, 44.1, 33.1, 8.0), (50.1, 10.1, 52.1, 12.1, 3.0))
"""West, south, east, north, height: metres."""
JOB = blender.Job(width=128, height=96, gsd=GSD, sun_azimuth=150.0, sun_elevation=45.0, seed=1, samples=4)


def box(west: float, south: float, east: float, north: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    corners = [
        (x, y, z) for z in (0.0, height) for x, y in ((west, south), (east, south), (east, north), (west, north))
    ]
    walls = [side for i in range(4) for side in ((i, (i + 1) % 4, 4 + (i + 1) % 4), (i, 4 + (i + 1) % 4, 4 + i))]
    return np.array(corners, np.float32), np.array([*walls, (4, 5, 6), (4, 6, 7)], np.int32)


def town(ground: float = 0.25) -> Geometry:
    """Three boxes, the last one a car; a ground of even reflectance whose west half is grass, east half road."""
    parts = [box(*one) for one in BOXES]
    triangles = np.concatenate([faces + 8 * index for index, (_, faces) in enumerate(parts)])
    kinds = np.repeat([SEMANTIC["building"], SEMANTIC["building"], SEMANTIC["vehicle"]], 10)
    semantic = np.full((96, 128), SEMANTIC["grass"], np.uint8)
    semantic[:, 64:] = SEMANTIC["road"]
    return Geometry(
        vertices=np.concatenate([vertices for vertices, _ in parts]),
        triangles=triangles,
        colour=np.full((30, 3), 0.4, np.float32),
        grain=np.zeros(30, np.float32),
        semantic=kinds.astype(np.uint8),
        instance=np.repeat([1, 2, 0], 10).astype(np.uint32),
        ground_texture=np.full((96, 128, 3), ground, np.float32),
        ground_semantic=semantic,
        ground_soaked=np.zeros((1, 1), np.float32),
        ground_z=np.zeros((2, 2), np.float32),
    )


@pytest.fixture(scope="module")
def session() -> Iterator[blender.Session]:
    try:
        command = blender.find()
    except RenderError as error:
        pytest.skip(str(error))
    with blender.Session(command, timeout=300.0) as running:
        yield running


def render(session: blender.Session, folder: Path, geometry: Geometry, job: blender.Job) -> Path:
    job.write(geometry, folder)
    session.render(folder, folder.name)
    return folder


def centres() -> tuple[np.ndarray, np.ndarray]:
    """Map coordinates of the pixel centres."""
    x = (np.arange(JOB.width) + 0.5) * GSD
    y = JOB.height * GSD - (np.arange(JOB.height) + 0.5) * GSD
    return np.meshgrid(x, y)


@pytest.fixture(scope="module")
def nadir(session: blender.Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(session, tmp_path_factory.mktemp("nadir"), town(), JOB)


def test_every_pixel_centre_lies_where_the_map_says(nadir: Path) -> None:
    labels = passes.read_labels(nadir / "labels.exr")
    x, y = centres()
    assert np.abs(labels.position[..., 0] - x).max() < 0.02 * GSD
    assert np.abs(labels.position[..., 1] - y).max() < 0.02 * GSD


def test_labels_are_exact_at_pixel_centres(nadir: Path) -> None:
    labels = passes.read_labels(nadir / "labels.exr")
    x, y = centres()
    semantic = np.where(x < 32.0, SEMANTIC["grass"], SEMANTIC["road"])
    instance = np.zeros(x.shape, int)
    height = np.zeros(x.shape)
    for index, (west, south, east, north, top) in enumerate(BOXES):
        inside = (x > west) & (x < east) & (y > south) & (y < north)
        semantic[inside] = SEMANTIC["building" if index < 2 else "vehicle"]
        instance[inside] = index + 1 if index < 2 else 0
        height[inside] = top
    np.testing.assert_array_equal(labels.semantic, semantic)
    np.testing.assert_array_equal(labels.instance, instance)
    np.testing.assert_allclose(labels.height, height, atol=1e-4)
    np.testing.assert_allclose(labels.normal, np.broadcast_to((0, 0, 1), labels.normal.shape), atol=1e-5)


def test_buildings_pass_sees_the_ground_under_the_rest(nadir: Path) -> None:
    labels = passes.read_labels(nadir / "labels_buildings.exr")
    assert SEMANTIC["vehicle"] not in labels.semantic
    assert set(np.unique(labels.instance)) == {0, 1, 2}


def edge(line: np.ndarray, low: float, high: float) -> float:
    """Position of a step along a line in rendered pixels, from its area."""
    return float(np.clip((line - low) / (high - low), 0, 1).sum())


def test_image_edges_fall_within_a_tenth_of_a_pixel(session: blender.Session, tmp_path: Path) -> None:
    geometry = town()
    texture = np.full((96, 128, 3), 0.1, np.float32)
    dark = replace(geometry, ground_texture=texture, colour=np.full((30, 3), 0.9, np.float32))
    job = replace(JOB, sun_elevation=89.9, overcast=0.0, samples=64, oversample=1, passes=("image",))
    image = passes.read_image(render(session, tmp_path / "edges", dark, job) / "image.exr")[..., 1]
    west, south, east, north, _ = BOXES[1]
    row, column = int((48 - (south + north) / 2) / GSD), int((west + east) / 2 / GSD)
    bright, background = float(image[row, column]), float(image[3, 100])
    start = int(west / GSD) - 8
    found = start + 20 - edge(image[row, start : start + 20], background, bright)
    assert found == pytest.approx(west / GSD, abs=0.1)
    top = int((48 - north) / GSD) - 6
    found = top + 12 - edge(image[top : top + 12, column], background, bright)
    assert found == pytest.approx((48 - north) / GSD, abs=0.1)


def test_instances_reproject_onto_their_boxes_off_nadir(session: blender.Session, tmp_path: Path) -> None:
    job = replace(JOB, off_nadir=25.0, view_azimuth=60.0, passes=("labels",))
    labels = passes.read_labels(render(session, tmp_path / "oblique", town(), job) / "labels.exr")
    east, north = np.tan(np.radians(25.0)) * np.array([np.sin(np.radians(60.0)), np.cos(np.radians(60.0))])
    x, y = centres()
    # A point at height z appears away from the sensor by z * tan(off_nadir): undo it, and be where the point is.
    assert np.abs(labels.position[..., 0] - east * labels.position[..., 2] - x).max() < 0.1 * GSD
    assert np.abs(labels.position[..., 1] - north * labels.position[..., 2] - y).max() < 0.1 * GSD
    for index, (left, low, right, high, top) in enumerate(BOXES[:2]):
        seen = labels.position[labels.instance == index + 1]
        assert seen[:, 0].min() > left - 1e-3
        assert seen[:, 0].max() < right + 1e-3
        assert seen[:, 1].min() > low - 1e-3
        assert seen[:, 1].max() < high + 1e-3
        roof = labels.position[(labels.instance == index + 1) & (labels.normal[..., 2] > 0.9)]
        assert roof.shape[0] == pytest.approx((right - left) * (high - low) / GSD**2, rel=0.1)
        assert np.allclose(roof[:, 2], top, atol=1e-3)
    ground = labels.height == 0
    assert (labels.instance[ground] == 0).mean() > 0.99


def test_image_edges_fall_within_a_tenth_of_a_pixel_off_nadir(session: blender.Session, tmp_path: Path) -> None:
    """A roof's edges away from the sensor, with nothing but ground beyond them, lie where its height throws them."""
    texture = np.full((96, 128, 3), 0.1, np.float32)
    dark = replace(town(), ground_texture=texture, colour=np.full((30, 3), 0.9, np.float32))
    job = replace(JOB, off_nadir=25.0, view_azimuth=60.0, sun_elevation=89.9, samples=64, oversample=1)
    job = replace(job, passes=("image",))
    image = passes.read_image(render(session, tmp_path / "edges", dark, job) / "image.exr")[..., 1]
    west, south, east, north, height = BOXES[1]
    run = height * np.tan(np.radians(25.0))
    left, low = west - run * np.sin(np.radians(60.0)), south - run * np.cos(np.radians(60.0))
    row, column = int((48 - low - (north - south) / 2) / GSD), int((left + (east - west) / 2) / GSD)
    bright, background = float(image[row, column]), float(image[3, 100])
    start = int(left / GSD) - 8
    found = start + 20 - edge(image[row, start : start + 20], background, bright)
    assert found == pytest.approx(left / GSD, abs=0.1)
    stop = int((48 - low) / GSD) + 6
    found = stop - 12 + edge(image[stop - 12 : stop, column], background, bright)
    assert found == pytest.approx((48 - low) / GSD, abs=0.1)


@pytest.mark.parametrize("style", ["old_town", "hillside"])
def test_a_town_s_instances_reproject_onto_their_footprints_at_25_degrees(
    session: blender.Session, tmp_path: Path, style: str
) -> None:
    """A pixel's place on the map and its height above ground give the point that it shows: in its own building."""
    spec = RenderSpec(hazard="none", style=style, size_px=144, gsd=GSD, seed=4, off_nadir=25.0, off_nadir_from=25.0)
    shot = draw(spec, 0).pre
    job = replace(exposure.job(spec, shot, "pre"), passes=("labels_buildings",))
    assert job.off_nadir == 25.0
    labels = passes.read_labels(
        render(session, tmp_path, geometry.build(shot.scene, spec.texel), job) / "labels_buildings.exr"
    )
    x, y = np.meshgrid((np.arange(job.width) + 0.5) * GSD, job.height * GSD - (np.arange(job.height) + 0.5) * GSD)
    run, azimuth = np.tan(np.radians(25.0)), np.radians(job.view_azimuth)
    x, y = x + run * np.sin(azimuth) * labels.height, y + run * np.cos(azimuth) * labels.height
    assert len(np.unique(labels.instance)) > 5
    for number in np.unique(labels.instance)[1:]:
        building = shot.scene.buildings[number - 1]
        mine = labels.instance == number
        outline = shapely.Polygon(building.footprint).buffer(building.overhang + 0.1 * GSD, join_style="mitre")
        inside = shapely.contains_xy(outline, x[mine], y[mine])
        if building.balconies:
            inside |= labels.position[mine, 2] < building.base + balconies.lowest_roof(building) - balconies.UNDER_ROOF
        assert inside.mean() > 0.97, building.id
        assert shapely.contains_xy(outline.buffer(2.0), x[mine], y[mine]).all(), building.id  # balconies stick out


def test_what_is_unlabelled_shows_in_the_image_and_in_no_label(
    session: blender.Session, tmp_path: Path, nadir: Path
) -> None:
    """A bright sheet of 10 m over dark ground, as if it were a wire."""
    plain = town()
    last = len(plain.vertices)
    sheet = np.array([(10, 30, 7), (20, 30, 7), (20, 40, 7), (10, 40, 7)], np.float32)
    wired = replace(
        plain,
        vertices=np.concatenate([plain.vertices, sheet]),
        triangles=np.concatenate([plain.triangles, np.array([(0, 1, 2), (0, 2, 3)], np.int32) + last]),
        colour=np.concatenate([plain.colour, np.full((2, 3), 0.9, np.float32)]),
        grain=np.append(plain.grain, np.zeros(2, np.float32)),
        semantic=np.append(plain.semantic, np.full(2, UNLABELLED, np.uint8)),
        instance=np.append(plain.instance, np.zeros(2, np.uint32)),
    )
    folder = render(session, tmp_path / "wired", wired, JOB)
    for name in ("labels.exr", "labels_buildings.exr"):
        own, other = passes.read_labels(folder / name), passes.read_labels(nadir / name)
        for key in ("semantic", "instance", "height"):
            np.testing.assert_array_equal(getattr(own, key), getattr(other, key))
    over = (slice(2 * 20, 2 * 32), slice(2 * 24, 2 * 36))  # within the sheet, at twice the resolution, row 0 north
    bright, dark = (passes.read_image(one / "image.exr")[over].mean() for one in (folder, nadir))
    assert bright > 2.5 * dark


def test_a_building_s_visible_roof_is_the_same_with_and_without_balconies(
    session: blender.Session, tmp_path: Path
) -> None:
    """From 25 degrees balconies show, as their building's; no pixel of the roof is lost to them, none won by them."""
    spec = RenderSpec(hazard="none", style="hillside", size_px=96, gsd=GSD, off_nadir=25.0, off_nadir_from=25.0)
    drawn = draw(spec, 0)
    scene = replace(drawn.pre.scene, terrain=None)
    ring = ((20.0, 20.0), (40.0, 20.0), (40.0, 32.0), (20.0, 32.0))
    house = Building(id="b", footprint=ring, height=12.0, storeys=4, kind="apartment", roof="hipped", seed=2)
    found = {}
    for name, sides in (("with", (0, 1, 2, 3)), ("without", ())):
        shot = replace(drawn.pre, scene=replace(scene, buildings=(replace(house, balconies=sides),)))
        job = replace(exposure.job(spec, shot, "pre"), passes=("labels_buildings",))
        folder = render(session, tmp_path / name, geometry.build(shot.scene, spec.texel), job)
        bare = passes.read_labels(folder / "labels_buildings.exr")
        found[name] = (bare.instance, labelling._roofs(bare, replace(drawn, pre=shot)))
    assert ((found["with"][0] == 1) & (found["without"][0] == 0)).sum() > 20
    assert found["without"][1].any()
    np.testing.assert_array_equal(found["with"][1], found["without"][1])


def test_a_blender_killed_in_mid_frame_is_one_line_and_the_next_frame_renders(tmp_path: Path) -> None:
    with blender.Session(blender.find(), timeout=300.0) as session:
        render(session, tmp_path / "before", town(), replace(JOB, passes=("labels",)))
        victim = session.process
        assert victim is not None
        timer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
        timer.start()
        replace(JOB, samples=4096, passes=("image",)).write(town(), tmp_path / "long")
        with pytest.raises(RenderError, match="scene long: Blender was ended by SIGKILL"):
            session.render(tmp_path / "long", "long")
        timer.join()
        assert not (tmp_path / "long" / "image.exr").exists()
        again = render(session, tmp_path / "after", town(), replace(JOB, passes=("labels",)))
        assert session.process not in (None, victim)
    one, two = (passes.read_labels(folder / "labels.exr") for folder in (tmp_path / "before", again))
    np.testing.assert_array_equal(one.instance, two.instance)


def test_terrain_stays_in_place_off_nadir(session: blender.Session, tmp_path: Path) -> None:
    slope = np.broadcast_to(np.linspace(10.0, 0.0, 9, dtype=np.float32)[:, None], (9, 12)).copy()
    hill = replace(town(), ground_z=slope)
    job = replace(JOB, off_nadir=20.0, view_azimuth=270.0, passes=("labels",))
    labels = passes.read_labels(render(session, tmp_path / "hill", hill, job) / "labels.exr")
    grass = labels.semantic == SEMANTIC["grass"]
    ground = labels.height == 0
    x, _ = centres()
    assert (grass == (x < 32.0))[ground].mean() > 0.995
    # The car stands in the hill's foot: heights are above the ground below, not above the datum.
    assert labels.height.max() < 8.01


def test_white_level_ground_renders_as_one(session: blender.Session, tmp_path: Path) -> None:
    for elevation, overcast in ((20.0, 0.0), (60.0, 0.0), (40.0, 1.0)):
        job = replace(JOB, sun_elevation=elevation, overcast=overcast, samples=16, passes=("image",))
        folder = render(session, tmp_path / f"white{elevation}", town(ground=1.0), job)
        corner = passes.read_image(folder / "image.exr")[-40:, -40:]
        np.testing.assert_allclose(corner.mean((0, 1)), 1.0, atol=0.02)


def test_denoised_images_are_nearer_to_many_light_paths_and_as_sharp(session: blender.Session, tmp_path: Path) -> None:
    textured = np.random.default_rng(3).uniform(0.1, 0.4, (96, 128, 1)).repeat(3, 2).astype(np.float32)
    scene = replace(town(), ground_texture=textured)
    job = replace(JOB, overcast=1.0, passes=("image",))
    jobs = {
        "many": replace(job, samples=256, denoise=False),
        "few": replace(job, denoise=False),
        "clean": job,
    }
    image = {
        name: passes.read_image(render(session, tmp_path / name, scene, one) / "image.exr")
        for name, one in jobs.items()
    }
    assert (image["clean"] - image["many"]).std() < 0.6 * (image["few"] - image["many"]).std()
    assert image["clean"].mean() == pytest.approx(image["many"].mean(), rel=0.01)
    steps = {name: np.abs(np.diff(one, axis=1)).mean() for name, one in image.items()}
    # Noise of so few paths adds three tenths to the steps between texels; blur would take some of them away.
    assert steps["clean"] == pytest.approx(steps["many"], rel=0.03)


def test_shadow_lies_away_from_the_sun_and_is_bluish(nadir: Path) -> None:
    image = passes.read_image(nadir / "image.exr")
    west, _, _, north, height = BOXES[0]
    # Sun at azimuth 150, elevation 45: the shadow of a corner runs `height` metres towards azimuth 330.
    x = west + 0.8 * height * np.sin(np.radians(330.0)) + 1.0
    y = north + 0.8 * height * np.cos(np.radians(330.0)) - 1.0
    shadow = image[int((48 - y) * 4), int(x * 4)]
    lit = image[((48 - 40) * 4), (10 * 4)]
    assert (shadow < 0.5 * lit).all()
    assert shadow[2] / lit[2] > 1.3 * shadow[0] / lit[0]
    assert shadow.min() > 0.02


def test_runs_repeat_whatever_the_threads(tmp_path: Path, nadir: Path) -> None:
    with blender.Session(blender.find(), machine=blender.Machine(threads=1, device="cpu"), timeout=300.0) as single:
        again = render(single, tmp_path / "again", town(), JOB)
    for name in ("labels.exr", "labels_buildings.exr"):
        one, two = (passes.read_labels(folder / name) for folder in (nadir, again))
        for field in ("semantic", "instance", "height"):
            np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    one, two = (passes.read_image(folder / "image.exr") for folder in (nadir, again))
    assert np.abs(one - two).max() < 1 / 255


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sun_elevation": 0.0}, "sun elevation"),
        ({"off_nadir": 80.0}, "off_nadir"),
        ({"passes": ("depth",)}, "unknown"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(
    session: blender.Session, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    replace(JOB, **change).write(town(), tmp_path)
    with pytest.raises(RenderError, match=f"scene odd: .*{message}"):
        session.render(tmp_path, "odd")


def test_an_empty_scene_renders(session: blender.Session, tmp_path: Path) -> None:
    none = np.zeros(0, np.uint32)
    empty = replace(
        town(),
        vertices=np.zeros((0, 3), np.float32),
        triangles=np.zeros((0, 3), np.int32),
        colour=np.zeros((0, 3), np.float32),
        grain=none.astype(np.float32),
        semantic=none.astype(np.uint8),
        instance=none,
    )
    labels = passes.read_labels(render(session, tmp_path, empty, JOB) / "labels.exr")
    assert labels.instance.max() == 0


def test_infrared_is_another_image_of_the_same_geometry(session: blender.Session, tmp_path: Path) -> None:
    geometry = town()
    texture = np.empty((96, 128, 3), np.float32)
    texture[:, :64], texture[:, 64:] = (0.058, 0.088, 0.034), (0.140, 0.137, 0.130)
    painted = replace(geometry, ground_texture=texture, colour=np.full((30, 3), 0.3, np.float32))
    job = replace(JOB, samples=16, oversample=1, overcast=1.0, passes=("image", "infrared", "labels"))
    folder = render(session, tmp_path, painted, job)
    light = passes.read_radiance(folder, infrared=True)
    assert light.shape == (96, 128, 6)
    lawn, road = light[80:, 36:56], light[80:, 104:124]
    ndvi = [(part[..., 3] - part[..., 0]).mean() / (part[..., 3] + part[..., 0]).mean() for part in (lawn, road)]
    assert ndvi[0] > 0.6
    assert ndvi[1] < 0.15
    known = infrared.of(texture[80:, 104:124], geometry.ground_semantic[80:, 104:124])
    np.testing.assert_allclose(road[..., 3:].mean((0, 1)), known.mean((0, 1)), rtol=0.05)
    labels = passes.read_labels(folder / "labels.exr")
    assert set(np.unique(labels.instance)) == {0, 1, 2}  # colours changed, labels did not


def test_water_is_as_much_of_a_pixel_as_nothing_stands_over(session: blender.Session, tmp_path: Path) -> None:
    west, south, east, north = 10.1, 12.2, 17.7, 19.9
    vertices, triangles = box(west, south, east, north, 4.0)
    crown = replace(
        town(), vertices=vertices, triangles=triangles, colour=np.full((10, 3), 0.1, np.float32),
        grain=np.zeros(10, np.float32), semantic=np.full(10, SEMANTIC["tree"], np.uint8),
        instance=np.zeros(10, np.uint32), ground_semantic=np.full((32, 32), SEMANTIC["water"], np.uint8),
    )  # fmt: skip
    job = replace(JOB, width=64, height=64, oversample=1, passes=("labels",))  # a pixel of 1 m is 2 by 2 rays
    render(session, tmp_path, crown, job)
    x, y = np.meshgrid((np.arange(64) + 0.5) / 2, 32 - (np.arange(64) + 0.5) / 2)
    open_water = ~((x > west) & (x < east) & (y > south) & (y < north))
    share = open_water.reshape(32, 2, 32, 2).mean(axis=(1, 3))[8:24, 8:24]
    assert {0.0, 0.5, 1.0} <= set(share.ravel())
    np.testing.assert_array_equal(exposure.water(RenderSpec(size_px=16), tmp_path), share)


def test_shadows_are_deeper_in_the_infrared(session: blender.Session, tmp_path: Path) -> None:
    job = replace(JOB, samples=32, oversample=1, sun_elevation=30.0, passes=("image", "infrared"))
    light = passes.read_radiance(render(session, tmp_path, town(0.9), job), infrared=True)
    shaded, open_ground = light[24:28, 68:70], light[80:, 104:124]
    share = shaded.mean((0, 1)) / open_ground.mean((0, 1))
    assert (np.diff(share[[2, 1, 0, 3, 4, 5]]) < 0).all()  # from blue to short-wave infrared


@pytest.mark.parametrize("ground", [0.0, 7.0])
def test_a_drone_sees_roofs_where_the_rays_through_them_meet_the_ground(
    session: blender.Session, tmp_path: Path, ground: float
) -> None:
    """Every pixel's ray goes from the camera through the pixel's place on the map: a roof h high is seen A / (A - h) as
    far from the middle as it stands, wherever the ground is."""
    altitude = 40.0
    geometry = town()
    raised = geometry.vertices + np.array([0, 0, ground], np.float32)
    geometry = replace(geometry, vertices=raised, ground_z=np.full((2, 2), ground, np.float32))
    job = replace(JOB, altitude=altitude, passes=("labels",))
    labels = passes.read_labels(render(session, tmp_path, geometry, job) / "labels.exr")
    x, y = centres()
    east, north = JOB.width * GSD / 2, JOB.height * GSD / 2
    for number, (west, south, right, top, height) in enumerate(BOXES[:2], start=1):
        grown = altitude / (altitude - height)
        left, low = east + (west - east) * grown, north + (south - north) * grown
        far, high = east + (right - east) * grown, north + (top - north) * grown
        slack = 0.05 * GSD  # a twentieth of a pixel
        within = (x > left + slack) & (x < far - slack) & (y > low + slack) & (y < high - slack)
        assert (labels.instance[within] == number).all()
        np.testing.assert_allclose(labels.height[within], height, atol=1e-3)
        roof = (labels.instance == number) & (labels.normal[..., 2] > 0.5)
        beyond = (x < left - slack) | (x > far + slack) | (y < low - slack) | (y > high + slack)
        assert not (roof & beyond).any()
    np.testing.assert_array_equal(labels.semantic[:8] == SEMANTIC["road"], x[:8] > 32.0)


def test_a_drone_s_ground_stays_in_place_on_a_slope(session: blender.Session, tmp_path: Path) -> None:
    slope = np.linspace(0.0, 12.0, 65, dtype=np.float32)[None, :].repeat(49, axis=0)
    geometry = replace(town(), ground_z=slope)
    geometry = replace(geometry, vertices=np.zeros((0, 3), np.float32), triangles=np.zeros((0, 3), np.int32),
                       colour=np.zeros((0, 3), np.float32), grain=np.zeros(0, np.float32),
                       semantic=np.zeros(0, np.uint8), instance=np.zeros(0, np.uint32))  # fmt: skip
    job = replace(JOB, altitude=60.0, passes=("labels",))
    labels = passes.read_labels(render(session, tmp_path, geometry, job) / "labels.exr")
    x, _ = centres()
    np.testing.assert_array_equal(labels.semantic == SEMANTIC["road"], x > 32.0)
    np.testing.assert_allclose(labels.position[..., 2], np.interp(x, [0, 64], [0, 12]), atol=0.1 * GSD * 12 / 64)


def test_a_drone_below_the_roofs_is_refused(session: blender.Session, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"altitude 5\.0 is not over all that stands there: 8 m"):
        render(session, tmp_path, town(), replace(JOB, altitude=5.0))
