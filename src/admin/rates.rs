//! How often somebody may ask: requests of one token, and wrong tokens from one address.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::net;

/// Wrong tokens from one address in a minute that are answered and logged one by one. A token cannot be
/// guessed; this keeps a script with an old one from filling the log.
const FAILURES: u32 = 10;

/// Tokens or addresses that are remembered at most. Who comes when there are that many waits.
const MOST: usize = 10_000;

/// How often those that have been silent are looked for and forgotten, when there are too many.
const SWEEP: Duration = Duration::from_secs(10);

/// The two rates.
#[derive(Debug)]
pub struct Rates {
    requests: Rate<String>,
    failures: Rate<Option<IpAddr>>,
}

impl Rates {
    /// With so many requests a second for each token.
    pub fn new(requests_per_second: NonZeroU32) -> Self {
        let failures = NonZeroU32::MIN.saturating_add(FAILURES - 1);
        Self {
            requests: Rate::new(Quota::per_second(requests_per_second)),
            failures: Rate::new(Quota::per_minute(failures)),
        }
    }

    /// One more request with this token; or how long it has to wait.
    pub fn request(&self, token: &str) -> Result<(), Duration> {
        self.requests.check(&token.to_owned())
    }

    /// One more wrong token from this address, or from the unix socket; or how long it has to wait.
    pub fn failure(&self, peer: Option<IpAddr>) -> Result<(), Duration> {
        self.failures.check(&peer.map(net::limit_key))
    }
}

/// A rate that each key has for itself.
#[derive(Debug)]
struct Rate<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    swept: Mutex<Instant>,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(quota: Quota) -> Self {
        let limiter = DefaultKeyedRateLimiter::keyed(quota);
        Self { limiter, clock: DefaultClock::default(), swept: Mutex::new(Instant::now()) }
    }

    fn check(&self, key: &K) -> Result<(), Duration> {
        if self.is_full() {
            return Err(SWEEP);
        }
        self.limiter.check_key(key).map_err(|until| until.wait_time_from(self.clock.now()))
    }

    fn is_full(&self) -> bool {
        if self.limiter.len() < MOST {
            return false;
        }
        // Somebody else who sweeps at this moment is as good.
        if let Ok(mut swept) = self.swept.try_lock()
            && swept.elapsed() >= SWEEP
        {
            self.limiter.retain_recent();
            *swept = Instant::now();
        }
        self.limiter.len() >= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_rate() {
        let rates = Rates::new(NonZeroU32::MIN);
        assert!(rates.request("anna").is_ok() && rates.request("bob").is_ok());
        assert!((0..1_000).any(|_| rates.request("anna").is_err()));
        let address = |text: &str| Some(text.parse().expect("an address"));
        let failures =
            |text: &str| (0..2 * FAILURES).filter(|_| rates.failure(address(text)).is_ok()).count();
        assert!(failures("192.0.2.7") < 2 * FAILURES as usize);
        assert!(rates.failure(address("192.0.2.8")).is_ok());
        assert!(rates.failure(None).is_ok());
        // One household of IPv6 is one address.
        assert!(failures("2001:db8::1") + failures("2001:db8::2") < 2 * FAILURES as usize);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let rates = Rates::new(NonZeroU32::MIN);
        for number in 0..3 * u32::try_from(MOST).expect("small") {
            let _ = rates.failure(Some(IpAddr::V4(number.into())));
        }
        assert!(rates.failures.limiter.len() <= MOST);
    }
}
