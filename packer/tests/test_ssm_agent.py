"""Amazon's SSM agent: it runs from the first boot on."""

from testinfra.host import Host


def test_it_starts_at_boot(host: Host) -> None:
    assert host.service("amazon-ssm-agent").is_enabled
    assert host.service("amazon-ssm-agent").is_running
    assert host.run("amazon-ssm-agent -version").rc == 0
