# Closes the build's way in: WinRM's listener for TLS, its certificate with the private key, its firewall rule and the
# service. It is the last command over WinRM. What runs goes on until the machine stops, because only settings change that
# are read at a start; so Packer still gets the answer.
$ErrorActionPreference = 'Stop'

$listeners = @(Get-ChildItem WSMan:\localhost\Listener | Where-Object Keys -Contains 'Transport=HTTPS')
$thumbprints = @($listeners | ForEach-Object { (Get-ChildItem $_.PSPath | Where-Object Name -EQ CertificateThumbprint).Value })

# The registry, not the service's own interface, which would end this connection.
Get-ChildItem 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Listener' |
    Where-Object PSChildName -Like '*+HTTPS' |
    Remove-Item -Recurse

$rules = 'HKLM:\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules'
Get-NetFirewallPortFilter |
    Where-Object LocalPort -EQ 5986 |
    Get-NetFirewallRule |
    ForEach-Object { Remove-ItemProperty -Path $rules -Name $_.InstanceID -ErrorAction SilentlyContinue }

Set-Service -Name WinRM -StartupType Disabled

$thumbprints | Where-Object { $_ } | ForEach-Object { Remove-Item "Cert:\LocalMachine\My\$_" -DeleteKey }
