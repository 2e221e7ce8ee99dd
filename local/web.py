"""Live separation in a browser: serve the page, or write it as a folder of static files.

The sound stays in the browser: the page loads the network once and separates there, from the
microphone or a file. `--write DIR` leaves the same page in a folder, for any web server. Browsers
give a page the microphone at localhost or over https only. Ctrl-C ends it.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import contextlib
import ipaddress
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from separation.arguments import CAUSAL_SYSTEM, make_parser
from separation.errors import RecipeError
from separation.inference.site import whole_folder, write_site

MOST_PORT = 65535


def main() -> None:
    """Parse the command line; write the page, or serve it until Ctrl-C."""
    parser = make_parser(
        __doc__,
        "exp_dir",
        exp_dir=CAUSAL_SYSTEM,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0: any (default 8000)")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the page there and end")
    parser.add_argument("--licence", default="", help="of the weights, shown on the page")
    arguments = parser.parse_args()
    if arguments.write is not None:
        with whole_folder(arguments.write) as folder:
            write_site(arguments.exp_dir, folder, arguments.licence)
        print(f"{arguments.write}: the page, for any web server")
        return
    with tempfile.TemporaryDirectory() as name:
        # First of all, since it takes no time to see that a port is taken.
        server = make_server(Path(name), arguments.host, arguments.port)
        with server, contextlib.suppress(KeyboardInterrupt):
            write_site(arguments.exp_dir, Path(name), arguments.licence)
            print(f"{address(server)} (Ctrl-C ends it)", flush=True)
            if not is_local(arguments.host):
                print("other machines get the microphone over https only", file=sys.stderr)
            server.serve_forever()


class Page(SimpleHTTPRequestHandler):
    """Serves a folder, with the types that browsers insist on."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".mjs": "text/javascript; charset=utf-8",
        ".onnx": "application/octet-stream",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        """Let browsers ask each time whether a file has changed, such as the network."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_request(self, *_: object) -> None:
        """Print errors alone."""


class Server(ThreadingHTTPServer):
    """Lets a browser that goes away in the middle of a file go quietly."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless it is the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: Path, host: str, port: int) -> Server:
    """A server of a folder, bound to its port.

    Raises:
        RecipeError: the port is taken, or the address is none of this machine.
    """
    if not 0 <= port <= MOST_PORT:
        raise RecipeError(f"--port {port}: from 0, any that is free, to {MOST_PORT}")
    try:
        return Server((host, port), partial(Page, directory=str(folder)))
    except (OSError, UnicodeError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise RecipeError(
            f"--host {host} --port {port}: cannot be served at: {what}; --port 0 takes any port"
            " that is free"
        ) from error


def address(server: Server) -> str:
    """The page's address."""
    host, port = server.server_address[:2]
    return f"http://{host!s}:{port}/"


def is_local(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    run_command(main)
