//! `[primary]`, `[replication]` and `[replica]` of `jobserver.toml`: the company's primary database as the job server asks
//! it, what workers' own servers need to copy it, and how many may be built anew at once.

use std::ops::Range;
use std::path::{Path, PathBuf};

use nightshift_manifest::file_error::FileError;
use serde::Deserialize;
use toml::Spanned;

use crate::primary::REBUILDS_AT_ONCE;

/// The table the job server writes each second, unless the file says otherwise.
const HEARTBEAT: &str = "nightshift.heartbeat";
/// Where a primary listens, unless the file says otherwise.
const PORT: u16 = 3306;

/// The primary as the job server asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimarySettings {
    /// Its address, without a password.
    pub url: String,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// Certificates of the authority that signed its own, as PEM; TLS is spoken when there are some.
    pub tls_ca: Option<PathBuf>,
    /// The table with a row that is written each second; `None` when somebody else writes one.
    pub heartbeat: Option<TableName>,
}

/// What workers' servers need to copy the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationSettings {
    /// The primary's host, as workers reach it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The account that may replicate and dump.
    pub user: String,
    /// The file with its password.
    pub password_file: PathBuf,
    /// How replicas talk to it.
    pub tls: TlsSettings,
    /// The schemas they copy; empty for all.
    pub schemas: Vec<String>,
    /// Host and port of a replica that data are copied from when a worker's are built anew; the primary when there is none.
    pub donor: Option<(String, u16)>,
}

/// How replicas talk to the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSettings {
    /// In clear text.
    Off,
    /// Encrypted, with whoever answers.
    Encrypt,
    /// Encrypted, with a server whose certificate the authority in this file signed.
    Verify(PathBuf),
}

/// A table with its schema, of letters, digits and `_` alone: it can stand in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    schema: String,
    table: String,
}

impl TableName {
    /// Reads `schema.table`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<TableName, String> {
        let plain =
            |part: &str| (1..=64).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match text.split_once('.') {
            Some((schema, table)) if plain(schema) && plain(table) => {
                Ok(TableName { schema: schema.to_owned(), table: table.to_owned() })
            }
            _ => Err(format!(
                "{text:?} is no table: write one like {HEARTBEAT:?}, of letters, digits and _, or \"none\""
            )),
        }
    }

    /// The schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// As it stands in a query.
    pub fn quoted(&self) -> String {
        format!("`{}`.`{}`", self.schema, self.table)
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// `[primary]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrimaryTable {
    url: Spanned<String>,
    password_file: Option<PathBuf>,
    tls_ca: Option<PathBuf>,
    heartbeat: Option<Spanned<String>>,
}

/// `[replication]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplicationTable {
    host: Spanned<String>,
    port: Option<u16>,
    user: Spanned<String>,
    password_file: PathBuf,
    tls: Option<Spanned<String>>,
    tls_ca: Option<Spanned<PathBuf>>,
    #[serde(default)]
    schemas: Vec<Spanned<String>>,
    donor: Option<Spanned<String>>,
}

/// `[replica]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplicaTable {
    rebuilds_at_once: Option<Spanned<u32>>,
}

/// Where a problem stands.
type At<'a> = &'a dyn Fn(Range<usize>, String) -> FileError;

impl PrimaryTable {
    /// Checks the table; paths count from `folder`.
    pub(super) fn read(self, folder: &Path, at: At<'_>) -> Result<PrimarySettings, FileError> {
        let url = self.url.get_ref();
        let refused = |problem: &str| Err(at(self.url.span(), format!("url: {problem}")));
        let Some(rest) = url.strip_prefix("mysql://") else {
            return refused("it is no address of a database server: write one like \"mysql://nightshift@db:3306\"");
        };
        let server = rest.split(['/', '?']).next().unwrap_or_default();
        let Some((user, host)) = server.rsplit_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty())
        else {
            return refused("it names no account: write one like \"mysql://nightshift@db:3306\"");
        };
        if user.contains(':') {
            return refused(
                "a password does not belong into an address: write it into a file, and name that as password_file",
            );
        }
        if host.is_empty() || mysql_async::Opts::from_url(url).is_err() {
            return refused("it cannot be read: write one like \"mysql://nightshift@db:3306\"");
        }
        let heartbeat = match &self.heartbeat {
            None => TableName::parse(HEARTBEAT).ok(),
            Some(none) if none.get_ref() == "none" => None,
            Some(table) => Some(
                TableName::parse(table.get_ref())
                    .map_err(|problem| at(table.span(), format!("heartbeat: {problem}")))?,
            ),
        };
        Ok(PrimarySettings {
            url: self.url.into_inner(),
            password_file: self.password_file.map(|file| folder.join(file)),
            tls_ca: self.tls_ca.map(|file| folder.join(file)),
            heartbeat,
        })
    }
}

impl ReplicationTable {
    /// Checks the table; paths count from `folder`.
    pub(super) fn read(self, folder: &Path, at: At<'_>) -> Result<ReplicationSettings, FileError> {
        for (name, text) in [("host", &self.host), ("user", &self.user)] {
            if !is_plain(text.get_ref()) {
                let problem =
                    format!("{name} = {:?} cannot be one: write it without quotes and blanks", text.get_ref());
                return Err(at(text.span(), problem));
            }
        }
        if let Some(schema) =
            self.schemas.iter().find(|schema| TableName::parse(&format!("{}.x", schema.get_ref())).is_err())
        {
            let problem = format!("schemas: {:?} is no schema: letters, digits and _", schema.get_ref());
            return Err(at(schema.span(), problem));
        }
        let donor = match &self.donor {
            None => None,
            Some(written) => Some(donor(written.get_ref()).ok_or_else(|| {
                let problem = format!(
                    "donor = {:?} is no server: write host and port of a replica of the primary, as in \"replica2:{PORT}\"",
                    written.get_ref()
                );
                at(written.span(), problem)
            })?),
        };
        let tls = self.tls.as_ref().map_or("verify", |tls| tls.get_ref().as_str());
        let span = self.tls.as_ref().map_or(self.host.span(), Spanned::span);
        let tls = match (tls, self.tls_ca) {
            ("verify", Some(file)) => TlsSettings::Verify(folder.join(file.into_inner())),
            ("verify", None) => {
                let problem =
                    "replicas have to know their primary: name the file with the certificates of the authority \
                    that signed its own as tls_ca; or write tls = \"encrypt\", which trusts whoever answers, or \
                    tls = \"off\""
                        .to_owned();
                return Err(at(span, problem));
            }
            ("encrypt", None) => TlsSettings::Encrypt,
            ("off", None) => TlsSettings::Off,
            ("encrypt" | "off", Some(file)) => {
                let problem = format!("tls_ca has no use with tls = {tls:?}: leave one of the two out");
                return Err(at(file.span(), problem));
            }
            (other, _) => {
                let problem = format!("tls = {other:?} is neither \"verify\" nor \"encrypt\" nor \"off\"");
                return Err(at(span, problem));
            }
        };
        Ok(ReplicationSettings {
            host: self.host.into_inner(),
            port: self.port.unwrap_or(PORT),
            user: self.user.into_inner(),
            password_file: folder.join(self.password_file),
            tls,
            schemas: self.schemas.into_iter().map(Spanned::into_inner).collect(),
            donor,
        })
    }
}

/// Whether a name is one that needs no quotes anywhere.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['\'', '\\', '/', ' ', '\n'])
}

/// Host and port, of which the port may be left out.
fn donor(written: &str) -> Option<(String, u16)> {
    let (host, port) = match written.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (written, PORT),
    };
    (is_plain(host) && !host.contains(':') && port != 0).then(|| (host.to_owned(), port))
}

/// How many replicas may be built anew at once.
pub(super) fn rebuilds_at_once(table: Option<&ReplicaTable>, at: At<'_>) -> Result<u32, FileError> {
    match table.and_then(|table| table.rebuilds_at_once.as_ref()) {
        None => Ok(REBUILDS_AT_ONCE),
        Some(number) if *number.get_ref() == 0 => Err(at(
            number.span(),
            "rebuilds_at_once = 0 lets no broken replica ever be built anew: write at least 1".to_owned(),
        )),
        Some(number) => Ok(*number.get_ref()),
    }
}

#[cfg(test)]
mod tests {
    use nightshift_manifest::file_error::read_toml;

    use super::*;

    fn read<T: serde::de::DeserializeOwned, S>(
        text: &str,
        check: impl Fn(T, &Path, At<'_>) -> Result<S, FileError>,
    ) -> Result<S, String> {
        let at = |span: Range<usize>, problem| FileError::at("jobserver.toml", text, span.start, problem);
        let read = read_toml("jobserver.toml", text).and_then(|table| check(table, Path::new("/srv/grid"), &at));
        read.map_err(|error| error.to_string())
    }

    fn primary(text: &str) -> Result<PrimarySettings, String> {
        read(text, PrimaryTable::read)
    }

    fn replication(text: &str) -> Result<ReplicationSettings, String> {
        read(text, ReplicationTable::read)
    }

    const URL: &str = "url = \"mysql://nightshift@db:3306\"";
    const COPY: &str = "host = \"db\"\nuser = \"copy\"\npassword_file = \"copy.password\"";

    #[test]
    fn a_primary_is_an_address_with_files_and_a_table_that_is_written_each_second() {
        let found = primary(URL).expect("good");
        assert_eq!(found.url, "mysql://nightshift@db:3306");
        assert_eq!(found.heartbeat.map(|table| table.quoted()), Some("`nightshift`.`heartbeat`".to_owned()));
        let more = format!("{URL}\npassword_file = \"p\"\ntls_ca = \"/etc/ca.pem\"\nheartbeat = \"percona.heartbeat\"");
        let found = primary(&more).expect("good");
        assert_eq!(found.password_file.as_deref(), Some(Path::new("/srv/grid/p")));
        assert_eq!(found.tls_ca.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert_eq!(found.heartbeat.map(|table| table.to_string()), Some("percona.heartbeat".to_owned()));
        assert_eq!(primary(&format!("{URL}\nheartbeat = \"none\"")).expect("good").heartbeat, None);
    }

    #[test]
    fn what_is_no_primary_is_refused_with_its_line_and_without_its_password() {
        for (text, said) in [
            ("url = \"db:3306\"", "line 1: url: it is no address of a database server"),
            ("url = \"mysql://db:3306\"", "line 1: url: it names no account"),
            ("url = \"mysql://me:s3cret@db\"", "line 1: url: a password does not belong into an address"),
            ("url = \"mysql://me@db:port\"", "line 1: url: it cannot be read"),
            ("url = \"mysql://me@db\"\nheartbeat = \"beats\"", "line 2: heartbeat: \"beats\" is no table"),
            ("url = \"mysql://me@db\"\nheartbeat = \"a.b; DROP TABLE c\"", "line 2: heartbeat: "),
            ("url = \"mysql://me@db\"\npassword = \"s3cret\"", "line 2: unknown field `password`"),
        ] {
            let error = primary(text).expect_err(text);
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn replicas_know_their_primary_by_its_certificate_unless_the_file_says_otherwise() {
        let tls = |more: &str| replication(&format!("{COPY}\n{more}")).map(|found| found.tls);
        assert_eq!(tls("tls_ca = \"ca.pem\""), Ok(TlsSettings::Verify("/srv/grid/ca.pem".into())));
        assert_eq!(tls("tls = \"encrypt\""), Ok(TlsSettings::Encrypt));
        assert_eq!(tls("tls = \"off\""), Ok(TlsSettings::Off));
        for (more, said) in [
            ("", "line 1: replicas have to know their primary"),
            ("tls = \"off\"\ntls_ca = \"ca.pem\"", "line 5: tls_ca has no use with tls = \"off\""),
            ("tls = \"perhaps\"", "line 4: tls = \"perhaps\" is neither"),
        ] {
            let error = tls(more).expect_err(more);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_replication_needs_has_defaults_and_names_that_are_names() {
        let found = replication(&format!("{COPY}\ntls = \"off\"\nschemas = [\"company\"]")).expect("good");
        assert_eq!((found.port, found.schemas), (3306, vec!["company".to_owned()]));
        assert_eq!(found.password_file, Path::new("/srv/grid/copy.password"));
        let donor =
            |text: &str| replication(&format!("{COPY}\ntls = \"off\"\ndonor = \"{text}\"")).map(|found| found.donor);
        assert_eq!(found.donor, None);
        assert_eq!(donor("replica2"), Ok(Some(("replica2".to_owned(), 3306))));
        assert_eq!(donor("10.0.0.9:3307"), Ok(Some(("10.0.0.9".to_owned(), 3307))));
        for text in ["", "replica 2", "replica2:port", ":3306", "replica2:0"] {
            let error = donor(text).expect_err(text);
            assert!(error.contains("line 5: donor = ") && error.contains("as in \"replica2:3306\""), "{error}");
        }
        for (text, said) in [
            (format!("{COPY}\ntls = \"off\"\nschemas = [\"a b\"]"), "line 5: schemas: \"a b\" is no schema"),
            (COPY.replace("copy\"\npass", "co'py\"\npass"), "line 2: user = \"co'py\" cannot be one"),
            (COPY.replace("\"db\"", "\"\""), "line 1: host = \"\" cannot be one"),
        ] {
            let error = replication(&text).expect_err(&text);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn two_replicas_are_built_anew_at_once_unless_the_file_says_otherwise() {
        let number = |text: &str| read(text, |table: ReplicaTable, _, at| rebuilds_at_once(Some(&table), at));
        assert_eq!(number(""), Ok(2));
        assert_eq!(number("rebuilds_at_once = 5"), Ok(5));
        assert!(number("rebuilds_at_once = 0").is_err_and(|error| error.contains("write at least 1")));
    }
}
