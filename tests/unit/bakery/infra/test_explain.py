"""What Terraform and cdktf print, in a user's words. The texts are real ones, shortened."""

import pytest

from bakery.host.errors import ConflictError, UsageError
from bakery.infra.explain import NotAppliedError, condition_text, explain_failure

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
NO_PROVIDER = """
Initializing provider plugins...
- Finding hashicorp/vault versions matching "5.6.0"...
- Finding hashicorp/aws versions matching "5.99.0"...

Error: Failed to query available provider packages

Could not retrieve the list of available versions for provider
hashicorp/vault: provider registry.terraform.io/hashicorp/vault was not found
in any of the search locations

Error: Failed to query available provider packages

Could not retrieve the list of available versions for provider hashicorp/aws:
no available releases match the given constraints 5.99.0
"""
NO_DOWNLOAD = """
- Finding hashicorp/vault versions matching "5.6.0"...
- Installing hashicorp/vault v5.6.0...

Error: Failed to install provider

Error while installing hashicorp/vault v5.6.0: could not query provider
registry for registry.terraform.io/hashicorp/vault
"""
NO_KEYS = """
Error: No valid credential sources found

  with provider["registry.terraform.io/hashicorp/aws"],
"""
CRASH = """\
Error:         non-zero exit code 1

Command output on stderr:

    Traceback (most recent call last):
    ImportError: no such thing
"""
VIOLATED = """\
ERROR [vault/front/in-0]: aws_vpc_security_group_ingress_rule lets in 0.0.0.0/0 (BKY001: no ingress; tried in minutes)
ERROR [runner/cache]: is exempt from BKY030, which nothing here violates: remove the exemption
WARNING [runner/rights]: aws_iam_role_policy writes to * (BKY052: statements name resources; no further)

⠸  Synthesizing
Error: While synthesizing one or more error annotations have been encountered. Please check the log output above.
"""
BROKEN = """\
Error: Resource precondition failed

  on cdk.tf.json line 37, in data.aws_ssm_parameter.manager-image_missing_01A22DB9.lifecycle.precondition[0]:
  37:               "condition": "${local.manager-image_known_9F769CEC}",
    ├────────────────
    │ local.manager-image_known_9F769CEC is false

The catalog was asked:
 error: channel stable has no image gitlab-runner (x86_64): it never had one
 where: cdktf/environments/demo.yaml:31
 hint: run 'bakery promote gitlab-runner 1.0.0 stable'

Error: Resource precondition failed

  on cdk.tf.json line 54, in data.aws_ssm_parameter.workers-image_missing_88E9EB18.lifecycle.precondition[0]:

The catalog was asked:
 error: channel stable has no image gitlab-runner (x86_64): it never had one
 where: cdktf/environments/demo.yaml:31
 hint: run 'bakery promote gitlab-runner 1.0.0 stable'

Error: Resource postcondition failed

The catalog was asked:
 error: /bakery/web/x86_64/1.0.0 in us-east-1 does not hold ami-1, as the catalog says
 hint: run 'bakery publish web'

  # aws_sns_topic.news will be created
"""
GONE = "\nError: reading SSM Parameter (/bakery/web/x86_64/channels/stable): couldn't find resource\n"
NOWHERE = "neither a registry nor a mirror has the provider"
MIRROR = "'terraform providers mirror -platform="


def test_a_lock_names_its_holder() -> None:
    error = explain_failure("plan images", LOCKED, "cdktf.out/stacks/images")
    assert isinstance(error, ConflictError)
    assert "locked by alice@laptop since 2026-11-23 10:00:00" in error.message
    assert "Operation: OperationTypeApply" in error.detail
    assert "terraform force-unlock 5b1e0b0c-0000-1111-2222-333344445555" in error.hint


@pytest.mark.parametrize(
    ("output", "message", "hint"),
    [
        (
            NO_PROVIDER,
            f"cannot init: {NOWHERE} hashicorp/vault 5.6.0, hashicorp/aws 5.99.0",
            MIRROR,
        ),
        (NO_DOWNLOAD, f"cannot init: {NOWHERE} hashicorp/vault 5.6.0", MIRROR),
        (NO_DOWNLOAD.replace("could not query", "no space for"), "cannot init: Failed to install provider", ""),
        (NO_KEYS, "cannot init: No valid credential sources found", "AWS_PROFILE"),
        (GONE, f"cannot init: {GONE.strip().removeprefix('Error: ')}", "'bakery promote IMAGE VERSION CHANNEL'"),
        (CRASH, "cannot init: non-zero exit code 1", ""),
        ("nothing that we know", "cannot init", ""),
    ],
)
def test_a_known_reason_gets_a_hint(output: str, message: str, hint: str) -> None:
    error = explain_failure("init", output, "folder")
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
    error = explain_failure("plan", output, "folder")
    assert isinstance(error, NotAppliedError)
    assert error.stack == "vault"
    assert error.hint == "run 'bakery apply vault' first"


def test_another_unsupported_attribute_is_an_error_as_any() -> None:
    error = explain_failure("plan", OF_OUR_OWN, "folder")
    assert not isinstance(error, NotAppliedError)
    assert error.message == "cannot plan: Unsupported attribute"


def test_a_stale_plan_is_a_conflict() -> None:
    error = explain_failure(
        "apply", "\nError: Saved plan is stale\n\nThe given plan file can no longer be applied", "folder"
    )
    assert isinstance(error, ConflictError)
    assert "another apply changed the state" in error.message


def test_violated_rules_are_all_told() -> None:
    error = explain_failure("synth", VIOLATED, "folder")
    assert isinstance(error, UsageError)
    assert error.message == "the stacks break rules in 2 places"
    first, second = error.detail.splitlines()
    assert first.startswith("vault/front/in-0: aws_vpc_security_group_ingress_rule lets in 0.0.0.0/0 (BKY001: ")
    assert second.startswith("runner/cache: is exempt from BKY030")
    assert "docs/reference/rules.md" in error.hint
    assert "rules.allow()" in error.hint


@pytest.mark.parametrize("frame", ["", "images  │ "])
def test_broken_conditions_are_told_once_each(frame: str) -> None:
    output = "\n".join(f"{frame}{line}" for line in BROKEN.splitlines())
    error = explain_failure("plan", output, "folder")
    assert error.exit_code == 1
    assert error.where == "cdktf/environments/demo.yaml:31"
    assert error.message == "channel stable has no image gitlab-runner (x86_64): it never had one"
    assert error.hint == "run 'bakery promote gitlab-runner 1.0.0 stable'"
    [other] = error.detail.splitlines()
    assert other.endswith("does not hold ami-1, as the catalog says (run 'bakery publish web')")


@pytest.mark.parametrize("where", ["", "cdktf/environments/demo.yaml:31"])
def test_a_condition_is_read_back(where: str) -> None:
    text = condition_text("the channel has no image: none was baked", hint="run 'bakery run web'", where=where)
    error = explain_failure("plan", f"Error: Resource precondition failed\n\n{text}\n", "folder")
    assert (error.message, error.where) == ("the channel has no image: none was baked", where)
    assert error.hint == "run 'bakery run web'"


def test_another_error_of_the_same_plan_is_not_hidden() -> None:
    denied = "Error: reading SSM Parameter (/platform/vault/chain): AccessDeniedException\n\n  with data.chain\n"
    for output in (f"{BROKEN}{denied}", f"{denied}\n{BROKEN}"):
        error = explain_failure("plan", output, "folder")
        assert error.message.startswith("channel stable has no image gitlab-runner")
        assert [line.strip() for line in error.detail.splitlines()[-2:]] == [denied.splitlines()[0], "with data.chain"]


def test_only_a_parameter_that_is_gone_is_to_be_written_again() -> None:
    assert "'bakery promote" in explain_failure("plan", GONE, "folder").hint
    assert explain_failure("plan", GONE.replace("couldn't find resource", "AccessDeniedException"), "folder").hint == ""


def test_a_long_output_is_cut_at_its_beginning() -> None:
    error = explain_failure("apply", "\n".join(f"line {number}" for number in range(200)), "folder")
    assert error.detail.splitlines()[-1] == "line 199"
    assert len(error.detail.splitlines()) == 40


NOT_LOCKED = {
    "another checksum": """
Error: Failed to install provider

Error while installing hashicorp/aws v5.100.0: the local package for
registry.terraform.io/hashicorp/aws 5.100.0 doesn't match any of the
checksums previously recorded in the dependency lock file (this might be
because the available checksums are for packages targeting different
platforms); for more information:
""",
    "another version": """
Error: Failed to query available provider packages

Could not retrieve the list of available versions for provider hashicorp/aws:
locked provider registry.terraform.io/hashicorp/aws 5.99.0 does not match
configured version constraint 5.100.0; must use terraform init -upgrade to
allow selection of new versions
""",
    "not in the lock file": """
Error: Provider dependency changes detected

Changes to the required provider dependencies were detected, but the lock
file is read-only. To use and record these requirements, run "terraform init"
without the "-lockfile=readonly" flag.
""",
}


@pytest.mark.parametrize("output", NOT_LOCKED.values(), ids=NOT_LOCKED)
def test_a_provider_that_is_not_locked(output: str) -> None:
    """In the words of Terraform 1.11.4."""
    error = explain_failure("init with Terraform", output, "cdktf.out/stacks/images")
    assert error.message == "cannot init with Terraform: a provider differs from the lock file"
    assert error.detail.startswith("Error: ")
    assert "docs/how-to/deploy-the-infrastructure.md" in error.hint
