//! A connection that is logged in as a user by master credentials: for what an operator orders, never for a session.
//!
//! It is no [`Client`], and nothing turns it into one: it knows no verb that reads a message or hides one.

use super::capability::Capability;
use super::client::Client;
use super::command::{Command, Login};
use super::error::Error;
use super::flag::Keyword;
use super::listing::Mailbox;
use super::master::{Acting, Form};
use super::snapshot::Listed;
use super::unhide::Unhidden;

/// A mailbox that was opened by master credentials.
#[derive(Debug)]
pub struct ActingClient(Client);

impl Client {
    /// Logs in by master credentials, on behalf of a user.
    pub async fn act(mut self, acting: Acting<'_>) -> Result<ActingClient, Error> {
        match acting.form() {
            Form::Separator(separator) => {
                let names = acting.names(separator);
                let password = acting.login().password;
                self.login(Login { user: names.as_bytes(), password }).await?;
            }
            Form::Authzid if !self.capabilities.has(Capability::AuthPlain) => {
                return Err(Error::Unusable("it does not offer AUTH=PLAIN, which can name another user"));
            }
            Form::Authzid => {
                let initial_response = self.capabilities.has(Capability::SaslIr);
                self.authenticate(&Command::AuthenticateAs(acting, initial_response)).await?;
            }
        }
        Ok(ActingClient(self))
    }
}

impl ActingClient {
    /// As [`Client::select`].
    pub async fn select(&mut self, keyword: &Keyword) -> Result<Mailbox, Error> {
        self.0.select(keyword).await
    }

    /// As [`Client::list`].
    pub async fn list(&mut self, mailbox: &Mailbox, keyword: &Keyword) -> Result<Vec<Listed>, Error> {
        self.0.list(mailbox, keyword).await
    }

    /// As [`Client::unhide`].
    pub async fn unhide(
        &mut self,
        listing: &mut [Listed],
        since: Option<i64>,
        keyword: &Keyword,
    ) -> Result<Unhidden, Error> {
        self.0.unhide(listing, since, keyword).await
    }

    /// As [`Client::logout`].
    pub async fn logout(&mut self) {
        self.0.logout().await;
    }

    /// As [`Client::traffic`].
    pub fn traffic(&mut self) -> (u64, u64) {
        self.0.traffic()
    }
}
