"""The published texts that ask for the rules, as Markdown links."""

SHARED_IMAGES = (
    "[AWS: shared Linux AMIs](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/building-shared-amis.html)"
)
CERTIFICATION = (
    "[Azure: certification of virtual machines]"
    "(https://learn.microsoft.com/partner-center/marketplace-offers/azure-vm-certification-faq)"
)
SYSPREP = "[virt-sysprep(1)](https://libguestfs.org/virt-sysprep.1.html)"
SPARSIFY = "[virt-sparsify(1)](https://libguestfs.org/virt-sparsify.1.html)"
SYSTEMD = "[systemd: Building Images Safely](https://systemd.io/BUILDING_IMAGES/)"
MACHINE_ID = "[machine-id(5)](https://www.freedesktop.org/software/systemd/man/latest/machine-id.html)"
CIS = "[CIS Benchmarks for Linux](https://www.cisecurity.org/cis-benchmarks)"
SSHD = "[sshd_config(5)](https://man.openbsd.org/sshd_config)"
IMAGE_BUILDER = "[Kubernetes image-builder](https://github.com/kubernetes-sigs/image-builder)"
CLOUD_INIT = "[cloud-init: clean](https://docs.cloud-init.io/en/latest/reference/cli.html)"
DEBIAN_POLICY = "[Debian: invoke-rc.d](https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt)"
SYSPREP_WINDOWS = "[Microsoft: Sysprep](https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep--generalize--a-windows-installation)"
ANSWER_FILES = (
    "[Microsoft: Windows Setup Automation]"
    "(https://learn.microsoft.com/windows-hardware/manufacture/desktop/windows-setup-automation-overview)"
)
MEMORY_DUMPS = (
    "[Microsoft: memory dump files]"
    "(https://learn.microsoft.com/troubleshoot/windows-server/performance/memory-dump-file-options)"
)
WINRM = "[Microsoft: WinRM](https://learn.microsoft.com/windows/win32/winrm/installation-and-configuration-for-windows-remote-management)"
