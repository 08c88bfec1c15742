"""The runner image: no token in it, and a runner that starts as soon as somebody has registered it."""

from testinfra.host import Host

CONFIGURATION = "/etc/gitlab-runner/config.toml"


def test_it_is_not_registered(host: Host) -> None:
    folder = host.file("/etc/gitlab-runner")
    assert (folder.user, folder.mode) == ("root", 0o700)
    with host.sudo():
        assert folder.listdir() == []


def test_jobs_have_a_user_and_git(host: Host) -> None:
    assert host.user("gitlab-runner").home == "/home/gitlab-runner"
    assert host.file("/home/gitlab-runner").listdir() == [], "a .bash_logout would fail jobs"
    assert host.exists("git")


def test_it_starts_when_it_is_registered(host: Host) -> None:
    assert host.run("gitlab-runner --version").rc == 0
    assert host.service("gitlab-runner.path").is_enabled
    assert not host.service("gitlab-runner").is_running
    with host.sudo():
        host.check_output("printf 'concurrent = 1\\n' >%s", CONFIGURATION)
        host.check_output("timeout 60 sh -c 'until systemctl --quiet is-active gitlab-runner; do sleep 1; done'")
