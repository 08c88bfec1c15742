"""Send notices to the recipients that the environment names: topics, and webhooks whose address is in Vault."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal, Protocol

from bakery.clouds import CLOUDS
from bakery.clouds.cloud import Topic
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event, Reporter
from bakery.host.vault import Vault
from bakery.host.webhook import Webhook
from bakery.model import documents
from bakery.model.documents import Strict

VARIABLE = "BAKERY_NOTIFY"
KEY = "url"  # of a webhook's secret in Vault
TOPIC = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w.-]+")
SECRET_PATH = re.compile(r"[\w-]+(/[\w.-]+)+")
LONGEST = 40  # lines of details: a topic takes 256 KB, in which each line stands three times
WIDEST = 10  # names in a line of details, so that a topic takes all lines; nobody reads more in a chat

ALL_IMAGES = "*"  # in place of an image's name: a topic takes no empty attribute

NoticeKind = Literal[
    "patched", "failed", "stopped", "paused", "vulnerable", "moved", "revoked", "retired", "restored", "repaired"
]


@dataclass(frozen=True)
class Notice(Strict):
    """A message about an image. `text` is for people: a line, and the details below it."""

    kind: NoticeKind
    image: str
    arch: str
    version: str
    text: str
    details: tuple[str, ...] = ()
    schema: Literal["bakery/notice/1"] = "bakery/notice/1"

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0]


class Recipient(Protocol):
    """A topic or a webhook. Both methods raise BakeryError within half a minute if it does not work."""

    def send(self, notice: Notice) -> None: ...
    def require(self) -> str:
        """Check as far as possible, without sending, that a notice would arrive; what was found, in words."""


class Notifier:
    """Sends notices to recipients, one after the other. A recipient that fails gets no other notice of this run."""

    def __init__(self, recipients: str) -> None:
        """`recipients` has ARNs of topics and paths in Vault of webhooks, with spaces between."""
        self._names = recipients.split()
        self._open: dict[str, Recipient] = {}
        self._lock = Lock()  # a run works on several images at once

    def __bool__(self) -> bool:
        """Whether any recipient is left."""
        return bool(self._names)

    def send(self, notice: Notice, report: Reporter) -> None:
        """Send a notice to every recipient; a failure is reported as a note, and never raised."""
        with self._lock:
            for name in tuple(self._names):
                try:
                    if name not in self._open:
                        self._open[name] = open_recipient(name)
                    self._open[name].send(notice)
                except BakeryError as error:
                    self._names.remove(name)
                    reason = ": ".join(filter(None, (error.message, error.detail, error.hint)))
                    text = f"no notice of '{notice.kind}' was sent, and none follows in this run: {reason}"
                    report(Event("note", "notify", notice.image, text))


def named_recipients() -> str:
    """The recipients that the environment names; empty if it names none."""
    return os.environ.get(VARIABLE, "")


def make_notice(
    kind: NoticeKind, image: str, arch: str, version: str, title: str, details: tuple[str, ...] = (), verb: str = ""
) -> Notice:
    """A notice with at most `LONGEST` lines of details, and one that counts the rest and says which verb shows it."""
    more = len(details) - LONGEST
    shown = (*details[:LONGEST], f"and {more} more: see '{verb}'") if more > 0 else details
    return Notice(kind, image, arch, version, "\n".join((title, *shown)), shown)


def join_names(names: Sequence[str]) -> str:
    """At most `WIDEST` names in one line, and the number of the others."""
    more = len(names) - WIDEST
    return ", ".join(names[:WIDEST]) + (f" and {more} more" if more > 0 else "")


def open_recipient(name: str) -> Recipient:
    """The recipient with an ARN or a path in Vault; UsageError, which does not repeat the name, if it is neither."""
    return RECIPIENTS[_recipient_kind(name)](name)


def webhook_paths(recipients: str) -> list[str]:
    """The paths in Vault among recipients."""
    return [name for name in recipients.split() if SECRET_PATH.fullmatch(name)]


def _recipient_kind(name: str) -> Literal["topic", "webhook"]:
    if TOPIC.fullmatch(name):
        return "topic"
    if SECRET_PATH.fullmatch(name):
        return "webhook"
    if "://" in name:
        raise UsageError(
            f"{VARIABLE} contains the address of a webhook, which is a secret",
            hint=f"keep it in Vault under the key '{KEY}', and name its path, such as "
            "secret/data/bakery/notifications/chat",
        )
    raise UsageError(
        f"a part of {VARIABLE} is neither the ARN of a topic nor a path in Vault",
        hint="write arn:PARTITION:sns:REGION:ACCOUNT:NAME, or secret/data/bakery/notifications/NAME",
    )


class _TopicRecipient:
    def __init__(self, arn: str) -> None:
        [opener] = [cloud.open_topic for cloud in CLOUDS.values() if cloud.open_topic]
        self._topic: Topic = opener(arn)

    def send(self, notice: Notice) -> None:
        attributes = {"kind": notice.kind, "image": notice.image}
        self._topic.publish(notice.title, notice.text, documents.dump(notice), attributes)

    def require(self) -> str:
        self._topic.require()
        return "the topic exists"


class _WebhookRecipient:
    def __init__(self, path: str) -> None:
        with Vault.login(os.environ) as vault:
            self._webhook = Webhook(vault.read(path, KEY).strip())

    def send(self, notice: Notice) -> None:
        self._webhook.post(documents.dump(notice))

    def require(self) -> str:
        return f"{self._webhook.connect()} can be reached"


RECIPIENTS: Mapping[Literal["topic", "webhook"], Callable[[str], Recipient]] = {
    "topic": _TopicRecipient,
    "webhook": _WebhookRecipient,
}
