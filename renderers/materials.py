"""Two matt materials: faces coloured by their attributes, ground coloured by its texture; both write the label AOVs."""

from typing import Any

import bpy
import numpy as np

GRAIN_SCALE = 2.5
"""Grain cells per metre: about the size of a shingle tab or a tuft of leaves."""
LABELS = ("semantic", "instance", "height")
"""AOVs beside Blender's own position and normal passes."""


def faces(*, labelled: bool) -> Any:
    """Material of every mesh but the ground: face colour times one plus grain noise."""
    material, nodes, links = _new("faces")
    colour = _attribute(nodes, "colour")
    grain = _attribute(nodes, "grain")
    noise = nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = GRAIN_SCALE
    noise.inputs["Detail"].default_value = 0.0
    position = nodes.new("ShaderNodeNewGeometry")
    links.new(position.outputs["Position"], noise.inputs["Vector"])
    factor = _math(nodes, links, "MULTIPLY_ADD", _value(noise), 4.0, -2.0)
    factor = _math(nodes, links, "MULTIPLY_ADD", factor, grain.outputs["Fac"], 1.0)
    factor = _math(nodes, links, "MAXIMUM", factor, 0.1)
    scaled = nodes.new("ShaderNodeVectorMath")
    scaled.operation = "SCALE"
    links.new(colour.outputs["Vector"], scaled.inputs[0])
    links.new(factor, scaled.inputs["Scale"])
    _matt(nodes, links, scaled.outputs["Vector"])
    _attribute(nodes, "infrared").name = "infrared"
    for name in LABELS if labelled else ():
        _label(nodes, links, name, _attribute(nodes, name).outputs["Fac"])
    return material


def ground(texture: Any, semantic: Any | None) -> Any:
    """Material of the ground: linear texture as colour, nearest semantic code as label, if there is one."""
    material, nodes, links = _new("ground")
    uv = _attribute(nodes, "uv_ground")
    colour = _texture(nodes, links, uv, _image("ground_colour", texture), "Linear")
    _matt(nodes, links, colour.outputs["Color"])
    if semantic is None:
        return material
    code = _texture(nodes, links, uv, _image("ground_semantic", semantic[..., None]), "Closest")
    channel = nodes.new("ShaderNodeSeparateXYZ")
    links.new(code.outputs["Color"], channel.inputs[0])
    _label(nodes, links, "semantic", channel.outputs["X"])
    return material


def show_infrared(ground_infrared: Any) -> None:
    """Colour everything by its infrared from now on: the faces' attribute of that name, and the ground's raster.

    The colour's node is left out, whatever it is made of; the fine grain stays.
    """
    tree = bpy.data.materials["faces"].node_tree
    scaled = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeVectorMath")
    tree.links.new(tree.nodes["infrared"].outputs["Vector"], scaled.inputs[0])
    tree = bpy.data.materials["ground"].node_tree
    diffuse = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfDiffuse")
    image = _image("ground_infrared", ground_infrared)
    colour = _texture(tree.nodes, tree.links, _attribute(tree.nodes, "uv_ground"), image, "Linear")
    tree.links.new(colour.outputs["Color"], diffuse.inputs["Color"])


def _new(name: str) -> tuple[Any, Any, Any]:
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    material.node_tree.nodes.clear()
    return material, material.node_tree.nodes, material.node_tree.links


def _matt(nodes: Any, links: Any, colour: Any) -> None:
    diffuse = nodes.new("ShaderNodeBsdfDiffuse")
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(colour, diffuse.inputs["Color"])
    links.new(diffuse.outputs["BSDF"], output.inputs["Surface"])


def _attribute(nodes: Any, name: str) -> Any:
    node = nodes.new("ShaderNodeAttribute")
    node.attribute_name = name
    return node


def _label(nodes: Any, links: Any, name: str, value: Any) -> None:
    node = nodes.new("ShaderNodeOutputAOV")
    node.aov_name = name
    links.new(value, node.inputs["Value"])


def _math(nodes: Any, links: Any, operation: str, *operands: Any) -> Any:
    node = nodes.new("ShaderNodeMath")
    node.operation = operation
    for socket, operand in zip(node.inputs, operands, strict=False):
        if isinstance(operand, float):
            socket.default_value = operand
        else:
            links.new(operand, socket)
    return node.outputs[0]


def _value(noise: Any) -> Any:
    return noise.outputs["Fac"] if "Fac" in noise.outputs else noise.outputs["Factor"]


def _texture(nodes: Any, links: Any, uv: Any, image: Any, interpolation: str) -> Any:
    node = nodes.new("ShaderNodeTexImage")
    node.image = image
    node.interpolation = interpolation
    node.extension = "EXTEND"
    links.new(uv.outputs["Vector"], node.inputs["Vector"])
    return node


def _image(name: str, values: Any) -> Any:
    """Non-colour float image of (rows, columns, bands), row 0 north; Blender's row 0 is the bottom one.

    Of fewer bands than red, green, blue and alpha the others are 1.
    """
    rows, columns, bands = values.shape
    image = bpy.data.images.new(name, columns, rows, float_buffer=True, is_data=True)
    rgba = np.ones((rows, columns, 4), np.float32)
    for band in range(bands):  # one by one: numpy takes half as long again over an axis of three
        rgba[..., band] = values[::-1, :, band]
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    return image
