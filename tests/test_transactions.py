"""APIs that refuse; a real one is in test_pgstac.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mage_stac import transactions
from mage_stac.errors import PushError
from mage_stac.push import Tally

CLASS = "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/simpletx"
TRANSACTION = "https://api.stacspec.org/v1.0.0/ogcapi-features/extensions/transaction"


@dataclass
class Answers:
    """What the server says, by method; it holds what it is given."""

    landing: Any = field(default_factory=lambda: {"conformsTo": [CLASS, TRANSACTION]})
    statuses: dict[str, list[int]] = field(default_factory=dict)
    held: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: Answers

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, document: Any) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        if self.path == "/":
            self.reply(200, self.answers.landing)
            return
        self.answers.tokens.add(self.headers.get("Authorization"))
        held = self.answers.held.get(self.path)
        self.reply(404 if held is None else 200, held or {"detail": "not found"})

    def write(self) -> None:
        document = self.body()
        self.answers.asked.append((self.command, self.path))
        statuses = self.answers.statuses.get(self.command, [])
        status = statuses.pop(0) if statuses else 201
        if status == 201:
            name = f"{self.path}/{document['id']}" if self.command == "POST" else self.path
            self.answers.held[name] = document
        self.reply(status, {"code": "Sorry", "description": f"sorry,\nbut {status}"})

    do_POST = do_PUT = write  # noqa: N815 - named by http.server


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    handler = type("Bound", (Handler,), {"answers": answers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def item(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "Feature", "id": name, "links": [], "assets": {}, "properties": {"gsd": 0.5}, **fields}


def put(answers: Answers, *items: dict[str, Any]) -> Tally:
    with serving(answers) as url, transactions.connected(url) as api:
        api.put_collection({"type": "Collection", "id": "c"})
        answers.asked.clear()
        return api.put_items("c", items)


def test_new_changed_and_the_same() -> None:
    answers = Answers()
    assert put(answers, item("a"), item("b")) == Tally(new=2)
    assert answers.asked == [("POST", "/collections/c/items")] * 2
    answers.held["/collections/c/items/a"]["links"] = [{"rel": "self", "href": "x"}]
    answers.held["/collections/c/items/a"]["properties"]["updated"] = None
    assert put(answers, item("a"), item("b", properties={"gsd": 0.6}), item("d")) == Tally(new=1, changed=1, same=1)
    assert answers.asked == [("PUT", "/collections/c/items/b"), ("POST", "/collections/c/items")]
    assert put(answers, item("a", links=[{"rel": "via", "href": "y"}])) == Tally(changed=1)


def test_what_came_into_being_meanwhile_is_replaced() -> None:
    answers = Answers(statuses={"POST": [201, 409]})
    assert put(answers, item("a")) == Tally(changed=1)
    assert answers.asked == [("POST", "/collections/c/items"), ("PUT", "/collections/c/items/a")]


def test_a_passing_failure_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions.Retry, "get_backoff_time", lambda _: 0.01)
    answers = Answers(statuses={"POST": [201, 503, 429]})
    assert put(answers, item("a")) == Tally(new=1)
    answers.statuses["POST"] = [500]
    with pytest.raises(PushError, match="Item b: the server answers 500 to POST: sorry, but 500"):
        put(answers, item("b"))


def test_an_item_refused_does_not_stop_the_others() -> None:
    tally = put(Answers(statuses={"POST": [201, 422]}), item("a"), item("b"))
    assert (tally.new, tally.failures) == (1, ("Item a: the server answers 422 to POST: sorry, but 422",))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "put a bearer token into MAGE_STAC_TOKEN"),
        (403, "put a bearer token into MAGE_STAC_TOKEN"),
        (405, "push to its database by --pgstac"),
    ],
)
def test_an_api_that_does_not_let_us_write(status: int, advice: str) -> None:
    with pytest.raises(PushError, match=rf"^Collection c: the server answers {status} to POST: .*; .*{advice}$"):
        put(Answers(statuses={"POST": [status]}))


def test_a_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers()
    put(answers)
    monkeypatch.setenv(transactions.TOKEN, "abc")
    put(answers)
    assert answers.tokens == {None, "Bearer abc"}


@pytest.mark.parametrize("landing", [{"type": "Catalog"}, [], b"<html>"])
def test_what_is_no_stac_api(landing: Any) -> None:
    with (
        serving(Answers(landing=landing)) as url,
        pytest.raises(PushError, match="answers, but not as a STAC API"),
        transactions.connected(url),
    ):
        pass


def test_an_api_without_transactions() -> None:
    with (
        serving(Answers(landing={"conformsTo": [CLASS]})) as url,
        pytest.raises(PushError, match=r"offers no Transaction extension.*ENABLE_TRANSACTIONS_EXTENSIONS=TRUE"),
        transactions.connected(url),
    ):
        pass


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions.Retry, "get_backoff_time", lambda _: 0.01)
    with (
        pytest.raises(PushError, match=r"--api http://127\.0\.0\.1:9/ cannot be reached: .*refused"),
        transactions.connected("http://127.0.0.1:9"),
    ):
        pass
