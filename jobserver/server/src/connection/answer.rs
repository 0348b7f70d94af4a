//! The requests of one connection as they are answered: notes on its activity what begins, is taken, and ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::Notify;

use super::activity::{Activity, Patience, Verdict};
use crate::clock::deadline;

/// The activity of a connection, shared by its requests and its watch.
#[derive(Debug)]
pub(super) struct Shared {
    activity: Mutex<Activity>,
    /// Rung when the connection has to end at once.
    pub(super) resetting: Notify,
}

impl Shared {
    pub(super) fn begin() -> Arc<Shared> {
        let activity = Mutex::new(Activity::begin(deadline(Duration::ZERO)));
        Arc::new(Shared { activity, resetting: Notify::new() })
    }

    pub(super) fn judge(&self, patience: Patience) -> Verdict {
        self.activity().judge(patience, deadline(Duration::ZERO))
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is not answered whole yet. Dropped before, it was broken off.
#[derive(Debug)]
pub(super) struct Open {
    shared: Arc<Shared>,
    request: u64,
    whole: bool,
}

impl Open {
    pub(super) fn begin(shared: &Arc<Shared>) -> Open {
        let request = shared.activity().request();
        Open { shared: Arc::clone(shared), request, whole: false }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = deadline(Duration::ZERO);
        if self.whole {
            self.shared.activity().answered(self.request, now);
        } else if self.shared.activity().broken_off(self.request, now) {
            self.shared.resetting.notify_one();
        }
    }
}

/// The body of an answer, which notes how it is taken.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    open: Open,
}

impl Answer {
    pub(super) fn new(body: Body, mut open: Open) -> Answer {
        open.whole = body.is_end_stream();
        Answer { body, open }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.open.shared.activity().asked(this.open.request);
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                this.open.whole = this.body.is_end_stream();
                this.open.shared.activity().given(this.open.request, deadline(Duration::ZERO));
            }
            // A fault of ours while answering is not the other side's.
            Poll::Ready(_) => this.open.whole = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
