"""Reports on the use of an image by other accounts.

Sources: the EC2 API reference, pages CreateImageUsageReport, DescribeImageUsageReports, DescribeImageUsageReportEntries
and DeleteImageUsageReport; the EC2 user guide, "View your AMI usage". Moto has none of them.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses.amis import AmisResponse

from bakery.demo.stand_ins.aws import images, launches, snapshots
from bakery.demo.stand_ins.aws.references import (
    INSTANCE,
    PARAMETER,
    RECIPES,
    TEMPLATE,
    Options,
    list_references,
    requested_types,
)
from bakery.demo.stand_ins.aws.world import WORLD, Remembered, Report

MAX_ACCOUNTS = 200
DEPTH = 20  # the newest versions of a launch template that are looked at unless the call says otherwise
EXPIRY = timedelta(days=30)


def create_image_usage_report(self: AmisResponse) -> ActionResult:
    """A report of one moment; it is pending until it was described once."""
    self.error_on_dryrun()
    image, types, accounts = images.own_image(self), requested_types(self), self._get_param("AccountIds", [])
    if not types.keys() <= {INSTANCE, TEMPLATE, *RECIPES} or not types or len(accounts) > MAX_ACCOUNTS:
        message = f"A report has resource types, but not {PARAMETER}, and at most {MAX_ACCOUNTS} accounts"
        raise EC2ClientError("InvalidParameterValue", message)
    token = self._get_param("ClientToken") or uuid.uuid4().hex
    request = json.dumps(self._get_params(), sort_keys=True, default=str)
    record = WORLD.tokens.setdefault(
        ("CreateImageUsageReport", self.current_account, self.region, token),
        Remembered(request, f"amiur-{uuid.uuid4().hex[:17]}"),
    )
    if record.request != request:
        raise EC2ClientError("IdempotentParameterMismatch", "The client token belongs to a different request")
    tags = images.tags_for(self, "image-usage-report", {"image-usage-report"})
    usage = _count_usage(self, image.id, types, accounts)
    report = Report(image.id, types, accounts, WORLD.now(), usage, tags)
    WORLD.reports.setdefault((self.current_account, self.region, record.resource_id), report)
    return ActionResult({"ReportId": record.resource_id})


def _count_usage(
    self: AmisResponse, image_id: str, types: Mapping[str, Options], accounts: list[str]
) -> dict[tuple[str, str], int]:
    """The number of resources by other account and type; a template with many such versions counts once."""
    counts: dict[tuple[str, str], int] = {}
    for neighbour in snapshots.same_region(self.ec2_backend):
        for kind, options in types.items():
            depth = {"version-depth": options.get("version-depth", [str(DEPTH)])} if kind == TEMPLATE else {}
            users = [arn for user, arn in list_references(neighbour, kind, depth) if user == image_id]
            settled = [arn for arn in users if _is_reported(neighbour, arn)]
            if settled and (not accounts or neighbour.account_id in accounts):
                counts[neighbour.account_id, kind] = len(settled)
    return counts


def _is_reported(backend: EC2Backend, arn: str) -> bool:
    """Whether a resource is old enough for a report; a template may take days at AWS, here it takes one."""
    name = arn.rsplit("/", 1)[1]
    since = WORLD.starts.get(name)
    if since is None and name in backend.launch_templates:
        since = images.utc(backend.launch_templates[name].create_time)
    return since is None or since + launches.DELAY <= WORLD.now()


def describe_image_usage_reports(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    shown = [_report_view(report_id, report) for report_id, report in _selected_reports(self)]
    for _, report in _selected_reports(self):
        report.state = "available"
    return ActionResult({"ImageUsageReports": shown})


def _selected_reports(self: AmisResponse) -> Iterator[tuple[str, Report]]:
    """The caller's reports that have not expired, of the images and with the IDs of the request."""
    image_ids, report_ids = self._get_param("ImageIds", []), self._get_param("ReportIds", [])
    for (account, region, report_id), report in WORLD.reports.items():
        if (
            (account, region) == (self.current_account, self.region)
            and (not image_ids or report.image_id in image_ids)
            and (not report_ids or report_id in report_ids)
            and WORLD.now() < report.created + EXPIRY
        ):
            yield report_id, report


def _report_view(report_id: str, report: Report) -> dict[str, Any]:
    types = [
        {
            "ResourceType": kind,
            "ResourceTypeOptions": [{"OptionName": name, "OptionValues": values} for name, values in options.items()],
        }
        for kind, options in report.types.items()
    ]
    return {
        "ImageId": report.image_id,
        "ReportId": report_id,
        "ResourceTypes": types,
        "AccountIds": report.accounts,
        "State": report.state,
        "CreationTime": report.created,
        "ExpirationTime": report.created + EXPIRY,
        "Tags": [{"Key": key, "Value": value} for key, value in report.tags.items()],
    }


def describe_image_usage_report_entries(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    filters: dict[str, Any] = self._filters_from_querystring()
    entries = [
        {
            "ReportId": report_id,
            "ImageId": report.image_id,
            "AccountId": account,
            "ResourceType": kind,
            "UsageCount": count,
            "ReportCreationTime": report.created,
        }
        for report_id, report in _selected_reports(self)
        if report.state == "available"
        for (account, kind), count in report.usage.items()
        if account in filters.get("account-id", [account]) and kind in filters.get("resource-type", [kind])
    ]
    return ActionResult({"ImageUsageReportEntries": entries})


def delete_image_usage_report(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    report_id = self._get_param("ReportId")
    if WORLD.reports.pop((self.current_account, self.region, report_id), None) is None:
        raise EC2ClientError("InvalidImageUsageReportId.NotFound", f"There is no report {report_id}")
    return ActionResult({"Return": True})


HANDLERS = (
    create_image_usage_report,
    describe_image_usage_reports,
    describe_image_usage_report_entries,
    delete_image_usage_report,
)
