"""Searching STAC APIs, and catalogues on disk by the same call. Reads every page or says that it could not."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pystac
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from shapely.geometry import mapping
from urllib3 import Retry

from mage_stac import catalogue, hrefs, local
from mage_stac.errors import AssetError, SearchError
from mage_stac.progress import Step
from mage_stac.query import Api, Query, expression, interval_text, passes, resolve

PAGE = 100
"""Items asked for at once."""

EMPTY_PAGES = 20
"""Pages without Items in a row, each naming a next one, after which an API is taken to run in a circle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long an API is waited for."""

    connect: float = 10.0
    """Seconds to a connection."""
    read: float = 60.0
    """Seconds to an answer."""
    retries: int = 5
    """Further attempts after a 429, a 5xx, a timeout or a broken connection."""
    backoff: float = 1.0
    """Seconds before the second attempt; doubled each time. `Retry-After` is obeyed up to two minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search gave."""

    api: Api
    items: tuple[pystac.Item, ...]
    matched: int | None
    """How many Items the API says match; None where it does not say."""
    templates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The API's own Collections by id."""
    notices: tuple[str, ...] = ()


def search(query: Query, patience: Patience | None = None, progress: Step | None = None) -> Found:
    """All Items that answer a query, in the order of the API; at most `query.max_items`.

    Raises:
        SearchError: unknown API; it fails, keeps failing, answers no STAC, or repeats a page; nothing matches.
        CatalogueError: a catalogue on disk is broken.
    """
    api = resolve(query.api)
    found = _on_disk(api, query) if api.local else _online(api, query, patience or Patience(), progress)
    if not found.items:
        raise SearchError(f"no Items match {json.dumps(query.as_dict())}: widen the area, the time or the filter")
    return found


def _on_disk(api: Api, query: Query) -> Found:
    answer = local.search(Path(api.url), query)
    return Found(
        api=api,
        items=tuple(answer.items),
        matched=answer.matched,
        templates=answer.templates,
        notices=tuple(answer.notices),
    )


def _online(api: Api, query: Query, patience: Patience, progress: Step | None) -> Found:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an API does not conform to is checked here, where it matters
        try:
            client, io = _client(api, patience)
            by_hand = query.filter is not None and not client.conforms_to("FILTER")
            reader = _Reader(api=api, query=query, io=io, client=client, by_hand=by_hand)
            items = reader.items(progress)
            return Found(
                api=api,
                items=tuple(items),
                matched=None if by_hand else reader.matched,
                templates=_templates(client, {str(item.collection_id) for item in items}),
                notices=tuple(reader.notices),
            )
        except APIError as error:
            raise SearchError(f"{api.url}: {_plain(error, patience)}") from error
        except (
            pystac.STACError,
            pystac.STACTypeError,
            DoesNotConformTo,
            NotImplementedError,
            AttributeError,  # a list or null where STAC has an object
            KeyError,
            TypeError,
            ValueError,
        ) as error:
            raise SearchError(
                f"{api.url} answers, but not as a STAC API: {' '.join(str(error).split())[:160]}"
            ) from error


def _client(api: Api, patience: Patience) -> tuple[Client, StacApiIO]:
    retry = Retry(
        total=patience.retries,
        backoff_factor=patience.backoff,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,  # a search is a POST, and harmless to repeat
        raise_on_status=False,
        retry_after_max=120,
    )
    timeout = (patience.connect, patience.read)
    io = StacApiIO(max_retries=retry, timeout=timeout)
    return Client.open(api.url, stac_io=io, timeout=timeout), io


def _templates(client: Client, names: set[str]) -> dict[str, Any]:
    """The API's Collections; one that cannot be read is no reason to lose the Items."""
    found = {}
    for name in sorted(names):
        try:
            collection = client.get_collection(name)
        except (APIError, pystac.STACError, pystac.STACTypeError, KeyError, TypeError, ValueError):
            continue
        if collection is not None:
            found[name] = collection.to_dict(include_self_link=True, transform_hrefs=False)
    return found


def _plain(error: APIError, patience: Patience) -> str:
    """An API's failure in one line; the exceptions of requests and urllib3 nest theirs."""
    status, text = getattr(error, "status_code", None), " ".join(str(error).split())
    attempts = f"after {patience.retries + 1} attempts"
    if status in (429, 500, 502, 503, 504):
        return f"answers {status} {attempts}: try again later ({text[:100] or 'no reason given'})"
    if status is not None:
        return f"answers {status}: {text[:200] or 'no reason given'}"
    if "timed out" in text:
        return f"gave no answer within {patience.read:g} s {attempts}: try again later, or ask for less"
    cause = re.search(r"Caused by \w+\((.*)\)", text)
    return f"cannot be reached {attempts}: {(cause.group(1) if cause else text)[:160]}"


@dataclass(kw_only=True, slots=True)
class _Reader:
    """Reads the pages of one search."""

    api: Api
    query: Query
    io: StacApiIO
    client: Client
    by_hand: bool
    """Whether the filter is applied here, because the API does not offer to."""
    matched: int | None = None
    notices: list[str] = field(default_factory=list)

    def items(self, progress: Step | None) -> list[pystac.Item]:
        limit = self.query.max_items
        found: dict[tuple[str | None, str], pystac.Item] = {}
        seen: set[tuple[str | None, str]] = set()
        for number, page in enumerate(self.pages(), start=1):
            fresh = self.once(page.get("features", []))
            if fresh and fresh.keys() <= seen:
                raise SearchError(
                    f"{self.api.url} repeats a page: all Items of page {number} came before ({len(seen)} so far)"
                )
            new = {key: each for key, each in fresh.items() if key not in seen}
            seen |= fresh.keys()
            found |= {key: self.item(each) for key, each in new.items() if self.keeps(each)}
            if progress:
                progress(
                    min(len(found), limit or len(found)), min(self.matched or 0, limit or self.matched or 0), "Items"
                )
            if limit is not None and len(found) >= limit:
                return list(found.values())[:limit]
        self.compare(len(seen))
        return list(found.values())

    def once(self, features: list[dict[str, Any]]) -> dict[tuple[str | None, str], dict[str, Any]]:
        """The first Item of each Collection and id of a page; the same again, there or on the next, is no news."""
        first: dict[tuple[str | None, str], dict[str, Any]] = {}
        for each in features:
            name, collection = each["id"], each.get("collection")
            if first.setdefault((collection, name), each) != each:
                self.notices.append(
                    f"Item {name} of Collection {collection} was found before on its page: the first one is taken"
                )
        return first

    def keeps(self, feature: dict[str, Any]) -> bool:
        return not self.by_hand or passes(feature, self.query.filter)

    def compare(self, read: int) -> None:
        if self.by_hand:
            self.notices.append(f"{self.api.url} does not filter: {read} Items were read and filtered here")
        if self.matched is not None and read < self.matched:
            self.notices.append(f"{self.api.url} says that {self.matched} Items match, but its pages hold {read}")

    def item(self, feature: dict[str, Any]) -> pystac.Item:
        item = catalogue.parse_item(feature)
        if item.get_self_href() is None:
            item.set_self_href(f"{self.api.url}/collections/{item.collection_id}/items/{item.id}")
        item.make_asset_hrefs_absolute()
        return item

    def pages(self) -> Iterator[dict[str, Any]]:
        parameters, page = self.first()
        self.matched = page.get("numberMatched", page.get("context", {}).get("matched"))
        asked: set[str] = set()
        empty = 0
        while True:
            yield page
            following = next((link for link in page.get("links", []) if link.get("rel") == "next"), None)
            if following is None:
                return
            key = json.dumps([following.get(part) for part in ("href", "body", "headers")], sort_keys=True)
            empty = 0 if page.get("features") else empty + 1
            if key in asked or empty > EMPTY_PAGES:
                raise SearchError(
                    f"{self.api.url} repeats a page: the next page is one already read ({following['href']})"
                )
            asked.add(key)
            page = self.io.read_json(pystac.Link.from_dict(following), parameters=parameters)

    def first(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters and first page: by POST, or by GET where the API refuses that."""
        try:
            return self.ask("POST")
        except APIError as error:
            if getattr(error, "status_code", None) not in (404, 405):
                raise
            return self.ask("GET")

    def ask(self, method: str) -> tuple[dict[str, Any], dict[str, Any]]:
        query = self.query
        wanted = None if self.by_hand else expression(query.filter)
        request = self.client.search(
            method=method,
            limit=min(PAGE, query.max_items or PAGE),
            collections=list(query.collections) or None,
            ids=list(query.ids) or None,
            bbox=query.bbox,
            intersects=None if query.aoi is None else mapping(query.aoi),
            datetime=interval_text(query.datetime),
            filter=None if wanted is None else (wanted.to_json() if method == "POST" else wanted.to_text()),
            filter_lang=None if wanted is None else ("cql2-json" if method == "POST" else "cql2-text"),
        )
        parameters = request.get_parameters()
        return parameters, self.io.read_json(request.url, method=method, parameters=parameters)


def signer(name: str | None) -> Callable[[str], str] | None:
    """Who makes a URL of an API's asset that may be opened, in memory only; None where none is needed."""
    if name is None:
        return None
    if name != "planetary-computer":
        raise SearchError(f"catalogs/apis.toml names the signer {name!r}, which does not exist")

    def sign(href: str) -> str:
        import requests

        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # planetary-computer 1.0 declares models in pydantic 1's way
            import planetary_computer

        try:
            return str(planetary_computer.sign(href))
        except requests.RequestException as error:
            raise AssetError(
                f"{hrefs.without_query(href)} cannot be signed by the Planetary Computer: {error}"
            ) from error

    return sign
