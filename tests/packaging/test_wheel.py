"""The wheel holds the six packages and their data, and works without the source tree."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "llmspell_protocol": ROOT / "protocol",
    "llmspell_workers": ROOT / "workers",
    "llmspell_bridges": ROOT / "bridges",
    "llmspell_supervisor": ROOT / "supervisor",
    "llmspell_harness": ROOT / "harness",
    "llmspell_testkit": ROOT / "testkit",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, text=True)
    (built,) = folder.glob("llmspell_supervisor-*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_six_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(folder))
        for name, folder in PACKAGES.items()
        for path in (folder / name).rglob("*")
        if path.is_file() and not any(part in {"__pycache__", ".ruff_cache"} for part in path.parts)
    }
    (command,) = held - expected
    assert command.endswith(".data/scripts/llmspell-supervisor")
    with zipfile.ZipFile(wheel) as archive:
        # Who installs it puts the interpreter there (the format of wheels).
        assert archive.read(command).startswith(b"#!python\n")
    assert held - {command} == expected
    assert {f"{name}/py.typed" for name in PACKAGES} <= held


def test_the_wheel_runs_a_spell_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    spell = tmp_path / "spell.lua"
    spell.write_text("return 'from the wheel'")
    # Without `site` the editable install is not on the path: only the wheel and its dependencies.
    path = [str(tmp_path / "site"), sysconfig.get_paths()["purelib"]]
    code = f"import sys; sys.path[:0] = {path!r}; from llmspell_supervisor.__main__ import main; "
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code + "sys.exit(main())", "run", str(spell)],
        text=True,
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert (ran.returncode, ran.stdout) == (0, "from the wheel\n"), ran.stderr


def test_the_installed_command_is_the_module(environment: dict[str, str]) -> None:
    script = Path(sysconfig.get_paths()["scripts"]) / "llmspell-supervisor"
    said = [
        subprocess.run(
            [*command, "--version"], env=environment, text=True, capture_output=True, check=True
        ).stdout
        for command in ([str(script)], [sys.executable, "-m", "llmspell_supervisor"])
    ]
    assert said[0] == said[1]
    assert said[0].startswith("llmspell-supervisor 0.1.0")
