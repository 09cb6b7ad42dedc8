//! Progress as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use longshore_core::JobStatus;
use longshore_core::outcome::Progress;

use super::watch::Watch;

/// What a job says of its progress; made by [`JobHandle::progress`](crate::JobHandle::progress). Updates that come
/// faster than they are taken are skipped: each is newer than the one before. The stream ends when the job has ended
/// (a completed one says 1.0 last), is unknown, or cannot be followed any more.
pub struct ProgressStream(BoxStream<'static, Progress>);

impl ProgressStream {
    pub(super) fn new(watch: Watch) -> Self {
        let follow = Follow {
            watch,
            seen: (0, 0),
            over: false,
        };
        Self(stream::unfold(follow, next).boxed())
    }

    /// The next update; `None` at the end. As `StreamExt::next`, without the need for it.
    pub async fn next(&mut self) -> Option<Progress> {
        self.0.next().await
    }
}

impl Stream for ProgressStream {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Progress>> {
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
    /// Attempt and number of the last update: the numbers begin anew with an attempt.
    seen: (u32, u64),
    over: bool,
}

async fn next(mut follow: Follow) -> Option<(Progress, Follow)> {
    while !follow.over {
        let view = match follow.watch.next().await {
            Ok(view) => view,
            Err(error) => {
                tracing::debug!(%error, "a job's progress cannot be followed any more");
                return None;
            }
        };
        follow.over = view.status.is_terminal();
        let mut progress = view.progress;
        let newer = progress.seq > 0 && (view.attempts, progress.seq) > follow.seen;
        let completed = view.status == JobStatus::Completed;
        if completed {
            progress.fraction = Some(1.0);
        }
        if newer || completed {
            follow.seen = (view.attempts, progress.seq);
            return Some((progress, follow));
        }
    }
    None
}
