"""Shows a written report on this machine alone: loopback, read-only, only the report's own files."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lima import console
from lima.errors import LimaError
from lima.remote.listening import until_stopped

OPEN = ("report.html", "report.json", "tables.md", "tables.tex")
FOLDERS = ("figures", "report_items", "report_rows")


class ReportHandler(SimpleHTTPRequestHandler):
    """Serves the report and nothing else of the study folder: the key and raw replies stay where they are."""

    def do_GET(self) -> None:
        """Answer with a file of the report; ``/`` is the report."""
        if self.path == "/":
            self.path = "/report.html"
        if self._is_open():
            super().do_GET()
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        """As `do_GET`, without the content."""
        if self._is_open():
            super().do_HEAD()
        else:
            self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests of one's own browser are no news."""

    def _is_open(self) -> bool:
        place = Path(self.translate_path(self.path))
        inside = place.relative_to(self.directory).parts if place.is_relative_to(self.directory) else ()
        return place.is_file() and (
            (len(inside) == 1 and inside[0] in OPEN) or (len(inside) == 2 and inside[0] in FOLDERS)
        )


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the report in ``folder`` on loopback; port 0 takes a free one.

    Raises:
        LimaError: the port is taken.
    """
    handler = partial(ReportHandler, directory=str(folder.resolve()))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise LimaError(f"port {port} is not free ({error.strerror}). Choose another: --port 0") from None


def serve(folder: Path, port: int) -> None:
    """Serve until Ctrl-C."""
    with make_server(folder, port) as server:
        console.note(f"report at http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)")
        with until_stopped():
            server.serve_forever()
