"""The sensor model against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage_stac import imaging, sensors
from mage_stac.errors import RenderError
from mage_stac.imaging import Look


def wave(rows: int, columns: int, oversample: int, frequency: float) -> np.ndarray:
    """A cosine along columns, of `frequency` cycles a product pixel, sampled at the rendered pixels' centres."""
    x = (np.arange(columns * oversample) + 0.5) / oversample
    line = np.cos(2 * np.pi * frequency * x)
    return np.broadcast_to(line[None, :, None], (rows * oversample, x.size, 3)).astype(np.float32)


def phase_and_amplitude(line: np.ndarray, frequency: float) -> tuple[float, float]:
    x = np.arange(line.size) + 0.5
    projected = 2 * np.mean(line * np.exp(-2j * np.pi * frequency * x))
    return float(np.angle(projected)), float(np.abs(projected))


@given(fwhm=st.floats(0.0, 3.0), rows=st.floats(-4.0, 4.0), columns=st.floats(-4.0, 4.0), oversample=st.integers(1, 4))
def test_level_field_stays_level(fwhm: float, rows: float, columns: float, oversample: int) -> None:
    image = np.full((12 * oversample, 10 * oversample, 3), 0.3, np.float32)
    out = imaging.resample(image, oversample=oversample, fwhm=fwhm, shift=(rows, columns))
    assert out.shape == (12, 10, 3)
    np.testing.assert_allclose(out, 0.3, rtol=1e-5)


@pytest.mark.parametrize("fwhm", [0.0, 0.8, 1.3, 2.5])
def test_psf_keeps_energy(fwhm: float) -> None:
    image = np.zeros((64, 64, 3), np.float32)
    image[32:34, 30:32] = 1.0  # one product pixel; a point's sum depends on where it falls between the samples
    out = imaging.resample(image, oversample=2, fwhm=fwhm, shift=(0.3, -0.4))
    assert out[..., 0].sum() == pytest.approx(1.0, rel=2e-3)


def test_psf_has_its_width_and_place() -> None:
    image = np.zeros((256, 256, 3), np.float32)
    image[100:104, 120:124] = 1.0  # one product pixel: row 25, column 30
    out = imaging.resample(image, oversample=4, fwhm=1.6, shift=(2.25, -1.5))[..., 1].astype(np.float64)
    across = np.arange(64)
    centre_row, centre_column = (out.sum(axis) @ across / out.sum() for axis in (1, 0))
    assert centre_row == pytest.approx(25 + 2.25, abs=0.01)
    assert centre_column == pytest.approx(30 - 1.5, abs=0.01)
    variance = out.sum(0) @ (across - centre_column) ** 2 / out.sum()
    # Variances add: the Gaussian's and that of the square source; sampling at pixel centres adds none.
    assert variance == pytest.approx((1.6 / 2.354820) ** 2 + 1 / 12, rel=0.03)


@given(shift=st.floats(-3.0, 3.0), fwhm=st.floats(0.9, 2.0))
def test_shift_turns_the_phase_and_mtf_follows_the_gaussian(shift: float, fwhm: float) -> None:
    frequency = 0.125
    out = imaging.resample(wave(4, 64, 4, frequency), oversample=4, fwhm=fwhm, shift=(0.0, shift))
    phase, amplitude = phase_and_amplitude(out[2, 8:-8, 0], frequency)
    start, _ = phase_and_amplitude(wave(4, 64, 1, frequency)[2, 8:-8, 0], frequency)
    turned = (start - phase - 2 * np.pi * frequency * shift + np.pi) % (2 * np.pi) - np.pi
    assert abs(turned) / (2 * np.pi * frequency) < 0.02  # pixels
    sigma = fwhm / 2.354820
    assert amplitude == pytest.approx(np.exp(-2 * (np.pi * sigma * frequency) ** 2), rel=0.01)


def test_without_psf_a_pixel_is_the_mean_of_its_subpixels() -> None:
    image = np.random.default_rng(0).random((12, 18, 3)).astype(np.float32)
    out = imaging.resample(image, oversample=3, fwhm=0.0)
    np.testing.assert_allclose(out, image.reshape(4, 3, 6, 3, 3).mean((1, 3)), rtol=1e-5)


def test_whole_shift_moves_content_down_and_right() -> None:
    image = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    out = imaging.resample(image, oversample=1, fwhm=0.0, shift=(3.0, 2.0))
    np.testing.assert_allclose(out[5:, 5:], image[2:-3, 3:-2], rtol=1e-5)


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20))
def test_quantise_rounds_clips_and_avoids_nodata(values: list[float]) -> None:
    sensor = replace(sensors.read("sentinel-2"), dtype="uint16", scale=0.0001, offset=-0.1, nodata=0)
    array = np.array(values, np.float32)
    numbers = imaging.quantise(array, sensor)
    expected = np.clip(np.rint((array.astype(np.float64) + 0.1) / 0.0001), 1, 65535)
    assert numbers.dtype == np.uint16
    assert np.abs(numbers.astype(np.float64) - expected).max() <= 1  # float32 rounding at the halves


def test_quantise_keeps_off_a_high_nodata() -> None:
    sensor = replace(sensors.read("aerial-rgb"), nodata=255)
    assert imaging.quantise(np.array([0.0, 0.4, 1.0, 2.0], np.float32), sensor).tolist() == [0, 102, 254, 254]


def test_expose_gives_the_sensors_bands_and_repeats_itself() -> None:
    sensor = sensors.read("aerial-rgb")
    light = np.random.default_rng(1).random((64, 96, 3)).astype(np.float32)
    look = imaging.draw_look(sensor, np.random.default_rng(2), haze=0.3, shift=(1.0, -0.5))
    images = [
        imaging.expose(light, sensor=sensor, look=look, oversample=2, rng=np.random.default_rng(3)) for _ in range(2)
    ]
    assert images[0].shape == (3, 32, 48)
    assert images[0].dtype == np.uint8
    np.testing.assert_array_equal(*images)


def test_linear_product_is_reflectance() -> None:
    sensor = replace(sensors.read("sentinel-2"), bands=sensors.read("sentinel-2").bands[:3])
    light = np.full((32, 32, 3), (0.1, 0.2, 0.3), np.float32)
    numbers = imaging.expose(light, sensor=sensor, look=Look(), oversample=2, rng=np.random.default_rng(0))
    np.testing.assert_allclose(numbers[:, 8, 8] * sensor.scale + sensor.offset, (0.1, 0.2, 0.3), atol=1e-4)


def test_noise_has_its_strength() -> None:
    sensor = replace(sensors.read("sentinel-2"), bands=sensors.read("sentinel-2").bands[:3])
    light = np.full((256, 256, 3), 0.25, np.float32)
    look = Look(noise=0.01, psf_fwhm=0.0)
    numbers = imaging.expose(light, sensor=sensor, look=look, oversample=2, rng=np.random.default_rng(0))
    assert (numbers[0] * sensor.scale).std() == pytest.approx(0.01, rel=0.05)


def test_haze_lifts_shadows_and_cuts_contrast() -> None:
    sensor = sensors.read("aerial-rgb")
    looks = [imaging.draw_look(sensor, np.random.default_rng(5), haze=haze) for haze in (0.0, 1.0)]
    light = np.full((32, 32, 3), 0.02, np.float32)
    light[:, 16:] = 0.4
    clear, hazy = (
        imaging.expose(light, sensor=sensor, look=look, oversample=1, rng=np.random.default_rng(0)).astype(float)
        for look in looks
    )
    assert hazy[:, :, 4].mean() > clear[:, :, 4].mean() + 10
    assert np.ptp(hazy[1, 16]) < np.ptp(clear[1, 16])


def test_bands_that_are_not_rendered_are_named() -> None:
    sensor = replace(sensors.read("naip"), bands=(sensors.Band(name="B1", common_name="coastal"),))
    with pytest.raises(RenderError, match=r"naip has coastal; renders have red, green, blue, nir, swir16, swir22 only"):
        imaging.band_order(sensor)
    light = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(RenderError, match="sensor naip has infrared bands, the render has none"):
        imaging.expose(light, sensor=sensors.read("naip"), look=Look(), oversample=1, rng=np.random.default_rng(0))


def test_odd_renders_are_refused() -> None:
    sensor = sensors.read("aerial-rgb")
    with pytest.raises(RenderError, match="33x32"):
        imaging.expose(
            np.zeros((32, 33, 3), np.float32), sensor=sensor, look=Look(), oversample=2, rng=np.random.default_rng(0)
        )


def test_jpeg_is_a_small_loss_on_pictures_only() -> None:
    picture = np.random.default_rng(0).integers(100, 120, (3, 64, 64)).astype(np.uint8)
    lossy = imaging.compress(picture, 90)
    assert lossy.shape == picture.shape
    assert 0 < np.abs(lossy.astype(int) - picture).mean() < 5
    deep = picture.astype(np.uint16)
    np.testing.assert_array_equal(imaging.compress(deep, 90), deep)


def test_the_faithful_look_gives_back_what_linear_undid() -> None:
    sensor = sensors.read("aerial-rgb")
    numbers = np.random.default_rng(0).integers(3, 236, (3, 40, 50)).astype(np.uint8)
    radiance = imaging.linear(np.moveaxis(numbers / 255.0, 0, -1).astype(np.float32), sensor)
    again = imaging.expose(
        np.repeat(np.repeat(radiance, 2, 0), 2, 1),
        sensor=sensor,
        look=imaging.faithful(sensor),
        oversample=2,
        rng=np.random.default_rng(0),
    )
    assert np.abs(again.astype(int) - numbers).max() <= 1


def test_another_sensor_takes_no_other_render() -> None:
    """One array of light gives every preset's product, each in its own bands, type and numbers."""
    light = np.random.default_rng(4).uniform(0.02, 0.6, (64, 64, 6)).astype(np.float32)
    untouched = light.copy()
    products = {}
    for name in sensors.names():
        sensor = sensors.read(name)
        if sensor.radar is not None or name == "sentinel-2-l1c":  # the latter has bands that are read only
            continue
        look = imaging.draw_look(sensor, np.random.default_rng(2), haze=0.2)
        one = imaging.expose(light, sensor=sensor, look=look, oversample=2, rng=np.random.default_rng(3))
        assert one.shape == (len(sensor.bands), 32, 32)
        assert one.dtype == np.dtype(sensor.dtype)
        products[name] = one
    np.testing.assert_array_equal(light, untouched)
    assert len({one.tobytes() for one in products.values()}) == len(products) >= 9


def test_haze_and_shadow_follow_the_wavelength() -> None:
    look = imaging.draw_look(sensors.read("sentinel-2-20m"), np.random.default_rng(5), haze=1.0)
    by_wave = [imaging.RENDERED.index(name) for name in ("blue", "green", "red", "nir", "swir16", "swir22")]
    assert (np.diff(np.array(look.path)[by_wave]) < 0).all()
    assert (np.diff(np.array(look.transmittance)[by_wave]) >= 0).all()


def test_a_picture_s_infrared_keeps_its_blacks() -> None:
    sensor = sensors.read("naip")
    light = np.full((64, 64, 6), 0.3, np.float32)
    light[:32, :, 3] = 0.01  # water
    look = replace(imaging.draw_look(sensor, np.random.default_rng(5)), black=0.15, noise=0.0)
    red, *_, near = imaging.expose(light, sensor=sensor, look=look, oversample=1, rng=np.random.default_rng(0))
    assert red.min() > 30
    assert near[:24].max() < 30 < near[40:].min()


def test_molecules_make_the_top_of_the_atmosphere_blue() -> None:
    white = np.full((64, 64, 6), 0.3, np.float32)
    image = [
        imaging.expose(
            surface * white, sensor=sensor, look=imaging.draw_look(sensor, np.random.default_rng(1)), oversample=2,
            rng=np.random.default_rng(1),
        ).mean(axis=(1, 2)) * sensor.scale
        for sensor in [sensors.read("sentinel-2-l1c-6")]
        for surface in (0.0, 1.0)
    ]  # fmt: skip
    blue, green, red, nir, swir, _ = image[0]
    assert 0.06 < blue < 0.10, "Rayleigh's path reflectance at 0.49 um is 0.06, and there is some aerosol"
    assert blue > green > red > nir > swir
    assert image[1][5] == pytest.approx(0.3, rel=0.03), "hardly anything is scattered at 2.2 um"


@pytest.mark.parametrize("rows", [16, 15])
def test_a_band_of_20_m_repeats_the_mean_of_its_pixels(rows: int) -> None:
    sensor = sensors.read("sentinel-2-l1c-6")
    light = np.random.default_rng(4).uniform(0.1, 0.4, (rows, 12, 6)).astype(np.float32)
    look = Look(psf_fwhm=0.0)
    fine = replace(sensor, bands=tuple(replace(band, gsd=None) for band in sensor.bands))
    numbers, whole = (
        imaging.expose(light, sensor=one, look=look, oversample=1, rng=np.random.default_rng(0)).astype(float)
        for one in (sensor, fine)
    )
    np.testing.assert_array_equal(numbers[:4], whole[:4])
    blocks = whole[4:, :14, :].reshape(2, 7, 2, 6, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(numbers[4:, :14:2, ::2], blocks, atol=1)  # each number is rounded
    np.testing.assert_array_equal(numbers[4:, 1:14:2, 1::2], numbers[4:, :14:2, ::2])
    if rows % 2:  # the last row has no other to share with
        np.testing.assert_allclose(numbers[4:, 14, ::2], whole[4:, 14, :].reshape(2, 6, 2).mean(axis=2), atol=1)


def test_noise_of_a_band_of_20_m_is_one_for_its_pixels() -> None:
    sensor = sensors.read("sentinel-2-l1c-6")
    light = np.full((256, 256, 6), 0.25, np.float32)
    look = Look(noise=0.01, psf_fwhm=0.0)
    numbers = imaging.expose(light, sensor=sensor, look=look, oversample=1, rng=np.random.default_rng(0)) * sensor.scale
    np.testing.assert_array_equal(numbers[4:, ::2, ::2], numbers[4:, 1::2, 1::2])
    assert numbers[4:, ::2, ::2].std(axis=(1, 2)) == pytest.approx([0.01, 0.01], rel=0.05)
