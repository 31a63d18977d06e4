"""Recorded traffic of real STAC APIs (../shared/data/stac/cassettes) as answers to the requests of a test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vcr
from vcr.persisters.filesystem import CassetteDecodeError
from vcr.serialize import deserialize
from vcr.serializers import yamlserializer

NAMED = {
    "landing": "TestAPI.test_instance",
    "naip": "TestItemSearchParams.test_collection_object",
    "earth search": "test_get_collection_returns_none_if_not_found",
}


def same_body(ours: Any, recorded: Any) -> None:
    """Bodies that ask for the same; how many Items a page shall hold is nobody's concern."""
    said = [json.loads(request.body or b"{}") for request in (ours, recorded)]
    assert len({json.dumps({**body, "limit": None}, sort_keys=True) for body in said}) == 1, said


def same_place(ours: Any, recorded: Any) -> None:
    assert ours.uri.rstrip("/") == recorded.uri.rstrip("/")


@contextmanager
def played(folder: Path, *names: str, conforming: Sequence[str] | None = None) -> Iterator[Any]:
    """Answer from these recordings and no other; `conforming` replaces what landing pages say they conform to."""

    class Together:
        @staticmethod
        def load_cassette(_: str, serializer: Any) -> tuple[list[Any], list[Any]]:
            requests, responses = [], []
            for name in names:
                text = (folder / f"{NAMED.get(name, name)}.yaml").read_text()
                more = deserialize(text, serializer)
                requests += more[0]
                responses += map(changed, more[1])
            if not requests:
                raise CassetteDecodeError
            return requests, responses

        @staticmethod
        def save_cassette(*_: object) -> None:
            pass

    def changed(response: dict[str, Any]) -> dict[str, Any]:
        document = json.loads(response["body"]["string"])
        if conforming is None or "conformsTo" not in document:
            return response
        body = json.dumps({**document, "conformsTo": list(conforming)}).encode()
        headers = {key: value for key, value in response["headers"].items() if key.lower() != "content-length"}
        return {**response, "headers": headers, "body": {"string": body}}

    player = vcr.VCR(record_mode="none")
    player.register_serializer("yaml", yamlserializer)
    player.register_persister(Together)
    player.register_matcher("same body", same_body)
    player.register_matcher("same place", same_place)
    with player.use_cassette(
        "together", match_on=["method", "same place", "same body"], allow_playback_repeats=True
    ) as cassette:
        yield cassette


def answers(folder: Path, name: str) -> list[dict[str, Any]]:
    """The documents that a recording holds, in order."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    recorded = yaml.load((folder / f"{NAMED.get(name, name)}.yaml").read_text(), Loader=loader)  # noqa: S506 - a safe loader
    return [json.loads(each["response"]["body"]["string"]) for each in recorded["interactions"]]
