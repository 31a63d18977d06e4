"""STAC Browser, as served, in the system's chromium: what people see of our catalogues. Pictures of it go to docs/."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from served import serving

from mage_stac import catalogue
from mage_stac.classes import DAMAGE_CLASSES, rgb

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "catalogs" / "example"
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking"]
"""WebGL without a GPU, and no calls home."""
PAIR = "wind-pairs/wind-2029-00000"
MAP = "predictions/damage/damage.json"
PATIENCE = 180_000
"""Milliseconds."""
THUMBNAILS = """() => {
  const shown = [...document.querySelectorAll("img")].filter(i => i.getBoundingClientRect().top < window.innerHeight);
  return shown.length > 0 && shown.every(i => i.complete && i.naturalWidth > 1 && !i.src.startsWith("data:"));
}"""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: make setup-system"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass
class Window:
    """A page of the browser, and what went wrong in it."""

    page: Any
    address: str
    said: list[str] = field(default_factory=list)
    """Errors of the console and of scripts."""
    foreign: list[str] = field(default_factory=list)
    """What it asked of other servers."""

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}#/{path}")
        self.page.get_by_text("Powered by").wait_for(timeout=PATIENCE)
        self.page.wait_for_load_state("networkidle", timeout=PATIENCE)

    def listen(self) -> None:
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.foreign.append(request.url)

    def pictured(self) -> None:
        """Wait until every thumbnail in the window is there: they are fetched late, behind grey ones."""
        self.page.wait_for_function(THUMBNAILS, timeout=PATIENCE)

    def map(self) -> NDArray[np.uint8]:
        """The pixels (y, x, 3) of the map."""
        picture = self.page.locator(".map").first.screenshot()
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))

    def keep(self, name: str) -> None:
        """Write a picture of the window to docs/ if MAGE_STAC_DOCS asks for it."""
        if os.environ.get("MAGE_STAC_DOCS"):
            picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
            picture.resize((900, 675)).save(ROOT / "docs" / f"browser-{name}.jpg", quality=70)


@pytest.fixture(scope="module")
def window() -> Iterator[Window]:
    from playwright.sync_api import sync_playwright

    with serving(EXAMPLE) as address, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = Window(chromium.new_page(viewport={"width": 1200, "height": 900}, locale="en-GB"), address)
        opened.listen()
        yield opened
        chromium.close()


@pytest.fixture(autouse=True)
def clean(window: Window) -> Iterator[None]:
    """Nothing may go wrong in any test, nor may anything be fetched from elsewhere."""
    window.said.clear()
    window.foreign.clear()
    yield
    assert window.said == []
    assert window.foreign == []


def share(pixels: NDArray[np.uint8], colour: str, tolerance: int = 12) -> int:
    """How many pixels have a colour."""
    near = np.abs(pixels.astype(int) - np.array(rgb(colour))) <= tolerance
    return int(near.all(-1).sum())


def settled(window: Window, colour: str, least: int) -> NDArray[np.uint8]:
    """The map, once it shows that many pixels of a colour: tiles fade in."""
    for _ in range(PATIENCE // 500):
        pixels = window.map()
        if share(pixels, colour) >= least:
            return pixels
        window.page.wait_for_timeout(500)
    raise AssertionError(f"{colour} is not on the map at {window.page.url}")


def test_the_root_lists_the_collections(window: Window) -> None:
    window.open("")
    for title in ("Models", "Damage maps", "Rendered pairs: wind"):
        window.page.get_by_text(title, exact=True).first.wait_for(timeout=PATIENCE)


@pytest.mark.parametrize("name", ["models", "predictions", "wind-pairs"])
def test_each_collection_lists_its_items(window: Window, name: str) -> None:
    window.open(f"{name}/collection.json")
    for item in catalogue.read_items(EXAMPLE, collection=name):
        window.page.get_by_text(item.properties.get("title", item.id), exact=True).first.wait_for(timeout=PATIENCE)
    if name == "wind-pairs":
        window.pictured()
        window.keep("collection")


def test_a_pair_is_on_the_map_before_and_after(window: Window) -> None:
    seen = {}
    for phase in ("pre", "post"):
        item = catalogue.read_item(EXAMPLE / f"{PAIR}-{phase}")
        window.open(f"{PAIR}-{phase}/{item.id}.json")
        window.page.get_by_role("heading", name=item.properties["title"]).wait_for(timeout=PATIENCE)
        with rasterio.open(EXAMPLE / f"{PAIR}-{phase}" / "visual.tif") as source:
            typical = np.median(source.read().reshape(3, -1), axis=1).astype(int)
        seen[phase] = settled(window, bytes(typical.tolist()).hex(), 50)
    window.keep("pair")
    assert np.abs(seen["pre"].astype(int) - seen["post"]).mean() > 5


@pytest.mark.parametrize(("path", "name"), [(MAP, "prediction"), (f"{PAIR}-label/wind-2029-00000-label.json", "label")])
def test_damage_is_on_the_map_in_its_colours(window: Window, path: str, name: str) -> None:
    window.open(path)
    for entry in DAMAGE_CLASSES[:5]:
        pixels = settled(window, entry.colour, 50)
    assert share(pixels, "000000", 0) < 200  # nothing black round it
    window.keep(name)
