"""Find a Blender and drive it: one child process that renders job folders, restarted now and then, never imported."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np

from mage_stac.errors import RenderError
from mage_stac.scene import infrared, moisture
from mage_stac.scene.geometry import Geometry, save

SCHEMA = "mage-stac-render/2"
"""Of job.json; renderers/job.py reads it."""
PASSES = ("image", "labels", "labels_buildings")
"""What a job renders unless it says otherwise; `infrared` is another image of the bands of scene.infrared."""
VARIABLE = "MAGE_STAC_BLENDER"
HOW_TO_GET_ONE = (
    "run `make setup` in a checkout, or `uv venv --python 3.11 .venv-render && uv pip install --python .venv-render "
    f'bpy==5.0.1 "numpy<2"`, or install Blender 4.2 or newer; name it by --blender or {VARIABLE} if it lies elsewhere'
)
DEVICES = {
    "auto": "a GPU if Cycles finds one (OptiX, CUDA, HIP, oneAPI or Metal), else the processor",
    "gpu": "a GPU, or nothing is rendered",
    "cpu": "the processor",
}
"""What images are rendered with. Labels always come from the processor, so that they are the same bits everywhere."""
STDERR_TAIL = 4000
"""Bytes of a dead child's stderr that are searched for its last words."""


def find(given: str | Path | None = None) -> tuple[str, ...]:
    """Command that starts the renderer: a Blender's Python, or a Blender, and the renderer's path.

    Looks at `given`, at $MAGE_STAC_BLENDER, at `.venv-render` in the working folder and beside the package, and for
    `blender` on the PATH. A folder stands for the virtual environment in it.

    Raises:
        RenderError: what was named does not exist, or nothing was found (says how to get one).
    """
    named = given or os.environ.get(VARIABLE)
    if named:
        executable = _executable(Path(named))
        if executable is None:
            source = "--blender" if given else VARIABLE
            raise RenderError(f"no Blender at {named} (from {source}): {HOW_TO_GET_ONE}")
        return _command(executable)
    for folder in (Path.cwd(), Path(__file__).resolve().parents[1]):
        executable = _executable(folder / ".venv-render")
        if executable is not None:
            return _command(executable)
    installed = shutil.which("blender")
    if installed is None:
        raise RenderError(f"no Blender found: {HOW_TO_GET_ONE}")
    return _command(Path(installed))


def _executable(path: Path) -> Path | None:
    candidates = (path / "bin" / "python", path / "Scripts" / "python.exe") if path.is_dir() else (path,)
    return next((one for one in candidates if one.is_file() and os.access(one, os.X_OK)), None)


def _command(executable: Path) -> tuple[str, ...]:
    script = str(_renderer() / "__main__.py")
    if executable.name.lower().startswith("blender"):
        options = ("--background", "--factory-startup", "--python-exit-code", "3", "--python", script, "--")
        return (str(executable), *options)
    return (str(executable), script)


def _renderer() -> Path:
    """Folder of the renderer's code, found without importing it."""
    spec = find_spec("mage_stac.renderers")
    if spec is None or not spec.submodule_search_locations:
        raise RenderError("mage_stac.renderers is not installed: install mage-stac again")
    return Path(next(iter(spec.submodule_search_locations)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What a Blender may use of its machine: speed, not pixels."""

    threads: int = 0
    """Processor cores; 0 is all."""
    device: str = "auto"
    """A key of DEVICES."""
    turn: int = 0
    """Number of the Blender among those of its machine; they take the GPUs in turn."""

    def options(self) -> tuple[str, ...]:
        """The renderer's options."""
        return ("--threads", str(self.threads), "--device", self.device, "--turn", str(self.turn))


def gpus(command: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the GPUs that a Blender's Cycles finds.

    Raises:
        RenderError: it does not start or breaks down.
    """
    try:
        done = subprocess.run([*command, "?"], capture_output=True, text=True, check=False, timeout=120.0)
        return tuple(json.loads(done.stdout.strip().splitlines()[-1])["gpus"])
    except (OSError, subprocess.TimeoutExpired, LookupError, json.JSONDecodeError) as error:
        raise RenderError(f"Blender cannot say which GPUs it finds ({command[0]}): give the device cpu") from error


def with_device(command: tuple[str, ...], device: str) -> tuple[str, ...]:
    """The command, if its machine has such a device.

    Raises:
        RenderError: it has no GPU.
    """
    if device == "gpu" and not gpus(command):
        raise RenderError("Cycles finds no GPU here: give --device auto or cpu, or mend the GPU's driver")
    return command


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What job.json tells the renderer. Angles in degrees, azimuths clockwise from north."""

    width: int
    """Pixels of the map grid; `width * gsd` is the scene's width in metres."""
    height: int
    gsd: float
    oversample: int = 2
    samples: int = 4
    """Light paths per rendered pixel; a product pixel averages oversample**2 times as many."""
    denoise: bool = True
    """Whether the noise of so few is taken away, by OpenImageDenoise; labels have none."""
    sun_azimuth: float
    sun_elevation: float
    overcast: float = 0.0
    off_nadir: float = 0.0
    view_azimuth: float = 0.0
    altitude: float = 0.0
    """Of a perspective camera over the middle, metres above the ground there; 0 for parallel rays."""
    seed: int = 0
    passes: tuple[str, ...] = PASSES

    def as_dict(self) -> dict[str, Any]:
        """The content of job.json."""
        return {
            "schema": SCHEMA,
            "width": self.width,
            "height": self.height,
            "size_m": [self.width * self.gsd, self.height * self.gsd],
            "gsd": self.gsd,
            "oversample": self.oversample,
            "samples": self.samples,
            "denoise": self.denoise,
            "sun": {"azimuth": self.sun_azimuth, "elevation": self.sun_elevation, "overcast": self.overcast},
            "view": {"off_nadir": self.off_nadir, "azimuth": self.view_azimuth, "altitude": self.altitude},
            "seed": self.seed,
            "passes": list(self.passes),
        }

    def write(self, geometry: Geometry, folder: Path) -> None:
        """Lay the job out in `folder`, for Session.render."""
        folder.mkdir(parents=True, exist_ok=True)
        save(geometry, folder)
        if "infrared" in self.passes:
            faces = infrared.of(geometry.colour, geometry.semantic)
            ground = infrared.of(geometry.ground_texture, geometry.ground_semantic)
            ground *= moisture.absorbed(geometry.ground_soaked)
            np.save(folder / "infrared_faces.npy", faces, allow_pickle=False)
            np.save(folder / "infrared_ground.npy", ground, allow_pickle=False)
        (folder / "job.json").write_text(json.dumps(self.as_dict(), indent=2), encoding="utf-8")


class Session:
    """A Blender process that renders one job after the other; a context manager, closed with its child.

    The child is restarted after `restart_after` jobs, for Blender's memory grows, and after any failure. It runs in a
    process group of its own, so that Ctrl-C reaches us alone and we end it.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        *,
        machine: Machine | None = None,
        restart_after: int = 50,
        timeout: float = 900.0,
    ) -> None:
        self._command = (*command, *(machine or Machine()).options())
        self._restart_after = restart_after
        self._timeout = timeout
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def process(self) -> int | None:
        """Id of the child; None before the first job and after a failure."""
        return None if self._child is None else self._child.process

    def render(self, folder: Path, name: str) -> dict[str, float]:
        """Render the job in `folder`; returns seconds by stage, of wall time and, as `STAGE.cpu`, of all its cores.

        Args:
            folder: holds what Job.write wrote; the passes appear beside it.
            name: the scene, for messages.

        Raises:
            RenderError: Blender crashed, refused the job, took longer than the timeout or left a pass out.
        """
        if self._child is None or self._child.jobs >= self._restart_after:
            self.close()
            self._child = _Child(self._command)
        try:
            seconds = self._child.render(folder, name, self._timeout)
            _require_passes(folder, name)
        except BaseException:
            self.close()
            raise
        return seconds

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()


class _Child:
    """One Blender process: folder names go in by stdin, a line of JSON comes back by stdout for each."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.jobs = 0
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        # Blender keeps a folder there while it runs; one that is killed, as it is by us, would leave it behind.
        self._scratch = tempfile.TemporaryDirectory(prefix="mage-stac-blender-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(
                [*command, "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                encoding="utf-8",
                start_new_session=True,
                env={**os.environ, "TMPDIR": self._scratch.name, "TEMP": self._scratch.name},
            )
        except OSError as error:
            self._stderr.close()
            self._scratch.cleanup()
            raise RenderError(f"Blender does not start: {command[0]}: {error.strerror}") from error
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._stdin = cast("IO[str]", self._process.stdin)  # both are pipes, as asked for above
        self._stdout = cast("IO[str]", self._process.stdout)
        threading.Thread(target=self._listen, args=(self._stdout,), daemon=True).start()

    @property
    def process(self) -> int:
        return self._process.pid

    def _listen(self, stream: IO[str]) -> None:
        with contextlib.suppress(ValueError, OSError):  # closed by kill()
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def render(self, folder: Path, name: str, timeout: float) -> dict[str, float]:
        self.jobs += 1
        try:
            self._stdin.write(f"{folder}\n")
            self._stdin.flush()
        except OSError as error:
            raise self._died(name) from error
        for reply in self._replies(name, timeout):
            if reply.get("job") != str(folder):
                continue
            if "error" in reply:
                raise RenderError(f"scene {name}: Blender could not render it: {reply['error']}")
            return {str(key): float(value) for key, value in reply["seconds"].items()}
        raise self._died(name)

    def _replies(self, name: str, timeout: float) -> Iterator[dict[str, Any]]:
        """The child's JSON lines until it ends. RenderError when the time is over."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                raise RenderError(
                    f"scene {name}: Blender was still busy after {timeout:.0f} s and was stopped{self._last_words()}"
                ) from None
            if line is None:
                return
            with contextlib.suppress(json.JSONDecodeError):
                reply = json.loads(line)
                if isinstance(reply, dict):
                    yield reply

    def _died(self, name: str) -> RenderError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10.0)
        code = self._process.returncode
        how = "closed its output" if code is None else f"ended with code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"was ended by {signal.Signals(-code).name}"
        return RenderError(f"scene {name}: Blender {how}{self._last_words()}")

    def _last_words(self) -> str:
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(self._stderr.tell() - STDERR_TAIL, 0))
        lines = [line.strip() for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return f": {lines[-1]}" if lines else ""

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._stdout.close()
        self._stderr.close()
        self._scratch.cleanup()


def _require_passes(folder: Path, name: str) -> None:
    wanted = json.loads((folder / "job.json").read_text(encoding="utf-8")).get("passes", PASSES)
    missing = [f"{one}.exr" for one in wanted if not (folder / f"{one}.exr").is_file()]
    if missing:
        raise RenderError(f"scene {name}: Blender ended well but did not write {', '.join(missing)}")
