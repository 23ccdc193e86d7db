//! Starts the binary under test with a config made for one transcript, and keeps what it wrote on stderr.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::wire::DEADLINE;
use super::world::World;
use crate::support::clock::swept;
use crate::support::proxy::metric_in;
use crate::support::{api, wait};

/// A running lastpop; dropped, it is killed.
pub(super) struct Proxy {
    child: Child,
    pop3: SocketAddr,
    admin: u16,
    log: Option<JoinHandle<String>>,
    _dir: TempDir,
}

impl Proxy {
    /// Starts lastpop in front of that IMAP server and in that world, with the transcript's own settings, and waits
    /// for `READY`.
    pub(super) fn start(
        upstream: SocketAddr,
        world: &World,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = dir.path().join("lastpop.toml");
        fs::write(&path, config(dir.path(), upstream, world, settings)?)
            .map_err(|error| error.to_string())?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_lastpop"))
            .args(["serve", "--config"])
            .arg(&path)
            .envs(world.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("lastpop does not start: {error}"))?;
        let mut stderr = child.stderr.take().ok_or("no stderr")?;
        let log = thread::spawn(move || {
            let mut bytes = Vec::new();
            // An error ends the log early, and what was read until then is still worth showing.
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self { child, pop3: unknown, admin: 0, log: Some(log), _dir: dir };
        loop {
            match lines.recv_timeout(DEADLINE) {
                Ok(line) if line == "READY" => return Ok(proxy),
                Ok(line) => {
                    if let Some(address) =
                        line.strip_prefix("LISTEN pop3 ").and_then(|rest| rest.split(' ').next())
                    {
                        proxy.pop3 = address.parse().map_err(|_| format!("not an address: {line}"))?;
                    }
                    if let Some(port) = line.strip_prefix("LISTEN admin 127.0.0.1:") {
                        proxy.admin = port.parse().map_err(|_| format!("not a port: {line}"))?;
                    }
                }
                Err(_) => return Err(format!("no READY on stdout; stderr:\n{}", proxy.stop())),
            }
        }
    }

    /// Where POP3 is spoken.
    pub(super) fn pop3(&self) -> SocketAddr {
        self.pop3
    }

    /// Waits until this change of policy is in force.
    pub(super) fn follows(&self, generation: i64) {
        wait::until("lastpop notices a change of policy", || {
            let admin = TcpStream::connect(("127.0.0.1", self.admin)).expect("the admin listener");
            let metrics = api::exchange(admin, &api::request("GET", "/metrics", "", "")).body;
            (metric_in(&metrics, "lastpop_policy_generation", "") >= generation).then_some(())
        });
    }

    /// Is the process still there?
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process and hands out everything that it logged.
    pub(super) fn stop(&mut self) -> String {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        swept(self.child.id());
        self.log.take().and_then(|log| log.join().ok()).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The config: what every transcript needs, then what this one says itself.
fn config(
    dir: &Path,
    upstream: SocketAddr,
    world: &World,
    settings: &[(String, String)],
) -> Result<String, String> {
    let mut sections: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    let mut set = |section, key, value| sections.entry(section).or_default().insert(key, value);
    set("listen", "address", "\"127.0.0.1:0\"".to_owned());
    set("listen", "tls", "\"none\"".to_owned());
    set("login", "plaintext", "\"always\"".to_owned());
    set("upstream", "address", format!("\"{upstream}\""));
    set("upstream", "tls", "\"none\"".to_owned());
    // A script knows how many connections come.
    set("upstream", "reserve", "0".to_owned());
    set("state", "url", format!("\"{}\"", world.state()));
    set("admin", "address", "\"127.0.0.1:0\"".to_owned());
    for (key, value) in settings {
        let (section, key) = key.split_once('.').ok_or_else(|| format!("{key}: write section.key"))?;
        set(section, key, value.clone());
    }
    if sections["listen"]["tls"] != "\"none\"" {
        let (chain, key) = certificate(dir)?;
        let pair = format!("[{{ chain = \"{chain}\", key = \"{key}\" }}]");
        sections.entry("tls").or_default().insert("certificates", pair);
    }
    let mut text = String::new();
    for (section, keys) in sections {
        let head = if section == "listen" { format!("[[{section}]]") } else { format!("[{section}]") };
        writeln!(text, "{head}").map_err(|error| error.to_string())?;
        for (key, value) in keys {
            writeln!(text, "{key} = {value}").map_err(|error| error.to_string())?;
        }
    }
    Ok(text)
}

/// A throw-away certificate for listeners that offer TLS.
fn certificate(dir: &Path) -> Result<(String, String), String> {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| error.to_string())?;
    let (chain, key) = (dir.join("chain.pem"), dir.join("key.pem"));
    fs::write(&chain, made.cert.pem()).map_err(|error| error.to_string())?;
    fs::write(&key, made.signing_key.serialize_pem()).map_err(|error| error.to_string())?;
    Ok((chain.display().to_string(), key.display().to_string()))
}
