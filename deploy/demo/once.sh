# shellcheck shell=bash
# Sourced by deploy/demo.sh: the session that --once holds, and what must be true after it.

passed=0

# pass TEXT: a check that could have failed has not.
pass() {
  passed=$((passed + 1))
  say "  ok: $*"
}

run_once() {
  # Writing to a closed connection shall be an error that can be reported, not the end of this script.
  trap '' PIPE
  sizes=()
  local file
  for file in "${messages[@]}"; do
    sizes+=("$(stat -c %s -- "$file")")
  done

  first_session
  second_session
  look_over_imap
  look_over_tls
  look_at_metrics
  say
  say "All $passed checks passed."
}

log_in() {
  pop3_open
  pop3 "USER $user"
  pop3 "PASS $password" 'PASS ********'
}

# want_stat FIRST: the drop listing is the message number FIRST of the sample and all after it.
want_stat() {
  local index count=0 octets=0
  for ((index = $1 - 1; index < ${#sizes[@]}; index++)); do
    count=$((count + 1))
    octets=$((octets + sizes[index]))
  done
  [[ $reply =~ ^'+OK '([0-9]+)' '([0-9]+) && ${BASH_REMATCH[1]} == "$count" && ${BASH_REMATCH[2]} == "$octets" ]] \
    || fail_check "STAT should say $count messages of $octets octets."
  pass "STAT counts $count messages and their $octets octets"
}

first_session() {
  local number unique=()
  say
  say 'First POP3 session: read message 1 and delete it.'
  log_in

  pop3 STAT
  want_stat 1

  pop3 LIST
  read_listing
  print_listing 2 1
  ((${#listing[@]} == ${#messages[@]})) || fail_check "LIST should have ${#messages[@]} lines."
  for ((number = 1; number <= ${#messages[@]}; number++)); do
    [[ ${listing[number - 1]} == "$number ${sizes[number - 1]}" ]] \
      || fail_check "LIST says \"${listing[number - 1]}\" where it should say \"$number ${sizes[number - 1]}\"."
  done
  pass 'LIST gives the size of every message'

  pop3 UIDL
  read_listing
  print_listing 2 1
  unique_ids=()
  for ((number = 1; number <= ${#listing[@]}; number++)); do
    [[ ${listing[number - 1]} == "$number "?* ]] || fail_check "UIDL says \"${listing[number - 1]}\" for message $number."
    unique_ids+=("${listing[number - 1]#* }")
  done
  mapfile -t unique < <(printf '%s\n' "${unique_ids[@]}" | sort -u)
  ((${#unique[@]} == ${#messages[@]})) \
    || fail_check "UIDL should give ${#messages[@]} different unique-ids; it gave ${#unique[@]}."
  pass "UIDL gives ${#unique[@]} different unique-ids"

  pop3 'RETR 1'
  read_listing
  print_listing 8 2
  printf '%s\r\n' "${listing[@]}" | cmp -s - "${messages[0]}" \
    || fail_check "RETR 1 did not give the octets of ${messages[0]}."
  pass 'RETR 1 gives the message octet for octet'

  pop3 'DELE 1'
  pop3 QUIT
  pop3_close
  pass 'QUIT confirms the deletion and ends the session'
}

second_session() {
  local number
  say
  say 'Second POP3 session: the message is gone from POP3.'
  log_in
  pop3 STAT
  want_stat 2
  pop3 UIDL
  read_listing
  print_listing 2 1
  ((${#listing[@]} == ${#messages[@]} - 1)) || fail_check "UIDL should have $((${#messages[@]} - 1)) lines."
  for ((number = 1; number < ${#messages[@]}; number++)); do
    [[ ${listing[number - 1]} == "$number ${unique_ids[number]}" ]] \
      || fail_check "UIDL says \"${listing[number - 1]}\" where it should say \"$number ${unique_ids[number]}\": a unique-id has changed."
  done
  pass "the unique-id ${unique_ids[0]} is hidden, and all others are as they were"
  pop3 QUIT
  pop3_close
}

# want_imap COMMAND RESPONSE
want_imap() {
  local found
  say "  C: $1"
  found=$(imap "$1") || found="nothing (curl ended with code $?)"
  say "  S: $(shorten "$found")"
  # shellcheck disable=SC2053 # the response is a pattern
  [[ $found == $2 ]] || fail_check "IMAP answered \"$found\" to \"$1\"."
}

shorten() {
  if ((${#1} > 70)); then say "${1:0:40} ... ${1: -8}"; else say "$1"; fi
}

look_over_imap() {
  local number all='* SEARCH'
  say
  say 'IMAP, without lastpop: nothing is lost.'
  for ((number = 1; number <= ${#messages[@]}; number++)); do
    all+=" $number"
  done
  want_imap 'UID SEARCH ALL' "$all"
  pass "all ${#messages[@]} messages are in the mailbox, under the UIDs that they had"

  want_imap 'UID FETCH 1 FLAGS' "\* 1 FETCH (*[( ]\\$keyword[ )]*)"
  want_imap "UID SEARCH KEYWORD $keyword" '\* SEARCH 1'
  pass "message 1, and no other, carries the keyword $keyword"

  want_imap 'UID SEARCH DELETED' '\* SEARCH'
  pass 'no message carries \Deleted'

  for ((number = 1; number <= ${#messages[@]}; number++)); do
    transfer --user "$user:$password" "imap://127.0.0.1:$imap_port/INBOX;UID=$number" >"$dir/octets" \
      || fail_check "IMAP did not give the message with the UID $number."
    cmp -s "$dir/octets" "${messages[number - 1]}" \
      || fail_check "The message with the UID $number is no longer the same as ${messages[number - 1]}."
  done
  pass 'every message has the octets that it had'
}

# want_message WHAT ARGUMENTS...: curl brings the sample's second message, which is now the first.
want_message() {
  local what=$1
  shift
  transfer --user "$user:$password" --cacert "$certificate" "$@" >"$dir/octets" \
    || fail_check "curl could not retrieve message 1 $what."
  cmp -s "$dir/octets" "${messages[1]}" || fail_check "Message 1, retrieved $what, is not the same as ${messages[1]}."
  pass "message 1 can be retrieved $what, octet for octet"
}

look_over_tls() {
  say
  say 'The same with TLS, by curl.'
  want_message 'after STLS' --ssl-reqd "pop3://localhost:$pop3_port/1"
  want_message 'over implicit TLS' "pop3s://127.0.0.1:$pop3s_port/1"
}

look_at_metrics() {
  local address=http://127.0.0.1:$admin_port
  say
  say 'What operations would look at.'
  transfer --fail "$address/ready" >/dev/null || fail_check "$address/ready does not say that lastpop is ready."
  transfer --fail "$address/metrics" >"$dir/metrics" || fail_check "$address/metrics does not answer."
  grep -q '^lastpop_' "$dir/metrics" || fail_check "$address/metrics has no metric whose name begins with lastpop_."
  pass "$address/ready and /metrics answer ($(grep -c '^lastpop_' "$dir/metrics") series)"
}
