"""The app image: a unit that waits for the code, and runs it in its virtual environment, as a user of its own."""

from testinfra.host import Host

# Says on its output who runs it, and with which Python.
CODE = "import getpass, sys, time; print(getpass.getuser(), sys.prefix, flush=True); time.sleep(600)"


def test_the_environment_is_separate(host: Host) -> None:
    prefixes = host.check_output("/opt/app/venv/bin/python -c 'import sys; print(sys.prefix, sys.base_prefix)'")
    assert prefixes == "/opt/app/venv /usr"
    assert host.run("/opt/app/venv/bin/pip check").rc == 0


def test_the_unit_waits_for_the_code(host: Host) -> None:
    assert host.service("app").is_enabled
    assert not host.service("app").is_running
    assert not host.file("/opt/app/src").exists


def test_the_code_runs_when_it_is_there(host: Host) -> None:
    with host.sudo():
        host.check_output("mkdir -p /opt/app/src && printf '%%s' %s >/opt/app/src/app.py", CODE)
        host.check_output("systemctl start app")
        said = host.check_output(
            "timeout 60 sh -c 'until journalctl --quiet --output=cat --unit=app | grep venv; do sleep 1; done'"
        )
    assert said == "app /opt/app/venv"
    assert host.service("app").is_running


def test_the_program_cannot_change_itself(host: Host) -> None:
    with host.sudo("app"):
        assert host.run("touch /opt/app/venv/x").rc != 0
