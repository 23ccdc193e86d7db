//! The command line: pairs of `--name value`, each of which is asked for by name.

use std::collections::HashMap;
use std::str::FromStr;

use crate::Outcome;

/// The pairs.
pub(crate) struct Args(HashMap<String, String>);

impl Args {
    pub(crate) fn new(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut pairs = HashMap::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            pairs.insert(name, value);
        }
        Ok(Self(pairs))
    }

    /// A value that must be there.
    pub(crate) fn need<T: FromStr>(&self, name: &str) -> Outcome<T> {
        self.get(name)?.ok_or_else(|| format!("{name} is missing").into())
    }

    /// A value that may be left out.
    pub(crate) fn get<T: FromStr>(&self, name: &str) -> Outcome<Option<T>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(format!("{name} {value} makes no sense").into()),
            },
        }
    }
}

/// Users whose names are a prefix and a number, and who have one password.
pub(crate) struct Users {
    prefix: String,
    pub(crate) count: usize,
    pub(crate) password: String,
}

impl Users {
    /// From `--users PREFIX:COUNT --password WORD`.
    pub(crate) fn new(args: &Args) -> Outcome<Self> {
        let users: String = args.need("--users")?;
        let (prefix, count) = users.split_once(':').ok_or("--users wants PREFIX:COUNT")?;
        let password = args.get("--password")?.unwrap_or_default();
        let count = count.parse()?;
        if count == 0 {
            return Err("--users wants one user at least".into());
        }
        Ok(Self { prefix: prefix.to_owned(), count, password })
    }

    /// The name of one of them, from 1 to the count; then it begins again.
    pub(crate) fn name(&self, turn: usize) -> String {
        format!("{}{}", self.prefix, turn % self.count + 1)
    }
}
