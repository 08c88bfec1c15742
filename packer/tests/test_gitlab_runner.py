"""The runner image: no token in it, and a runner that starts as soon as it has a configuration."""

from testinfra.host import Host

FOLDER = "/etc/gitlab-runner"


def test_it_is_not_registered(host: Host) -> None:
    folder = host.file(FOLDER)
    assert (folder.user, folder.mode) == ("root", 0o700)
    with host.sudo():
        assert folder.listdir() == []


def test_jobs_have_a_user_and_git(host: Host) -> None:
    assert host.user("gitlab-runner").home == "/home/gitlab-runner"
    with host.sudo():  # from Debian 13 on, nobody else sees what is in a home
        assert host.file("/home/gitlab-runner").listdir() == [], "a .bash_logout would fail jobs"
    assert host.exists("git")


def test_secrets_can_be_fetched_at_boot(host: Host) -> None:
    done = host.run("bakery-fetch-parameter")
    assert done.rc == 1
    assert "usage: bakery-fetch-parameter NAME" in done.stderr


def test_it_starts_when_it_is_configured(host: Host) -> None:
    """By user data and a token; registration writes the same file."""
    assert host.run("gitlab-runner --version").rc == 0
    assert host.service("gitlab-runner.path").is_enabled
    assert host.service("gitlab-runner-configure").is_enabled
    assert not host.service("gitlab-runner").is_running
    with host.sudo():
        host.check_output(f"printf 'token = \"@TOKEN@\"\\n' >{FOLDER}/config.toml.template")
        host.check_output(f"echo glrt-test >{FOLDER}/token")
        host.check_output("systemctl start gitlab-runner-configure")
        written = host.file(f"{FOLDER}/config.toml")
        assert (written.content_string, written.mode) == ('token = "glrt-test"\n', 0o600)
        host.check_output("timeout 60 sh -c 'until systemctl --quiet is-active gitlab-runner; do sleep 1; done'")
