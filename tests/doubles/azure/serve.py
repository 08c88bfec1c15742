"""A strict stand-in for Azure's login and resource manager on 127.0.0.1 (see README.md)."""

import argparse
import json
import signal
import threading
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from doubles.azure.app import StrictAzure

STOP_WITHIN = 0.05  # seconds
STOP = {signal.SIGTERM, signal.SIGINT}


class Handler(WSGIRequestHandler):
    """Without a line per request; errors are still logged."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main() -> int:
    """Serve until SIGTERM or SIGINT; prints one JSON line with the URL once connections are accepted."""
    arguments = _arguments()
    # Before any thread starts, so that all of them leave the signals to `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    certificate = str(arguments.certificate)
    server = make_server(
        "127.0.0.1",
        arguments.port,
        StrictAzure(),
        threaded=True,
        request_handler=Handler,
        ssl_context=(certificate, certificate),
    )
    thread = threading.Thread(target=server.serve_forever, args=(STOP_WITHIN,), daemon=True)
    thread.start()
    print(json.dumps({"url": f"https://127.0.0.1:{server.server_port}"}), flush=True)  # noqa: T201
    signal.sigwait(STOP)
    server.shutdown()
    thread.join()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes any free one")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file with certificate and private key")
    return parser.parse_args()
