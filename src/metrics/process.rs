//! The process itself.

use prometheus::{Error, IntCounter, IntGauge, Opts};

use super::Register;

/// The process itself. Its memory, descriptors and CPU time come from the crate's own collector.
#[derive(Debug)]
pub struct Process {
    /// Sessions and API requests that ended in a panic.
    pub panics: IntCounter,
    /// Log lines that were dropped because nobody read them fast enough.
    pub log_dropped: IntGauge,
    /// 1 once shutdown has begun.
    pub draining: IntGauge,
    /// 1 if the last reload of the configuration worked.
    pub reload_successful: IntGauge,
    /// When the configuration was last loaded, in Unix seconds.
    pub reload_time: IntGauge,
}

impl Process {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        let info = Opts::new("lastpop_build_info", "Which lastpop this is.");
        to.add(IntGauge::with_opts(info.const_label("version", env!("CARGO_PKG_VERSION")))?)?.set(1);
        #[cfg(target_os = "linux")]
        to.0.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            panics: to.counter("panics_total", "Sessions and API requests that ended in a panic.")?,
            log_dropped: to
                .gauge("log_dropped_lines", "Log lines dropped since the start: their reader is too slow.")?,
            draining: to.gauge("draining", "1 once shutdown has begun.")?,
            reload_successful: to.gauge(
                "config_last_reload_successful",
                "1 if the last reload of the configuration worked.",
            )?,
            reload_time: to.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration was last loaded.",
            )?,
        })
    }
}
