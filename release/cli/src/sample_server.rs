//! A private database server for samples that only a MySQL or MariaDB can run: started when a plugin needs it, ended with
//! the command.

use std::path::Path;

use anyhow::Context;
use nightshift_plugin::{Host, Replica, samples};
use nightshift_testbed::database::{Make, Server, Wishes};

/// The machine as samples find it.
#[derive(Default)]
pub(crate) struct SampleServer {
    host: Host,
    server: Option<Server>,
}

impl SampleServer {
    /// The machine for the samples of the plugin in `folder`, with a server when they need one and this machine has one.
    pub(crate) fn host_for(&mut self, folder: &Path) -> anyhow::Result<&Host> {
        // A manifest that cannot be read is reported by whoever runs the samples.
        if self.server.is_none() && samples::need_server(folder).unwrap_or(false) {
            for make in [Make::MariaDb, Make::MySql] {
                let server =
                    Server::start(make, Wishes::default()).context("starting a database server for samples")?;
                if let Some(server) = server {
                    self.host.private_server = Some(Replica::parse(&server.url(nightshift_testbed::database::SCHEMA))?);
                    self.server = Some(server);
                    break;
                }
            }
        }
        Ok(&self.host)
    }
}
