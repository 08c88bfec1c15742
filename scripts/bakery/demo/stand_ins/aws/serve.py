"""A strict stand-in for AWS on 127.0.0.1: moto's server, plus checks that moto lacks (see README.md)."""

import argparse
import contextlib
import json
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.autoscaling.responses import AutoScalingResponse
from moto.ebs.responses import EBSResponse
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.tags import TagResponse
from moto.kms.responses import KmsResponse
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.s3.models import FakeBucket, S3Backend
from moto.s3.responses import S3Response
from moto.sns.responses import SNSResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse
from werkzeug.serving import make_server

from bakery.demo.stand_ins.aws import (
    bucket_policies,
    buckets,
    copies,
    ebs,
    firewalls,
    fleets,
    grants,
    images,
    instances,
    parameters,
    permissions,
    recycle_bin,
    references,
    refreshes,
    reports,
    retirement,
    roles,
    sharing,
    snapshots,
    state,
    tags,
    templates,
    topics,
)
from bakery.demo.stand_ins.aws.app import CALL, StrictAws
from bakery.demo.stand_ins.aws.calls import Environ
from bakery.demo.stand_ins.aws.world import WORLD

# Moto's URL tables refer to these classes, so their methods are replaced in place.
STRICT: tuple[tuple[type, tuple[Callable[..., Any], ...]], ...] = (
    (EBSResponse, ebs.HANDLERS),
    (ElasticBlockStore, snapshots.HANDLERS),
    (AmisResponse, images.HANDLERS),
    (AmisResponse, copies.IMAGE_HANDLERS),
    (AmisResponse, instances.HANDLERS),
    (AmisResponse, retirement.HANDLERS),
    (AmisResponse, recycle_bin.IMAGE_HANDLERS),
    (ElasticBlockStore, recycle_bin.SNAPSHOT_HANDLERS),
    (AmisResponse, references.HANDLERS),
    (AmisResponse, reports.HANDLERS),
    (ElasticBlockStore, copies.SNAPSHOT_HANDLERS),
    (SimpleSystemManagerResponse, parameters.HANDLERS),
    (TokenResponse, roles.HANDLERS),
    (AmisResponse, sharing.HANDLERS),
    (TagResponse, tags.HANDLERS),
    (KmsResponse, grants.HANDLERS),
    (S3Response, buckets.HANDLERS),
    (S3Response, bucket_policies.RESPONSE_HANDLERS),
    (FakeBucket, bucket_policies.BUCKET_HANDLERS),
    (S3Backend, bucket_policies.BACKEND_HANDLERS),
    (SNSResponse, topics.HANDLERS),
    (AutoScalingResponse, refreshes.HANDLERS),
)
STOP_WITHIN = 0.05  # seconds
STOP = {signal.SIGTERM, signal.SIGINT}


class Handler(MotoRequestHandler):
    """Log errors and lost answers, but not each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: Environ | None = None) -> None:
        """Name the call whose answer is lost: its client sends it again, and gets an error if it was carried out."""
        if environ and CALL in environ:
            call = environ[CALL]
            self.log_error("%s:%s in %s has no answer: %r", call.service, call.action, call.region, error)


def main() -> int | str:
    """The exit code, or the reason why the state file cannot be used."""
    try:
        return _run_server(_parse_arguments())
    except state.StateError as error:
        return f"error: {error}"


def _run_server(arguments: argparse.Namespace) -> int:
    # Before any thread starts, so that all of them leave the signals to `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    for service, handlers in STRICT:
        for handler in handlers:
            setattr(service, handler.__name__, handler)
    firewalls.replace_rules()
    fleets.replace_groups()
    instances.replace_instances()
    roles.replace_sessions()
    permissions.replace_authorization()
    templates.replace_templates()
    with contextlib.ExitStack() as cleanup:
        WORLD.blocks_folder = _blocks_folder(arguments.state, cleanup)
        if arguments.state and arguments.state.exists():
            state.restore(arguments.state)
        state.delete_unused_blocks()
        app = StrictAws(arguments.state)
        _serve_until_signal(app, arguments.port)
        if arguments.state:
            app.save()
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes any free one")
    parser.add_argument("--state", type=Path, metavar="FILE", help="restored at start, saved on SIGTERM")
    return parser.parse_args()


def _blocks_folder(state_file: Path | None, cleanup: contextlib.ExitStack) -> Path:
    if state_file is None:
        return Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="aws-double-")))
    folder = state_file.with_name(state_file.name + ".blocks")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _serve_until_signal(app: StrictAws, port: int) -> None:
    """Serve until SIGTERM or SIGINT; prints one JSON line with the URL when connections are accepted."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, args=(STOP_WITHIN,), daemon=True)
    thread.start()
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)  # noqa: T201
    signal.sigwait(STOP)
    server.shutdown()
    thread.join()
