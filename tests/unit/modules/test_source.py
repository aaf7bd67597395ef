"""Which files go to a host, and that what is in them can be imported there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shakeout.errors import CannotTravel, JobError, ProtocolError
from shakeout.modules.order import SourceRef
from shakeout.modules.shipped import CodeCache
from shakeout.modules.source import manifest_of

HEAD = "from shakeout.modules import BaseTestModule\n"


def names(cls: type) -> list[str]:
    return [source.name for source in manifest_of(cls).sources]


def test_a_file_next_to_it_is_sent_with_what_that_imports(load: Any, on_host: Any) -> None:
    module = load(
        recipe=HEAD + "import near_one, json\nclass Case(BaseTestModule):\n    def run(self):\n"
        "        from near_three import z\n        return near_one.x + z\n",
        near_one="from near_two import *\nx = y + 1\n",
        near_two="y = 1\n",
        near_three="z = 40\n",
        unrelated="",
    )
    assert names(module.Case) == ["near_one", "near_three", "near_two", "recipe"]
    assert on_host(module.Case()).result == 42


def test_packages_relative_and_circular_imports(load: Any, on_host: Any) -> None:
    module = load(
        recipe="from tools_pkg.deep.case import Case\n",
        tools_pkg__in____init__="LEVEL = 'top'\n",
        tools_pkg__in__deep__in____init__="from . import case\n",
        tools_pkg__in__deep__in__case=HEAD + "from ..near import answer\nfrom . import other\n"
        "from .. import LEVEL\nimport tools_pkg.space.leaf\n"
        "class Case(BaseTestModule):\n    def run(self):\n"
        "        return answer(), other.back(), LEVEL, tools_pkg.space.leaf.x, __name__\n",
        tools_pkg__in__deep__in__other="from . import case\n\ndef back():\n    return case.LEVEL\n",
        tools_pkg__in__near="def answer():\n    return 42\n",
        tools_pkg__in__space__in__leaf="x = 1\n",
        tools_pkg__in__unused="",
    )
    assert names(module.Case) == [
        "tools_pkg", "tools_pkg.deep", "tools_pkg.deep.case", "tools_pkg.deep.other", "tools_pkg.near",
        "tools_pkg.space", "tools_pkg.space.leaf",
    ]  # fmt: skip
    assert on_host(module.Case()).result == (42, "top", "top", 1, "tools_pkg.deep.case")


def test_installed_packages_the_standard_library_and_type_checking_are_not_sent(load: Any) -> None:
    module = load(
        recipe=HEAD + "import json, pytest, msgspec.json, xml.dom.minidom\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import for_types\nclass Case(BaseTestModule):\n    pass\n",
        for_types="",
    )
    assert names(module.Case) == ["recipe"]


def test_a_built_in_module_is_not_sent() -> None:
    from shakeout.modules import Ping

    assert manifest_of(Ping).sources == ()
    assert manifest_of(Ping).entry_module == "shakeout.modules.ping"


def test_a_name_of_the_standard_library_is_still_the_users_file(load: Any, on_host: Any) -> None:
    module = load(colorsys=HEAD + "class Case(BaseTestModule):\n    def run(self):\n        return __file__\n")
    assert on_host(module.Case()).result == module.__file__


RECIPE = """
from __future__ import annotations
import shakeout
from shakeout import Controller, BaseRecipe, HostReq, DeviceReq
from shakeout.matching.values import Not
from shakeout.recipe.base import *
from shakeout.controller.controller import Controller as Again
from shakeout.modules import BaseTestModule

class MyRecipe(BaseRecipe):
    m1 = HostReq(arch=Not("arm"))
    m1.eth0 = DeviceReq(label="net1", driver=Not("x"))

    def test(self):
        ctl = Controller()

class Wider(MyRecipe):
    m2 = HostReq()

def helper(ctl: Controller | None) -> Again: ...

class Case(BaseTestModule):
    def run(self):
        return issubclass(Wider, MyRecipe), repr(Controller)

class Wrong(BaseTestModule):
    def run(self):
        Controller(debug=1)

class WrongRecipe(BaseTestModule):
    def run(self):
        MyRecipe()
"""


def test_a_recipe_file_imports_on_a_host(load: Any, on_host: Any) -> None:
    module = load(recipe=RECIPE)
    assert on_host(module.Case()).result == (True, "<Controller: on the controller only>")
    assert "Controller exists on the controller only, and this code runs on a host" in on_host(module.Wrong()).message
    assert "MyRecipe exists on the controller only" in on_host(module.WrongRecipe()).message


def test_a_script_without_a_guard_is_told_to_have_one(load: Any, on_host: Any) -> None:
    module = load(
        recipe=HEAD + "from shakeout import Controller\nctl = Controller()\n"
        "class Case(BaseTestModule):\n    def run(self):\n        pass\n"
    )
    ran = on_host(module.Case())
    assert 'put what starts the run under: if __name__ == "__main__":' in ran.message
    assert f'File "{module.__file__}", line 3' in ran.traceback


def test_an_import_that_the_host_lacks_is_named_with_a_remedy(load: Any, on_host: Any, tmp_path: Path) -> None:
    module = load(
        recipe=HEAD + "try:\n    from only_here import x\nexcept ImportError:\n    raise\n"
        "class Case(BaseTestModule):\n    def run(self):\n        pass\n",
        only_here="x = 1\n",
    )
    manifest = manifest_of(module.Case)
    assert "only_here" in [source.name for source in manifest.sources]
    (tmp_path / "only_here.py").unlink()
    del sys.modules["only_here"]
    (tmp_path / "recipe.py").touch()
    ran = on_host(module.Case())
    assert "there is no Python module 'only_here' on host m1" in ran.message
    assert "-m pip install only_here" in ran.message
    assert "import it inside run() of Case" in ran.message
    assert "line 3, in <module>\n    from only_here import x" in ran.traceback


def test_a_syntax_error_in_a_sibling_is_told_with_its_place(load: Any, on_host: Any, tmp_path: Path) -> None:
    module = load(
        recipe=HEAD + "class Case(BaseTestModule):\n    def run(self):\n        import broken\n",
        broken="x = (\n",
    )
    ran = on_host(module.Case())
    assert "SyntaxError: '(' was never closed (broken.py, line 1)" in ran.message


def test_a_changed_file_is_sent_again(load: Any, on_host: Any, tmp_path: Path) -> None:
    module = load(
        recipe=HEAD
        + "class Case(BaseTestModule):\n    def run(self):\n        import near_a\n        return near_a.x\n",
        near_a="x = 1\n",
    )
    assert on_host(module.Case()).result == 1
    (tmp_path / "near_a.py").write_text("x = 1 + 1\n")
    assert on_host(module.Case()).result == 2
    assert manifest_of(module.Case) is manifest_of(module.Case)


def test_nested_and_inherited_classes(load: Any, on_host: Any) -> None:
    module = load(
        recipe="from parent import Parent\nclass Outer:\n    class Case(Parent):\n        value = 2\n",
        parent=HEAD + "class Parent(BaseTestModule):\n    value = 1\n    def run(self):\n        return self.value\n",
    )
    assert on_host(module.Outer.Case()).result == 2


def test_one_text_in_two_files_keeps_both_names(load: Any, on_host: Any) -> None:
    same = "def fail():\n    raise ValueError('x')\n"
    module = load(
        recipe=HEAD + "import twin_a, twin_b\nclass Case(BaseTestModule):\n    def run(self):\n        twin_b.fail()\n",
        twin_a=same,
        twin_b=same,
    )
    assert 'twin_b.py", line 2' in on_host(module.Case()).traceback


def test_another_encoding(load: Any, on_host: Any, tmp_path: Path) -> None:
    text = "# -*- coding: latin-1 -*-\nx = 'ü'\ndef f():\n    assert not x, 'ü'\n"
    (tmp_path / "latin.py").write_bytes(text.encode("latin-1"))
    module = load(recipe=HEAD + "import latin\nclass Case(BaseTestModule):\n    def run(self):\n        latin.f()\n")
    assert "    assert not x, 'ü'\nAssertionError: ü" in on_host(module.Case()).traceback


def test_classes_without_a_file_say_what_to_do(load: Any) -> None:
    module = load(
        recipe=HEAD + "def make():\n    class Inner(BaseTestModule):\n        def run(self): pass\n    return Inner\n"
        "exec('class Made(BaseTestModule):\\n  def run(self): pass')\n"
        "Typed = type('Ty' + 'ped', (BaseTestModule,), {'run': lambda self: None})\n"
        "Other = type('Oth' + 'erwise', (BaseTestModule,), {'run': lambda self: None})\n"
    )
    with pytest.raises(CannotTravel, match=r"make.<locals>.Inner cannot be sent .* inside a function; move"):
        manifest_of(module.make())
    with pytest.raises(CannotTravel, match=r"Otherwise cannot be sent to a host: it is not in .*recipe.py"):
        manifest_of(module.Other)
    namespace: dict[str, Any] = {"__name__": "notebook_cell"}
    exec(HEAD + "class Made(BaseTestModule):\n    def run(self): pass\n", namespace)
    with pytest.raises(CannotTravel, match=r"Made cannot be sent to a host: it is in no file \(defined inter"):
        manifest_of(namespace["Made"])


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from shakeout.modules import BaseTestModule
import sibling

class Case(BaseTestModule):
    def run(self):
        return __name__, sibling.x

if __name__ == "__main__":
    from conftest import send
    print(send(Case()).result)
"""


@pytest.mark.parametrize("how", [["script.py"], ["-m", "script"], ["-m", "pack.script"]])
def test_the_executed_script_goes_without_its_guarded_part(tmp_path: Path, how: list[str]) -> None:
    place = tmp_path / "pack" if "pack.script" in how else tmp_path
    place.mkdir(exist_ok=True)
    (place / "script.py").write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    (tmp_path / "sibling.py").write_text("x = 5\n")
    done = subprocess.run([sys.executable, *how], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name = "shakeout_main" if how == ["script.py"] else how[1]
    assert done.stdout == f"('{name}', 5)\n"


def test_interactive_classes_are_refused() -> None:
    code = HEAD + (
        "class Case(BaseTestModule):\n    def run(self): pass\n\n"
        "from shakeout.modules.source import manifest_of\nmanifest_of(Case)\n"
    )
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=False)
    assert "Case cannot be sent to a host: it is in no file" in done.stderr


def test_a_text_with_another_hash_is_refused_where_it_is_imported() -> None:
    codes = CodeCache()
    codes.add("0" * 64, "x.py", b"x = 1")
    with pytest.raises(ProtocolError, match=r"x.py did not arrive as it was sent"):
        codes.code(SourceRef("x", "x.py", "0" * 64))
    with pytest.raises(JobError, match=r"the source of y \(y.py\) was not sent to this host"):
        codes.code(SourceRef("y", "y.py", "1" * 64))
