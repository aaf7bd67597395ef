"""`make picture`: docs/img/run.svg, a terminal with a real run of examples/hello.py in it.

What is shown is what the command printed just now, colours included; nothing is made up or left out but the
paths of this machine. Fonts are the reader's own: nothing is fetched when the picture is shown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "img" / "run.svg"
COMMAND = "shakeout run examples/hello.py"
MIN_WIDTH, MAX_WIDTH = 72, 112


def output_of_run() -> str:
    """What the command prints, with colours; ends this program if the run does not pass."""
    with tempfile.TemporaryDirectory() as state:
        environment = {
            **os.environ,
            "XDG_STATE_HOME": state,
            "FORCE_COLOR": "1",
            "COLUMNS": str(MAX_WIDTH),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }
        done = subprocess.run(
            COMMAND.split(),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"no picture: '{COMMAND}' ended with {done.returncode}\n{done.stdout}")
        return done.stdout.replace(state, "~/.local/state").replace(str(ROOT), "~/shakeout")


def svg_of(output: str) -> str:
    """A terminal window with the command and its output."""
    text = Text.from_ansi(output.rstrip())
    width = min(MAX_WIDTH, max(MIN_WIDTH, *(len(line) for line in text.plain.splitlines())))
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), (COMMAND, "bold")))
    console.print(text)
    without_web_fonts = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    with_own_fonts = without_web_fonts.replace("Fira Code,", "")
    return console.export_svg(title="shakeout", code_format=with_own_fonts, unique_id="run")


def main() -> None:
    """Run the example and write the picture."""
    picture = svg_of(output_of_run())
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture + "\n")
    print(f"{PICTURE.relative_to(ROOT)}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
