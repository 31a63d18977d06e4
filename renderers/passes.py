"""Render settings and output files of each pass."""

from typing import Any

import bpy

from renderers import light, materials
from renderers.devices import Machine
from renderers.job import Job


def prepare(job: Job, machine: Machine) -> None:
    """Set what all passes share: Cycles, no colour management, nothing adaptive."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.use_persistent_data = True
    scene.render.resolution_percentage = 100
    scene.render.use_compositing = False
    scene.render.use_sequencer = False
    scene.render.threads_mode = "FIXED" if machine.threads else "AUTO"
    if machine.threads:
        scene.render.threads = machine.threads
    scene.view_settings.view_transform = "Raw"
    cycles = scene.cycles
    cycles.seed = job.seed
    cycles.use_adaptive_sampling = False
    cycles.use_auto_tile = False
    cycles.use_light_tree = False  # one sun and one sky
    cycles.light_sampling_threshold = 0.0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    layer = bpy.context.view_layer
    for name in materials.LABELS if job.labelled else ():
        aov = layer.aovs.add()
        aov.name, aov.type = name, "VALUE"


def render_infrared(job: Job, device: str) -> None:
    """infrared.exr: as the image, of nir, swir16 and swir22, along the same light paths.

    The last image of a job: the scene keeps these colours.
    """
    materials.show_infrared(job.infrared["ground"])
    light.shine(job, light.INFRARED_TINT)
    render_image(job, device, "infrared.exr")


def render_image(job: Job, device: str, name: str = "image.exr") -> None:
    """image.exr: linear RGB at `oversample` times the resolution, mean over each subpixel; `device` is GPU or CPU."""
    cycles = bpy.context.scene.cycles
    cycles.device = device
    cycles.samples = job.samples
    cycles.pixel_filter_type = "BOX"
    cycles.max_bounces = cycles.diffuse_bounces = 1  # walls light shadows; a second bounce adds noise, little light
    _denoise(job)
    layer = bpy.context.view_layer
    layer.use_pass_combined = True
    layer.use_pass_position = layer.use_pass_normal = layer.use_pass_z = False
    _render(job, name, job.oversample, multilayer=False)


def render_labels(job: Job, objects: dict[str, Any], *, name: str, clutter: bool) -> None:
    """Multilayer EXR of semantic, instance, height (above ground), position, normal and depth at pixel centres.

    One sample and a filter a hundredth of a pixel wide: every value is that of one surface, never a mean of two.
    Always by the CPU: the same bits with a GPU in the machine and without.
    """
    cycles = bpy.context.scene.cycles
    cycles.device = "CPU"
    cycles.samples = 1
    cycles.pixel_filter_type = "BLACKMAN_HARRIS"
    cycles.filter_width = 0.01
    cycles.max_bounces = cycles.diffuse_bounces = 0
    cycles.use_denoising = False
    layer = bpy.context.view_layer
    layer.use_pass_combined = False
    layer.use_pass_position = layer.use_pass_normal = layer.use_pass_z = True
    hidden = [objects[key] for key in ("unlabelled", *(() if clutter else ("clutter",))) if key in objects]
    for thing in hidden:
        thing.hide_render = True
    _render(job, name, 1, multilayer=True)
    for thing in hidden:
        thing.hide_render = False


def _denoise(job: Job) -> None:
    """Have OpenImageDenoise take away the noise of few light paths, guided by colours and normals of what is hit.

    Guides as they are (prefilter NONE): cleaned first (FAST) they blur debris, gradients of ruins fall to nine tenths.
    Balanced quality: the high one costs two thirds more and is no nearer to many paths. By the processor, with a GPU in
    the machine too: the same pixels.
    """
    cycles = bpy.context.scene.cycles
    cycles.use_denoising = job.denoise
    if not job.denoise:
        return
    try:
        cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError as error:
        raise RuntimeError("this Blender has no OpenImageDenoise: give --no-denoise and more --samples") from error
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "NONE"
    cycles.denoising_quality = "BALANCED"
    cycles.denoising_use_gpu = False


def _render(job: Job, name: str, oversample: int, *, multilayer: bool) -> None:
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = job.width * oversample, job.height * oversample
    settings = render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5
        settings.media_type = "MULTI_LAYER_IMAGE" if multilayer else "IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER" if multilayer else "OPEN_EXR"
    settings.color_mode = "RGBA" if multilayer else "RGB"
    settings.color_depth = "32"
    settings.exr_codec = "NONE"  # read once, on this machine, then removed
    render.filepath = str(job.folder / name)
    render.use_file_extension = False
    bpy.ops.render.render(write_still=True)
