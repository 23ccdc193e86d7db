#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2154 # variables are shared with the files that are sourced
#
# Measures lastpop against what else could stand in its place, on this machine: Dovecot's POP3 before a distant
# IMAP server ("peer"; "uncached" keeps no index on disk), nginx that passes POP3 through, the POP3 server of the
# mail store itself ("native"), and a bare IMAP client, which is the floor. All systems take turns in each
# round. Prints a table in Markdown. A goal that is missed is shown; a wrong answer of any system ends the run.
#
# A poll is: connect, USER, PASS, STAT, UIDL, LIST, QUIT, each waiting for its answer. All messages are in the
# upstream's page cache and have been read before, and every octet that comes is compared with what it should
# be. Upstream, proxies and clients share the machine, so the figures say how the systems compare, and not what
# any of them does on a machine of its own.

set -euo pipefail
export LC_ALL=C
PATH+=:/usr/sbin:/sbin:${HOME:-/}/.cargo/bin
umask 022

benches=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
repository=$(dirname -- "$benches")
here=$repository/deploy
password=let-me-in
# How lastpop is told to keep sessions with the upstream.
keep='keep = "5m"'
rounds=5
seconds=2
out=/dev/null
only=''
notes=()

for file in process packages lastpop; do
  # shellcheck source=/dev/null
  source "$here/demo/$file.sh"
done
for file in systems rows table; do
  # shellcheck source=/dev/null
  source "$benches/compare/$file.sh"
done

# What is said goes to stderr: the table alone is on stdout.
say() { printf '%s\n' "$*" >&2; }
fail() {
  printf '\nbenches/compare.sh: %s\n' "$*" >&2
  exit 1
}

usage() {
  cat >&2 <<END
Usage: benches/compare.sh [--out FILE] [--only ROW,...] [--rounds N] [--seconds S]

Needs root and Debian; installs what is missing. LASTPOP_BIN is measured if it is set, else a release build.
Rows: ${jobs[*]}
END
  exit 2
}

while (($#)); do
  (($# > 1)) || usage
  case $1 in
    --out) out=$2 ;;
    --only) only=$2 ;;
    --rounds) rounds=$2 ;;
    --seconds) seconds=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[[ $rounds =~ ^[1-9][0-9]*$ && $seconds =~ ^[0-9.]+$ ]] || usage

# The jobs that give the rows that are asked for.
chosen=()
for job in "${jobs[@]}"; do
  for row in "$job" ${rows_of[$job]-}; do
    if [[ -z $only || ,$only, == *",$row,"* ]]; then
      chosen+=("$job")
      break
    fi
  done
done
for row in ${only//,/ }; do
  [[ " ${jobs[*]} ${rows_of[*]} " == *" $row "* ]] || fail "There is no row $row. There are: ${jobs[*]} ${rows_of[*]}"
done

((EUID == 0)) || fail 'Only root may run it: the servers run as an account of their own.'

# A program that tells whether the package is there, and the package.
needed=(
  /usr/lib/dovecot/imap dovecot-imapd
  /usr/lib/dovecot/pop3 dovecot-pop3d
  /usr/sbin/nginx nginx
  /usr/lib/nginx/modules/ngx_mail_module.so libnginx-mod-mail
  /usr/bin/openssl openssl
  /usr/bin/python3 python3
  /usr/bin/cc gcc
  /usr/bin/setpriv util-linux
)
install_missing() {
  local missing=() index
  for ((index = 0; index < ${#needed[@]}; index += 2)); do
    [[ -e ${needed[index]} ]] || missing+=("${needed[index + 1]}")
  done
  if ((${#missing[@]})); then
    say "Installing ${missing[*]} ..."
    write_policy_file
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
      >"$dir/apt.log" 2>&1 </dev/null || {
      show_log "$dir/apt.log"
      fail "apt-get could not install ${missing[*]}; its last lines are above. Install them by hand and start again."
    }
    remove_policy_file
  fi
  [[ $(dovecot --version) == 2.3.* ]] \
    || fail "This machine has Dovecot $(dovecot --version); the comparison knows how to configure 2.3."
}

# By rustc and not by cargo: it needs nothing but the standard library, and cargo would build all that lastpop's
# tests need, and lastpop a second time with it.
build_load() {
  load=$dir/load
  rustc --edition 2024 -C opt-level=3 -o "$load" "$benches/load/main.rs" \
    || fail 'The load generator could not be built; see above.'
}

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# Where Debian keeps files on disk and not in memory, and with a name so short that sockets' names can follow.
dir=$(mktemp -d /var/tmp/lastpop-compare.XXXXXX) || fail 'A temporary directory cannot be made in /var/tmp.'
chmod 755 "$dir"
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
descriptors=$(ulimit -n)
((descriptors >= 10000)) || fail "A process may have $descriptors files open here, and 10,000 are needed."

check_lastpop_binary
commit=''
[[ -n $lastpop ]] || commit=" ($(git -C "$repository" describe --always --dirty 2>/dev/null || true))"
install_missing
build_lastpop
build_load
make_certificate
chmod 644 "$dir/key.pem"
for name in imap_port imaps_port native_port native_tls_port; do free_port "$name"; done
say 'Making mailboxes ...'
fill_mailboxes
chown -R "$account:$group" "$dir/mail"
start_upstream
port[native-tls]=$native_tls_port
port[floor]=$imap_port

begun=$SECONDS
load_before=$(cut -d' ' -f1 /proc/loadavg)
for job in "${chosen[@]}"; do
  say "$job (after $((SECONDS - begun)) s) ..."
  "job_${job//-/_}"
done
{
  printf '%s%s on %s cores (%s), Linux %s, Dovecot %s, nginx %s; load before it began: %s.\n' \
    "$("$lastpop" --version)" "$commit" "$(nproc)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(uname -r)" \
    "$(dovecot --version | cut -d' ' -f1)" "$(nginx -v 2>&1 | sed 's,.*/,,')" "$load_before"
  printf 'Median (least to greatest) of %s rounds of %s s, some rows fewer; ratios are made round by round.\n\n' \
    "$rounds" "$seconds"
  print_table
  ((${#notes[@]} == 0)) || printf '\n- %s' "${notes[@]}"
  printf '\n'
} | tee "$out"
