from __future__ import annotations

from typing import Any

from mage_stac import summaries


def item(name: str, **changes: Any) -> dict[str, Any]:
    properties = {"datetime": "2020-01-01T00:00:00Z", "gsd": 0.6, "platform": "p", "eo:cloud_cover": 3, **changes}
    asset = {"href": f"./{name}.tif", "title": "T", "proj:shape": [1, len(name)], "bands": [{"name": "red"}]}
    return {"id": name, "bbox": [1, 2, 3, 4], "properties": properties, "assets": {"image": asset}}


def test_extents_are_unions() -> None:
    other = {
        **item("b", datetime=None, start_datetime="2019-05-01T00:00:00Z", end_datetime="2021-01-01T00:00:00Z"),
        "bbox": [0, 3, 0, 2, 9, 1],
    }
    found = summaries.extent([item("a"), other])
    assert found["spatial"]["bbox"] == [[0, 2, 3, 9]]
    assert found["temporal"]["interval"] == [["2019-05-01T00:00:00Z", "2021-01-01T00:00:00Z"]]


def test_times_of_other_zones_are_put_in_order() -> None:
    told = ["2020-01-01T01:00:00+02:00", "2020-01-01T00:00:00Z", "2019-12-31T23:30:00Z"]
    found = summaries.extent([{"properties": {"datetime": time}} for time in told])
    assert found["temporal"]["interval"] == [[told[0], told[1]]]


def test_a_box_across_the_antimeridian() -> None:
    assert summaries.extent([item("a"), {**item("b"), "bbox": [179, -1, -179, 1]}])["spatial"]["bbox"] == [
        [-180, -1, 180, 4]
    ]


def test_without_box_and_time() -> None:
    blank = {**item("a", datetime=None), "bbox": None}
    assert summaries.extent([blank]) == {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [[None, None]]},
    }


def test_sets_and_ranges() -> None:
    found = summaries.summaries([item("a"), item("b", gsd=1, platform="q", **{"eo:cloud_cover": 9})])
    assert found == {"platform": ["p", "q"], "gsd": [0.6, 1], "eo:cloud_cover": {"minimum": 3, "maximum": 9}}


def test_assets_say_what_they_agree_on() -> None:
    other = item("bb")
    other["assets"]["image"]["title"] = "another"
    assert summaries.item_assets([item("a"), other]) == {"image": {"bands": [{"name": "red"}]}}


def test_a_collection_keeps_its_words_and_lasting_links() -> None:
    template = {
        "title": "Mine", "license": "CC0-1.0", "keywords": ["a"], "extent": "old",
        "summaries": {"mine": [1], "gsd": [5]},
        "links": [{"rel": "license", "href": "https://x"}, {"rel": "item", "href": "./old.json"}],
    }  # fmt: skip
    made = summaries.collection_document("c", template, [item("a")], parent_title="Root")
    assert (made["title"], made["license"], made["keywords"]) == ("Mine", "CC0-1.0", ["a"])
    assert made["summaries"]["mine"] == [1]
    assert made["summaries"]["gsd"] == [0.6]
    assert [link["rel"] for link in made["links"]] == ["root", "parent", "license", "item"]
    assert made["bands"] == [{"name": "red"}]
    assert made["extent"] != "old"
