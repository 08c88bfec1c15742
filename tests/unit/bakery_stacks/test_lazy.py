"""Bindings are loaded piece by piece."""

import os
import sys
from pathlib import Path

import pytest
from cdktf_cdktf_provider_aws.kms_key import KmsKey

from bakery_stacks import lazy

PROGRAM = Path(__file__).parents[3] / "cdktf"
PROVIDER = "cdktf_cdktf_provider_aws"


def test_only_what_is_used_is_imported() -> None:
    assert KmsKey.__name__ == "KmsKey"
    loaded = [name for name in sys.modules if name.startswith(f"{PROVIDER}.")]
    assert f"{PROVIDER}.kms_key" in loaded
    assert len(loaded) < 300  # of 2,135; how many depends on the tests that ran before in this process


def test_the_root_of_the_provider_was_not_run() -> None:
    assert not hasattr(sys.modules[PROVIDER], "__all__")


def test_the_eager_switch_leaves_everything_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKERY_EAGER_BINDINGS", "1")
    monkeypatch.setenv("NODE_OPTIONS", "--trace-warnings")
    monkeypatch.delitem(sys.modules, PROVIDER)
    lazy.install()
    assert PROVIDER not in sys.modules
    assert os.environ["NODE_OPTIONS"] == "--trace-warnings"


@pytest.mark.parametrize(
    ("options", "hook", "expected"),
    [
        ("", "/a/lazy.cjs", '--require "/a/lazy.cjs"'),
        ("--no-warnings", "/a/lazy.cjs", '--no-warnings --require "/a/lazy.cjs"'),
        ("", "/with space/lazy.cjs", '--require "/with space/lazy.cjs"'),
        ("", '/with"quote/lazy.cjs', r'--require "/with\"quote/lazy.cjs"'),
        ('--require "/a/lazy.cjs"', "/a/lazy.cjs", '--require "/a/lazy.cjs"'),
    ],
)
def test_the_hook_joins_the_users_node_options(options: str, hook: str, expected: str) -> None:
    assert lazy.with_hook(options, Path(hook)) == expected


def test_no_folder_hides_a_package() -> None:
    assert not (PROGRAM / "__init__.py").exists()
    assert not list(PROGRAM.rglob("constructs"))
