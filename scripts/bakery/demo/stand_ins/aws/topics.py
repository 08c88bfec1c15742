"""SNS: the form of subjects and the size of messages, which moto hardly checks."""

import json
import re

from moto.core.responses import ActionResult
from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.responses import SNSResponse

# API model, Publish: ASCII, a letter, digit or punctuation first, no line breaks or control characters, below 100.
SUBJECT = re.compile(r"[!-~][ -~]{0,98}")
LARGEST = 262_144  # bytes of a message

_moto_publish = SNSResponse.publish


def publish(self: SNSResponse) -> ActionResult:
    subject, message = self._get_param("Subject"), self._get_param("Message") or ""
    if subject is not None and not SUBJECT.fullmatch(subject):
        raise SNSInvalidParameter("Invalid parameter: Subject")
    if not message:
        raise SNSInvalidParameter("Invalid parameter: Empty message")
    if len(message.encode()) > LARGEST:
        raise SNSInvalidParameter("Invalid parameter: Message too long")
    if self._get_param("MessageStructure") == "json" and not _is_for_all(message):
        raise SNSInvalidParameter("Invalid parameter: Message Structure - No default entry in JSON message body")
    return _moto_publish(self)


def _is_for_all(message: str) -> bool:
    """Whether a message by protocol has a text for the protocols that it does not name."""
    try:
        texts = json.loads(message)
    except ValueError:
        return False
    return isinstance(texts, dict) and isinstance(texts.get("default"), str)


HANDLERS = (publish,)
