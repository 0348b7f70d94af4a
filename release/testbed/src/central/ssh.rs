//! A central repository over ssh: a real `sshd` with a configuration of its own, on a free port of loopback. It is ended when
//! its handle is dropped.
#![allow(clippy::disallowed_methods, reason = "sshd is started here, and ended by its handle")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use ssh_key::{LineEnding, PrivateKey};

use super::new_key;
use crate::wait;

/// A repository served over `ssh://`.
#[derive(Debug)]
pub struct Ssh {
    process: Child,
    url: String,
    host_key: String,
    key_file: PathBuf,
}

impl Ssh {
    /// Serves the repository in `folder`; everything the server needs is put into `area`. `None` where there is no sshd, or
    /// none that this user can start.
    pub(super) fn start(folder: &Path, area: &Path) -> Result<Option<Ssh>> {
        let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from);
        let named = std::env::var_os("NIGHTSHIFT_TEST_SSHD").map(PathBuf::from);
        let Some(program) = named.into_iter().chain(places).find(|path| path.exists()) else { return Ok(None) };
        fs::create_dir_all(area)?;
        let write = |name: &str, key: &PrivateKey| -> Result<PathBuf> {
            let path = area.join(name);
            fs::write(&path, key.to_openssh(LineEnding::LF)?.as_bytes())?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            fs::write(area.join(format!("{name}.pub")), key.public_key().to_openssh()?)?;
            Ok(path)
        };
        let (host, user) = (new_key()?, new_key()?);
        let (host_file, key_file) = (write("host_key", &host)?, write("user_key", &user)?);
        let authorized = area.join("authorized_keys");
        fs::write(&authorized, format!("{}\n", user.public_key().to_openssh()?))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPidFile none\nPermitRootLogin yes\n",
            host_file.display(),
            authorized.display()
        );
        let config_file = area.join("sshd_config");
        fs::write(&config_file, config)?;
        let mut process = Command::new(&program)
            .args(["-D", "-f"])
            .arg(&config_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting sshd")?;
        let answers = wait::until_ok("sshd to listen", wait::SOON, || {
            if process.try_wait()?.is_some() {
                return Ok(Some(false));
            }
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(true))
        })?;
        let asked = Command::new("id").arg("-un").output().context("asking who this is")?;
        let name = String::from_utf8(asked.stdout)?.trim().to_owned();
        let url = format!("ssh://{name}@127.0.0.1:{port}{}", folder.display());
        let host_key = host.public_key().to_openssh()?;
        let ssh = Ssh { process, url, host_key, key_file };
        Ok(answers.then_some(ssh))
    }

    /// The repository's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's host key, as `ssh-keyscan` shows it without the host.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The private key that the server lets in.
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
