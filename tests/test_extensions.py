from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from mage_stac import extensions


def test_what_is_used_is_declared_once() -> None:
    document: dict[str, Any] = {
        "properties": {"proj:code": "EPSG:4326", "view:off_nadir": 1, "synthetic:seed": 0, "mage:queries": []},
        "assets": {"a": {"raster:scale": 1, "bands": [{"eo:common_name": "red"}]}},
        "stac_extensions": ["https://stac-extensions.github.io/view/v1.0.0/schema.json"],
    }
    extensions.declare(document)
    extensions.declare(document)
    names = [uri.split("/")[3] for uri in document["stac_extensions"]]
    assert sorted(names) == ["eo", "projection", "raster", "synthetic", "view"]
    assert "https://stac-extensions.github.io/view/v1.0.0/schema.json" in document["stac_extensions"]


def test_projection_becomes_the_version_that_allows_both_codes() -> None:
    document: dict[str, Any] = {"stac_extensions": ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"]}
    extensions.declare(document)
    assert document["stac_extensions"] == [extensions.URIS["proj"]]


def _synthetic(**fields: object) -> dict[str, Any]:
    properties = {"synthetic:generator": "mage-stac", "synthetic:version": "1", "synthetic:seed": 0}
    stated = {f"synthetic:{key}": value for key, value in fields.items()}
    return {"type": "Feature", "stac_extensions": [extensions.SYNTHETIC], "properties": {**properties, **stated}}


def _schema() -> dict[str, Any]:
    path = files("mage_stac.catalogs") / "schemas" / "synthetic" / "v1.0.0" / "schema.json"
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


def test_the_synthetic_schema() -> None:
    schema = _schema()
    assert schema["$id"] == extensions.SYNTHETIC
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(
        _synthetic(hazard="wind", intensity=3.5, phase="pre", pair="a", place="p", scene="scene"), schema
    )


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"seed": 1.5}, {"phase": "during"}, {"intensity": "strong"}, {"colour": 1}]
)
def test_the_synthetic_schema_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_synthetic(**wrong), _schema())
