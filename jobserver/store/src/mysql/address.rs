//! Where a MySQL or MariaDB store is: the address a person writes, and how it is shown without its password.

use std::fmt;

use mysql_async::{Opts, OptsBuilder};

/// The address of a store: `mysql://user:password@host:port/schema`.
#[derive(Clone)]
pub struct Address(Opts);

/// Why a text is no address of a store. It never repeats the text, which may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read.
    #[error("it is no address of a store: write one like \"mysql://user:password@127.0.0.1:3306/nightshift\"")]
    Unreadable,
    /// It names no schema.
    #[error("it names no schema: end it with one, as in \"mysql://user@127.0.0.1:3306/nightshift\"")]
    NoSchema,
}

impl Address {
    /// Reads an address. Options behind a `?` are those of the `mysql_async` crate: `?require_ssl=true` asks for TLS.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let opts = Opts::from_url(text).map_err(|_| AddressError::Unreadable)?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(AddressError::NoSchema);
        }
        // Through the named host and port, unless a socket is named: a loopback address would be exchanged for one.
        let named = opts.socket().is_some();
        Ok(Address(OptsBuilder::from_opts(opts).prefer_socket(named).into()))
    }

    /// The same address with a password from elsewhere.
    #[must_use]
    pub fn with_password(&self, password: &str) -> Address {
        Address(OptsBuilder::from_opts(self.0.clone()).pass(Some(password)).into())
    }

    /// Whether it has a password of its own.
    pub fn has_password(&self) -> bool {
        self.0.pass().is_some_and(|pass| !pass.is_empty())
    }

    pub(super) fn opts(&self) -> &Opts {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.ip_or_hostname(), self.0.tcp_port());
        write!(f, "mysql://{host}:{port}/{}", self.0.db_name().unwrap_or_default())
    }
}

/// As it is shown: nothing secret.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_user_and_password() {
        let address = Address::parse("mysql://boss:s3cret@db.example.org:3307/grid").expect("an address");
        assert_eq!(
            format!("{address} {address:?}"),
            "mysql://db.example.org:3307/grid mysql://db.example.org:3307/grid"
        );
        assert!(address.has_password());
    }

    #[test]
    fn a_password_can_come_from_elsewhere() {
        let bare = Address::parse("mysql://boss@db/grid").expect("an address");
        assert!(!bare.has_password());
        assert_eq!(bare.with_password("other").opts().pass(), Some("other"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for (text, error) in [
            ("s3cret", AddressError::Unreadable),
            ("postgres://boss:s3cret@db/grid", AddressError::Unreadable),
            ("mysql://boss:s3cret@db", AddressError::NoSchema),
            ("mysql://boss:s3cret@db/", AddressError::NoSchema),
        ] {
            let found = Address::parse(text).expect_err(text);
            assert!(!found.to_string().contains("s3cret"), "{found}");
            assert_eq!(found, error, "{text}");
        }
    }
}
