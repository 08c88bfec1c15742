"""A name that nothing has is a mistake on the command line for every verb: exit code 64, with a hint."""

import pytest

from unit.bakery.cli.cli_runner import CliRunner

# By what is unknown: the verbs that take such a name.
CALLS: dict[str, list[str]] = {
    "image": [
        "plan wbe",
        "explain wbe",
        "status wbe",
        "refresh wbe",
        "run wbe",
        "bake wbe",
        "verify wbe",
        "publish wbe",
        "bump wbe",
        "audit wbe",
        "sweep wbe --dry-run",
        "catalog wbe",
        "history wbe",
        "show wbe",
        "compare wbe@1.0.0 wbe@1.0.1",
        "attest wbe",
        "promote wbe 1.0.0 stable",
        "rollback wbe stable",
        "channel list wbe",
        "channel show wbe stable",
        "channel release wbe stable",
        "channel delete wbe stable --yes",
        "distribute wbe 1.0.0",
        "revoke wbe 1.0.0 --reason leaks --yes",
        "restore wbe 1.0.0 --reason needed",
        "retire wbe --yes",
        "retire wbe@1.0.0 --to disabled --yes",
    ],
    "version": [
        "show web@1.0.7",
        "compare web@1.0.0 web@1.0.7",
        "attest web@1.0.7",
        "explain web 1.0.0 1.0.7",
        "promote web 1.0.7 stable",
        "distribute web 1.0.7",
        "revoke web 1.0.7 --reason leaks --yes",
        "restore web 1.0.7 --reason needed",
        "retire web@1.0.7 --to disabled --yes",
    ],
    "channel": [
        "show web@stabel",
        "compare web@1.0.0 web@stabel",
        "attest web@stabel",
        "promote web 1.0.0 stabel",
        "rollback web stabel",
        "channel show web stabel",
        "channel release web stabel",
        "channel delete web stabel --yes",
        "retire web@stabel --to disabled --yes",
    ],
}


@pytest.mark.parametrize(("kind", "call"), [(kind, call) for kind, calls in CALLS.items() for call in calls])
def test_an_unknown_name_is_a_usage_error(bakery: CliRunner, kind: str, call: str) -> None:
    bakery.line()
    answer = bakery(*call.split())
    assert answer.code == 64, answer.err
    name = {"image": "wbe", "version": "1.0.7", "channel": "stabel"}[kind]
    assert name in answer.err
    hints = {"image": ("web",), "version": ("newest versions: 1.0.0",), "channel": ("stable",)}[kind]
    assert any(hint in answer.err.partition("hint: ")[2] for hint in hints), answer.err
