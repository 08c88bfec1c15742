# Generalizes the machine; Packer switches it off afterwards.
$ErrorActionPreference = 'Stop'

# Azure's agents take part, and a machine is reachable before they have started.
'RdAgent', 'WindowsAzureGuestAgent' | ForEach-Object { (Get-Service $_).WaitForStatus('Running', '00:10:00') }

& "$env:SystemRoot\System32\Sysprep\Sysprep.exe" /generalize /oobe /mode:vm /quiet /quit

# It answers at once and works on.
$deadline = (Get-Date).AddMinutes(20)
do {
    if ((Get-Date) -gt $deadline) { throw "sysprep did not end: the machine is in $state" }
    Start-Sleep -Seconds 5
    $state = (Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State').ImageState
} until ($state -eq 'IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE')
