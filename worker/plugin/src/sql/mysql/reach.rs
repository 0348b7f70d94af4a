//! Which replica a plugin gets at, and the connection to it that may do no more than read: the same for every runtime.

use std::path::Path;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::PluginManifest;
use tokio::runtime::Runtime;

use super::failure::Failure;
use super::private;
use super::session::{Session, is_no_collation};
use crate::isolate::Fault;
use crate::replica::Replica;
use crate::{BlockError, Data, Host, OpenError};

/// The replica for the plugin in `folder` of the release in `tree`: the machine's, or for samples a database of their own on
/// its private server.
///
/// # Errors
/// When the machine has none, or the sample tables cannot be made.
pub(crate) fn replica_for(
    folder: &Path,
    tree: &Path,
    manifest: &PluginManifest,
    data: Data,
    host: &Host,
) -> Result<Replica, OpenError> {
    let plugin = manifest.name.clone();
    match data {
        Data::Release => host.replica.clone().ok_or(OpenError::NoReplica { plugin }),
        Data::Samples => {
            let server = host.private_server.as_ref().ok_or(OpenError::NoPrivateServer { plugin })?;
            waiting(manifest)?.block_on(private::make(server, folder, tree, manifest))
        }
    }
}

/// Whether the plugin gets at the replica now, with an account that may only read.
///
/// # Errors
/// `DataAway`, `Rights`, or what of its manifest the server does not take.
pub(crate) fn look(replica: &Replica, manifest: &PluginManifest) -> Result<(), OpenError> {
    waiting(manifest)?.block_on(connect(replica, manifest)).map(drop)
}

/// Something to wait for a server with, on this thread.
pub(super) fn waiting(manifest: &PluginManifest) -> Result<Runtime, OpenError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| OpenError::Runtime { plugin: manifest.name.clone(), source })
}

/// A connection for the plugin, whose account was found to do no more than read.
pub(super) async fn connect(replica: &Replica, manifest: &PluginManifest) -> Result<Session, OpenError> {
    let connected = Session::connect(replica, manifest.collation.as_deref()).await;
    let mut session = connected.map_err(|failure| match &failure {
        Failure::Refused { code, message } if is_no_collation(*code) => {
            let problem = format!("collation: {message}; name one that the replica has (SHOW COLLATION)");
            FileError::whole(&PluginManifest::path_of(&manifest.name), problem).into()
        }
        _ => away(replica, manifest, &failure),
    })?;
    let rights = session.check_rights(replica.schema()).await;
    match rights.map_err(|failure| away(replica, manifest, &failure))? {
        Ok(()) => Ok(session),
        Err(problem) => Err(OpenError::Rights { plugin: manifest.name.clone(), replica: replica.to_string(), problem }),
    }
}

/// Why the plugin does not open while the replica is away.
pub(super) fn away(replica: &Replica, manifest: &PluginManifest, failure: &Failure) -> OpenError {
    let (plugin, replica) = (manifest.name.clone(), replica.to_string());
    OpenError::DataAway { plugin, replica, reason: failure.in_words() }
}

/// Why a block has no answers when the plugin could not be opened again for it.
pub(crate) fn of_opening(error: OpenError) -> Fault {
    Fault::OfBlock(match error {
        OpenError::DataAway { plugin, replica, reason } => BlockError::DataAway { plugin, replica, reason },
        OpenError::Rights { plugin, replica, problem } => BlockError::DataAway { plugin, replica, reason: problem },
        OpenError::File(error) => BlockError::Reopening(error),
        other => BlockError::Reopening(FileError::whole("the plugin", other.to_string())),
    })
}
