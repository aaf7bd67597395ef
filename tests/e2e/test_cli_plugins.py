"""`shakeout plugins` and `shakeout schema`: what there is, what it takes, and what is wrong with it."""

from __future__ import annotations

import json

import jsonschema
import pytest
from tests.e2e.user import User

OWN = '''
"""Own ones."""
from shakeout import BaseTestModule, IntParam, StrParam


class Weigh(BaseTestModule):
    """Weigh a host; it is heavy above *limit*.

    Example:
        >>> m1.run(Weigh(limit=3))
    """

    limit = IntParam(mandatory=True, minimum=1, desc="kilograms")
    key = StrParam(default="geheim", secret=True)

    def run(self):
        return 7


class Nothing(BaseTestModule):
    def run(self):
        pass
'''


@pytest.fixture
def owner(user: User) -> User:
    """Somebody with a folder of plugins: a good file, one with a syntax error, one that does something bad."""
    user.write("plugins/own.py", OWN)
    user.write("plugins/broken.py", "class Broken(:\n")
    user.write("plugins/rude.py", "raise SystemExit('no')\n")
    return user


def test_list_has_those_that_come_with_it(user: User) -> None:
    ended = user.shakeout("plugins", "list")
    assert (ended.status, ended.err) == (0, "")
    rows = {line.split()[0]: line for line in ended.out.splitlines()}
    assert {"NAME", "Ping", "TcpConnect", "TcpListen", "UdpListen", "UdpSend"} <= set(rows)
    assert "Send ICMP echo requests" in rows["Ping"]


def test_list_shows_own_ones_and_broken_files(owner: User) -> None:
    ended = owner.shakeout("plugins", "list", "--plugin-path", "plugins")
    assert ended.status == 0, ended.err
    assert "Weigh" in ended.out
    broken = [line for line in ended.out.splitlines() if line.startswith("broken")]
    assert len(broken) == 2
    assert "broken.py:1: syntax error" in broken[0]
    assert "rude.py:1: SystemExit: no" in broken[1]


def test_list_for_programs(owner: User) -> None:
    listed = json.loads(owner.shakeout("plugins", "list", "--plugin-path", "plugins", "--format", "json").out)
    (weigh,) = (module for module in listed["modules"] if module["name"] == "Weigh")
    assert weigh["file"].endswith("plugins/own.py")
    assert weigh["line"] == 6
    assert [broken["line"] for broken in listed["broken"]] == [1, 1]


def test_the_folders_of_the_configuration_count(owner: User) -> None:
    owner.write("shakeout.toml", 'plugin_path = ["plugins"]\n')
    assert "Weigh" in owner.shakeout("plugins", "list").out


def test_show_says_what_it_does_and_takes(owner: User) -> None:
    ended = owner.shakeout("plugins", "show", "Weigh", "--plugin-path", "plugins")
    assert (ended.status, ended.err) == (0, "")
    assert "Weigh a host; it is heavy above *limit*." in ended.out
    assert "    >>> m1.run(Weigh(limit=3))" in ended.out
    limit, key = (line for line in ended.out.splitlines() if line.startswith(("limit", "key")))
    assert " ".join(limit.split()) == "limit a whole number of at least 1 (mandatory) kilograms"
    assert "geheim" not in key


def test_show_of_one_without_parameters(owner: User) -> None:
    assert "It takes no parameters." in owner.shakeout("plugins", "show", "Nothing", "--plugin-path", "plugins").out


def test_show_for_programs(user: User) -> None:
    shown = json.loads(user.shakeout("plugins", "show", "Ping", "--format", "json").out)
    assert shown["parameters"]["required"] == ["dst"]
    assert shown["doc"].startswith("Send ICMP")


def test_show_of_a_name_that_nobody_has(owner: User) -> None:
    ended = owner.shakeout("plugins", "show", "Pong", "--plugin-path", "plugins")
    assert ended.status == 2
    assert "no test module is called 'Pong' (did you mean 'Ping'?)" in ended.complaint
    assert "broken.py:1" in ended.complaint


def test_schemas_are_listed(user: User) -> None:
    names = [entry["name"] for entry in json.loads(user.shakeout("schema", "--format", "json").out)]
    assert {"pool", "config"} <= set(names)
    table = user.shakeout("schema").out
    for name in names:
        assert f"\n{name} " in table
        jsonschema.Draft202012Validator.check_schema(json.loads(user.shakeout("schema", name).out))


def test_schema_of_a_test_module(user: User) -> None:
    schema = json.loads(user.shakeout("schema", "Ping").out)
    jsonschema.validate({"dst": "10.0.0.1", "count": 3}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"dst": "10.0.0.1", "count": "x"}, schema)


def test_schema_of_a_recipe(user: User) -> None:
    user.recipe("class Big(BaseRecipe):\n    mtu = IntParam(default=1500, maximum=9000)\n    def test(self): ...\n")
    schema = json.loads(user.shakeout("schema", "my.py:Big").out)
    assert schema["properties"]["mtu"]["maximum"] == 9000


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pol", "no schema is called 'pol' (did you mean 'pool'?)"),
        ("nofile.py:Cls", "there is no file nofile.py"),
        ("../../etc/passwd", "no schema is called"),
    ],
)
def test_schema_of_what_there_is_not(user: User, name: str, says: str) -> None:
    ended = user.shakeout("schema", name)
    assert ended.status == 2
    assert says in ended.complaint
