//! promtool is Prometheus's own judge of names, types, units and help texts.

use std::io::Write;
use std::process::{Command, Stdio};

/// Panics with what promtool says about metrics.
#[track_caller]
pub(crate) fn has_no_complaint(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start promtool; install the Debian package prometheus");
    promtool.stdin.take().expect("a piped stdin").write_all(text.as_bytes()).expect("metrics for promtool");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}
