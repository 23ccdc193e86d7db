# shellcheck shell=bash
# Sourced by deploy/demo.sh: the private Dovecot, which plays the provider's mail store.
#
# It reads its own configuration and nothing from /etc/dovecot, and it never runs as root: what root
# would need (two accounts, a chroot) is exactly what an ordinary user cannot give it, so there is
# one way for both.

start_dovecot() {
  local home=$dir/dovecot config=$dir/dovecot/dovecot.conf as=()
  mkdir -p "$home/state" "$home/mail/"{cur,new,tmp}
  mkdir -m 755 "$home/run" # Dovecot wants it so
  fill_mailbox "$home/mail"
  printf '%s:{PLAIN}%s\n' "$user" "$password" >"$home/users"

  local account group
  if ((EUID == 0)); then
    account=nobody
    chmod 711 "$dir"
  else
    account=$(id -un) || fail 'Your account has no name, and Dovecot needs one. Run the demo as another user.'
  fi
  group=$(id -gn "$account")
  if ((EUID == 0)); then
    as=(setpriv "--reuid=$account" "--regid=$group" --clear-groups --)
  fi

  case $(dovecot --version) in
    2.3.*) dovecot_23 "$home" "$account" "$group" >"$config" ;;
    2.[4-9].*) dovecot_24 "$home" "$account" "$group" >"$config" ;;
    *) fail "This machine has Dovecot $(dovecot --version); the demo knows how to configure 2.3 and 2.4. Install one of them." ;;
  esac
  ((EUID != 0)) || chown -R "$account:$group" "$home"

  start "${as[@]}" dovecot -F -c "$config" >"$dir/dovecot.out" 2>&1
  dovecot_pid=$started
  wait_for_imap
  check_mailbox
  say "Dovecot serves ${#messages[@]} sample messages over IMAP on 127.0.0.1:$imap_port."
}

# The messages in the order of their names get the UIDs 1, 2, 3 ...; the Date field becomes IMAP's
# INTERNALDATE, by way of the file's time.
fill_mailbox() {
  local number=0 file date
  messages=("$here"/demo/mail/*.eml)
  [[ -e ${messages[0]} ]] \
    || fail "The sample messages are missing from $here/demo/mail. Get them back with: git checkout -- deploy/demo/mail"
  for file in "${messages[@]}"; do
    number=$((number + 1))
    date=$(sed -n '/^\r*$/q; s/^Date: \([^(\r]*\).*/\1/p' "$file")
    cp -- "$file" "$1/new/$((1000000000 + number)).M0P1.demo"
    touch -d "$date" "$1/new/$((1000000000 + number)).M0P1.demo"
  done
}

dovecot_23() {
  cat <<END
mail_location = maildir:$1/mail
disable_plaintext_auth = no
passdb {
  driver = passwd-file
  args = $1/users
}
userdb {
  driver = static
  args = uid=$2 gid=$3 home=$1/home
}
END
  dovecot_common "$@" address
}

# 2.4 refuses a configuration that does not say which version's defaults it means.
dovecot_24() {
  cat <<END
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
mail_driver = maildir
mail_path = $1/mail
auth_allow_cleartext = yes
passdb passwd-file {
  passwd_file_path = $1/users
}
userdb static {
  fields {
    uid = $2
    gid = $3
    home = $1/home
  }
}
END
  dovecot_common "$@" listen
}

dovecot_common() {
  cat <<END
base_dir = $1/run
state_dir = $1/state
log_path = $1/dovecot.log
protocols = imap
ssl = no
# Nobody in this Dovecot is more than this one account.
default_internal_user = $2
default_internal_group = $3
default_login_user = $2
first_valid_uid = 1
service imap-login {
  chroot =
  inet_listener imap {
    $4 = 127.0.0.1
    port = $imap_port
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
}
END
}

wait_for_imap() {
  local deadline=$((SECONDS + 20)) trouble=''
  until imap_greets; do
    running "$dovecot_pid" || trouble='Dovecot stopped while it was starting'
    ((SECONDS < deadline)) || trouble='Dovecot did not answer within 20 seconds'
    if [[ -n $trouble ]]; then
      show_log "$dir/dovecot.out"
      show_log "$dir/dovecot/dovecot.log"
      fail "$trouble; its log is above. If port $imap_port is the trouble, set DEMO_IMAP_PORT to another one."
    fi
    sleep 0.1
  done
}

imap_greets() {
  local greeting connection
  { exec {connection}<>"/dev/tcp/127.0.0.1/$imap_port"; } 2>/dev/null || return 1
  IFS= read -r -t 5 -u "$connection" greeting || greeting=''
  exec {connection}>&-
  [[ $greeting == '* OK'* ]]
}

# What IMAP itself says, without lastpop: imap COMMAND prints the untagged responses.
imap() {
  transfer --user "$user:$password" --request "$1" "imap://127.0.0.1:$imap_port/INBOX" | tr -d '\r'
}

# curl without what ~/.curlrc or a proxy variable would add.
transfer() {
  curl -q --silent --show-error --noproxy '*' --max-time 20 "$@"
}

# All later checks take it for granted that the file number n is the message with the UID n.
check_mailbox() {
  local expected='* SEARCH' found number
  for ((number = 1; number <= ${#messages[@]}; number++)); do
    expected+=" $number"
  done
  found=$(imap 'UID SEARCH ALL') || found="nothing (curl ended with code $?)"
  [[ $found == "$expected" ]] && return
  show_log "$dir/dovecot/dovecot.log"
  fail "Dovecot should hold ${#messages[@]} messages, but it answered \"$found\". Its log is above; start the demo again."
}
