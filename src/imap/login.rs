//! Showing a server who we are (ID, RFC 2971) and who the user is (LOGIN, AUTHENTICATE).

use super::capability::Capability;
use super::client::{Client, offered};
use super::command::{Command, Login};
use super::error::Error;
use super::response::{Reason, Response};

impl Client {
    /// Says who is behind this connection, where the server wants to know, and gives the server's own
    /// answer, raw. A refusal is no reason not to go on.
    pub async fn id(&mut self, fields: &[(&str, String)]) -> Result<Option<Vec<u8>>, Error> {
        if !self.capabilities.has(Capability::Id) {
            return Ok(None);
        }
        let mut answer = None;
        let command = Command::Id(fields);
        let result = self.run(&command, |response| {
            if let Response::Id(text) = response {
                answer = Some(text.to_vec());
            }
        });
        match result.await {
            Ok(()) | Err(Error::No { .. } | Error::Bad { .. }) => Ok(answer),
            Err(error) => Err(error),
        }
    }

    /// Logs in, and reads the capabilities anew: many servers offer more afterwards.
    ///
    /// AUTHENTICATE PLAIN goes first where it costs no extra round trip, because it carries any octet;
    /// LOGIN where it is allowed; AUTHENTICATE PLAIN in two steps where LOGIN is not.
    pub async fn login(&mut self, login: Login<'_>) -> Result<(), Error> {
        let has = |capability| self.capabilities.has(capability);
        let command = if has(Capability::AuthPlain) && has(Capability::SaslIr) {
            Command::AuthenticatePlain(login, true)
        } else if !has(Capability::LoginDisabled) {
            Command::Login(login)
        } else if has(Capability::AuthPlain) {
            Command::AuthenticatePlain(login, false)
        } else {
            return Err(Error::Unusable("it takes no passwords on this connection (LOGINDISABLED)"));
        };
        self.authenticate(&command).await
    }

    /// Runs a command that logs in.
    pub(super) async fn authenticate(&mut self, command: &Command<'_>) -> Result<(), Error> {
        let mut capabilities = None;
        let result = self.run(command, |response| capabilities = offered(response).or(capabilities)).await;
        result.map_err(|error| match error {
            // RFC 5530 §3; without a reason, NO to a login means the credentials.
            Error::No { reason: None | Some(Reason::Credentials), .. } => Error::Credentials,
            error => error,
        })?;
        match capabilities {
            Some(all) => self.capabilities = all,
            None => self.ask_capabilities().await?,
        }
        Ok(())
    }
}
