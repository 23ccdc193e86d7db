# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are shared with compare.sh and its other files
# Sourced by benches/compare.sh: the servers that are compared, and how they start. Each is started under a
# name; session[NAME] is the process session in which all its processes are, port[NAME] is where its clients go.

declare -A session=() port=()
account=nobody
group=$(id -gn "$account")
# No server here runs as root: with one account for everybody's mail, processes can serve one user after the
# other, which is the faster way.
as=(setpriv "--reuid=$account" "--regid=$group" --clear-groups --)

# launch NAME PORT COMMAND...: and waits until the port accepts connections.
launch() {
  local name=$1 at=$2 deadline=$((SECONDS + 30))
  shift 2
  start "$@" >"$dir/$name.out" 2>&1
  session[$name]=$started
  port[$name]=$at
  until port_taken "$at"; do
    if ! running "${session[$name]}" || ((SECONDS >= deadline)); then
      show_log "$dir/$name.out"
      show_log "$dir/$name/dovecot.log"
      fail "$name did not start; what it said is above."
    fi
    sleep 0.05
  done
}

# halt NAME: may be called for what does not run.
halt() {
  [[ -n ${session[$1]-} ]] || return 0
  stop "${session[$1]}"
  forget "${session[$1]}"
  unset "session[$1]"
}

free_port() {
  local -n found=$1
  found=$((20000 + RANDOM % 12000))
  until port_usable "$found"; do
    found=$((20000 + RANDOM % 12000))
  done
  chosen_ports+=("$found")
}

# dovecot_common HOME PROTOCOLS: what the upstream and its peers have in common. The login services run in
# Dovecot's high-performance mode, and a process that has served a mailbox serves the next one.
dovecot_common() {
  cat <<CONF
base_dir = $1/run
state_dir = $1/state
log_path = $1/dovecot.log
info_log_path = /dev/null
stats_writer_socket_path =
protocols = $2
disable_plaintext_auth = no
login_trusted_networks = 127.0.0.0/8
mail_max_userip_connections = 100000
ssl = yes
ssl_cert = <$dir/certificate.pem
ssl_key = <$dir/key.pem
default_internal_user = $account
default_internal_group = $group
default_login_user = $account
first_valid_uid = 1
default_client_limit = 8000
default_process_limit = 3000
default_vsz_limit = 0
service anvil {
  chroot =
}
pop3_no_flag_updates = yes
CONF
}

# dovecot_service imap|pop3 PORT TLS-PORT
dovecot_service() {
  cat <<CONF
service $1-login {
  chroot =
  service_count = 0
  process_min_avail = 2
  client_limit = 4000
  inet_listener $1 {
    address = 127.0.0.1
    port = $2
  }
  inet_listener ${1}s {
    address = 127.0.0.1
    port = $3
    ssl = yes
  }
}
service $1 {
  service_count = 0
  process_min_avail = 8
  process_limit = 3000
}
CONF
}

# run_dovecot NAME PORT: with the configuration from stdin.
run_dovecot() {
  local home=$dir/$1
  mkdir -p "$home/state" "$home/run"
  chmod 755 "$home/run"
  cat >"$home/dovecot.conf"
  chown -R "$account:$group" "$home/state" "$home/run"
  chown "$account:$group" "$home"
  launch "$1" "$2" "${as[@]}" dovecot -F -c "$home/dovecot.conf"
}

start_upstream() {
  local home=$dir/upstream user
  mkdir -p "$home"
  for user in poll{1..100} small{1..4} large{1..8} huge1; do
    printf '%s:{PLAIN}%s\n' "$user" "$password"
  done >"$home/users"
  run_dovecot upstream "$imap_port" < <(
    dovecot_common "$home" 'imap pop3'
    dovecot_service imap "$imap_port" "$imaps_port"
    dovecot_service pop3 "$native_port" "$native_tls_port"
    cat <<CONF
mail_location = maildir:$dir/mail/%u
passdb {
  driver = passwd-file
  args = $home/users
}
userdb {
  driver = static
  args = uid=$account gid=$group home=$home/home/%u
}
CONF
  )
  session[native]=${session[upstream]}
  port[native]=$native_port
}

# start_peer NAME IMAP-PORT [OPTION]: Dovecot's POP3 before IMAP, on the ports NAME_port and NAME_tls_port.
# OPTION: INDEX=MEMORY keeps nothing on disk; tls speaks TLS to the upstream.
start_peer() {
  local home=$dir/$1 at tls_at index='' imapc='imapc_ssl = no' ssl=''
  free_port at
  free_port tls_at
  case ${3-} in
    INDEX=MEMORY) index=:INDEX=MEMORY ;;
    tls)
      imapc=$'imapc_ssl = imaps\nimapc_ssl_verify = no'
      ssl='ssl=imaps allow_invalid_cert=yes'
      ;;
  esac
  mkdir -p "$home"
  run_dovecot "$1" "$at" < <(
    dovecot_common "$home" pop3
    dovecot_service pop3 "$at" "$tls_at"
    cat <<CONF
mail_location = imapc:$home/mail/%u$index
mail_temp_dir = $home
mail_uid = $account
mail_gid = $group
mail_home = $home/home/%u
imapc_host = 127.0.0.1
imapc_port = $2
imapc_features = rfc822.size fetch-headers
$imapc
pop3_deleted_flag = POP3Deleted
passdb {
  driver = imap
  args = host=127.0.0.1 port=$2 $ssl
  default_fields = userdb_imapc_user=%u userdb_imapc_password=%w
}
userdb {
  driver = prefetch
}
CONF
  )
  port[$1-tls]=$tls_at
}

# POP3 passed through to the upstream's own POP3 server; nginx speaks no TLS to that.
start_nginx() {
  local home=$dir/nginx at tls_at auth
  free_port at
  free_port tls_at
  free_port auth
  mkdir -p "$home"
  cat >"$home/nginx.conf" <<CONF
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
pid $home/pid;
error_log $home/error.log;
worker_processes 2;
worker_rlimit_nofile $descriptors;
events { worker_connections 6000; }
http {
  access_log off;
  client_body_temp_path $home/body;
  proxy_temp_path $home/proxy;
  fastcgi_temp_path $home/fastcgi;
  uwsgi_temp_path $home/uwsgi;
  scgi_temp_path $home/scgi;
  server {
    listen 127.0.0.1:$auth backlog=1024;
    location /auth {
      add_header Auth-Status OK;
      add_header Auth-Server 127.0.0.1;
      add_header Auth-Port $native_port;
      return 200;
    }
  }
}
mail {
  auth_http 127.0.0.1:$auth/auth;
  proxy on;
  # Without this a message comes in pieces of 4 KiB, and the last of them 40 ms late.
  proxy_buffer 64k;
  ssl_certificate $dir/certificate.pem;
  ssl_certificate_key $dir/key.pem;
  server { listen 127.0.0.1:$at; protocol pop3; }
  server { listen 127.0.0.1:$tls_at ssl; protocol pop3; }
}
CONF
  chown -R "$account:$group" "$home"
  launch nginx "$at" "${as[@]}" nginx -e "$home/error.log" -p "$home" -c "$home/nginx.conf"
  port[nginx-tls]=$tls_at
}

# configure_lastpop NAME IMAP-PORT [tls|keep]: as close to the defaults as a comparison on one machine
# allows, where one address has more than 20 connections.
configure_lastpop() {
  local name=$1 upstream=$2 at tls_at admin security='tls = "none"'
  free_port at
  free_port tls_at
  free_port admin
  case ${3-} in
    tls) security=$'tls = "implicit"\nverify = "off"' ;;
    keep) security+=$'\n'$keep ;;
  esac
  cat >"$dir/$name.toml" <<CONF
[[listen]]
address = "127.0.0.1:$at"
tls = "none"
[[listen]]
address = "127.0.0.1:$tls_at"
tls = "implicit"
[tls]
certificates = [{ chain = "$dir/certificate.pem", key = "$dir/key.pem" }]
[login]
plaintext = "always"
[upstream]
address = "127.0.0.1:$upstream"
$security
[limits]
connections_per_address = "off"
sessions_per_user = "off"
drain_timeout = "1s"
[state]
url = "sqlite://$dir/$name.db"
[admin]
address = "127.0.0.1:$admin"
token_file = "$dir/admin.tokens"
CONF
  port[$name]=$at
  port[$name-tls]=$tls_at
}

# run_lastpop NAME [COMMAND...]: COMMAND is what starts it, such as taskset.
run_lastpop() {
  local name=$1
  shift
  launch "$name" "${port[$name]}" "$@" "$lastpop" serve --config "$dir/$name.toml"
}

start_lastpop() {
  configure_lastpop "$@"
  run_lastpop "$1"
}

# start_relay NAME MILLISECONDS: before the upstream.
start_relay() {
  local at
  free_port at
  launch "$1" "$at" "$load" relay --listen "$at" --to "$imap_port" --delay-ms "$2" --log "$dir/$1.log"
}

# need NAME...: starts what does not run yet. NAME-far is ten milliseconds away from the upstream.
need() {
  local name
  for name in "$@"; do
    [[ -z ${session[$name]-} ]] || continue
    case $name in
      native | floor) ;; # the upstream itself
      floor-far) need relay && port[floor-far]=${port[relay]} ;;
      relay) start_relay relay 10 ;;
      nginx) start_nginx ;;
      peer | lastpop) "start_$name" "$name" "$imap_port" ;;
      uncached) start_peer uncached "$imap_port" INDEX=MEMORY ;;
      peer-far | lastpop-far) need relay && "start_${name%-far}" "$name" "${port[relay]}" ;;
      uncached-far) need relay && start_peer uncached-far "${port[relay]}" INDEX=MEMORY ;;
      peer-secure | lastpop-secure) "start_${name%-secure}" "$name" "$imaps_port" tls ;;
      *) fail "There is no system $name." ;;
    esac
  done
}

# fresh NAME...: starts them again, so that nothing is left from what they did before.
fresh() {
  local name
  for name in "$@"; do
    case $name in
      native)
        halt upstream
        start_upstream
        ;;
      *)
        halt "$name"
        need "$name"
        ;;
    esac
  done
}
