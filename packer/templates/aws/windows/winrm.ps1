<powershell>
# Opens WinRM over TLS with a certificate of this instance; EC2Launch runs this at the first boot.
$certificate = New-SelfSignedCertificate -DnsName $env:COMPUTERNAME -CertStoreLocation Cert:\LocalMachine\My
Enable-PSRemoting -SkipNetworkProfileCheck -Force
New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address * -CertificateThumbPrint $certificate.Thumbprint -Force
New-NetFirewallRule -DisplayName 'WinRM over TLS' -Direction Inbound -LocalPort 5986 -Protocol TCP -Action Allow
</powershell>
