"""Scenes: places as plain data, made from a seed, on their way to triangles."""
