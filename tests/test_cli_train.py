from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import synthetic
import typer
from mage_stac.cli.train import train
from typer.testing import CliRunner

RECIPE = """
name = "tiny"
[data]
size = 32
margin = 4
[network]
encoder = "tu-test_resnet"
decoder = [8, 8]
[optimiser]
steps = 2
batch = 2
[run]
validation_chips = 2
"""


def app() -> typer.Typer:
    one = typer.Typer(pretty_exceptions_enable=False)
    one.command()(train)
    return one


def test_the_path_on_stdout_is_the_model_item(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE, "utf-8")
    root = synthetic.write(tmp_path / "blocks", scenes=2, size=64)
    arguments = [str(tmp_path / "tiny.toml"), "--synthetic", str(root), "--out", str(tmp_path / "models")]
    plain = CliRunner().invoke(app(), arguments)
    assert plain.exit_code == 0, plain.output
    path = Path(plain.stdout.strip())
    assert path.is_file()
    told = json.loads(CliRunner().invoke(app(), [*arguments, "--json"]).stdout)
    assert told["item"] == str(path)
    assert told["validation"]["step"] == 2
    assert 0 <= told["waiting_for_chips"] <= 1


def test_steps_and_seed_of_the_command_replace_the_recipes(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE, "utf-8")
    root = synthetic.write(tmp_path / "blocks", scenes=2, size=64)
    command = [str(tmp_path / "tiny.toml"), "--synthetic", str(root), "--out", str(tmp_path / "models"), "--json"]
    plain = json.loads(CliRunner().invoke(app(), command).stdout)
    done = CliRunner().invoke(app(), [*command, "--steps", "3", "--seed", "7"])
    told = json.loads(done.stdout)
    assert told["validation"]["step"] == 3
    assert told["item"] != plain["item"]
    kept = tomllib.loads((Path(told["item"]).parent / "recipe.toml").read_text("utf-8"))
    assert (kept["optimiser"]["steps"], kept["seed"]) == (3, 7)


def test_a_bad_recipe_is_told_without_waiting_for_torch() -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mage_stac.cli.train import train\n"
        "try:\n    train('absent', [Path('x')], Path('y'))\n"
        "except Exception as error:\n    print(type(error).__name__, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["RecipeError", "False"]
