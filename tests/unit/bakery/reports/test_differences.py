"""How a plan reads; the texts of whole runs are in the tests of the command line."""

from bakery.infra.changes import Change, Difference, Drift, OutputChange
from bakery.reports import render_applied, render_differences

PLAN = Difference(
    "images",
    pending=True,
    changes=(
        Change("a.new", "add"),
        Change("a.tags", "change", ("tags.owner", "name")),
        Change("a.key", "replace", ("name",), "forced by name"),
        Change("a.old", "destroy", (), "the stack no longer declares it"),
        Change("a.moved", "move", (), "was a.before"),
    ),
    outputs=(OutputChange("web", "", '"ami-1"'), OutputChange("app", '"ami-2"', "")),
    drift=(Drift("a.tags", absent=False, attributes=("name",)), Drift("a.new", absent=True)),
)


def test_a_line_for_each() -> None:
    assert render_differences([PLAN]).splitlines() == [
        "images: 1 to add, 1 to change, 1 to replace, 1 to destroy, 1 to move; outputs change",
        "  add      a.new",
        "  change   a.tags: tags.owner, name",
        "  replace  a.key: name (forced by name)",
        "  destroy  a.old (the stack no longer declares it)",
        "  move     a.moved (was a.before)",
        '  output   web: (none) -> "ami-1"',
        '  output   app: "ami-2" -> (none)',
        "  drift    a.tags: somebody changed it (name) outside of Terraform; an apply corrects it",
        "  drift    a.new: somebody removed it outside of Terraform; an apply corrects it",
    ]


def test_a_stack_that_reads_one_that_changes_says_so() -> None:
    reader = Difference("apps", pending=False, reads=("network", "images"))
    assert render_differences([PLAN, reader]).splitlines()[-2:] == [
        "apps: no changes",
        "  note     planned with the current outputs of images",
    ]
    assert render_differences([reader]) == "apps: no changes"
    waiting = Difference("apps", pending=True, reads=("images",), waits_for="images")
    assert (
        render_differences([PLAN, waiting])
        .splitlines()[-1]
        .startswith("apps: cannot be planned before images is applied")
    )


def test_what_was_done_has_a_column_for_what_there_was() -> None:
    assert render_applied([PLAN, Difference("apps", pending=False)]).splitlines() == [
        "STACK   ADD  CHANGE  REPLACE  DESTROY  MOVE  RESULT",
        "images  1    1       1        1        1     applied",
        "apps    0    0       0        0        0     no changes",
    ]
