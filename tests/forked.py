"""A function in a forked copy of this process, which spares a new one's imports: how it ends."""

import multiprocessing
import os
import sys
import tempfile
from subprocess import CompletedProcess

CONTEXT = multiprocessing.get_context("fork")


def forked(function, *arguments):
    """Call a function in a process of its own, which may be killed; waits for its end.

    An exception ends it as it ends a program: with a traceback, or as sys.exit says.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = CONTEXT.Process(target=_run, args=(out, err, function, arguments))
        process.start()
        process.join()
        out.seek(0)
        err.seek(0)
        return CompletedProcess(function, process.exitcode, out.read(), err.read())


def _run(out, err, function, arguments):
    for number, stream in ((1, out), (2, err)):
        os.dup2(stream.fileno(), number)
    sys.stdout, sys.stderr = out, err
    function(*arguments)
