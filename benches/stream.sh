#!/usr/bin/env bash
# shellcheck disable=SC2154 # dir, the ports and lastpop_pid are set by the demo's files
#
# Measures RETR through lastpop on this machine, against a private Dovecot: how much memory one message of
# 1 GiB costs, and how fast messages come, as a ratio to fetching the same messages over IMAP without
# lastpop, in interleaved rounds. Both sides are read by curl. Prints a table; --out FILE writes it as well.

set -euo pipefail
export LC_ALL=C
PATH+=:/usr/sbin:/sbin:${HOME:-/}/.cargo/bin
umask 077

repository=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
here=$repository/deploy
user=bench@example.net
password=let-me-in
# shellcheck disable=SC2034 # read by the demo's files
keyword="\$POP3Deleted"
readonly rounds=7

out=/dev/null
case "$#,${1-}" in
  0,) ;;
  2,--out) out=$2 ;;
  *)
    printf 'Usage: benches/stream.sh [--out FILE]\n' >&2
    exit 2
    ;;
esac

for file in process packages dovecot lastpop; do
  # shellcheck source=/dev/null
  source "$here/demo/$file.sh"
done

# UID 1: 1 GiB. UIDs 2 to 11: 10 MiB each. UIDs 12 to 411: 8 KiB each. Lines of 76 characters, as base64 has
# them, with CRLF, so that the file is what goes over the wire.
fill_mailbox() {
  local number octets
  messages=()
  line='VGhpcyBpcyBhIGxpbmUgb2YgYSBtZXNzYWdlIHRoYXQgaXMgb25seSB0aGVyZSB0byBiZSByZWFk'
  for ((number = 1; number <= 411; number++)); do
    octets=8192
    ((number > 11)) || octets=$((10 << 20))
    ((number > 1)) || octets=$((1 << 30))
    local name=$1/new/$((1000000000 + number)).M0P1.bench
    {
      printf 'From: a@example.net\r\nTo: b@example.net\r\nSubject: %d\r\n\r\n' "$number"
      yes "$line"$'\r' | head -c "$octets" || true
      printf '\r\n'
    } >"$name"
    messages+=("$name")
  done
}

peak() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$lastpop_pid/status"; }

# get pop3|imap PORT FIRST LAST EXPECTED-OCTETS: nanoseconds that it took; fails when octets are missing.
get() {
  local received nanoseconds
  read -r received nanoseconds < <("$repository/benches/read.py" "$1" "$2" "$user" "$password" "$3" "$4")
  ((received >= $5)) || fail "$1 gave $received octets and should have given more than $5."
  printf '%s\n' "$nanoseconds"
}

# Octets of the messages from UID $1 to UID $2.
octets() {
  local number sum=0
  for ((number = $1; number <= $2; number++)); do
    sum=$((sum + $(stat -c %s "$dir"/dovecot/mail/*/"$((1000000000 + number)).M0P1.bench"*)))
  done
  printf '%s\n' "$sum"
}

# median MIN MAX of numbers, one a line
spread() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'; }

# row NAME FIRST-UID LAST-UID
row() {
  local octets round
  octets=$(octets "$2" "$3")
  : >"$dir/direct"
  : >"$dir/proxy"
  : >"$dir/ratio"
  for ((round = 0; round <= rounds; round++)); do
    direct=$(get imap "$imap_port" "$2" "$3" "$octets")
    proxy=$(get pop3 "$pop3_port" "$2" "$3" "$octets")
    ((round > 0)) || continue # the first round warms caches
    awk -v o="$octets" -v n="$direct" 'BEGIN { printf "%.0f\n", o / n * 1000 }' >>"$dir/direct"
    awk -v o="$octets" -v n="$proxy" 'BEGIN { printf "%.0f\n", o / n * 1000 }' >>"$dir/proxy"
    awk -v d="$direct" -v p="$proxy" 'BEGIN { printf "%.2f\n", d / p }' >>"$dir/ratio"
  done
  local d p r
  read -ra d < <(spread <"$dir/direct")
  read -ra p < <(spread <"$dir/proxy")
  read -ra r < <(spread <"$dir/ratio")
  printf '| %s | %s (%s to %s) | %s (%s to %s) | %s (%s to %s) |\n' "$1" "${d[@]}" "${p[@]}" "${r[@]}"
}

prepare_directory
check_lastpop_binary
install_packages
choose_port pop3_port DEMO_POP3_PORT 1110 POP3
choose_port pop3s_port DEMO_POP3S_PORT 1995 POP3S
choose_port imap_port DEMO_IMAP_PORT 1143 IMAP
choose_port admin_port DEMO_ADMIN_PORT 9110 'the metrics'
say 'Making messages (1.2 GB in /tmp) ...'
start_dovecot
build_lastpop
start_lastpop

{
  printf 'On %s, %s, Dovecot %s, loopback; medians (and spread) of %s rounds.\n\n' \
    "$(nproc) cores" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(dovecot --version | cut -d' ' -f1)" "$rounds"
  # A session of each kind first, so that what is measured is the message and not the first session.
  get pop3 "$pop3_port" 2 2 "$(octets 2 2)" >/dev/null
  before=$(peak)
  get pop3 "$pop3_port" 1 1 "$(octets 1 1)" >/dev/null
  after=$(peak)
  printf 'Peak memory of lastpop: %s KiB before, %s KiB after RETR of a message of 1 GiB: %s KiB more.\n\n' \
    "$before" "$after" $((after - before))
  ((after - before < 8192)) || fail 'A message of 1 GiB raised the peak memory by 8 MiB or more.'
  printf '| RETR, one after the other | IMAP direct, MB/s | lastpop, MB/s | lastpop : direct |\n|---|---|---|---|\n'
  row '10 messages of 10 MiB' 2 11
  row '400 messages of 8 KiB' 12 411
} | tee "$out"
