# shellcheck shell=bash
# Sourced by deploy/demo.sh: builds lastpop, gives it a certificate and a configuration, and waits
# until it says that it is ready.

lastpop=''       # the program
certificate=''

check_lastpop_binary() {
  if [[ -n ${LASTPOP_BIN-} ]]; then
    lastpop=$LASTPOP_BIN
    [[ -f $lastpop && -x $lastpop ]] \
      || fail "LASTPOP_BIN is \"$lastpop\", which is not a program. Set it to a lastpop binary, or unset it to have one built."
  else
    local oldest
    oldest=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$repository/Cargo.toml")
    command -v cargo >/dev/null \
      || fail "lastpop is built with Rust, and cargo is missing. Install Rust $oldest or newer (https://rustup.rs) and start the demo again, or set LASTPOP_BIN to a lastpop binary."
  fi
  # lastpop takes settings from LASTPOP_* too, and the demo's configuration is to stand as it is written.
  local name
  for name in "${!LASTPOP_@}"; do
    [[ $name == LASTPOP_BIN ]] || say "The demo does not use $name from your environment."
  done
  unset "${!LASTPOP_@}"
}

build_lastpop() {
  [[ -z $lastpop ]] || return 0
  local target=${CARGO_TARGET_DIR:-$repository/target}
  say 'Building lastpop; the first time takes some minutes ...'
  start cargo build --release --manifest-path "$repository/Cargo.toml" --target-dir "$target"
  wait "$started" \
    || fail "lastpop could not be built; cargo's words are above. Mend that, or set LASTPOP_BIN to a lastpop binary, and start the demo again."
  forget "$started"
  lastpop=$target/release/lastpop
}

make_certificate() {
  certificate=$dir/certificate.pem
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 \
    -subj /CN=localhost -addext 'subjectAltName = DNS:localhost, IP:127.0.0.1' \
    -keyout "$dir/key.pem" -out "$certificate" >"$dir/openssl.log" 2>&1 && return
  show_log "$dir/openssl.log"
  fail 'openssl could not make a certificate; its words are above. The demo needs OpenSSL 3.0 or newer.'
}

write_config() {
  cat >"$dir/lastpop.toml" <<END
[[listen]]
address = "127.0.0.1:$pop3_port"
tls = "starttls"

[[listen]]
address = "127.0.0.1:$pop3s_port"
tls = "implicit"

[tls]
certificates = [{ chain = "$certificate", key = "$dir/key.pem" }]

# So that telnet and curl can try it. Not for a network.
[login]
plaintext = "always"

[upstream]
address = "127.0.0.1:$imap_port"
tls = "none"

[limits]
drain_timeout = "2s"

[maildrop]
hide_keyword = "$keyword"

[state]
url = "sqlite://$dir/state.db"

[admin]
address = "127.0.0.1:$admin_port"
END
}

start_lastpop() {
  make_certificate
  write_config
  mkfifo "$dir/lastpop.out"
  # Opening a pipe waits for its other end; one that is open in both directions already has it.
  local both
  exec {both}<>"$dir/lastpop.out" {output}<"$dir/lastpop.out"
  start "$lastpop" serve --config "$dir/lastpop.toml" >"$dir/lastpop.out" 2>"$dir/lastpop.log"
  lastpop_pid=$started
  exec {both}>&-
  wait_for_ready
}

# lastpop says LISTEN for each address and then READY. The pipe ends when lastpop does.
wait_for_ready() {
  local line listening='' deadline=$((SECONDS + 30)) code=0
  while IFS= read -r -t $((deadline > SECONDS ? deadline - SECONDS : 1)) -u "$output" line; do
    case $line in
      LISTEN\ *) listening+=$line$'\n' ;;
      READY)
        check_listening "$listening"
        return
        ;;
    esac
    ((SECONDS < deadline)) || break
  done
  show_log "$dir/lastpop.log"
  if ((SECONDS >= deadline)); then
    fail "$lastpop did not say READY within 30 seconds; its log, if it wrote one, is above. Is it lastpop?"
  fi
  wait "$lastpop_pid" || code=$?
  fail "$lastpop ended with exit code $code before it said READY; its log, if it wrote one, is above. If a port is the trouble, see deploy/demo.sh --help."
}

# That it is ready where the demo says that it is.
check_listening() {
  local expected="LISTEN pop3 127.0.0.1:$pop3_port starttls
LISTEN pop3 127.0.0.1:$pop3s_port implicit
LISTEN admin 127.0.0.1:$admin_port
"
  [[ $1 == "$expected" ]] && return
  printf '\nIt listens here:\n%s\nand should here:\n%s' "$1" "$expected" >&2
  fail "$lastpop listens at other places than its configuration says. Is it lastpop?"
}
