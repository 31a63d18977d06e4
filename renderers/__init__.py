"""Scenes to passes, inside Blender's Python: standard library, numpy and bpy only. GPL-3.0-or-later, as bpy is."""
