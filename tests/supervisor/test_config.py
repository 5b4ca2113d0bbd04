"""The operator's config file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmspell_supervisor._config import MAX_CONFIG, Config, find_config, user_config_path
from llmspell_supervisor._errors import ConfigError
from llmspell_supervisor._policy import MIB
from llmspell_supervisor._resolve import resolve


def load(tmp_path: Path, text: str) -> Config:
    (tmp_path / "c.toml").write_text(text)
    return Config.load(str(tmp_path / "c.toml"))


def refused(tmp_path: Path, text: str) -> str:
    """The message of the error about a config file with this text."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.replace(str(tmp_path), "").isprintable()
    return message


def test_policy_and_profiles_become_layers(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        '[policy]\nmemory = "128M"\n[profiles.ci]\ncpu = "1s"\nallow_env = ["CI"]\n',
    )
    policy = resolve(config.layers("ci")).policy
    assert (policy.memory, policy.cpu, policy.allow_env) == (128 * MIB, 1.0, ("CI",))
    assert [layer.name for layer in config.layers()] == [f"[policy] of {tmp_path}/c.toml"]


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, "").layers() == []


def test_folders_are_relative_to_the_file_and_not_to_where_we_are(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    config = load(tmp_path, '[policy]\nallow_read = ["data"]\n')
    assert config.policy["allow_read"] == (str((tmp_path / "data").resolve()),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[policy]\nmemroy = 1\n", "c.toml:2: policy.memroy: unknown key; did you mean 'memory'?"),
        ("[polcy]\n", "c.toml:1: polcy: unknown key; did you mean 'policy'?"),
        ("[profiles.ci]\ncpu = -1\n", "c.toml:2: profiles.ci.cpu: -1 is too little"),
        ("[policy]\n\n\nmemory = '1Q'\n", "c.toml:4: policy.memory: '1Q' is not a size"),
        ("[policy]\nallow_env = 'A'\n", "c.toml:2: policy.allow_env: 'A' is not a list"),
        ("[policy]\njit = 1\n", "policy.jit: '1' is not true or false"),
        ("[policy]\nisolation = 'none'\n", "'none' is not strict or degraded"),
        ("[policy]\ntimeout = inf\n", "inf is not a finite number"),
        ("[policy]\ntimeout = nan\n", "nan is not a finite number"),
        ("[policy]\nallow_read = ['~']\n", "not expanded"),
        ("policy = 1\n", "c.toml:1: policy: is not a table: write [policy]"),
        ("profiles.ci = 1\n", "profiles.ci: is not a table"),
        ("[policy\n", "c.toml:1: "),
        ("a = 1\na = 2\n", "c.toml:2: cannot overwrite a value"),
        ("x = " + "[" * 5000, "nested too deeply"),
        ("x = " + "9" * 5000, "not valid TOML"),
        ("'\\u001b[2J' = 1\n", "unknown key"),
    ],
)
def test_a_wrong_file_is_refused_with_line_key_and_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    assert message in refused(tmp_path, text)


def test_an_unknown_profile_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    config = load(tmp_path, "[profiles.careful]\n[profiles.ci]\n")
    with pytest.raises(ConfigError, match=r"did you mean 'careful'.*careful, ci"):
        config.layers("carefull")


def test_a_profile_without_a_config_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match="llmspell-supervisor init"):
        Config().layers("ci")


def test_the_flag_stands_before_the_variable_and_that_before_the_users_file(
    tmp_path: Path,
) -> None:
    user = tmp_path / "xdg" / "llmspell-supervisor"
    user.mkdir(parents=True)
    (user / "config.toml").write_text("[policy]\nmax_calls = 1\n")
    for number, name in ((2, "variable"), (3, "flag")):
        (tmp_path / name).write_text(f"[policy]\nmax_calls = {number}\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert find_config(None, environ).policy["max_calls"] == 1
    environ["LLMSPELL_CONFIG"] = str(tmp_path / "variable")
    assert find_config(None, environ).policy["max_calls"] == 2
    assert find_config(str(tmp_path / "flag"), environ).policy["max_calls"] == 3


def test_no_config_in_the_current_folder_is_ever_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("llmspell.toml", "config.toml", "llmspell-supervisor.toml"):
        (tmp_path / name).write_text("[policy]\nallow_env = ['HOME']\n")
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "none")}
    assert find_config(None, environ).policy == {}


def test_a_relative_config_home_is_ignored_as_the_specification_says() -> None:
    path = user_config_path({"XDG_CONFIG_HOME": "here"})
    assert os.path.isabs(path)
    assert path.endswith("/.config/llmspell-supervisor/config.toml")


def test_a_named_config_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        find_config(str(tmp_path / "none.toml"), {})


def test_an_empty_name_is_no_config_and_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'' \(an empty name\): no such file"):
        find_config("", {"LLMSPELL_CONFIG": "/srv/other.toml"})


def test_a_config_over_the_cap_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("#" * (MAX_CONFIG + 1))
    with pytest.raises(ConfigError, match="the cap is 1 MiB"):
        Config.load(str(tmp_path / "c.toml"))
