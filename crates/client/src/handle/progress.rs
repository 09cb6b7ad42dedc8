//! Progress as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use longshore_core::outcome::Progress;
use longshore_core::view::JobView;
use longshore_core::{JobStatus, Timestamp};

use super::watch::Watch;
use crate::error::ClientError;

/// How a job stood at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProgressEvent {
    /// Where it stood. A terminal one comes last.
    pub status: JobStatus,
    /// Attempts started until then: the number of the attempt, while it runs.
    pub attempt: u32,
    /// How far it was: 1.0 once completed. A new attempt begins without; a job that waits or did not complete shows
    /// how far its last attempt came.
    pub progress: Progress,
}

/// How a job goes on; made by [`JobHandle::progress`](crate::JobHandle::progress). The first event comes at once, then
/// one whenever the status, the attempt or the progress has changed; changes that come faster than they are taken are
/// skipped. The event with the terminal status is the last, and an error ends the stream too.
pub struct ProgressStream(BoxStream<'static, Result<ProgressEvent, ClientError>>);

impl ProgressStream {
    pub(super) fn new(watch: Watch) -> Self {
        let follow = Follow {
            watch,
            seen: None,
            over: false,
        };
        Self(stream::unfold(follow, next).boxed())
    }

    /// The next event; `None` at the end. As `StreamExt::next`, without the need for it.
    pub async fn next(&mut self) -> Option<Result<ProgressEvent, ClientError>> {
        self.0.next().await
    }
}

impl Stream for ProgressStream {
    type Item = Result<ProgressEvent, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for ProgressStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProgressStream").finish_non_exhaustive()
    }
}

struct Follow {
    watch: Watch,
    seen: Option<Moment>,
    over: bool,
}

/// What tells two events apart. The number of an update begins anew with every start, and a start that is undone gives
/// its attempt's number back: the time of the start tells such attempts apart.
#[derive(PartialEq)]
struct Moment {
    status: JobStatus,
    attempt: u32,
    started_at: Option<Timestamp>,
    update: u64,
}

impl Moment {
    const fn of(view: &JobView) -> Self {
        Self {
            status: view.status,
            attempt: view.attempts,
            started_at: view.started_at,
            update: view.progress.seq,
        }
    }
}

async fn next(mut follow: Follow) -> Option<(Result<ProgressEvent, ClientError>, Follow)> {
    while !follow.over {
        let view = match follow.watch.next().await {
            Ok(view) => view,
            Err(error) => {
                follow.over = true;
                return Some((Err(error), follow));
            }
        };
        let moment = Some(Moment::of(&view));
        if follow.seen != moment {
            follow.seen = moment;
            follow.over = view.status.is_terminal();
            return Some((Ok(event(&view)), follow));
        }
    }
    None
}

fn event(view: &JobView) -> ProgressEvent {
    let result = view.to_result();
    ProgressEvent {
        status: result.status,
        attempt: result.attempts,
        progress: result.progress,
    }
}
