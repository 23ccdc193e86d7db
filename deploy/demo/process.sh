# shellcheck shell=bash
# Sourced by deploy/demo.sh: messages, the temporary directory, ports, and the processes that the
# demo starts and must not leave behind.

dir=''           # the temporary directory
policy_file=''   # set while packages are being installed, see packages.sh
started=''       # the id of the last one
processes=()     # started and not yet stopped, each the leader of its own process group
chosen_ports=()

say() {
  printf '%s\n' "$*"
}

# Says what happened and what to do next, and ends the demo.
fail() {
  printf '\ndeploy/demo.sh: %s\n' "$*" >&2
  exit 1
}

# The end of a log, before the sentence that explains it.
show_log() {
  [[ -s $1 ]] || return 0
  printf '\nThe last lines of %s:\n' "${1##*/}" >&2
  tail -n 15 -- "$1" | sed 's/^/  | /' >&2
}

prepare_directory() {
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Always below /tmp: the names of Dovecot's sockets must fit into 107 bytes, and as root it runs
  # as another user, who must be able to get there.
  dir=$(mktemp -d /tmp/lastpop-demo.XXXXXXXX) \
    || fail 'A temporary directory cannot be made in /tmp. Make room there, or make it writable.'
}

clean_up() {
  local status=$? index
  trap '' HUP INT TERM
  trap - EXIT
  # The youngest first: lastpop says goodbye to its upstream before that goes away.
  for ((index = ${#processes[@]} - 1; index >= 0; index--)); do
    stop "${processes[index]}"
  done
  remove_policy_file
  [[ -z $dir ]] || rm -rf -- "$dir"
  [[ -z $started ]] || say "Everything that the demo started is stopped, and $dir is removed." 2>/dev/null || true
  exit "$status"
}

# Runs a command in the background and leaves its id in $started. Its own session keeps the
# terminal's Ctrl-C from it, so that the demo decides in which order things stop.
start() {
  setsid -- "$@" </dev/null &
  started=$!
  processes+=("$started")
}

# Asks a process group to end; after five seconds it is no longer a question.
stop() {
  local group=$1 signal=TERM deadline=$((SECONDS + 5))
  while kill "-$signal" -- "-$group" 2>/dev/null; do
    if ((SECONDS >= deadline)); then
      kill -KILL -- "-$group" 2>/dev/null || true
      break
    fi
    signal=0 # from now on only: is anybody left?
    sleep 0.05
  done
  wait "$group" 2>/dev/null || true
}

forget() {
  local pid kept=()
  for pid in "${processes[@]}"; do
    [[ $pid == "$1" ]] || kept+=("$pid")
  done
  processes=("${kept[@]}")
}

running() {
  kill -0 "$1" 2>/dev/null
}

# Lasts until Ctrl-C, or until one of the two servers ends by itself.
watch_processes() {
  wait -n "$dovecot_pid" "$lastpop_pid" || true
  if running "$lastpop_pid"; then
    show_log "$dir/dovecot/dovecot.log"
    fail 'Dovecot has stopped by itself; its log is above. Start the demo again.'
  fi
  show_log "$dir/lastpop.log"
  fail 'lastpop has stopped by itself; its log is above. Start the demo again.'
}

# Whether somebody listens on this port of the loopback address.
port_taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port_usable() {
  local chosen
  for chosen in "${chosen_ports[@]}"; do
    [[ $chosen != "$1" ]] || return 1
  done
  ! port_taken "$1"
}

# choose_port RESULT VARIABLE DEFAULT WHAT: the port that VARIABLE asks for, else DEFAULT, else a free one.
choose_port() {
  local -n result=$1
  local variable=$2 default=$3 what=$4 tries=0
  if [[ -n ${!variable-} ]]; then
    result=${!variable}
    [[ $result =~ ^[1-9][0-9]{0,4}$ ]] && ((result <= 65535)) \
      || fail "$variable is \"$result\", which is not a port number. Set it to a number from 1 to 65535, or unset it."
    port_usable "$result" \
      || fail "Port $result, which $variable asks for, is taken. Set $variable to another port, or unset it to have a free one chosen."
  else
    result=$default
    until port_usable "$result"; do
      ((tries++ < 50)) || fail "No free port was found for $what. Set $variable to one that is free."
      # Below the range that the kernel hands out itself, where a free port may be gone a moment later.
      result=$((20000 + RANDOM % 12000))
    done
    [[ $result == "$default" ]] || say "Port $default is taken by another program, so $what is on port $result this time."
  fi
  chosen_ports+=("$result")
}
