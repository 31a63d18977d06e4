from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import shapely
from imagery import box, index, noise, write_image
from stac_api import CONFORMS, FILTER, Api, item, serving

from mage_stac import search as module
from mage_stac.errors import AssetError, SearchError
from mage_stac.query import Query
from mage_stac.search import Found, Patience, search

QUICK = Patience(connect=2, read=2, retries=2, backoff=0.01)


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api(page=3, matched=7)) as running:
        running.items = [item(f"i{number}", running.url, image=f"{running.url}/files/a.tif") for number in range(7)]
        yield running


def ask(api: Api, patience: Patience = QUICK, **fields: object) -> Found:
    return search(Query(api=api.url, **fields), patience)  # type: ignore[arg-type]


def test_every_page_is_read(api: Api) -> None:
    told: list[tuple[int, int]] = []
    found = search(Query(api=api.url), QUICK, lambda done, total, _: told.append((done, total)))
    assert [each.id for each in found.items] == [f"i{number}" for number in range(7)]
    assert (found.matched, found.notices) == (7, ())
    assert found.templates["c"]["title"] == "Title of the API"
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_what_was_asked_is_what_was_sent(api: Api) -> None:
    api.conforms = CONFORMS + FILTER
    ask(api, collections=("c",), bbox=(-95, 37, -94, 38), datetime="2011-05", filter="eo:cloud_cover < 8")
    assert api.asked[0] == {
        "limit": 100,
        "collections": ["c"],
        "bbox": [-95, 37, -94, 38],
        "datetime": "2011-05-01T00:00:00Z/2011-05-31T23:59:59Z",
        "filter": {"op": "<", "args": [{"property": "eo:cloud_cover"}, 8.0]},
        "filter-lang": "cql2-json",
    }
    ask(api, aoi=shapely.box(-95, 37, -94, 38))
    assert api.asked[-1]["intersects"]["type"] == "Polygon"


def test_no_more_than_wanted(api: Api) -> None:
    found = ask(api, max_items=4)
    assert len(found.items) == 4
    assert found.matched == 7
    assert len(api.asked) == 2


def test_items_lost_by_the_api_are_missed(api: Api) -> None:
    api.matched = 9
    assert "says that 9 Items match, but its pages hold 7" in ask(api).notices[0]


def test_of_two_items_of_one_id_on_a_page_the_first_is_taken_and_it_is_said(api: Api) -> None:
    api.items = [item("twin", api.url, image=f"{api.url}/{name}.tif") for name in ("first", "second")]
    said = "Item twin of Collection c was found before on its page: the first one is taken"
    found = ask(api)
    assert [each.assets["image"].href for each in found.items] == [f"{api.url}/first.tif"]
    assert said in found.notices
    api.items[1] = api.items[0]
    assert said not in ask(api).notices


def test_an_empty_page_in_between_is_no_end(api: Api) -> None:
    api.matched = None
    api.empty_first = 2
    found = ask(api)
    assert len(found.items) == 7
    assert found.matched is None


def test_a_passing_failure_is_waited_for(api: Api) -> None:
    api.fail = [500, 429]
    assert len(ask(api).items) == 7


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_lasting_failure(api: Api, status: int) -> None:
    api.forever = status
    with pytest.raises(SearchError, match=f"answers {status} after 3 attempts: try again later") as caught:
        ask(api)
    assert len(api.asked) == 3
    assert "\n" not in str(caught.value)


def test_a_refusal_is_passed_on_at_once(api: Api) -> None:
    api.forever = 400
    with pytest.raises(SearchError, match=r"answers 400: .*sorry"):
        ask(api)
    assert len(api.asked) == 1


def test_an_api_that_does_not_answer(api: Api) -> None:
    api.delay = 3
    start = time.monotonic()
    with pytest.raises(SearchError, match=r"no answer within 0\.5 s after 2 attempts"):
        ask(api, Patience(connect=2, read=0.5, retries=1, backoff=0.01))
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("how", ["next", "items"])
def test_a_repeated_page(api: Api, how: str) -> None:
    api.repeat = how
    with pytest.raises(SearchError, match="repeats a page"):
        ask(api)
    assert len(api.asked) < 6


@pytest.mark.parametrize("page", [[], {"type": "FeatureCollection", "features": [], "context": None}])
def test_a_page_that_is_no_page(api: Api, monkeypatch: pytest.MonkeyPatch, page: object) -> None:
    monkeypatch.setattr(api, "search", lambda _: page)
    with pytest.raises(SearchError, match="answers, but not as a STAC API"):
        ask(api)


def test_empty_pages_without_end(api: Api) -> None:
    api.empty_first = 10_000
    with pytest.raises(SearchError, match="repeats a page"):
        ask(api)


def test_an_api_that_takes_get_only(api: Api) -> None:
    api.methods = ("GET",)
    api.page = 100
    assert len(ask(api, bbox=(-95, 37, -94, 38)).items) == 7


def test_a_filter_where_the_api_has_none(api: Api) -> None:
    found = ask(api, filter="id = 'i3'")
    assert [each.id for each in found.items] == ["i3"]
    assert found.matched is None
    assert "does not filter: 7 Items were read" in found.notices[0]
    assert "filter" not in api.asked[0]


def test_nothing_found(api: Api) -> None:
    api.items = []
    with pytest.raises(SearchError, match=r'no Items match {"api": .*"datetime": "2011"}: widen'):
        ask(api, datetime="2011")


def test_what_is_no_stac_api(api: Api) -> None:
    api.conforms = CONFORMS[:1]
    with pytest.raises(SearchError, match="answers, but not as a STAC API"):
        ask(api)
    with pytest.raises(SearchError, match="answers"):
        search(Query(api=f"{api.url}/nowhere"), QUICK)


def test_nobody_there() -> None:
    with pytest.raises(SearchError, match=r"cannot be reached after 2 attempts: .*refused"):
        search(Query(api="http://127.0.0.1:9"), Patience(connect=1, read=1, retries=1, backoff=0.01))


def test_items_keep_their_place_in_the_api(api: Api) -> None:
    bare = item("bare", api.url, image="pixels/a.tif")
    bare["links"] = []
    api.items = [bare]
    (found,) = ask(api).items
    assert found.get_self_href() == f"{api.url}/collections/c/items/bare"
    assert found.assets["image"].href == f"{api.url}/collections/c/items/pixels/a.tif"


def test_a_catalogue_on_disk_by_the_same_call(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path, f"i{number}", noise(3, 8, 8), box(8, 8, x=500_000 + 10_000 * number))
    index(tmp_path)
    found = search(Query(api=str(tmp_path), filter="gsd < 1", datetime="2020", max_items=2))
    assert [each.id for each in found.items] == ["i0", "i1"]
    assert (found.matched, found.api.local) == (3, True)
    assert found.templates["c"]["title"] == "C"
    with pytest.raises(SearchError, match="no Items match"):
        search(Query(api=str(tmp_path), bbox=(0, 0, 1, 1)))


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # of planetary-computer 1.0
def test_signing_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.signer(None) is None
    with pytest.raises(SearchError, match="'nobody'"):
        module.signer("nobody")
    import planetary_computer
    import requests

    sign = module.signer("planetary-computer")
    assert sign is not None
    monkeypatch.setattr(planetary_computer, "sign", lambda href: f"{href}?sig=x")
    assert sign("https://x/a.tif") == "https://x/a.tif?sig=x"

    def fail(_: str) -> str:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(planetary_computer, "sign", fail)
    with pytest.raises(AssetError, match=r"https://x/a\.tif cannot be signed by the Planetary Computer: no route"):
        sign("https://x/a.tif")
