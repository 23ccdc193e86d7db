//! Who was asked: a web page must not reach this machine's own listener under a name of its own.
//!
//! A browser can be told that an attacker's name means 127.0.0.1 ("DNS rebinding"); the page then counts as
//! being from here, but its requests still say that name in Host.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::Problem;

/// Which hosts are taken.
#[derive(Debug, Clone, Copy)]
pub enum Hosts {
    /// Any: the listener is for others, or for no browser.
    Any,
    /// This machine's names for itself, and the address that is listened on.
    Local(IpAddr),
}

impl Hosts {
    /// For a listener that is bound to this address.
    pub fn of(bound: IpAddr) -> Self {
        if bound.to_canonical().is_loopback() { Self::Local(bound) } else { Self::Any }
    }

    /// Ports do not matter: they change on their way through a tunnel.
    fn takes(self, host: &str) -> bool {
        let Self::Local(bound) = self else { return true };
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback() || address == bound)
    }
}

/// Refuses what was meant for another host.
pub async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Result<Response, Problem> {
    let named: Vec<&str> = request.uri().authority().map(Authority::as_str).into_iter().collect();
    let headers = request.headers().get_all(header::HOST);
    let headers = headers.iter().map(|host| host.to_str().unwrap_or_default());
    let named: Vec<&str> = named.into_iter().chain(headers).collect();
    if named.is_empty() && request.version() >= Version::HTTP_11 {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "The header Host is missing; HTTP/1.1 requires it.",
        ));
    }
    if !named.into_iter().all(|host| hosts.takes(host)) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "This listener is for this machine alone; ask for it as localhost or by its address.",
        ));
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_mean_this_machine() {
        let hosts = Hosts::of("127.0.0.2".parse().expect("an address"));
        for host in [
            "localhost",
            "LOCALHOST:9110",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.0.0.2:9110",
            "[::1]",
            "[::1]:9110",
        ] {
            assert!(hosts.takes(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.7",
            "0.0.0.0",
            "evil@127.0.0.9.example",
            "[2001:db8::1]",
        ] {
            assert!(!hosts.takes(host), "{host}");
        }
        for bound in ["192.0.2.7", "0.0.0.0", "::"] {
            assert!(Hosts::of(bound.parse().expect("an address")).takes("evil.example"));
        }
    }
}
