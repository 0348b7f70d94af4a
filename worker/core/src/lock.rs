//! One core per state folder: a kernel lock on `STATE/core/lock`, which also says who holds it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use nightshift_contract::holder::Holder;
use nightshift_contract::layout::StateDir;

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock file cannot be used.
    #[error("locking {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another core holds it and does not end.
    #[error("{} is held by process {holder}, another core of this worker, for longer than {} s", path.display(), waited.as_secs())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who holds it.
        holder: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// The lock, held until dropped or until the process ends.
#[derive(Debug)]
pub struct CoreLock(#[expect(dead_code, reason = "the kernel frees the lock when the file is closed")] File);

impl CoreLock {
    /// Takes the lock; waits up to `wait` for a core that is just ending.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn take(state: &StateDir, wait: Duration) -> Result<CoreLock, LockError> {
        let path = state.core_lock();
        let failed = |source| LockError::Io { path: state.core_lock(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(state.core()).map_err(failed)?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;

        // The kernel can only be waited for without end, so a thread does it; when it takes too long, this core ends.
        let waiting = file.try_clone().map_err(failed)?;
        let (locked, is_locked) = mpsc::channel();
        std::thread::spawn(move || locked.send(waiting.lock()));
        match is_locked.recv_timeout(wait) {
            Ok(result) => result.map_err(failed)?,
            Err(_) => {
                let holder = fs::read_to_string(&path).ok().and_then(|text| Holder::parse(&text));
                let holder = holder.map_or("unknown".to_owned(), |holder| holder.pid.to_string());
                return Err(LockError::Held { path, holder, waited: wait });
            }
        }
        write_holder(&file).map_err(failed)?;
        Ok(CoreLock(file))
    }
}

fn write_holder(mut file: &File) -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let me = Holder::from_proc_stat(&stat).ok_or_else(|| io::Error::other("/proc/self/stat names no process"))?;
    file.set_len(0)?;
    file.write_all(me.to_text().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_core_waits_a_little_and_then_names_the_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        let lock = CoreLock::take(&state, Duration::from_secs(10)).expect("nobody holds it");
        let error = CoreLock::take(&state, Duration::from_millis(20)).expect_err("it is held");
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(lock);
    }

    #[test]
    fn a_core_that_is_just_ending_is_waited_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        let lock = CoreLock::take(&state, Duration::from_secs(10)).expect("nobody holds it");
        let waiting = std::thread::spawn(move || CoreLock::take(&state, Duration::from_secs(10)).map(drop));
        drop(lock);
        waiting.join().expect("no panic").expect("the lock became free");
    }
}
