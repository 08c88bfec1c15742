"""The files that a bake reads."""

from pathlib import Path

from bakery.bake.bake_files import list_files


def test_relative_links_to_folders_are_followed_and_end(tmp_path: Path) -> None:
    """Ansible follows them. A link can lead back, by itself or by way of another one."""
    role, elsewhere = tmp_path / "role", tmp_path / "elsewhere"
    for path in ("role/files/real", "elsewhere/page", "elsewhere/__pycache__/page.pyc", "elsewhere/.page.swp"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (role / "files/self").symlink_to(".")
    (role / "files/elsewhere").symlink_to("../../elsewhere")
    (role / "files/run").symlink_to(elsewhere)  # as a tree of files for the image has it
    (elsewhere / "back").symlink_to("../role")
    (role / "gone").symlink_to("nowhere")
    assert [path.relative_to(role).as_posix() for path in list_files(role)] == [
        "files/elsewhere",
        "files/elsewhere/back",
        "files/elsewhere/page",
        "files/real",
        "files/run",
        "files/self",
        "gone",
    ]


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert list(list_files(tmp_path / "nowhere")) == []
