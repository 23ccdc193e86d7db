//! Showing a server who we are (ID, RFC 2971) and who the user is (LOGIN, AUTHENTICATE).

use super::capability::{Capabilities, Capability};
use super::client::{Client, offered};
use super::command::{Command, Login};
use super::error::Error;
use super::response::{Reason, Response};
use super::tag::Tag;

impl Client {
    /// Says who is behind this connection, where the server wants to know, and gives the server's own
    /// answer, raw. A refusal is no reason not to go on.
    pub async fn id(&mut self, fields: &[(&str, String)]) -> Result<Option<Vec<u8>>, Error> {
        if !self.capabilities.has(Capability::Id) {
            return Ok(None);
        }
        let tag = self.send(&Command::Id(fields)).await?;
        self.id_answer(tag).await
    }

    /// The answer to ID.
    pub(super) async fn id_answer(&mut self, tag: Tag) -> Result<Option<Vec<u8>>, Error> {
        let mut answer = None;
        let mut each = |response: &Response<'_>| {
            if let Response::Id(text) = response {
                answer = Some(text.to_vec());
            }
        };
        match self.read_to_end(tag, "ID", &mut each).await {
            Ok(()) | Err(Error::No { .. } | Error::Bad { .. }) => Ok(answer),
            Err(error) => Err(error),
        }
    }

    /// Logs in, and reads the capabilities anew: many servers offer more afterwards.
    pub async fn login(&mut self, login: Login<'_>) -> Result<(), Error> {
        let command = self.login_command(login)?;
        self.authenticate(&command).await
    }

    /// The command that logs in.
    ///
    /// AUTHENTICATE PLAIN goes first where it costs no extra round trip, because it carries any octet;
    /// LOGIN where it is allowed; AUTHENTICATE PLAIN in two steps where LOGIN is not.
    pub(super) fn login_command<'a>(&self, login: Login<'a>) -> Result<Command<'a>, Error> {
        let has = |capability| self.capabilities.has(capability);
        if has(Capability::AuthPlain) && has(Capability::SaslIr) {
            Ok(Command::AuthenticatePlain(login, true))
        } else if !has(Capability::LoginDisabled) {
            Ok(Command::Login(login))
        } else if has(Capability::AuthPlain) {
            Ok(Command::AuthenticatePlain(login, false))
        } else {
            Err(Error::Unusable("it takes no passwords on this connection (LOGINDISABLED)"))
        }
    }

    /// Runs a command that logs in.
    pub(super) async fn authenticate(&mut self, command: &Command<'_>) -> Result<(), Error> {
        let tag = self.send(command).await?;
        match self.login_answer(command, tag).await? {
            Some(all) => self.capabilities = all,
            None => self.ask_capabilities().await?,
        }
        Ok(())
    }

    /// The answer to a command that logs in, and the capabilities that it brings.
    pub(super) async fn login_answer(
        &mut self,
        command: &Command<'_>,
        tag: Tag,
    ) -> Result<Option<Capabilities>, Error> {
        let mut capabilities = None;
        let mut each = |response: &Response<'_>| capabilities = offered(response).or(capabilities);
        let result = self.read_to_end(tag, command.label(), &mut each).await;
        result.map_err(|error| match error {
            // RFC 5530 §3; without a reason, NO to a login means the credentials.
            Error::No { reason: None | Some(Reason::Credentials), .. } => Error::Credentials,
            error => error,
        })?;
        Ok(capabilities)
    }
}
