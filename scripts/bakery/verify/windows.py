"""Rules for the content of an image of Windows, which Sysprep generalizes at the end of its bake."""

import re
from collections.abc import Iterable
from fnmatch import fnmatch

from bakery.machine.filesystem import Entry, FileSystem
from bakery.verify.hygiene import BUILD_USERS, Rule

# Microsoft, "Windows Setup States": the state of an image in a file, beside the registry's.
STATE = "Windows/Setup/State/State.ini"
GENERALIZED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
# Microsoft, "Windows Setup Automation Overview": where Windows searches for answer files, and keeps what it used.
ANSWER_FOLDERS = ("", "Windows/Panther", "Windows/Panther/Unattend", "Windows/System32/Sysprep")
PASSWORD = re.compile(r"<(\w*Password)\b[^>/]*>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
# A password's element has its value, and PlainText, which says how that is encoded.
MARKUP = re.compile(r"<PlainText>.*?</PlainText>|<[^>]*>", re.DOTALL | re.IGNORECASE)
DELETED = "*SENSITIVE*DATA*DELETED*"  # what Windows writes over the passwords of its own copy
# Microsoft, "OpenSSH Server configuration for Windows Server and Windows".
SSH = "ProgramData/ssh"
# Microsoft, "about_PSReadLine": the file is named after the program that hosts PowerShell.
HISTORY = "AppData/Roaming/Microsoft/Windows/PowerShell/PSReadLine"


def _image_state(root: FileSystem) -> Iterable[str]:
    folder, _, name = STATE.rpartition("/")
    states = [root.read(path).replace("\0", "") for path in _matching_paths(root, folder, name)]  # UTF-16 as well
    if not any(GENERALIZED in state for state in states):
        state = re.search(r"IMAGE_STATE_\w+", "".join(states))
        yield f"/{STATE} {f'has {state[0]}' if state else 'names no state'}, not {GENERALIZED}"


def _answer_files(root: FileSystem) -> Iterable[str]:
    for path in (path for folder in ANSWER_FOLDERS for path in _matching_paths(root, folder, "*unattend*.xml")):
        elements = PASSWORD.findall(root.read(path).replace("\0", ""))
        names = {name for name, content in elements if MARKUP.sub("", content).strip() not in ("", DELETED)}
        yield from (f"{path} has {name}" for name in sorted(names))


def _build_user(root: FileSystem) -> Iterable[str]:
    return (path for name in BUILD_USERS for path in _matching_paths(root, "Users", name))


def _host_keys(root: FileSystem) -> Iterable[str]:
    return _matching_paths(root, SSH, "ssh_host_*")


def _authorized_keys(root: FileSystem) -> Iterable[str]:
    yield from _matching_paths(root, SSH, "administrators_authorized_keys")
    yield from _search_profiles(root, ".ssh", "authorized_keys*")


def _shell_histories(root: FileSystem) -> Iterable[str]:
    return _search_profiles(root, HISTORY, "*_history.txt")


RULES: dict[str, Rule] = {
    "Sysprep generalized the image": _image_state,
    "no passwords in answer files": _answer_files,
    "no build user": _build_user,
    "no SSH host keys": _host_keys,
    "no authorized keys": _authorized_keys,
    "no shell history": _shell_histories,
}


def _search_profiles(root: FileSystem, folder: str, pattern: str) -> Iterable[str]:
    users = (entry.name for path in _resolve_folder(root, "Users") for entry in root.list(path) if entry.is_folder)
    return (path for user in users for path in _matching_paths(root, f"Users/{user}/{folder}", pattern))


def _matching_paths(root: FileSystem, folder: str, pattern: str) -> Iterable[str]:
    """The paths of the entries whose names match, as Windows compares names: without regard to case."""
    for path in _resolve_folder(root, folder):
        yield from (f"{path}/{entry.name}" for entry in root.list(path or "/") if _matches(entry, pattern))


def _resolve_folder(root: FileSystem, folder: str) -> list[str]:
    """The folder's path with the case that it has on the disk; none if it does not exist."""
    paths = [""]
    for name in filter(None, folder.split("/")):
        paths = [f"{path}/{entry.name}" for path in paths for entry in root.list(path or "/") if _matches(entry, name)]
    return paths


def _matches(entry: Entry, pattern: str) -> bool:
    return fnmatch(entry.name.lower(), pattern.lower())
