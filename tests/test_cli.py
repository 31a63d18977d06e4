"""The command line's promises: one line for bad input, exit codes, no traceback, help with an example a verb."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from mage_stac.cli import app as cli

Run = Callable[[Sequence[str]], tuple[int, str, str]]

WORK = {
    "search": ("mage_stac.search.search", ["search", "--api", "{tmp}", "--out", "{tmp}/o"]),
    "ingest": ("mage_stac.ingest.ingest", ["ingest", "{tmp}/a.tif", "--datetime", "2011-05-24", "--out", "{tmp}/o"]),
    "render": ("mage_stac.synthesis.render_pairs", ["render", "--out", "{tmp}/o"]),
    "translate": (
        "mage_stac.adapt.translate.translate",
        ["translate", "--synthetic", "{tmp}", "--real", "{tmp}", "--out", "{tmp}/o"],
    ),
    "train": ("mage_stac.train.train", ["train", "demo", "--synthetic", "{tmp}", "--out", "{tmp}/o"]),
    "adapt": (
        "mage_stac.adapt.refit.refit",
        ["adapt", "--model", "{tmp}", "--real", "{tmp}", "--batch-norm", "1", "--out", "{tmp}/o"],
    ),
    "predict": (
        "mage_stac.predict.predict",
        ["predict", "--model", "{tmp}", "--pre", "{tmp}", "--post", "{tmp}", "--out", "{tmp}/o"],
    ),
    "water": ("mage_stac.water.predict", ["water", "--model", "{tmp}", "--image", "{tmp}", "--out", "{tmp}/o"]),
    "score": ("mage_stac.catalogue.read_item", ["score", "--prediction", "{tmp}", "--reference", "{tmp}/a.tif"]),
    "areas": (
        "mage_stac.catalogue.read_item",
        ["areas", "--prediction", "{tmp}", "--grid", "100", "--out", "{tmp}/o"],
    ),
    "access": (
        "mage_stac.products.access.access",
        ["access", "--roads", "{tmp}/a.tif", "--prediction", "{tmp}", "--from", "1,2", "--out", "{tmp}/o"],
    ),
    "report": ("mage_stac.products.report.predictions", ["report", "{tmp}", "--out", "{tmp}/o"]),
    "compare": ("mage_stac.realism.compare", ["compare", "{tmp}", "{tmp}"]),
    "push": ("mage_stac.transactions.connected", ["push", "{tmp}", "--api", "http://127.0.0.1:9"]),
    "show": ("mage_stac.gallery.sheet", ["show", "{tmp}", "--out", "{tmp}/o"]),
    "check": ("mage_stac.validate.validate", ["check", "{tmp}"]),
    "serve": ("mage_stac.serve.run", ["serve", "{tmp}"]),
    "demo": ("mage_stac.demo.run", ["demo", "--out", "{tmp}/o"]),
}
"""Verb -> the library function that does its work, and a command line that reaches it."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(words: Sequence[str]) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mage-stac", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_shows_an_example(run: Run, verb: str) -> None:
    code, out, _ = run([verb, "--help"])
    assert code == 0
    assert f"Example: mage-stac {verb}" in " ".join(out.split()).replace("│", "")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_breaks_lines_where_the_terminal_ends(run: Run, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.strip() for line in run([verb, "--help"])[1].partition("╭")[0].splitlines()]
    broken = [(one, two) for one, two in pairwise(lines) if one and two and len(one) + len(two.split()[0]) + 1 < 78]
    assert not broken, "a line ends although the next word fits"


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["train", "demo", "--synthetic", "x", "--out", "x", "--sure", "0.6"], "--real-labels"),
        (["train", "demo", "--synthetic", "x", "--out", "x", "--layer", "grades"], "--real-labels"),
        (["adapt", "--model", "x", "--real", "x", "--out", "x", "--layer", "grades"], "--real-labels"),
        (["predict", "--model", "x", "--pre", "x", "--post", "x", "--out", "x", "--layer", "houses"], "--footprints"),
    ],
)
def test_an_option_that_tells_of_another_needs_it(run: Run, words: list[str], missing: str) -> None:
    code, out, err = run(words)
    assert (code, out) == (2, "")
    assert f"of {missing}, which is not given" in err


@pytest.mark.parametrize(("verb", "extra"), [("report", "mage-stac[report]"), ("serve", "mage-stac[tiles]")])
def test_help_keeps_the_brackets_of_an_extra(run: Run, verb: str, extra: str) -> None:
    assert extra in run([verb, "--help"])[1]


@pytest.mark.parametrize("verb", cli.VERBS)
def test_ctrl_c_ends_in_one_line_and_leaves_nothing(
    run: Run, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    work, words = WORK[verb]
    monkeypatch.setattr(work, interrupted)
    (tmp_path / "a.tif").touch()
    code, out, err = run([word.format(tmp=tmp_path) for word in words])
    assert (code, out) == (130, "")
    assert err.count("\n") == 1
    assert "Ctrl-C" in err
    assert not (tmp_path / "o").exists()


def test_bad_input_is_one_line_and_exit_1(run: Run, tmp_path: Path) -> None:
    code, out, err = run(["check", str(tmp_path / "nothing")])
    assert (code, out) == (1, "")
    assert err.startswith("mage-stac: ")
    assert err.count("\n") == 1
    assert "nothing" in err


def test_wrong_usage_is_one_line_and_exit_2(run: Run) -> None:
    code, _, err = run(["render", "--pairs", "many", "--out", "x"])
    assert code == 2
    assert err.count("\n") == 1
    assert "--pairs" in err


def test_an_unknown_hazard_names_those_that_exist(run: Run, tmp_path: Path) -> None:
    code, _, err = run(["render", "--hazard", "comet", "--out", str(tmp_path)])
    assert code == 1
    assert "comet" in err
    assert "wind" in err


def test_version(run: Run) -> None:
    code, out, _ = run(["--version"])
    assert code == 0
    assert out.strip().count(".") == 2
