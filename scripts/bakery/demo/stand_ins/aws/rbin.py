"""Retention rules of the Recycle Bin, a service that moto lacks (API reference of the Recycle Bin)."""

import json
import uuid
from typing import Any
from urllib.parse import unquote

from werkzeug import Request, Response

from bakery.demo.stand_ins.aws.calls import Call
from bakery.demo.stand_ins.aws.world import WORLD

KINDS = ("EBS_SNAPSHOT", "EC2_IMAGE")
MAX_DAYS = 365
CHANGEABLE = ("Description", "ResourceTags", "ResourceType", "RetentionPeriod", "ExcludeResourceTags")


class Refused(Exception):
    """An error response of the API."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def answer(call: Call, request: Request) -> Response:
    """The API's answer; NotImplementedError for actions that the stand-in lacks."""
    actions = {
        "CreateRule": _create_rule,
        "GetRule": _get_rule,
        "ListRules": _list_rules,
        "UpdateRule": _update_rule,
        "DeleteRule": _delete_rule,
        "ListTagsForResource": _list_tags,
    }
    if call.action not in actions:
        raise NotImplementedError("the stand-in lacks this action")
    body = json.loads(request.get_data() or b"{}")
    try:
        result = actions[call.action](call, unquote(request.path).split("/", 2)[-1], body)
    except Refused as error:
        headers = {"x-amzn-errortype": error.code}
        return _json_response({"Message": str(error)}, error.status, headers)
    return _json_response(result)


def _create_rule(call: Call, _: str, body: dict[str, Any]) -> dict[str, Any]:
    _check_rule(body)
    identifier = uuid.uuid4().hex[:11]
    arn = f"arn:aws:rbin:{call.region}:{call.account}:rule/{identifier}"
    rule = {**body, "Identifier": identifier, "RuleArn": arn, "Status": "pending", "LockState": "unlocked"}
    WORLD.retention[call.account, call.region, identifier] = rule
    return rule


def _get_rule(call: Call, identifier: str, _: dict[str, Any]) -> dict[str, Any]:
    rule = _find_rule(call, identifier)
    return {**rule, "Status": rule.pop("Status", "available")}  # pending until it is described once


def _list_rules(call: Call, _: str, body: dict[str, Any]) -> dict[str, Any]:
    """The rules of a type, with all tags of the request, in one page."""
    fields = ("Identifier", "Description", "RetentionPeriod", "LockState", "RuleArn")
    rules = [
        {field: rule[field] for field in fields if field in rule}
        for (account, region, _), rule in WORLD.retention.items()
        if (account, region, rule["ResourceType"]) == (call.account, call.region, body["ResourceType"])
        and all(
            tag in rule.get(field, ())
            for field in ("ResourceTags", "ExcludeResourceTags")
            for tag in body.get(field, ())
        )
    ]
    return {"Rules": rules}


def _update_rule(call: Call, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
    rule = _find_rule(call, identifier)
    changed = {**rule, **{name: value for name, value in body.items() if name in CHANGEABLE}}
    _check_rule(changed)
    rule.update(changed)
    return {**rule, "Status": "available"}


def _delete_rule(call: Call, identifier: str, _: dict[str, Any]) -> dict[str, Any]:
    _find_rule(call, identifier)
    del WORLD.retention[call.account, call.region, identifier]
    return {}


def _list_tags(call: Call, arn: str, _: dict[str, Any]) -> dict[str, Any]:
    return {"Tags": _find_rule(call, arn.rsplit("/", 1)[-1]).get("Tags", [])}


def _find_rule(call: Call, identifier: str) -> dict[str, Any]:
    try:
        return WORLD.retention[call.account, call.region, identifier]
    except KeyError as error:
        raise Refused("ResourceNotFoundException", f"There is no rule {identifier}", 404) from error


def _check_rule(body: dict[str, Any]) -> None:
    period = body["RetentionPeriod"]
    if body["ResourceType"] not in KINDS:
        raise Refused("ValidationException", f"A rule's resource type is one of {KINDS}", 400)
    if period["RetentionPeriodUnit"] != "DAYS" or not 1 <= period["RetentionPeriodValue"] <= MAX_DAYS:
        raise Refused("ValidationException", f"A rule retains for 1 to {MAX_DAYS} DAYS", 400)
    if body.get("ResourceTags") and body.get("ExcludeResourceTags"):
        raise Refused("ValidationException", "Only a rule for the region excludes tags", 400)
    if not all(tag.get("ResourceTagValue") for tag in body.get("ResourceTags", ())):
        raise Refused("ValidationException", "Each tag of a rule needs a value", 400)


def _json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, mimetype="application/json")
