"""Settings: files, environment, flags, and what one is told about a wrong one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from shakeout.config import Settings, load_settings, schema_of
from shakeout.errors import BadDocument


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home/.config/shakeout").mkdir(parents=True)
    (tmp_path / "project/deep/er").mkdir(parents=True)
    return tmp_path / "home"


def settings(home: Path, /, *, cwd: str = "project", flags: dict[str, object] | None = None, **env: str) -> Settings:
    return load_settings(home.parent / cwd, {"HOME": str(home), **env}, flags)


def test_defaults(home: Path) -> None:
    found = settings(home)
    assert found.runs_dir == home / ".local/state/shakeout/runs"
    assert (found.pools, found.plugin_path, found.lab, found.timeout) == ({}, (), "netns", None)
    assert found.artifact_limit == 2**30
    assert found.origins == {}
    assert settings(home, XDG_STATE_HOME="/state").runs_dir == Path("/state/shakeout/runs")


def test_each_source_outdoes_the_ones_before(home: Path) -> None:
    (home / ".config/shakeout/shakeout.toml").write_text('lab = "uml"\ntimeout = 5\n[pools]\na = "~/a"\nb = "/b"')
    (home.parent / "project/shakeout.toml").write_text(
        'lab = "qemu"\nartifact_limit = "1.5M"\nplugin_path = ["plugins", "/abs"]\nruns_dir = "../runs"\n'
        '[pools]\nb = "pools/b"\n'
    )
    project = home.parent / "project"
    found = settings(home, cwd="project/deep/er")
    assert found.lab == "qemu"
    assert found.timeout == 5
    assert found.artifact_limit == 3 * 2**19
    assert found.plugin_path == (project / "plugins", Path("/abs"))
    assert found.runs_dir == home.parent / "runs"
    assert found.pools == {"a": home / "a", "b": project / "pools/b"}
    assert found.origins["lab"] == f"{project / 'shakeout.toml'}:1"
    found = settings(home, SHAKEOUT_LAB="auto", SHAKEOUT_TIMEOUT="1.5", SHAKEOUT_PLUGIN_PATH="p:/q")
    assert (found.lab, found.timeout, found.plugin_path) == ("auto", 1.5, (project / "p", Path("/q")))
    found = settings(home, SHAKEOUT_LAB="auto", flags={"lab": "netns", "timeout": None}, SHAKEOUT_POOLS="c=/c:d=d")
    assert (found.lab, found.timeout) == ("netns", 5)
    assert found.pools == {"a": home / "a", "b": project / "pools/b", "c": Path("/c"), "d": project / "d"}
    assert found.origins["lab"] == "--lab"


def test_xdg_config_home_is_obeyed(home: Path) -> None:
    (home / "xdg/shakeout").mkdir(parents=True)
    (home / "xdg/shakeout/shakeout.toml").write_text('lab = "uml"')
    assert settings(home, XDG_CONFIG_HOME=str(home / "xdg")).lab == "uml"


def test_everything_wrong_is_named_with_its_place(home: Path) -> None:
    file = home.parent / "project/shakeout.toml"
    file.write_text('# mine\nlab = "netsn"\nrun_dir = "x"\nartifact_limit = 0\n[pools]\na = 5\n')
    with pytest.raises(BadDocument) as caught:
        settings(
            home,
            SHAKEOUT_TIMEOUT="soon",
            SHAKEOUT_TIMEOT="1",
            SHAKEOUT_JOB="7",
            flags={"labb": "uml", "lab": 5},
        )
    assert list(caught.value.problems) == [
        f"{file}:2: lab = 'netsn' is not accepted; expected one of 'netns', 'uml', 'qemu', 'auto'",
        f"{file}:3: 'run_dir' is no setting (did you mean 'runs_dir'?)",
        f"{file}:4: artifact_limit = 0 is not accepted; expected a number of bytes, as 1000000 or '1G'",
        f"{file}:5: pools = {{'a': 5}} is not accepted; expected folders by name of the pool "
        "(as variable: name=folder:name=folder)",
        "SHAKEOUT_TIMEOT: 'timeot' is no setting (did you mean 'timeout'?)",
        "SHAKEOUT_TIMEOUT: timeout = 'soon' is not accepted; expected a number of seconds above 0",
        "--labb: 'labb' is no setting (did you mean 'lab'?)",
        "--lab: lab = 5 is not accepted; expected one of 'netns', 'uml', 'qemu', 'auto'",
    ]


def test_a_malformed_file_is_an_error_with_its_line(home: Path) -> None:
    (home.parent / "project/shakeout.toml").write_text('lab = "netns"\ntimeout = \n')
    with pytest.raises(BadDocument, match=r"shakeout.toml:2: not valid TOML"):
        settings(home)


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ('runs_dir = "a"', True),
        ("runs_dir = 5", False),
        ('artifact_limit = "1G"', True),
        ('artifact_limit = "10 MiB"', True),
        ('artifact_limit = "1X"', False),
        ("artifact_limit = -1", False),
        ("timeout = 0", False),
        ("timeout = 1.5", True),
        ('plugin_path = ["a"]', True),
        ("plugin_path = [1]", False),
        ('lab = "moon"', False),
        ('[pools]\nx = "y"', True),
        ("unknown = 1", False),
    ],
)
def test_the_published_schema_says_the_same(home: Path, text: str, sound: bool) -> None:
    (home.parent / "project/shakeout.toml").write_text(text)
    assert Draft202012Validator(schema_of("config")).is_valid(tomllib.loads(text)) is sound
    if sound:
        settings(home)
    else:
        with pytest.raises(BadDocument):
            settings(home)
