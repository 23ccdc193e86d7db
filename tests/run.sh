#!/usr/bin/env bash
#
# Everything that a change to lastpop has to pass, from nothing: installs what the tests need (as root, or
# through sudo), then format, clippy, rustdoc, dependency policy, and all tests. --full adds the long ones.
# Nothing is skipped in silence: what is missing and cannot be installed is a failure.

set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
export PATH="$PATH:/usr/sbin:/sbin:${HOME:-/root}/.cargo/bin"
export CARGO_TERM_COLOR=never RUST_BACKTRACE=1

full=no
case "$#,${1-}" in
  0,) ;;
  1,--full) full=yes ;;
  *)
    printf 'Usage: tests/run.sh [--full]\n\nRuns all tests; --full adds those that take long (soak, many random sessions).\n' >&2
    exit 2
    ;;
esac

step() { printf '\n==> %s\n' "$*"; }
fail() {
  printf 'tests/run.sh: %s\n' "$*" >&2
  exit 1
}

# A program that tells whether the package is there, and the package.
initdb=(/usr/lib/postgresql/*/bin/initdb) # any version
ensurepip=(/usr/lib/python3*/ensurepip)
needed=(
  /usr/lib/dovecot/imap dovecot-imapd
  /usr/lib/dovecot/pop3 dovecot-pop3d
  /usr/bin/fetchmail fetchmail
  /usr/bin/getmail getmail6
  /usr/bin/mpop mpop
  /usr/bin/curl curl
  /usr/bin/openssl openssl
  /usr/bin/python3 python3
  /usr/bin/faketime faketime
  /usr/bin/promtool prometheus
  "${initdb[0]}" postgresql
  /usr/bin/shellcheck shellcheck
  /usr/bin/cc gcc
  /usr/bin/setpriv util-linux
  /usr/bin/groff groff-base
  /usr/bin/zsh zsh
  /usr/bin/fish fish
  "${ensurepip[0]}" python3-venv
)
install_packages() {
  local missing=() i
  for ((i = 0; i < ${#needed[@]}; i += 2)); do
    [[ -x ${needed[i]} ]] || missing+=("${needed[i + 1]}")
  done
  ((${#missing[@]})) || return 0
  step "installing ${missing[*]}"
  local as_root=()
  ((EUID == 0)) || as_root=(sudo --)
  # The programs are wanted, not their services: Debian asks this file before it starts any.
  local policy=/usr/sbin/policy-rc.d made=no
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made=yes
  fi
  local ok=yes
  { "${as_root[@]}" apt-get update -q \
    && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"; } \
    </dev/null || ok=no
  [[ $made == no ]] || "${as_root[@]}" rm -f "$policy"
  [[ $ok == yes ]] || fail "apt-get could not install: ${missing[*]}. Install them by hand and start again."
}

install_cargo_deny() {
  command -v cargo-deny >/dev/null && return
  step 'installing cargo-deny'
  cargo install --locked --version 0.20.2 cargo-deny
}

# It tests the API by its own document; a folder of its own keeps it apart from the machine's Python.
install_schemathesis() {
  local venv=target/schemathesis wanted=tests/schemathesis/requirements.txt
  cmp -s "$wanted" "$venv/installed.txt" && return
  step 'installing Schemathesis'
  /usr/bin/python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  cp -- "$wanted" "$venv/installed.txt"
}

command -v cargo >/dev/null || fail 'cargo is missing. Install Rust (https://rustup.rs) and start again.'
install_packages
install_cargo_deny
install_schemathesis

step 'shell scripts'
shellcheck -x deploy/demo.sh
shellcheck tests/run.sh benches/*.sh benches/compare/*.sh

step 'format'
cargo fmt --all --check

step 'clippy'
cargo clippy --locked --all-targets -- -D warnings

step 'rustdoc'
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

step 'dependency policy'
# It looks at crates of other systems as well, which a build here never needed.
cargo fetch --locked --quiet
cargo deny --locked --offline check bans licenses sources

step 'tests: units, properties, transcripts, real servers and clients'
cargo test --locked

if [[ $full == yes ]]; then
  step 'long: many random sessions against a real Dovecot'
  IT_CASES=${IT_CASES:-1000} cargo test --locked --test it nothing_removed -- --nocapture
  step 'long: a million users, a thousand logins a second, a database that is killed in the middle and for a minute'
  IT_FULL=1 cargo test --locked --test it -- --nocapture --test-threads 1 \
    store::scale usage::load a_million_users modes::outage modes::waves
  step 'long: many generated requests to the API'
  IT_CASES=${IT_CASES:-300} cargo test --locked --test it admin::generated -- --nocapture
fi

step 'the demo'
if [[ $full == yes ]]; then
  deploy/demo.sh --once
else
  # The program that was tested above; building another one takes longer than all tests.
  LASTPOP_BIN=${CARGO_TARGET_DIR:-target}/debug/lastpop deploy/demo.sh --once
fi

if [[ $full == yes ]]; then
  step 'measurements'
  benches/stream.sh
fi

step 'all passed'
