from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

from mage_stac.errors import PlaceError
from mage_stac.scene import cityjson, faces

pytest.importorskip("cjio")

CUBE = {
    "type": "CityJSON",
    "version": "1.1",
    "transform": {"scale": [0.5, 0.5, 0.5], "translate": [500000, 5000000, 100]},
    "metadata": {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/32632"},
    "CityObjects": {
        "house": {"type": "Building", "attributes": {"measuredHeight": 4.0}, "children": ["part"]},
        "part": {
            "type": "BuildingPart",
            "attributes": {"storeysAboveGround": 2},
            "parents": ["house"],
            "geometry": [
                {
                    "type": "Solid",
                    "lod": "2.2",
                    "boundaries": [
                        [
                            [[0, 3, 2, 1]],
                            [[4, 5, 6, 7]],
                            [[0, 1, 5, 4]],
                            [[1, 2, 6, 5]],
                            [[2, 3, 7, 6]],
                            [[3, 0, 4, 7]],
                        ]
                    ],
                }
            ],
        },
    },
    "vertices": [
        [0, 0, 0],
        [20, 0, 0],
        [20, 12, 0],
        [0, 12, 0],
        [0, 0, 8],
        [20, 0, 8],
        [20, 12, 8],
        [0, 12, 8],
    ],
}


def test_parts_belong_to_their_building(tmp_path: Path) -> None:
    (tmp_path / "cube.json").write_text(json.dumps(CUBE))
    city = cityjson.read(str(tmp_path / "cube.json"), "cube.json")
    found = cityjson.of_type(city, "Building", city.vertices)
    assert found.attributes.to_dict("records") == [{"measuredHeight": 4.0, "storeysAboveGround": 2, "id": "house"}]
    assert found.outlines[0].equals(shapely.box(500000, 5000000, 500010, 5000006))
    assert [face.kind for face in found.faces["house"]] == ["ground", "roof", *["wall"] * 4]
    assert faces.roof_form(found.faces["house"]) == ("flat", 0.0, 104.0)
    assert cityjson.spots(city, city.vertices)[:, 2].tolist() == [100.0] * 4


def test_delft_against_its_own_metadata(shared: Path) -> None:
    path = shared / "twins/delft/delft.json"
    plain = json.loads(path.read_text())
    city = cityjson.read(str(path), "delft.json")
    west, south, low, east, north, high = plain["metadata"]["geographicalExtent"]
    assert np.allclose(city.vertices.min(axis=0), [west, south, low], atol=1e-6)
    assert np.allclose(city.vertices.max(axis=0), [east, north, high], atol=1e-6)
    found = cityjson.of_type(city, "Building", city.vertices)
    assert len(found.outlines) == 160
    assert not found.faces  # LoD1
    # The base of a block is what its roof covers: areas of both must agree for every building.
    for key, outline in zip(found.attributes.id, found.outlines, strict=True):
        assert np.isclose(outline.area, _projected(city, key), rtol=5e-3)  # slits of 2 cm are closed


def _projected(city: cityjson.City, key: str) -> float:
    """Area in plan of the upward surfaces, by the shoelace formula."""
    total = 0.0
    for surface in city.objects[key]["geometry"][0]["boundaries"][0]:
        areas = []
        for ring in surface:
            x, y = city.vertices[ring, 0], city.vertices[ring, 1]
            areas.append(0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
        total += max(sum(areas), 0.0)
    return total


def test_zurich_faces_are_kept(shared: Path) -> None:
    path = shared / "twins/zurich/zurich_subset_lod2.json"
    plain = json.loads(path.read_text())
    city = cityjson.read(str(path), "zurich.json")
    found = cityjson.of_type(city, "Building", city.vertices)
    surfaces = [
        plain["CityObjects"][key]["geometry"][0]["semantics"]["values"]
        for key in plain["CityObjects"]
        if plain["CityObjects"][key].get("geometry")
    ]
    assert len(found.faces) == 49
    assert sum(map(len, found.faces.values())) == sum(map(len, surfaces))
    kinds = [face.kind for group in found.faces.values() for face in group]
    assert (kinds.count("roof"), kinds.count("wall"), kinds.count("ground")) == (
        644,
        1340,
        55,
    )  # one has no meaning, and faces down
    forms = {faces.roof_form(group)[0] for group in found.faces.values()}
    assert {"flat", "gabled", "hipped"} <= forms


def test_reading_leaves_the_json_module_alone(tmp_path: Path) -> None:
    (tmp_path / "cube.json").write_text(json.dumps(CUBE))
    code = (
        "import json; from mage_stac.scene import cityjson; before = json.dumps(0.12345678901234);"
        f"cityjson.read({str(tmp_path / 'cube.json')!r}, 'c');"
        "assert json.dumps(0.12345678901234) == before == '0.12345678901234'; assert json.encoder.c_make_encoder"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"type": "Feature"}, "no usable CityJSON"), ({"version": "9.9"}, "CityJSON 9.9"), ({"vertices": 3}, "no usable")],
)
def test_broken_models(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "bad.json").write_text(json.dumps({**CUBE, **change}))
    with pytest.raises(PlaceError, match=message) as caught:
        cityjson.read(str(tmp_path / "bad.json"), "bad.json")
    assert "\n" not in str(caught.value)


def test_older_versions_are_brought_up(tmp_path: Path) -> None:
    old = json.loads(json.dumps(CUBE))
    old["version"] = "1.0"
    old["metadata"]["referenceSystem"] = "urn:ogc:def:crs:EPSG::32632"
    old["CityObjects"]["part"]["geometry"][0]["lod"] = 2.2
    (tmp_path / "old.json").write_text(json.dumps(old))
    city = cityjson.read(str(tmp_path / "old.json"), "old.json")
    assert city.crs is not None
    assert city.crs.to_epsg() == 32632
    assert np.allclose(city.vertices.max(axis=0), [500010, 5000006, 104])
