//! The network: byte streams with bounded buffers, TLS on both sides, and how to reach the upstream.
//!
//! [`transport`] is what octets travel over, [`connection`] adds buffers, time limits and counts,
//! [`tls`] and [`pem`] make the TLS configurations, [`dial`] connects to an upstream.

pub mod connection;
pub mod dial;
pub mod pem;
pub mod tls;
pub mod transport;

pub use connection::Connection;
pub use dial::Dialer;
pub use transport::Transport;

use std::net::{IpAddr, SocketAddr};

/// The address as it is used everywhere: IPv4-mapped IPv6 addresses become IPv4 (a dual-stack listener
/// shows every IPv4 client as one).
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What counts as one client when connections are limited: an IPv4 address, or an IPv6 /64, because a
/// household has that many of the latter.
pub fn limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4_everywhere() {
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:110".parse().expect("an address");
        assert_eq!(canonical(mapped).to_string(), "192.0.2.7:110");
        assert_eq!(limit_key(mapped.ip()).to_string(), "192.0.2.7");
        assert_eq!(limit_key("2001:db8:1:2:3::4".parse().expect("an address")).to_string(), "2001:db8:1:2::");
    }
}
