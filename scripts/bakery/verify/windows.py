"""Rules for the content of an image of Windows, which Sysprep generalizes at the end of its bake."""

import re
from collections.abc import Iterable
from fnmatch import fnmatch

from bakery.machine.file_tree import FileTree
from bakery.machine.filesystem import Entry
from bakery.verify import windows_settings
from bakery.verify.inspection import InspectedDisk
from bakery.verify.rule import Rule, index_rules
from bakery.verify.rules import sources
from bakery.verify.rules.logins import BUILD_USERS

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
# Microsoft, "Overview of memory dump file options for Windows", and the file of hibernation.
DUMPS = (
    ("Windows", "MEMORY.DMP"),
    ("Windows/Minidump", "*.dmp"),
    ("Windows/LiveKernelReports", "*.dmp"),
    ("", "hiberfil.sys"),
)


def _find_image_state(disk: InspectedDisk) -> Iterable[str]:
    folder, _, name = STATE.rpartition("/")
    paths = _matching_paths(disk.files, folder, name)
    states = [disk.files.read(path).replace("\0", "") for path in paths]  # UTF-16 as well
    if not any(GENERALIZED in state for state in states):
        state = re.search(r"IMAGE_STATE_\w+", "".join(states))
        yield f"/{STATE} {f'has {state[0]}' if state else 'names no state'}, not {GENERALIZED}"


def _find_answer_files(disk: InspectedDisk) -> Iterable[str]:
    for path in (path for folder in ANSWER_FOLDERS for path in _matching_paths(disk.files, folder, "*unattend*.xml")):
        elements = PASSWORD.findall(disk.files.read(path).replace("\0", ""))
        names = {name for name, content in elements if MARKUP.sub("", content).strip() not in ("", DELETED)}
        yield from (f"{path} has {name}" for name in sorted(names))


def _find_build_user(disk: InspectedDisk) -> Iterable[str]:
    return (path for name in BUILD_USERS for path in _matching_paths(disk.files, "Users", name))


def _find_host_keys(disk: InspectedDisk) -> Iterable[str]:
    return _matching_paths(disk.files, SSH, "ssh_host_*")


def _find_authorized_keys(disk: InspectedDisk) -> Iterable[str]:
    yield from _matching_paths(disk.files, SSH, "administrators_authorized_keys")
    yield from _search_profiles(disk.files, ".ssh", "authorized_keys*")


def _find_histories(disk: InspectedDisk) -> Iterable[str]:
    return _search_profiles(disk.files, HISTORY, "*_history.txt")


def _find_dumps(disk: InspectedDisk) -> Iterable[str]:
    return (path for folder, name in DUMPS for path in _matching_paths(disk.files, folder, name))


RULES = index_rules(
    Rule(
        "Sysprep generalized the image",
        "Copies share the SID and the name of the machine that was baked.",
        sources.SYSPREP_WINDOWS,
        "End the template with Sysprep's /generalize.",
        _find_image_state,
    ),
    Rule(
        "no passwords in answer files",
        "Everybody who starts a copy can read the password of the build.",
        sources.ANSWER_FILES,
        "Remove the answer file, or let Windows Setup delete its passwords.",
        _find_answer_files,
    ),
    Rule(
        "no build user",
        "The login of a build is the same in all images, and known.",
        sources.CERTIFICATION,
        "Remove the user and its profile in your template's last step.",
        _find_build_user,
    ),
    Rule(
        "no SSH host keys",
        "Copies with one host key can impersonate each other.",
        sources.SYSPREP_WINDOWS,
        "Remove them before Sysprep. The SSH server makes its own when it starts.",
        _find_host_keys,
    ),
    Rule(
        "no authorized keys",
        "The holder of the private key can log in to all copies.",
        sources.CERTIFICATION,
        "Remove them before Sysprep.",
        _find_authorized_keys,
    ),
    Rule(
        "no shell history",
        "Commands may have had secrets in them.",
        sources.CERTIFICATION,
        "Remove the files of PSReadLine from all profiles.",
        _find_histories,
    ),
    Rule(
        "no memory dumps",
        "A dump is the memory of the machine that was baked, with its secrets.",
        sources.MEMORY_DUMPS,
        "Remove the file before Sysprep, and turn hibernation off.",
        _find_dumps,
    ),
    *windows_settings.RULES,
)


def _search_profiles(files: FileTree, folder: str, pattern: str) -> Iterable[str]:
    users = (entry.name for path in _resolve_folder(files, "Users") for entry in files.list(path) if entry.is_folder)
    return (path for user in users for path in _matching_paths(files, f"Users/{user}/{folder}", pattern))


def _matching_paths(files: FileTree, folder: str, pattern: str) -> Iterable[str]:
    """The paths of the entries whose names match, as Windows compares names: without regard to case."""
    for path in _resolve_folder(files, folder):
        yield from (f"{path}/{entry.name}" for entry in files.list(path) if _matches(entry, pattern))


def _resolve_folder(files: FileTree, folder: str) -> list[str]:
    """The folder's path with the case that it has on the disk; none if it does not exist."""
    paths = [""]
    for name in filter(None, folder.split("/")):
        paths = [f"{path}/{entry.name}" for path in paths for entry in files.list(path) if _matches(entry, name)]
    return paths


def _matches(entry: Entry, pattern: str) -> bool:
    return fnmatch(entry.name.lower(), pattern.lower())
