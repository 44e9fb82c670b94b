"""Who may import whom, what ships, how long a file and how full a room may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOF = {
    "checking",
    "mending",
    "calibrating",
    "deploy",
    "folders",
    "showing",
    "trials",
    "training",
    "cotraining",
    "tuning",
    "model_files",
    "exporting",
    "starting",
    "sweeping",
    "packing",
    "elsewhere",
    "doctoring",
}
MAY_IMPORT = {  # folder -> what else at the root it may name
    "toolchain": set(),
    "calibration": {"toolchain"},
    "targets": {"toolchain"},
    "models": {"toolchain"},
    "tasks": {"toolchain", "calibration", "models"},
    "pipeline": {"toolchain", "calibration", "targets"},
    "sweeps": {"toolchain", "calibration"},
    "remote": {"toolchain"},
    "machine": {"toolchain", "targets"},
    "commands": {
        "toolchain",
        "calibration",
        "targets",
        "models",
        "tasks",
        "pipeline",
        "sweeps",
        "remote",
        "machine",
        *ROOF,
    },
}
FRAMEWORKS = {  # library -> the only files that may import it
    "tensorflow": (
        "machine/tensorflow_gpus.py",
        "models/cotraining/*.py",
        "models/networks/*.py",
        "models/training/*.py",
        "targets/nengo_dl/*.py",
        "targets/silent_import.py",
        "toolchain/frontends/keras/*.py",
    ),
    "nengo": (
        "targets/loihi/*.py",
        "targets/nengo_*.py",
        "models/cotraining/nengo_*.py",
        "toolchain/frontends/nengo/*.py",
    ),
    "nengo_dl": ("targets/nengo_*.py", "models/cotraining/nengo_*.py"),
    "nengo_loihi": ("targets/loihi/*.py",),
    "nxsdk": ("targets/loihi/*.py",),
    "lava": ("targets/lava/*.py",),
    "onnx": ("toolchain/frontends/onnx/*.py",),
    "sanafe": ("calibration/opinion/worker.py",),
    "nir": ("toolchain/frontends/nir/*.py",),
    "jinja2": (
        "calibration/report/page/templates.py",
        "sweeps/page.py",
        "targets/c/templates/__init__.py",
    ),
    "optuna": ("sweeps/study.py",),
    "dask": ("sweeps/workers.py",),
    "distributed": ("sweeps/workers.py",),
    "yaml": ("sweeps/reading.py",),
    "numba": ("targets/reference/*.py", "models/cotraining/compiled/kernels.py"),
    "llvmlite": (
        "targets/reference/kernels*.py",
        "models/cotraining/compiled/kernels.py",
    ),
}
LONGEST_FILE = 400  # lines
FULLEST_ROOM = 14  # files
ROOMS = sorted(
    {path.parent for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py")}
)
SHIPPED = sorted(
    path
    for folder in (".", *MAY_IMPORT)
    for path in (ROOT / folder).glob("*.py" if folder == "." else "**/*.py")
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> list[tuple[int, str]]:
    """(dots, first word) of every import in a file, those inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(0, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [a.name for a in node.names]
            found += [(node.level, name.split(".")[0]) for name in names]
    return found


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_arrows_point_down(folder):
    for path in (ROOT / folder).rglob("*.py"):
        depth = len(path.relative_to(ROOT).parts)  # dots that lead to the root
        reached = {name for dots, name in imports(path) if dots == depth}
        assert reached - {folder, "__version__"} <= MAY_IMPORT[folder], name_of(path)


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_a_framework_stays_in_the_file_named_after_it(path):
    for dots, name in imports(path):
        if dots == 0 and name in FRAMEWORKS:
            allowed = FRAMEWORKS[name]
            assert any(fnmatch(name_of(path), pattern) for pattern in allowed), (
                f"{name_of(path)} imports {name}; only {allowed} may"
            )


def modules_named(path: Path) -> set[Path]:
    """Files of ours that a file imports anywhere, for its types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(
                *(node.module or "").split(".")
            )
            named = [folder / alias.name for alias in node.names]
            found |= {p.with_suffix(".py") for p in (folder, *named)}
    return {other for other in found if other.is_file()}


def test_no_circle_not_even_of_types():
    TopologicalSorter({path: modules_named(path) for path in SHIPPED}).prepare()


def test_toolchain_needs_numpy_alone():
    for path in (ROOT / "toolchain").rglob("*.py"):
        if "frontends" in path.parts:  # a format's library is its own
            continue
        names = {name for dots, name in imports(path) if dots == 0}
        assert names - sys.stdlib_module_names <= {"numpy"}, name_of(path)


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_no_file_is_too_long(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_no_room_is_too_full(room):
    assert len([p for p in room.glob("*.py") if p.stem != "__init__"]) <= FULLEST_ROOM


def test_every_folder_ships():
    listed = (ROOT / "pyproject.toml").read_text()
    for init in ROOT.glob("[a-z]*/**/__init__.py"):
        package = ".".join(init.parent.relative_to(ROOT).parts)
        if package.split(".")[0] in MAY_IMPORT:
            assert f'"snn_deploy.{package}"' in listed, package


def test_every_file_lies_in_a_package():
    for path in SHIPPED:
        assert (path.parent / "__init__.py").exists(), name_of(path)


HEAVY = {*FRAMEWORKS, "matplotlib", "scipy", "h5py", "nibabel"}


def loaded_by(code: str) -> set[str]:
    """Packages that a Python has loaded after this, whatever it ends with."""
    code = f"import sys\ntry:\n    {code}\nfinally:\n    print('\\n', *sys.modules)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("words", ["--help", "--version", "build --unknown"])
def test_what_needs_no_network_loads_nothing_heavy(words):
    loaded = loaded_by(
        f"sys.argv = 'snn-deploy {words}'.split(); "
        "from snn_deploy.__main__ import main; main()"
    )
    assert "click" in loaded and not loaded & {*HEAVY, "numpy", "rich"}


def test_a_build_loads_what_it_uses_when_it_uses_it():
    """No sparse matrices, plots or compiled code before there is a network for them."""
    loaded = loaded_by("import snn_deploy.deploy, snn_deploy.trials")
    assert "numpy" in loaded and not loaded & HEAVY - {"jinja2"}
