# Converge: fetches the @PROGRAM@ from its relay, checks it against the hash below, keeps it in a
# cache, and starts it (agent) or makes it a command (wsproxy). Windows PowerShell 5 or newer.
#
#   & ([scriptblock]::Create((Invoke-RestMethod RELAY/agent.ps1))) [agent's options]
#   & ([scriptblock]::Create((Invoke-RestMethod RELAY/wsproxy.ps1))) [folder for the command]
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue' # drawing it makes a download ten times slower
$program = @PROGRAM@
$relay = @RELAY@
$sums = @{
@SUMS@
}
$given = @($args)
$extra = @{ UseBasicParsing = $true }
if ($given -contains '--insecure' -and $PSVersionTable.PSVersion.Major -ge 6) { $extra.SkipCertificateCheck = $true }
$cache = if ($env:CONVERGE_CACHE) { $env:CONVERGE_CACHE } else { Join-Path $env:LOCALAPPDATA 'converge' }
New-Item -ItemType Directory -Force $cache | Out-Null

function Get-Part($name) {
  $sum = $sums[$name]
  if (-not $sum) { throw "This relay does not serve $name. Ask its administrator for it." }
  $file = Join-Path $cache "$sum-$name"
  if ((Test-Path $file) -and (Get-FileHash $file -Algorithm SHA256).Hash -eq $sum) { return $file }
  $new = Join-Path $cache ".new.$PID-$name"
  Invoke-WebRequest "$relay/static/$name" -OutFile $new @extra
  $got = (Get-FileHash $new -Algorithm SHA256).Hash.ToLower()
  if ($got -ne $sum) {
    Remove-Item $new
    throw "$name has the SHA-256 $got and should have $sum. Nothing was started."
  }
  Move-Item -Force $new $file
  return $file
}

$major = 0
if (-not $env:CONVERGE_STANDALONE -and (Get-Command node -ErrorAction SilentlyContinue)) {
  $before = $env:NODE_OPTIONS
  $env:NODE_OPTIONS = ''
  $major = [int](& node -p 'parseInt(process.versions.node)')
  $env:NODE_OPTIONS = $before
}
if ($major -ge 20) { $command = @('node', (Get-Part "$program.cjs")) }
else { $command = @((Get-Part 'agent-win-x64.exe')) }
$rest = @($command | Select-Object -Skip 1)

if ($program -eq 'agent') {
  if (-not $env:CONVERGE_RELAY_URL) { $env:CONVERGE_RELAY_URL = $relay }
  $env:CONVERGE_NODE_OPTIONS = $env:NODE_OPTIONS
  $env:NODE_OPTIONS = ''
  $env:CONVERGE_PROGRAM = 'agent'
  & $command[0] @rest @given
  exit $LASTEXITCODE
}

$into = Join-Path $env:LOCALAPPDATA 'converge\bin'
foreach ($word in $given) { if ($word -ne '--insecure') { $into = $word } }
New-Item -ItemType Directory -Force $into | Out-Null
$words = ($command | ForEach-Object { '"' + $_ + '"' }) -join ' '
$lines = '@echo off', 'setlocal', 'set NODE_OPTIONS=', 'set CONVERGE_PROGRAM=wsproxy', "$words %*"
Set-Content -Encoding OEM (Join-Path $into 'wsproxy.cmd') $lines
Write-Host "converge: $into\wsproxy.cmd is installed."
if (($env:PATH -split ';') -notcontains $into) {
  Write-Host "converge: $into is not in your PATH. Add it: `$env:PATH = '$into;' + `$env:PATH"
}
