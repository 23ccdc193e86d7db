#!/usr/bin/env bash
#
# Shows lastpop at work on this machine: a private IMAP server with a sample mailbox, and lastpop in
# front of it. Everything listens on loopback and lives in one temporary directory, which is removed
# at the end.

set -euo pipefail

# Bytes are bytes (the dialogue is compared octet by octet), and file names sort in one way.
export LC_ALL=C
# Debian keeps servers in sbin, which an ordinary user's PATH leaves out; rustup installs to ~/.cargo/bin.
PATH+=:/usr/sbin:/sbin:${HOME:-/}/.cargo/bin
umask 077

here=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
repository=$(dirname -- "$here")

readonly user=anna@example.net
readonly password=let-me-in
readonly keyword="\$POP3Deleted"

# shellcheck source=deploy/demo/process.sh
source "$here/demo/process.sh"
# shellcheck source=deploy/demo/packages.sh
source "$here/demo/packages.sh"
# shellcheck source=deploy/demo/dovecot.sh
source "$here/demo/dovecot.sh"
# shellcheck source=deploy/demo/lastpop.sh
source "$here/demo/lastpop.sh"
# shellcheck source=deploy/demo/pop3.sh
source "$here/demo/pop3.sh"
# shellcheck source=deploy/demo/once.sh
source "$here/demo/once.sh"

usage() {
  cat <<'END'
Usage: deploy/demo.sh [--once | --help]

Starts a private Dovecot IMAP server with a sample mailbox, and lastpop in front
of it, so that any mail program can try POP3 against it. It runs as root or as
an ordinary user, from any directory, and listens on 127.0.0.1 only. Missing
Debian packages (dovecot-imapd, openssl, curl, a C compiler) are installed with
apt-get, as root or through sudo. Ctrl-C stops everything that was started and
removes its temporary directory.

  --once   hold one POP3 session, delete a message in it, check that POP3 no
           longer shows that message and that IMAP still holds it unchanged,
           and stop; the exit code is 0 if every check passed, otherwise 1
  --help   print this text

Environment:
  DEMO_POP3_PORT    POP3, plain and STLS   (1110)
  DEMO_POP3S_PORT   POP3 over TLS          (1995)
  DEMO_IMAP_PORT    IMAP, the mail store   (1143)
  DEMO_ADMIN_PORT   lastpop's metrics      (9110)
        A default that is taken is replaced by a free port, and the demo says
        so. A port that you ask for and that is taken is an error.
  LASTPOP_BIN       use this lastpop binary and do not build
END
}

print_places() {
  local login="-u '$user:$password'"
  cat <<END

lastpop is ready.

  POP3      127.0.0.1:$pop3_port   plain, or with STLS         what mail programs see
  POP3S     127.0.0.1:$pop3s_port   TLS from the first byte     the same
  IMAP      127.0.0.1:$imap_port   Dovecot, without lastpop    where the mail is kept
  metrics   http://127.0.0.1:$admin_port/metrics

  user          $user
  password      $password
  certificate   $certificate

Try in another terminal:

  list the messages; read the first; the same with STLS; the same over TLS
    curl $login pop3://127.0.0.1:$pop3_port/
    curl $login pop3://127.0.0.1:$pop3_port/1
    curl $login --ssl-reqd --cacert $certificate pop3://127.0.0.1:$pop3_port/1
    curl $login --cacert $certificate pop3s://127.0.0.1:$pop3s_port/1

  delete the first over POP3: the list is shorter, yet IMAP still has it
    curl $login --head --request 'DELE 1' pop3://127.0.0.1:$pop3_port/
    curl $login pop3://127.0.0.1:$pop3_port/
    curl $login --request 'UID FETCH 1 FLAGS' imap://127.0.0.1:$imap_port/INBOX

  see what lastpop counted
    curl http://127.0.0.1:$admin_port/metrics

Press Ctrl-C to stop everything and to remove $dir.
END
}

main() {
  local once=no
  case $#,${1-} in
    0,) ;;
    1,--once) once=yes ;;
    1,--help | 1,-h)
      usage
      return 0
      ;;
    *)
      printf 'deploy/demo.sh: "%s" is not understood.\n\n' "$*" >&2
      usage >&2
      return 2
      ;;
  esac

  prepare_directory
  check_lastpop_binary
  install_packages
  choose_port pop3_port DEMO_POP3_PORT 1110 POP3
  choose_port pop3s_port DEMO_POP3S_PORT 1995 POP3S
  choose_port imap_port DEMO_IMAP_PORT 1143 IMAP
  choose_port admin_port DEMO_ADMIN_PORT 9110 'the metrics'
  start_dovecot
  build_lastpop
  start_lastpop

  if [[ $once == yes ]]; then
    run_once
  else
    print_places
    watch_processes
  fi
}

main "$@"
exit
