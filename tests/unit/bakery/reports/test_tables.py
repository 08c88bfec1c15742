from bakery.reports import render_table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert render_table(("image", "id"), [("web", "ami-1"), ("debian-12", "x")]).splitlines() == [
        "IMAGE      ID",
        "web        ami-1",
        "debian-12  x",
    ]


def test_last_column_is_never_cut_or_padded() -> None:
    lines = render_table(("a", "b"), [("1", "long " * 60 + "end"), ("2", "")]).splitlines()
    assert lines[1].endswith("long end")
    assert lines[2] == "2"


def test_no_rows() -> None:
    assert render_table(("image", "version"), []) == "IMAGE  VERSION"
