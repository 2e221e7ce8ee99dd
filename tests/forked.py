"""A function in a forked copy of this process, which spares a new one's imports: how it ends."""

import multiprocessing
import os
import runpy
import sys
import tempfile
from subprocess import CompletedProcess

CONTEXT = multiprocessing.get_context("fork")


class Forked:
    """A function called in a process of its own, which may be killed.

    An exception ends it as it ends a program: with a traceback, or as sys.exit says.
    """

    def __init__(self, function, *arguments):
        self.out, self.err = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115
        self.process = CONTEXT.Process(target=self._call, args=(function, *arguments))
        self.process.start()

    def _call(self, function, *arguments):
        for number, stream in ((1, self.out), (2, self.err)):
            os.dup2(stream.fileno(), number)
        sys.stdout, sys.stderr = self.out, self.err
        function(*arguments)

    def end(self):
        """Wait until it has ended: how it did, and what it printed."""
        self.process.join()
        printed = []
        for stream in (self.out, self.err):
            with stream:
                stream.seek(0)
                printed.append(stream.read())
        return CompletedProcess("a copy", self.process.exitcode, *printed)


def forked(function, *arguments):
    """Call a function in a process of its own and wait for its end."""
    return Forked(function, *arguments).end()


def script(path, *arguments):
    """Do what `python PATH ARGUMENTS` does, as the function of a copy."""
    sys.argv = [str(path), *map(str, arguments)]
    runpy.run_path(sys.argv[0], run_name="__main__")
