"""What Terraform and cdktf print, in a user's words. The texts are real ones, shortened."""

import pytest

from bakery.errors import ConflictError, UsageError
from bakery.infra.explain import NotAppliedError, failure

LOCKED = """\
images  Acquiring state lock. This may take a few moments...
images  ╷
        │ Error: Error acquiring the state lock
        │
        │ Error message: operation error S3: PutObject, https response error
        │ StatusCode: 412, RequestID: 1, HostID: 2, api error PreconditionFailed: At
        │ least one of the pre-conditions you specified did not hold
        │ Lock Info:
        │   ID:        5b1e0b0c-0000-1111-2222-333344445555
        │   Path:      state/demo/images.tfstate
        │   Operation: OperationTypeApply
        │   Who:       alice@laptop
        │   Version:   1.11.4
        │   Created:   2026-11-23 10:00:00.000000000 +0000 UTC
        │   Info:
        ╵
"""
PLAIN = """
Error: Failed to query available provider packages

Could not retrieve the list of available versions for provider hashicorp/aws:
could not connect to the registry
"""
NO_KEYS = """
Error: No valid credential sources found

  with provider["registry.terraform.io/hashicorp/aws"],
"""
PROGRAM = """\
\x1b[91m[2026-11-23T16:42:23.228] [ERROR] default - \x1b[39merror: cdktf/environments/demo.yaml:3: unknown key 'acount'
hint: did you mean 'account'?
ERROR: cdktf encountered an error while synthesizing
Synth command: python cdktf/main.py
Error:         non-zero exit code 64
Command output on stderr:
error: cdktf/environments/demo.yaml:3: unknown key 'acount'
hint: did you mean 'account'?
"""
NO_BOTO_KEYS = """
error: s3://bucket/catalog/images: the catalog cannot be reached
Unable to locate credentials
"""


def test_a_lock_names_its_holder() -> None:
    error = failure("plan images", LOCKED, "cdktf.out/stacks/images")
    assert isinstance(error, ConflictError)
    assert "locked by alice@laptop since 2026-11-23 10:00:00" in error.message
    assert "Operation: OperationTypeApply" in error.detail
    assert "terraform force-unlock 5b1e0b0c-0000-1111-2222-333344445555" in error.hint


@pytest.mark.parametrize(
    ("output", "message", "hint"),
    [
        (PLAIN, "cannot init: Failed to query available provider packages", "BAKERY_TERRAFORM_MIRROR"),
        (NO_KEYS, "cannot init: No valid credential sources found", "AWS_PROFILE"),
        (PROGRAM, "cannot init: cdktf/environments/demo.yaml:3: unknown key 'acount'", "did you mean 'account'?"),
        (NO_BOTO_KEYS, "cannot init: s3://bucket/catalog/images: the catalog cannot be reached", "AWS_PROFILE"),
        ("nothing that we know", "cannot init", ""),
    ],
)
def test_a_known_reason_gets_a_hint(output: str, message: str, hint: str) -> None:
    error = failure("init", output, "folder")
    assert error.message == message
    assert hint in error.hint
    assert error.where == "folder"
    assert error.detail


NOT_APPLIED = """\
data.terraform_remote_state.cross-stack-reference-input-network: Reading...
data.terraform_remote_state.cross-stack-reference-input-vault: Reading...

Error: Unable to find remote state

  with data.terraform_remote_state.cross-stack-reference-input-vault,
  on cdk.tf.json line 20, in data.terraform_remote_state.cross-stack-reference-input-vault:

No stored state was found for the given workspace in the given backend.
"""
LACKING = """\
Error: Unsupported attribute

  on cdk.tf.json line 6, in resource.terraform_data.b:
   6:  "input": "${data.terraform_remote_state.cross-stack-reference-input-vault.outputs.cross-stack-output-foo}"
    ├────────────────
    │ data.terraform_remote_state.cross-stack-reference-input-vault.outputs is object with 1 attribute "bar"

This object does not have an attribute named "cross-stack-output-foo".
"""
OF_OUR_OWN = """\
Error: Unsupported attribute

  on cdk.tf.json line 6, in resource.terraform_data.b:

Error: Invalid function argument

  data.terraform_remote_state.cross-stack-reference-input-vault.outputs is object with 1 attribute "bar"
"""


@pytest.mark.parametrize("output", [NOT_APPLIED, LACKING])
def test_a_stack_that_was_not_applied_is_named(output: str) -> None:
    error = failure("plan", output, "folder")
    assert isinstance(error, NotAppliedError)
    assert error.stack == "vault"
    assert error.hint == "run 'bakery apply vault' first"


def test_another_unsupported_attribute_is_an_error_as_any() -> None:
    error = failure("plan", OF_OUR_OWN, "folder")
    assert not isinstance(error, NotAppliedError)
    assert error.message == "cannot plan: Unsupported attribute"


def test_a_stale_plan_is_a_conflict() -> None:
    error = failure("apply", "\nError: Saved plan is stale\n\nThe given plan file can no longer be applied", "folder")
    assert isinstance(error, ConflictError)
    assert "another apply came in between" in error.message


def test_what_our_own_program_refuses_is_a_usage_error() -> None:
    assert isinstance(failure("synth", PROGRAM, "folder"), UsageError)
    assert not isinstance(failure("synth", PROGRAM.replace("code 64", "code 1"), "folder"), UsageError)


def test_a_long_output_is_cut_at_its_beginning() -> None:
    error = failure("apply", "\n".join(f"line {number}" for number in range(200)), "folder")
    assert error.detail.splitlines()[-1] == "line 199"
    assert len(error.detail.splitlines()) == 40
