from __future__ import annotations

from pathlib import Path

import pytest

from mage_stac import hrefs
from mage_stac.errors import AssetError

SIGNED = (
    "https://a.blob.core.windows.net/c/x.tif?st=2020&se=2021&sp=rl&sig=abc%3D",
    "https://b.s3.amazonaws.com/x.tif?X-Amz-Algorithm=AWS4&X-Amz-Signature=abc",
    "https://example.com/x.tif?token=abc",
    "https://example.com/x.tif?subscription-key=abc",
)


@pytest.mark.parametrize("url", SIGNED)
def test_signatures_are_cut_off_wherever_they_stand(url: str) -> None:
    document = {"assets": {"a": {"href": url, "alternate": [{"href": url}]}}, "title": "who? me: token=1"}
    clean = hrefs.unsigned(document)
    assert clean["assets"]["a"]["href"] == url.partition("?")[0]
    assert clean["assets"]["a"]["alternate"][0]["href"] == url.partition("?")[0]
    assert clean["title"] == document["title"]


def test_other_queries_stay() -> None:
    url = "https://example.com/tiles?collection=c&item=i"
    assert hrefs.unsigned(url) == url


@pytest.mark.parametrize("href", ["https://x/a.tif", "http://x/a.tif", "s3://b/a.tif"])
def test_remote_images_may_be_opened(href: str) -> None:
    assert hrefs.checked(href, what="it", stranger=True) == href


@pytest.mark.parametrize(
    "href",
    ["/etc/passwd", "file:///etc/passwd", "a.tif", "/vsicurl/https://x/a.tif", "https://x/a.vrt", "https://x/a.VRT?b=1",
     "gs://b/a.tif", "ftp://x/a.tif", "NETCDF:/etc/x.nc:v", "<VRTDataset/>", "zip+https://x/a.zip"],
)  # fmt: skip
def test_a_stranger_reaches_nothing_else(href: str) -> None:
    with pytest.raises(AssetError, match="it is"):
        hrefs.checked(href, what="it", stranger=True)


def test_local_files_of_ones_own() -> None:
    assert hrefs.checked("/data/a.tif", what="it", stranger=False) == "/data/a.tif"
    assert hrefs.checked("file:///data/a.tif", what="it", stranger=False) == "/data/a.tif"
    assert hrefs.checked("file:///data/a%20b%C3%A9.tif", what="it", stranger=False) == "/data/a bé.tif"
    assert hrefs.checked("/data/100%25.tif", what="it", stranger=False) == "/data/100%25.tif"


@pytest.mark.parametrize("href", ["/data/a.vrt", "file:///data/a%2Evrt", "file:///vsicurl/https://x/a.tif"])
def test_a_virtual_file_is_none_of_ones_own_however_it_is_written(href: str) -> None:
    with pytest.raises(AssetError, match="virtual"):
        hrefs.checked(href, what="it", stranger=False)


def test_portable_hrefs(tmp_path: Path) -> None:
    folder = tmp_path / "c" / "i"
    assert hrefs.portable(str(folder / "a.tif"), folder) == "./a.tif"
    assert hrefs.portable(str(tmp_path / "d" / "j" / "j.json"), folder) == "../../d/j/j.json"
    assert hrefs.portable("https://x/a.tif", folder) == "https://x/a.tif"
    assert hrefs.portable("./a.tif", folder) == "./a.tif"
    assert hrefs.without_query("https://x/a.tif?sig=1") == "https://x/a.tif"
    assert hrefs.without_query("/data/what?.tif") == "/data/what?.tif"


def test_a_relative_path_stands_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "event #3?"
    assert hrefs.placed("./a.tif", folder) == str(folder / "a.tif")
    assert hrefs.placed("../b #1/a.tif", folder) == str(tmp_path / "b #1" / "a.tif")
    for href in ("https://x/a.tif?b#c", "s3://x/a.tif", "file:///x/a%20b.tif", "/x/a.tif"):
        assert hrefs.placed(href, folder) == href
