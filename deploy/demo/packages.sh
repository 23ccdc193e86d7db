# shellcheck shell=bash
# Sourced by deploy/demo.sh: installs what is missing, and nothing else.

install_packages() {
  local missing=()
  dovecot_installed || missing+=(dovecot-imapd)
  command -v openssl >/dev/null || missing+=(openssl)
  command -v curl >/dev/null || missing+=(curl)
  if [[ -z $lastpop ]]; then
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
  fi
  ((${#missing[@]})) || return 0

  local by_hand="Install them (on Debian: apt-get install ${missing[*]}) and start the demo again."
  command -v apt-get >/dev/null \
    || fail "These packages are missing and there is no apt-get here to install them: ${missing[*]}. $by_hand"
  ((EUID == 0)) || command -v sudo >/dev/null \
    || fail "These packages are missing: ${missing[*]}. Only root may install them, and there is no sudo. $by_hand"

  say "Installing ${missing[*]} ..."
  if ! as_root true; then
    fail "These packages are missing: ${missing[*]}. sudo did not let $(id -un) install them. $by_hand"
  fi
  write_policy_file
  # Not in the background: a package manager is not interrupted half-way.
  if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$dir/apt.log" 2>&1 </dev/null; then
    show_log "$dir/apt.log"
    fail "apt-get could not install ${missing[*]}; its last lines are above. $by_hand"
  fi
  remove_policy_file
  if [[ " ${missing[*]} " == *' dovecot-imapd '* && -d /run/systemd/system ]]; then
    as_root systemctl disable --quiet dovecot.service dovecot.socket 2>/dev/null || true
    say "The package's own Dovecot service is left switched off; the demo runs its own."
  fi
}

# dovecot alone is not enough: it may have come with the POP3 server only.
dovecot_installed() {
  command -v dovecot >/dev/null && [[ -x /usr/lib/dovecot/imap || -x /usr/libexec/dovecot/imap ]]
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi
}

# Debian starts a server as soon as its package is installed. The demo wants the program and not a
# mail server on port 143, so the file that Debian provides for it says no during the installation.
write_policy_file() {
  local file=/usr/sbin/policy-rc.d
  [[ ! -e $file ]] || return 0
  policy_file=$file
  printf '#!/bin/sh\n# Made by lastpop'\''s deploy/demo.sh; it removes this file when apt-get has ended.\nexit 101\n' \
    | as_root tee "$file" >/dev/null
  as_root chmod 755 "$file"
}

remove_policy_file() {
  [[ -n $policy_file ]] || return 0
  as_root rm -f -- "$policy_file" \
    || printf 'deploy/demo.sh: Please remove %s: while it is there, packages do not start their services.\n' "$policy_file" >&2
  policy_file=''
}
