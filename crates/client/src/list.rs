//! Listing jobs.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use longshore_core::limits::LIST_PAGE_MAX;
use longshore_core::view::{Cursor, JobFilter, JobPage, JobView};

use crate::client::Client;
use crate::error::ClientError;

/// Jobs of a page unless said otherwise.
const LIMIT_DEFAULT: usize = 100;

/// A listing, the newest job first; made by [`Client::list`]. Await it for one page, or take all as a
/// [`List::stream`].
#[derive(Clone, Debug)]
#[must_use = "a page is read when this is awaited"]
pub struct List {
    client: Client,
    filter: JobFilter,
    limit: usize,
    after: Option<Cursor>,
}

impl List {
    pub(crate) const fn new(client: Client, filter: JobFilter) -> Self {
        Self {
            client,
            filter,
            limit: LIMIT_DEFAULT,
            after: None,
        }
    }

    /// Most jobs of a page, 1 to 1,000. Default: 100. A page may be shorter, even empty, although more follow: look
    /// at its cursor.
    pub const fn limit(mut self, jobs: usize) -> Self {
        self.limit = jobs;
        self
    }

    /// Goes on where a page ended: [`JobPage::next`].
    pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.after = cursor.into();
        self
    }

    /// All jobs from here on, read page by page.
    pub fn stream(self) -> JobStream {
        let pages = Pages {
            list: self,
            ready: VecDeque::new(),
            over: false,
        };
        JobStream(stream::unfold(pages, next).boxed())
    }

    async fn page(&self) -> Result<JobPage, ClientError> {
        if !(1..=LIST_PAGE_MAX).contains(&self.limit) {
            return Err(ClientError::Invalid {
                field: "limit",
                problem: format!("{} is out of range; use 1 to {LIST_PAGE_MAX}", self.limit),
            });
        }
        let page = self
            .client
            .asking(|ports| ports.inspect.list(self.filter.clone(), self.after, self.limit));
        Ok(page.await?)
    }
}

impl IntoFuture for List {
    type Output = Result<JobPage, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.page().await })
    }
}

/// All jobs of a listing; made by [`List::stream`]. Ends after an error.
pub struct JobStream(BoxStream<'static, Result<JobView, ClientError>>);

impl JobStream {
    /// The next job; `None` at the end. As `StreamExt::next`, without the need for it.
    pub async fn next(&mut self) -> Option<Result<JobView, ClientError>> {
        self.0.next().await
    }
}

impl Stream for JobStream {
    type Item = Result<JobView, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for JobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobStream").finish_non_exhaustive()
    }
}

struct Pages {
    list: List,
    ready: VecDeque<JobView>,
    over: bool,
}

async fn next(mut pages: Pages) -> Option<(Result<JobView, ClientError>, Pages)> {
    loop {
        if let Some(job) = pages.ready.pop_front() {
            return Some((Ok(job), pages));
        }
        if pages.over {
            return None;
        }
        match pages.list.page().await {
            Ok(page) => {
                pages.ready = page.jobs.into();
                pages.over = page.next.is_none();
                pages.list.after = page.next;
            }
            Err(error) => {
                pages.over = true;
                return Some((Err(error), pages));
            }
        }
    }
}
