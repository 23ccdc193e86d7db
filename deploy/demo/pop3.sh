# shellcheck shell=bash
# Sourced by deploy/demo.sh: one POP3 connection, spoken line by line and printed as it goes.

connection=''   # descriptor of the open connection
reply=''        # the last reply line, without its CRLF
listing=()      # the lines of the last multi-line reply
patience=20     # seconds to wait for a line

pop3_open() {
  { exec {connection}<>"/dev/tcp/127.0.0.1/$pop3_port"; } 2>/dev/null \
    || fail_check "Nothing accepts POP3 on 127.0.0.1:$pop3_port."
  read_reply
}

# pop3 COMMAND [AS PRINTED]: sends it, and wants +OK.
pop3() {
  say "  C: ${2-$1}"
  printf '%s\r\n' "$1" >&"$connection" 2>/dev/null \
    || fail_check "lastpop closed the connection before \"${2-$1}\" could be sent."
  read_reply
}

read_reply() {
  read_line reply
  say "  S: $reply"
  [[ $reply == +OK* ]] || fail_check "lastpop answered \"$reply\", and +OK was expected."
}

# RFC 1939 ends every line with CRLF, so one without CR is a fault and not a matter of taste.
read_line() {
  local -n into=$1
  local code=0
  IFS= read -r -t "$patience" -u "$connection" into 2>/dev/null || code=$?
  ((code <= 128)) || fail_check "lastpop sent no whole line within $patience seconds."
  ((code == 0)) || fail_check 'lastpop closed the connection where a line was expected.'
  [[ $into == *$'\r' ]] || fail_check "lastpop sent a line that does not end with CRLF: \"$into\"."
  into=${into%$'\r'}
}

# The lines up to the final dot, dot-stuffing undone.
read_listing() {
  local line
  listing=()
  while read_line line && [[ $line != . ]]; do
    listing+=("${line#.}")
  done
}

# print_listing FIRST LAST: the first and the last few lines, and how many stand between them.
print_listing() {
  local count=${#listing[@]} index
  for ((index = 0; index < count; index++)); do
    if ((index == $1 && count > $1 + $2 + 1)); then
      say "  S: ... $((count - $1 - $2)) more lines ..."
      index=$((count - $2))
    fi
    say "  S: ${listing[index]}"
  done
  say '  S: .'
}

# After QUIT the server closes.
pop3_close() {
  local rest='' code=0
  IFS= read -r -t "$patience" -u "$connection" rest 2>/dev/null || code=$?
  ((code > 0 && code <= 128)) && [[ -z $rest ]] \
    || fail_check 'lastpop did not close the connection after QUIT.'
  exec {connection}>&-
}

# A check that did not pass.
fail_check() {
  show_log "$dir/dovecot/dovecot.log"
  show_log "$dir/lastpop.log"
  fail "$* This check did not pass, so lastpop is not doing what it promises. Please report it together with all that is printed above."
}
