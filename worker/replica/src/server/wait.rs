//! Waiting for something that another process does, where nothing can be waited on: looks again until a limit.

use std::time::Duration;

use nightshift_kin::Stopwatch;

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Calls `look` until it answers or `at_most` has passed; `None` when it never did. It is called at least once.
pub(crate) async fn until<T>(at_most: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let begun = Stopwatch::start();
    loop {
        if let Some(answer) = look().await {
            return Some(answer);
        }
        if begun.elapsed() >= at_most {
            return None;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
