"""A stage run in this process, which spares its imports: how it ends and what it prints."""

import contextlib
import importlib.util
import io
import os
import subprocess
import sys
from unittest import mock

from separation.process import run_command


def run_here(script, *arguments, path="/usr/bin:/bin"):
    """Run a script as `python SCRIPT ARGUMENTS` does, with another PATH.

    Its module is a new one in every call, as in a process of its own; a bug's exception goes
    through to the test.
    """
    if str(script.parent) not in sys.path:
        sys.path.append(str(script.parent))  # what lies beside it
    name = f"{script.parent.parent.name}_{script.stem}"
    spec = importlib.util.spec_from_file_location(name, script)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", [str(script), *map(str, arguments)]),
        mock.patch.dict(os.environ, {"PATH": path}),
    ):
        spec.loader.exec_module(module)
        try:
            run_command(module.main)
        except SystemExit as end:
            status = end.code or 0
            if isinstance(status, str):
                print(status, file=sys.stderr)
                status = 1
    return subprocess.CompletedProcess(script, status, out.getvalue(), err.getvalue())
