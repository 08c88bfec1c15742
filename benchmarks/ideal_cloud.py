"""An ideal AWS in this process: each call takes the same time, nothing fails, nothing is throttled.

botocore's clients are real, up to the point at which they would sign and send a request.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from bakery.clouds.aws import session

OWN_ACCOUNT = "123456789012"
Request = Mapping[str, Any]
Scope = tuple[str, str]  # account and region


class IdealCloud:
    """Images, snapshots, shares and parameters of all accounts and regions.

    `delay` are the seconds of a call, `copy_seconds` those after which a copy is available.
    """

    def __init__(self, delay: float, copy_seconds: float = 0) -> None:
        self.calls: Counter[str] = Counter()
        self.clients = 0
        self._delay = delay
        self._copy_seconds = copy_seconds
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._images: dict[str, dict[str, dict[str, Any]]] = {}  # by region and ID
        self._snapshots: dict[str, dict[str, dict[str, Any]]] = {}
        self._available: dict[str, float] = {}  # the time from which a copy can be used, by image
        self._shares: dict[str, list[str]] = {}  # accounts by image or snapshot
        self._parameters: dict[tuple[Scope, str], tuple[int, str]] = {}

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Answer the calls of all sessions that are made meanwhile."""
        make_session = session.core_session

        def session_of_this_cloud() -> Any:
            core = make_session()
            core.register("before-parameter-build", _keep_request)
            core.register("before-call", self._answer)
            core.register("creating-client-class", self._count_client)
            return core

        with mock.patch.object(session, "core_session", session_of_this_cloud):
            yield

    def _count_client(self, **_: object) -> None:
        self.clients += 1

    def _answer(self, model: Any, context: Any, request_signer: Any, **_: object) -> tuple[Any, Any]:
        """The answer to a call, in the place of one from the network."""
        time.sleep(self._delay)
        key = request_signer._credentials.access_key
        account = key.removeprefix("role-") if key.startswith("role-") else OWN_ACCOUNT
        handler: Callable[[Scope, Request], Any] = getattr(self, f"_{model.name}")
        with self._lock:
            self.calls[model.name] += 1
            answer = handler((account, request_signer._region_name), context[_REQUEST])
        return SimpleNamespace(status_code=200, headers={}), answer

    def _GetCallerIdentity(self, scope: Scope, request: Request) -> Any:
        return {"Account": scope[0], "Arn": f"arn:aws:iam::{scope[0]}:user/publisher"}

    def _AssumeRole(self, scope: Scope, request: Request) -> Any:
        account = request["RoleArn"].split(":")[4]
        keys = {"AccessKeyId": f"role-{account}", "SecretAccessKey": "secret", "SessionToken": "token"}
        return {"Credentials": {**keys, "Expiration": datetime.now(UTC) + timedelta(hours=1)}}

    def _DescribeSnapshots(self, scope: Scope, request: Request) -> Any:
        filters = {each["Name"]: each["Values"] for each in request["Filters"]}
        return {"Snapshots": [each for each in self._snapshots.get(scope[1], {}).values() if _matches(each, filters)]}

    def _StartSnapshot(self, scope: Scope, request: Request) -> Any:
        return {"SnapshotId": self._add_snapshot(scope[1], request["Tags"], request["VolumeSize"])}

    def _PutSnapshotBlock(self, scope: Scope, request: Request) -> Any:
        return {}

    def _CompleteSnapshot(self, scope: Scope, request: Request) -> Any:
        return {}

    def _RegisterImage(self, scope: Scope, request: Request) -> Any:
        snapshot = request["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        return {"ImageId": self._add_image(scope[1], request, snapshot)}

    def _CopyImage(self, scope: Scope, request: Request) -> Any:
        tags = request["TagSpecifications"][1]["Tags"]
        image = self._add_image(scope[1], request, self._add_snapshot(scope[1], tags))
        self._images[scope[1]][image]["SourceImageId"] = request["SourceImageId"]
        self._available[image] = time.monotonic() + self._copy_seconds
        return {"ImageId": image}

    def _DescribeImages(self, scope: Scope, request: Request) -> Any:
        [query] = request["Filters"]
        field = {"name": "Name", "image-id": "ImageId"}[query["Name"]]
        images = [image for image in self._images.get(scope[1], {}).values() if image[field] in query["Values"]]
        return {"Images": [{**image, "State": self._state(image["ImageId"])} for image in images]}

    def _DescribeSnapshotAttribute(self, scope: Scope, request: Request) -> Any:
        return {"CreateVolumePermissions": self._permissions(request["SnapshotId"])}

    def _ModifySnapshotAttribute(self, scope: Scope, request: Request) -> Any:
        self._shares.setdefault(request["SnapshotId"], []).extend(request["UserIds"])
        return {}

    def _DescribeImageAttribute(self, scope: Scope, request: Request) -> Any:
        return {"LaunchPermissions": self._permissions(request["ImageId"])}

    def _ModifyImageAttribute(self, scope: Scope, request: Request) -> Any:
        self._shares.setdefault(request["ImageId"], []).extend(request["UserIds"])
        return {}

    def _GetParameters(self, scope: Scope, request: Request) -> Any:
        [name] = request["Names"]
        number, value = self._parameters.get((scope, name), (0, ""))
        found = {"Name": name, "Value": value, "Version": number, "DataType": "aws:ec2:image"}
        return {"Parameters": [found] if number else []}

    def _PutParameter(self, scope: Scope, request: Request) -> Any:
        number, _ = self._parameters.get((scope, request["Name"]), (0, ""))
        self._parameters[scope, request["Name"]] = number + 1, request["Value"]
        return {"Version": number + 1}

    def _add_snapshot(self, region: str, tags: Any, gib: int = 1) -> str:
        snapshot = f"snap-{next(self._numbers)}"
        described = {"SnapshotId": snapshot, "State": "completed", "Encrypted": False, "VolumeSize": gib, "Tags": tags}
        self._snapshots.setdefault(region, {})[snapshot] = described
        return snapshot

    def _add_image(self, region: str, request: Request, snapshot: str) -> str:
        image = f"ami-{next(self._numbers)}"
        self._images.setdefault(region, {})[image] = {
            "ImageId": image,
            "Name": request["Name"],
            "Tags": request["TagSpecifications"][0]["Tags"],
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
        }
        return image

    def _state(self, image: str) -> str:
        return "available" if self._available.get(image, 0) <= time.monotonic() else "pending"

    def _permissions(self, resource: str) -> list[dict[str, str]]:
        return [{"UserId": account} for account in self._shares.get(resource, ())]


def _matches(snapshot: Mapping[str, Any], filters: Mapping[str, list[str]]) -> bool:
    values = {f"tag:{tag['Key']}": tag["Value"] for tag in snapshot["Tags"]} | {"snapshot-id": snapshot["SnapshotId"]}
    return all(values.get(name) in accepted for name, accepted in filters.items())


_REQUEST = "ideal_cloud.request"


def _keep_request(params: Request, context: Any, **_: object) -> None:
    context[_REQUEST] = params
