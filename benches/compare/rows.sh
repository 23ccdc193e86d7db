# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with compare.sh and its other files
# Sourced by benches/compare.sh: what is measured. A job gives one row of the table or two; each measures
# all its systems in each round, every round in another order.

jobs=(poll-1 poll-8 poll-far drain-small drain-pipelined drain-large retr-far kept first-byte memory large idle cores)
# Jobs whose rows have other names.
declare -A rows_of=(
  [poll-8]='poll-8 poll-cpu' [drain-large]='drain-large drain-cpu' [large]='large-cold large-repeat'
  [idle]='idle idle-tls'
)

# Mailboxes: users, messages, octets of a message.
poll=(--users poll:100 --messages 20 --size 2048)
small=(--users small:4 --messages 400 --size 8192)
large=(--users large:8 --messages 10 --size 26214400)
huge=(--users huge:1 --messages 100000 --size 1024)

fill_mailboxes() {
  local mailbox
  for mailbox in poll small large; do
    local -n what=$mailbox
    "$load" fill --dir "$dir/mail" "${what[@]}" || fail 'The mailboxes could not be made; see above.'
  done
}

fill_huge() {
  [[ ! -e $dir/mail/huge1 ]] || return 0
  "$load" fill --dir "$dir/mail" "${huge[@]}" --same yes || fail 'The large mailbox could not be made; see above.'
  chown -R "$account:$group" "$dir/mail/huge1"
  # Dovecot learns the sizes.
  ask poll --proto imap --port "$imap_port" "${huge[@]}" --sessions 1
}

# ask ARGUMENTS OF THE LOAD GENERATOR: its line is in $answer. A wrong answer of a server ends everything.
ask() {
  answer=$("$load" "$@" --password "$password") || fail "That was: load $*"
}

# record ROW SYSTEM NAME: the value of that name in the answer; not in the first round, which warms caches.
record() {
  ((round > 0)) || return 0
  mkdir -p "$dir/results/$1"
  local value=${answer#*"$3="}
  [[ $value != "$answer" ]] || fail "There is no $3 in: $answer"
  printf '%s\n' "${value%% *}" >>"$dir/results/$1/$2"
}

# target SYSTEM [SUFFIX]: what the load generator is told about it.
target() {
  target=(--proto pop3 --port "${port[$1${2-}]}")
  case $1 in
    floor) target[1]=imap ;;
    *) target+=(--watch "${session[$1${2-}]}") ;;
  esac
}

# interleave ROUNDS MEASURE SYSTEM...: calls MEASURE SYSTEM in all rounds.
interleave() {
  local most=$1 measure=$2 index
  shift 2
  local systems=("$@")
  for ((round = 0; round <= most; round++)); do
    for ((index = 0; index < ${#systems[@]}; index++)); do
      "$measure" "${systems[(index + round) % ${#systems[@]}]}"
    done
  done
}

few() { printf '%s\n' $((rounds < $1 ? rounds : $1)); }

# for_a_while EACH: until the time is over; in the first round as many sessions as it takes to see each user.
for_a_while() {
  limit=(--seconds "$seconds")
  ((round > 0)) || limit=(--sessions "$1")
}

measure_poll_1() {
  target "$1"
  for_a_while 100
  ask poll "${target[@]}" "${poll[@]}" "${limit[@]}"
  record poll-1 "$1" per_second
}

job_poll_1() {
  need nginx peer uncached lastpop
  interleave "$rounds" measure_poll_1 native nginx peer uncached floor lastpop
}

measure_poll_8() {
  target "$1"
  for_a_while 13
  ask poll "${target[@]}" "${poll[@]}" "${limit[@]}" --clients 8
  record poll-8 "$1" per_second
  [[ $1 == native || $1 == floor ]] || record poll-cpu "$1" cpu_ms
}

job_poll_8() {
  need nginx peer uncached lastpop
  interleave "$rounds" measure_poll_8 native nginx peer uncached floor lastpop
}

measure_poll_far() {
  target "$1" -far
  for_a_while 10
  ask poll "${target[@]}" "${poll[@]}" --users poll:10 "${limit[@]}"
  record poll-far "$1" p50_ms
}

job_poll_far() {
  need peer-far uncached-far floor-far lastpop-far
  interleave "$rounds" measure_poll_far peer uncached floor lastpop
}

measure_drain() {
  target "$1"
  for_a_while 1
  ask drain "${target[@]}" "${small[@]}" --clients 4 --group "$at_once" "${limit[@]}"
  record "$row" "$1" mb_per_second
}

# drain ROW GROUP
drain() {
  local row=$1 at_once=$2
  need nginx peer lastpop
  interleave "$rounds" measure_drain native nginx peer floor lastpop
}

job_drain_small() { drain drain-small 1; }
job_drain_pipelined() { drain drain-pipelined 20; }

measure_drain_large() {
  target "$1"
  for_a_while 1
  ask drain "${target[@]}" "${large[@]}" "${limit[@]}" --users large:1
  record drain-large "$1" mb_per_second
  [[ $1 == native || $1 == floor ]] || record drain-cpu "$1" cpu_s_per_gb
}

job_drain_large() {
  need nginx peer lastpop
  interleave "$rounds" measure_drain_large native nginx peer floor lastpop
}

measure_retr_far() {
  target "$1" -far
  for_a_while 5
  ask drain "${target[@]}" "${poll[@]}" --users poll:5 "${limit[@]}"
  record retr-far "$1" p50_ms
}

job_retr_far() {
  need peer-far floor-far lastpop-far
  interleave "$rounds" measure_retr_far peer floor lastpop
}

measure_kept() {
  case $1 in
    lastpop) target kept ;;
    *) target "$1" ;;
  esac
  [[ $1 != floor ]] || target[1]=imap-kept
  for_a_while 13
  ask poll "${target[@]}" "${poll[@]}" "${limit[@]}" --clients 8
  record kept "$1" per_second
}

job_kept() {
  local said
  configure_lastpop kept "$imap_port" keep
  if said=$("$lastpop" check --config "$dir/kept.toml" 2>&1) || (($? != 78)); then
    need peer
    run_lastpop kept
    interleave "$rounds" measure_kept native peer floor lastpop
    halt kept
  else
    said=${said%%$'\n'*}
    notes+=("kept is left out: this lastpop does not take \`$keep\` in [upstream]. It says: ${said#*kept.toml:*: }.")
  fi
}

measure_first_byte() {
  target "$1"
  ask first-byte "${target[@]}" "${large[@]}"
  record first-byte "$1" p50_ms
}

job_first_byte() {
  need nginx peer lastpop
  interleave "$(few 3)" measure_first_byte native nginx peer floor lastpop
}

measure_memory() {
  local fast slow
  ((round > 0)) || return 0
  fresh "$1"
  target "$1"
  ask poll "${target[@]}" "${large[@]}" --clients 8 --sessions 2
  ask drain "${target[@]}" "${large[@]}" --messages 2 --clients 8 --sessions 1 --memory yes
  fast=${answer#*growth_mib=}
  ask drain "${target[@]}" "${large[@]}" --messages 1 --clients 8 --sessions 1 --memory yes --slow 10000000
  slow=${answer#*growth_mib=}
  answer=worse_mib=$(printf '%s\n' "${fast%% *}" "${slow%% *}" | sort -n | tail -n 1)
  record memory "$1" worse_mib
}

# Eight clients that read as fast as they can, and eight that read 10 MB a second each; the worse counts.
job_memory() {
  interleave "$(few 3)" measure_memory nginx peer lastpop
}

measure_large() {
  ((round > 0)) || return 0
  case $1 in
    peer) rm -rf -- "$dir/peer/mail/huge1" ;;
    lastpop)
      halt lastpop
      run_lastpop lastpop
      ;;
  esac
  target "$1"
  ask poll "${target[@]}" "${huge[@]}" --sessions 1
  record large-cold "$1" p50_ms
  ask poll "${target[@]}" "${huge[@]}" --sessions 1
  record large-repeat "$1" p50_ms
}

job_large() {
  fill_huge
  need peer lastpop
  interleave "$(few 3)" measure_large native peer floor lastpop
  count_octets
}

# What a repeated poll of the large mailbox costs between lastpop and the upstream.
count_octets() {
  local deadline=$((SECONDS + 10)) lines before counts
  start_relay relay-0 0
  start_lastpop counted "${port[relay-0]}"
  target counted
  ask poll "${target[@]}" "${huge[@]}" --sessions 2
  before=$(wc -l <"$dir/relay-0.log")
  ask poll "${target[@]}" "${huge[@]}" --sessions 1
  until lines=$(wc -l <"$dir/relay-0.log") && ((lines > before)); do
    ((SECONDS < deadline)) || fail 'lastpop did not close its connection to the upstream after a session.'
    sleep 0.1
  done
  counts=$(tail -n 1 "$dir/relay-0.log")
  notes+=("A repeated poll of 100,000 messages, between lastpop and the upstream: $counts (octets of each burst: < from the upstream, > to it). Goal: less than 2,048 octets, and two round trips, of which one is the LOGOUT: $(awk -F '[= ]' '{ print ($2 + $4 < 2048 && $6 <= 2) ? "reached" : "**missed**" }' <<<"$counts").")
  halt counted
  halt relay-0
}

measure_idle() {
  local sessions at instance row security
  ((round > 0)) || return 0
  sessions=1000
  [[ $1 == lastpop || $1 == nginx ]] || sessions=200
  for security in plain tls; do
    row=idle
    instance=$1
    at=$1
    if [[ $security == tls ]]; then
      row=idle-tls
      [[ $1 == native || $1 == nginx ]] || instance=$1-secure
      at=$instance-tls
    fi
    fresh "$instance"
    answer=$("$benches/compare/idle.py" "${port[$at]}" "$security" "$sessions" "${session[$instance]}" poll 100 "$password") \
      || fail "That was: $sessions idle sessions of $instance."
    record "$row" "$1" kib
  done
}

job_idle() {
  interleave "$(few 1)" measure_idle native nginx peer lastpop
  [[ ! -d $dir/results/idle-tls ]] \
    || notes+=('idle-tls: nginx speaks TLS to its clients only; native has no other side.')
}

measure_cores() {
  target "$1"
  for_a_while 13
  ask poll "${target[@]}" "${poll[@]}" "${limit[@]}" --clients 8
  record cores "$1" per_second
}

job_cores() {
  local list
  if (($(nproc) < 2)); then
    notes+=('cores is left out: there is one core.')
    return
  fi
  for list in 0 0,1; do
    configure_lastpop "cores-$list" "$imap_port"
    run_lastpop "cores-$list" taskset -c "$list"
  done
  interleave "$rounds" measure_cores cores-0 cores-0,1
  notes+=("lastpop pinned to one core: $(cell cores cores-0) polls a second; to two: $(cell cores cores-0,1); ratio $(ratio cores cores-0,1 cores-0).")
  halt cores-0
  halt cores-0,1
}
