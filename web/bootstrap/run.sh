#!/bin/sh
# Converge: fetches the @PROGRAM@ from its relay, checks it against the hash below, keeps it in a
# cache, and starts it (agent) or makes it a command (wsproxy). POSIX sh; needs no root, no Node.
#
#   curl -fsSL RELAY/agent.sh   | sh -s -- [agent's options]
#   curl -fsSL RELAY/wsproxy.sh | sh -s -- [folder for the command, else ~/.local/bin]
#
# CONVERGE_CACHE=folder      where to keep what was fetched
# CONVERGE_STANDALONE=1      do not use this machine's Node
set -eu
program=@PROGRAM@
relay=@RELAY@

say() { printf 'converge: %s\n' "$*" >&2; }
die() {
  say "$1"
  exit "${2:-1}"
}
have() { command -v "$1" >/dev/null 2>&1; }

# SHA-256 of each file that this relay serves.
sum_of() {
  case $1 in
@SUMS@
  *) return 1 ;;
  esac
}

insecure=
for word in "$@"; do
  [ "$word" != --insecure ] || insecure=1
done
case ${CONVERGE_INSECURE:-} in '' | 0 | false | no | off) ;; *) insecure=1 ;; esac

# fetch URL FILE: with whatever this machine has.
fetch() {
  if have curl; then
    curl -fsSL ${insecure:+-k} --retry 2 --connect-timeout 15 -o "$2" "$1"
  elif have wget; then
    wget -q ${insecure:+--no-check-certificate} -O "$2" "$1"
  elif have python3; then
    INSECURE=$insecure python3 -c '
import os, ssl, sys, urllib.request
context = ssl._create_unverified_context() if os.environ["INSECURE"] else None
with urllib.request.urlopen(sys.argv[1], context=context) as answer, open(sys.argv[2], "wb") as file:
    while part := answer.read(65536):
        file.write(part)' "$1" "$2"
  elif have node; then
    NODE_OPTIONS='' NODE_NO_WARNINGS=1 ${insecure:+env NODE_TLS_REJECT_UNAUTHORIZED=0} node -e '
fetch(process.argv[1]).then(async (answer) => {
  if (!answer.ok) throw new Error(String(answer.status));
  require("fs").writeFileSync(process.argv[2], Buffer.from(await answer.arrayBuffer()));
}).catch((error) => { console.error(error.message); process.exit(1); })' "$1" "$2"
  elif [ -x /usr/lib/apt/apt-helper ]; then
    # Its sandbox user may not write into a folder of ours.
    /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root \
      ${insecure:+-o Acquire::https::Verify-Peer=false -o Acquire::https::Verify-Host=false} \
      download-file "$1" "$2" >&2
  else
    die "None of curl, wget, python3, node and apt-helper is here. Install one of them."
  fi
}

sha256() {
  if have sha256sum; then
    set -- "$(sha256sum <"$1")"
  elif have shasum; then
    set -- "$(shasum -a 256 <"$1")"
  elif have openssl; then
    set -- "$(openssl dgst -sha256 -r <"$1")"
  else
    die "None of sha256sum, shasum and openssl is here. Install one of them."
  fi
  printf '%s\n' "${1%% *}"
}

# usable FOLDER: it is ours, nobody else may write there, and programs in it can be started.
usable() {
  (umask 077 && mkdir -p "$1") 2>/dev/null || return 1
  [ -w "$1" ] || return 1
  # shellcheck disable=SC2012 # of one folder: its mode, and its owner as a number
  case $(ls -ldn "$1" | { read -r mode _ owner _ && printf '%s %s' "$mode" "$owner"; }) in
  d????w* | d???????w*) return 1 ;; # whoever else may write there could change what is started
  *" $(id -u)") ;;
  *) return 1 ;;
  esac
  printf '#!/bin/sh\n' >"$1/.try.$$" 2>/dev/null || return 1
  chmod 700 "$1/.try.$$"
  if "$1/.try.$$" 2>/dev/null; then works=0; else works=1; fi
  rm -f "$1/.try.$$"
  return $works
}

cache=
for folder in "${CONVERGE_CACHE:-}" "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/converge" \
  "${TMPDIR:-/tmp}/converge-$(id -u)" "/var/tmp/converge-$(id -u)"; do
  if [ -n "$folder" ] && usable "$folder"; then
    cache=$(cd "$folder" && pwd -P)
    break
  fi
done
[ -n "$cache" ] || die "No folder can be written and run programs. Name one with CONVERGE_CACHE."
new=$cache/.new.$$
trap 'rm -rf "$new" "$new.gz"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# get NAME: the path of that file in the cache, fetched unless its hash is right already.
get() {
  sum=$(sum_of "$1") || die "This relay does not serve $1. Ask its administrator for it."
  file=$cache/$sum-$1
  if [ -f "$file" ] && [ "$(sha256 "$file")" = "$sum" ]; then
    touch "$file"
    printf '%s\n' "$file"
    return
  fi
  say "fetching $1"
  case $1 in
  *.cjs | *.tar.gz) fetch "$relay/static/$1" "$new" || die "$relay/static/$1 cannot be fetched." 3 ;;
  *) # a hundred megabytes, forty when packed
    if fetch "$relay/static/$1.gz" "$new.gz"; then
      gzip -dc "$new.gz" >"$new" || die "$relay/static/$1.gz is damaged. Try again."
      rm -f "$new.gz"
    else
      fetch "$relay/static/$1" "$new" || die "$relay/static/$1 cannot be fetched." 3
    fi
    ;;
  esac
  got=$(sha256 "$new")
  [ "$got" = "$sum" ] || die "$1 has the SHA-256 $got and should have $sum. Nothing was started."
  chmod 700 "$new"
  mv -f "$new" "$file"
  # Others of this cache may use another version, so only those go that nobody started for a month.
  find "$cache" -name "*-$1" -mtime +30 -exec rm -rf {} + 2>/dev/null || :
  printf '%s\n' "$file"
}

node_is_new() {
  have node && NODE_OPTIONS='' node -e 'process.exit(+(parseInt(process.versions.node) < 20))' \
    >/dev/null 2>&1
}

# The command, as words in "$@" behind the program's own: see start below.
loader=
if [ -z "${CONVERGE_STANDALONE:-}" ] && node_is_new; then
  main=$(get "$program.cjs")
  kind=node
else
  case $(uname -s) in
  Linux) os=linux ;;
  *) die "Without Node 20 or newer Converge runs on Linux alone. Install Node and try again." ;;
  esac
  case $(uname -m) in
  x86_64 | amd64) cpu=x64 ld=/lib64/ld-linux-x86-64.so.2 ;;
  aarch64 | arm64) cpu=arm64 ld=/lib/ld-linux-aarch64.so.1 ;;
  *) die "There is no Converge for $(uname -m) without Node. Install Node 20 or newer and try again." ;;
  esac
  main=$(get "agent-$os-$cpu")
  kind=standalone
  if [ ! -e "$ld" ] || ! "$main" --version >/dev/null 2>&1; then
    libs=$(get "libs-$os-$cpu.tar.gz")
    if [ ! -x "$libs.d/lib/ld.so" ]; then
      mkdir -p "$new"
      gzip -dc "$libs" | tar -xf - -C "$new"
      mv -f "$new" "$libs.d"
    fi
    loader=$libs.d/lib/ld.so
    kind=loader
  fi
fi

if [ "$program" = agent ]; then
  : "${CONVERGE_RELAY_URL:=$relay}"
  # The job's NODE_OPTIONS is not for the agent; its shells get it back.
  CONVERGE_NODE_OPTIONS=${NODE_OPTIONS-}
  NODE_OPTIONS=
  export CONVERGE_RELAY_URL CONVERGE_NODE_OPTIONS NODE_OPTIONS
  trap - EXIT HUP INT TERM
  [ "$kind" = node ] || export CONVERGE_PROGRAM=agent
  case $kind in
  node) set -- node "$main" "$@" ;;
  standalone) set -- "$main" "$@" ;;
  loader) set -- "$loader" --library-path "${loader%/*}" "$main" "$@" ;;
  esac
  # Standard input is this script.
  [ $$ = 1 ] || exec "$@" </dev/null
  # Process 1 inherits what sessions leave behind. A shell that waits takes their statuses, which Node
  # does not, so it stays and hands signals on; a trap ends the wait, but not the agent.
  "$@" </dev/null &
  agent=$!
  for name in HUP INT TERM; do
    # shellcheck disable=SC2064 # the name and the number of now
    trap "kill -$name $agent 2>/dev/null || :" "$name"
  done
  while :; do
    status=0
    wait "$agent" || status=$?
    kill -0 "$agent" 2>/dev/null || exit "$status"
  done
fi

quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
into=${HOME:-}/.local/bin
for word in "$@"; do
  case $word in --insecure) ;; *) into=$word ;; esac
done
mkdir -p "$into" 2>/dev/null || die "The folder $into cannot be made. Name another one: … | sh -s -- FOLDER"
into=$(cd "$into" && pwd -P)
case $kind in
node) # from Node 22 on each start after the first one is quicker
  line="NODE_OPTIONS= NODE_COMPILE_CACHE=$(quoted "$cache/compiled") exec node $(quoted "$main")" ;;
standalone) line="CONVERGE_PROGRAM=wsproxy exec $(quoted "$main")" ;;
loader) line="CONVERGE_PROGRAM=wsproxy exec $(quoted "$loader") --library-path $(quoted "${loader%/*}") $(quoted "$main")" ;;
esac
printf '#!/bin/sh\n# Converge, from %s; installing it again brings it up to date.\ntouch -c %s 2>/dev/null\n%s "$@"\n' \
  "$(printf %s "$relay" | tr -d '\n')" "$(quoted "$main")" "$line" >"$into/.wsproxy.$$" ||
  die "Nothing can be written into $into. Name another folder: … | sh -s -- FOLDER"
chmod 755 "$into/.wsproxy.$$"
mv -f "$into/.wsproxy.$$" "$into/wsproxy"
"$into/wsproxy" --version >/dev/null || die "$into/wsproxy does not start."
say "$into/wsproxy is installed."
case :$PATH: in
*":$into:"*) ;;
*) say "$into is not in your PATH. Add it: export PATH=$(quoted "$into"):\$PATH" ;;
esac
