//! Fetches the programs that a release names into its slot.
//!
//! The places they come from are not trusted: what counts is the digest that the release's signature covers. self_update
//! does the steps from the first byte to the file in its place; what it lacks is added here.
//!
//! For each program, in order:
//! 1. the same bytes in another slot are linked, and nothing is fetched;
//! 2. the disk is asked for room before anything is written;
//! 3. the places are tried in turn. What arrives is kept in `downloads/SHA256.part`, and an attempt that broke off, also
//!    one that a kill broke off, goes on where it was ([`resume`]);
//! 4. self_update checks the digest of the whole, calls the hooks for size (archive) and digest (program), and moves the
//!    file to its place. A wrong byte anywhere throws all of it away: fetched once more from this place if part of it was
//!    there before, else from the next one;
//! 5. file and folder are synced, and the partial download is removed.
//!
//! A kill at any of these instants leaves the partial download or the whole program. Whether the program works is for its
//! trial.

mod faults;
mod patience;
mod resume;
mod shelf;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::binaries::{Binary, Digest, Place, Wanted};
use self_update::backends::custom::Update;
use self_update::{Checksum, Release, ReleaseAsset, ReleaseSource};
use sha2::{Digest as _, Sha256};

use crate::clock;
use patience::Patient;
use resume::Resuming;
use shelf::{Folder, Web};

pub use faults::{FetchError, PlaceError, PlaceFault};
pub use shelf::{Arriving, Shelf};

/// Called with the number of bytes that are here whenever some arrived, and several times a second while none do; `false`
/// ends the fetching, which goes on where it was the next time.
pub type Watch = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// How long fetching may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// For each wait: until a place answers, until its next bytes.
    pub silence: Duration,
    /// For all programs together. What is not here by then goes on the next time.
    pub total: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), total: Duration::from_secs(10 * 60) }
    }
}

/// Fetches programs.
#[derive(Clone)]
pub struct Fetcher {
    /// Where to look, in this order.
    pub places: Vec<Place>,
    /// The job server's artifact store, for [`Place::JobServer`]; `None` when this worker has no job server.
    pub job_server: Option<Arc<dyn Shelf>>,
    /// The folder of partial downloads; on the same disk as the slots. It is the fetcher's own.
    pub downloads: PathBuf,
    /// `bin` folders of other slots, in which the same program may lie already.
    pub near: Vec<PathBuf>,
    /// Told of progress.
    pub watch: Watch,
    /// How long it may take.
    pub limits: FetchLimits,
}

impl Fetcher {
    /// Puts the programs into `bin`, each under its file name, synced. A file there that is already the right one stays.
    ///
    /// # Errors
    /// Never the release's fault: every error may pass, and the same call again goes on where this one ended.
    pub fn fetch(&self, wanted: &Wanted, bin: &Path) -> Result<(), FetchError> {
        fs::create_dir_all(bin).map_err(FetchError::file("making", bin))?;
        fs::create_dir_all(&self.downloads).map_err(FetchError::file("making", &self.downloads))?;
        self.forget_others(wanted);
        let ends = clock::moment().since_boot_ms.saturating_add(as_ms(self.limits.total));
        for binary in wanted.iter() {
            let place = bin.join(binary.program.file_name());
            if is_it(&place, binary) {
                continue;
            }
            if place.symlink_metadata().is_ok() {
                fs::remove_file(&place).map_err(FetchError::file("removing the wrong program", &place))?;
            }
            if !self.link_near(binary, &place)? {
                self.check_room(binary)?;
                self.fetch_one(binary, &place, ends)?;
            }
            settle(&place, bin)?;
        }
        Ok(())
    }

    /// Links the program from another slot; whether there was one. It is hashed first: a flipped bit there stays there.
    fn link_near(&self, binary: &Binary, place: &Path) -> Result<bool, FetchError> {
        for folder in &self.near {
            let found = folder.join(binary.program.file_name());
            if is_it(&found, binary) {
                let linked = fs::hard_link(&found, place).or_else(|_| fs::copy(&found, place).map(drop));
                linked.map_err(FetchError::file("linking", place))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fetch_one(&self, binary: &Binary, place: &Path, ends: u64) -> Result<(), FetchError> {
        let mut faults = Vec::new();
        let partial = self.partial(&binary.sha256);
        for from in &self.places {
            let shelf = match self.shelf(from) {
                Ok(shelf) => Arc::new(Patient::new(shelf, self.limits.silence, Arc::clone(&self.watch))),
                Err(fault) => {
                    faults.push(PlaceError { place: from.clone(), fault });
                    continue;
                }
            };
            // What was here before this place was asked may be what is wrong: then the place is asked for all of it.
            loop {
                let resuming = Resuming::new(shelf.clone(), binary.clone(), &partial, Arc::clone(&self.watch), ends)
                    .map_err(FetchError::file("opening", &partial))?;
                let Err(fault) = install(binary, &resuming, place) else {
                    fs::remove_file(&partial).map_err(FetchError::file("removing", &partial))?;
                    tracing::info!("fetched {} {} from {from}", binary.program, binary.version);
                    return Ok(());
                };
                match fault {
                    Failed::Here { doing, source } => {
                        return Err(FetchError::File { doing, path: partial, source });
                    }
                    Failed::Ended => return Err(FetchError::Ended { binary: name(binary) }),
                    Failed::There(fault) => {
                        let wrong = fault.is_wrong_bytes();
                        if wrong {
                            fs::remove_file(&partial).map_err(FetchError::file("removing", &partial))?;
                        }
                        if wrong && resuming.went_on() {
                            continue;
                        }
                        tracing::warn!("fetching {} {} from {from}: {fault}", binary.program, binary.version);
                        faults.push(PlaceError { place: from.clone(), fault });
                        break;
                    }
                }
            }
        }
        Err(FetchError::Nowhere { binary: name(binary), sha256: binary.sha256.clone(), faults })
    }

    fn shelf(&self, place: &Place) -> Result<Arc<dyn Shelf>, PlaceFault> {
        match place {
            Place::JobServer => self.job_server.clone().ok_or(PlaceFault::NoJobServer),
            Place::Web(base) => Ok(Arc::new(Web::new(base, self.limits))),
            Place::Folder(folder) => Ok(Arc::new(Folder(folder.clone()))),
        }
    }

    fn partial(&self, digest: &Digest) -> PathBuf {
        self.downloads.join(format!("{digest}.part"))
    }

    /// Removes what is left of programs that nobody wants any more, and what killed processes left.
    fn forget_others(&self, wanted: &Wanted) {
        let keep: Vec<PathBuf> = wanted.iter().map(|binary| self.partial(&binary.sha256)).collect();
        for entry in fs::read_dir(&self.downloads).into_iter().flatten().flatten() {
            let path = entry.path();
            if !keep.contains(&path) {
                let removed = match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                };
                if let Err(error) = removed {
                    tracing::warn!(%error, "removing the old download {}", path.display());
                }
            }
        }
    }

    /// Room for the partial download and for the copies that are made of it on the way to its place, wherever those lie.
    fn check_room(&self, binary: &Binary) -> Result<(), FetchError> {
        let here = fs::metadata(self.partial(&binary.sha256)).map_or(0, |metadata| metadata.len());
        // Where self_update keeps its files.
        let temporary = tempfile::env::temp_dir();
        for (folder, needed) in
            [(&self.downloads, (3 * binary.size).saturating_sub(here)), (&temporary, 2 * binary.size)]
        {
            let disk = rustix::fs::statvfs(folder).map_err(io::Error::from);
            let disk = disk.map_err(FetchError::file("asking for the room in", folder))?;
            let room = disk.f_bavail.saturating_mul(disk.f_frsize);
            if room <= needed {
                return Err(FetchError::NoRoom { binary: name(binary), folder: folder.clone(), needed, room });
            }
        }
        Ok(())
    }
}

/// Lets self_update keep its temporary files in the folder of partial downloads, on the disk that is asked for room, where
/// those of a killed process are removed. It counts for the whole program: for mains alone, before the first fetch.
pub fn keep_temporary_files_in(downloads: &Path) {
    if fs::create_dir_all(downloads).is_ok() {
        // Somebody else has set another: that one is as good.
        let _ = tempfile::env::override_temp_dir(downloads);
    }
}

/// Why a program did not arrive from one place.
enum Failed {
    /// The place is at fault.
    There(PlaceFault),
    /// This machine is.
    Here { doing: &'static str, source: io::Error },
    /// Somebody asked to end it, or its time is over.
    Ended,
}

/// Lets self_update fetch, check and place the program.
fn install(binary: &Binary, from: &Resuming, place: &Path) -> Result<(), Failed> {
    let expected = (binary.size, binary.sha256.clone());
    let updated = Update::configure()
        .source(Named { version: binary.version.to_string(), file: binary.sha256.to_string() })
        .http_client(Arc::new(from.clone()))
        .asset_matcher(|assets: &[ReleaseAsset]| assets.first().cloned())
        .bin_name(binary.program.file_name())
        .bin_install_path(place)
        .target(&binary.target)
        .current_version("0.0.0")
        .release_tag(binary.version.to_string())
        .verify_checksum(Checksum::Sha256(binary.sha256.to_string()))
        .verify_archive(move |archive| match fs::metadata(archive)?.len() == expected.0 {
            true => Ok(()),
            false => {
                Err(self_update::Error::archive_verification_rejected("it has another size than the release says"))
            }
        })
        .verify_binary(move |program| match digest_of(program)? == expected.1 {
            true => Ok(()),
            false => Err(self_update::Error::verification_rejected("it has other bytes than the release says")),
        })
        .unattended()
        .build()
        .and_then(|update| update.update());
    match updated {
        Ok(_) => Ok(()),
        Err(error) => Err(from.take_fault().unwrap_or_else(|| match error {
            self_update::Error::ChecksumMismatch { .. }
            | self_update::Error::VerificationRejected { .. }
            | self_update::Error::ArchiveVerificationRejected { .. } => Failed::There(PlaceFault::OtherBytes),
            self_update::Error::Io(source) => {
                Failed::Here { doing: "putting the program into its place beside", source }
            }
            other => {
                Failed::Here { doing: "putting the program into its place beside", source: io::Error::other(other) }
            }
        })),
    }
}

/// The one release that is asked for: the version and its one file, as the signed list names them.
struct Named {
    version: String,
    file: String,
}

impl ReleaseSource for Named {
    fn get_releases(&self) -> self_update::Result<Vec<Release>> {
        // The file's address is for the transport alone, which knows where to look.
        let asset = ReleaseAsset::new(&self.file, format!("artifact:{}", self.file));
        Ok(vec![Release::builder().version(&self.version).asset(asset).build()?])
    }
}

/// Makes the program unchangeable and durable.
fn settle(place: &Path, bin: &Path) -> Result<(), FetchError> {
    let settled = File::open(place).and_then(|file| {
        file.set_permissions(fs::Permissions::from_mode(0o555))?;
        file.sync_all()?;
        File::open(bin)?.sync_all()
    });
    settled.map_err(FetchError::file("syncing", place))
}

/// Whether this file is that program, byte for byte.
pub fn is_it(file: &Path, binary: &Binary) -> bool {
    let plain = fs::symlink_metadata(file).is_ok_and(|found| found.is_file() && found.len() == binary.size);
    plain && digest_of(file).is_ok_and(|digest| digest == binary.sha256)
}

/// The SHA-256 of a file's bytes.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(file: &Path) -> io::Result<Digest> {
    let mut file = File::open(file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::of_bytes(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn name(binary: &Binary) -> String {
    format!("{} {}", binary.program, binary.version)
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
