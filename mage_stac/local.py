"""Searching catalogues on this disk: by items.parquet where there is one, else by reading every Item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pystac

from mage_stac import catalogue, item_table, maxar
from mage_stac.query import Query, answers, matches


@dataclass(kw_only=True, slots=True)
class Answer:
    """What a catalogue on disk gave; it is filled while the catalogue is read."""

    items: list[pystac.Item] = field(default_factory=list)
    matched: int | None = 0
    """How many Items answer; None where those left out were not counted."""
    templates: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the Collections of the Items say of themselves, by id."""
    notices: list[str] = field(default_factory=list)

    def add(self, items: list[pystac.Item], matched: int | None, collection: Mapping[str, Any] | None) -> None:
        self.items += items
        self.matched = None if self.matched is None or matched is None else self.matched + matched
        if items and collection is not None:
            self.templates[str(collection.get("id"))] = collection


def search(path: Path, query: Query) -> Answer:
    """The Items below a STAC file or folder that answer a query, at most `query.max_items`; each file counts once.

    Raises:
        CatalogueError: the catalogue is broken.
    """
    answer = Answer()
    _search(catalogue.entry(path), query, answer, set())
    return answer


def _search(path: Path, query: Query, answer: Answer, seen: set[Path]) -> None:
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    room = None if query.max_items is None else query.max_items - len(answer.items)
    if path.name == "collection.json" and item_table.usable(path.parent):
        _by_table(path, query, answer, room)
        return
    if path.name == "collection.json" and (path.parent / item_table.NAME).is_file():
        answer.notices.append(
            f"{path.parent / item_table.NAME} is older than its collection.json, so every Item was read: write it anew"
            f" with `mage-stac check {path.parent} --rebuild`"
        )
    document = catalogue.read_json(path)
    if document.get("type") == "Catalog":
        for link in document.get("links", []):
            if link.get("rel") in ("child", "item"):
                _search(catalogue.local_target(link, path), query, answer, seen)
        return
    found = [item for item in catalogue.read_items(path) if matches(item, query)]
    answer.add(found[:room], len(found), _described(document, found))


def _described(document: Mapping[str, Any], items: list[pystac.Item]) -> Mapping[str, Any] | None:
    """What is known of the Collection of a file's Items."""
    if document.get("type") == "Collection":
        return item_table.described(document)
    ours = any(maxar.known(feature) for feature in document.get("features", [])[:1])
    return maxar.collection(str(items[0].collection_id)) if ours and items else None


def _by_table(path: Path, query: Query, answer: Answer, room: int | None) -> None:
    """The Items that a table names are read and asked again: it rounds times, and knows no empty field."""
    hits = item_table.find(path.parent, query, room)
    items = list(islice(_read(hits.files, query), room))
    if len(items) != room and len(hits.files) < hits.count:  # it named some that do not answer
        hits = item_table.find(path.parent, query)
        items = list(islice(_read(hits.files, query), room))
    known = hits.count if hits.filtered else None
    collection = item_table.described(catalogue.read_json(path)) if hits.collection is None else hits.collection
    answer.add(items, known if len(items) == room else len(items), collection)


def _read(files: Iterable[Path], query: Query) -> Iterator[pystac.Item]:
    for file in files:
        document = catalogue.read_json(file)
        if answers(document, query):
            yield catalogue.parse_item(document, file)
