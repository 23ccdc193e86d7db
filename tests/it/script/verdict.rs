//! What holds after every transcript, whatever it is about: nobody says anything more, nothing leaked, and lastpop
//! still runs.

use super::run::Run;
use super::wire::{Wire, shown};

impl Run<'_> {
    /// The end of every transcript: nobody says anything more, except LOGOUT.
    pub(super) fn farewell(&mut self) -> Result<(), String> {
        for (number, wire) in &mut self.clients {
            let Some(wire) = wire else { continue };
            wire.close();
            let (bytes, _) =
                wire.until_end().map_err(|came| format!("client {number} is kept waiting: {came}"))?;
            if !bytes.is_empty() {
                return Err(format!("client {number} got more than the transcript says: {}", shown(&bytes)));
            }
        }
        for (index, upstream) in self.upstreams.iter_mut().enumerate() {
            let Some(wire) = &mut upstream.wire else {
                continue;
            };
            let (bytes, _) = wire
                .until_end()
                .map_err(|came| format!("upstream connection {} stays open: {came}", index + 1))?;
            nothing_but_logout(&bytes)?;
        }
        Ok(())
    }

    /// What can be seen only when all is over.
    pub(super) fn afterwards(&mut self, running: bool, log: &str) -> Result<(), String> {
        if !running || log.contains("panicked at") {
            return Err("lastpop did not live through this".to_owned());
        }
        self.listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        if let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(false).map_err(|error| error.to_string())?;
            let (bytes, _) = Wire::new(stream, None).until_end().map_err(|came| came.to_string())?;
            let known = self.upstreams.len();
            return Err(format!(
                "lastpop connected upstream more than {known} time(s) and sent {}",
                shown(&bytes)
            ));
        }
        for wire in self.clients.values().flatten() {
            self.heard.extend_from_slice(wire.received());
        }
        let heard = String::from_utf8_lossy(&self.heard);
        if let Some(text) =
            self.script.absent.iter().chain(&self.script.secret).find(|text| heard.contains(*text))
        {
            return Err(format!("a client was sent {text:?}"));
        }
        let logged = self.script.secret.iter().find(|text| log.contains(*text));
        logged.map_or(Ok(()), |text| Err(format!("the log holds {text:?}")))
    }
}

/// Of its own accord lastpop may say nothing but LOGOUT, and nothing after it.
pub(super) fn nothing_but_logout(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let is_logout = text.strip_suffix(" LOGOUT\r\n").is_some_and(|tag| !tag.contains([' ', '\r', '\n']));
    if bytes.is_empty() || is_logout {
        return Ok(());
    }
    Err(format!("nothing more was to be sent upstream, came {}", shown(bytes)))
}
