"""What an agent's zygote does with an order, as a program: reads it from stdin, forks, reports to stdout."""

from __future__ import annotations

import os
import sys
import tempfile

import msgspec

from shakeout.modules.order import decode_order
from shakeout.modules.runner import run_module, warm_up
from shakeout.modules.shipped import CodeCache


def main() -> None:
    order_data, sources, signal_number, stdin = msgspec.msgpack.decode(sys.stdin.buffer.read())
    out = os.dup(1)
    codes = CodeCache()
    for sha256, filename, text in sources:
        codes.add(sha256, filename, text)
    captured = [tempfile.TemporaryFile() for _ in range(4)]  # noqa: SIM115
    captured[0].write(stdin)
    captured[0].seek(0)
    warm_up()
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        for number in range(3):
            os.dup2(captured[number].fileno(), number)
        os.close(ready)
        os.environ["TOLD_FD"] = str(told)
        os.set_inheritable(told, True)
        status = 99
        try:
            status = run_module(decode_order(order_data), codes, captured[3].fileno())
        finally:
            os._exit(status)
    os.close(told)
    if signal_number:
        os.read(ready, 1)
        os.kill(pid, signal_number)
    _, status = os.waitpid(pid, 0)
    contents = []
    for file in captured:
        file.seek(0)
        contents.append(file.read())
    with os.fdopen(out, "wb") as report:
        report.write(msgspec.msgpack.encode([os.waitstatus_to_exitcode(status), *contents[1:]]))


main()
