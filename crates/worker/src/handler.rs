//! Functions that run jobs: the job first, then up to three values taken [from the context](FromContext).

use std::future::Future;

use longshore_core::JobError;

use crate::context::JobContext;
use crate::extract::{FromContext, MissingState};
use crate::state::StateMap;

/// An `async fn(job, …) -> Result<Out, JobError>`. Implemented for functions and closures of the job and up to three
/// [`FromContext`] values; `Args` tells those apart and is never named.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is `async fn(job: T, …up to three extractors) -> Result<T::Output, JobError>`"
)]
pub trait Handler<In, Out, Args>: Clone + Send + Sync + 'static {
    /// Runs one attempt.
    fn call(&self, job: In, ctx: &JobContext)
    -> impl Future<Output = Result<Out, JobError>> + Send + 'static;

    /// Checks that every extractor can be had.
    fn verify(state: &StateMap) -> Vec<MissingState>;
}

/// A `fn(job, …) -> Result<Out, JobError>` that blocks; it runs on a thread for blocking work. See [`Handler`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking handler",
    note = "a blocking handler is `fn(job: T, …up to three extractors) -> Result<T::Output, JobError>`"
)]
pub trait BlockingHandler<In, Out, Args>: Clone + Send + Sync + 'static {
    /// Runs one attempt.
    ///
    /// # Errors
    /// The handler's own.
    fn call(&self, job: In, ctx: &JobContext) -> Result<Out, JobError>;

    /// Checks that every extractor can be had.
    fn verify(state: &StateMap) -> Vec<MissingState>;
}

macro_rules! handlers {
    ($($extractor:ident),*) => {
        impl<F, Fut, In, Out, $($extractor,)*> Handler<In, Out, ($($extractor,)*)> for F
        where
            F: Fn(In, $($extractor),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Result<Out, JobError>> + Send + 'static,
            In: Send + 'static,
            Out: Send + 'static,
            $($extractor: FromContext,)*
        {
            #[allow(unused_variables, reason = "a handler of the job alone extracts nothing")]
            fn call(&self, job: In, ctx: &JobContext) -> impl Future<Output = Result<Out, JobError>> + Send + 'static {
                let (handler, ctx) = (self.clone(), ctx.clone());
                async move { handler(job, $($extractor::from_context(&ctx)?),*).await }
            }

            #[allow(unused_variables, reason = "a handler of the job alone extracts nothing")]
            fn verify(state: &StateMap) -> Vec<MissingState> {
                let checks: [Result<(), MissingState>; count!($($extractor)*)] = [$($extractor::verify(state)),*];
                checks.into_iter().filter_map(Result::err).collect()
            }
        }

        impl<F, In, Out, $($extractor,)*> BlockingHandler<In, Out, ($($extractor,)*)> for F
        where
            F: Fn(In, $($extractor),*) -> Result<Out, JobError> + Clone + Send + Sync + 'static,
            In: Send + 'static,
            Out: Send + 'static,
            $($extractor: FromContext,)*
        {
            #[allow(unused_variables, reason = "a handler of the job alone extracts nothing")]
            fn call(&self, job: In, ctx: &JobContext) -> Result<Out, JobError> {
                self(job, $($extractor::from_context(ctx)?),*)
            }

            #[allow(unused_variables, reason = "a handler of the job alone extracts nothing")]
            fn verify(state: &StateMap) -> Vec<MissingState> {
                let checks: [Result<(), MissingState>; count!($($extractor)*)] = [$($extractor::verify(state)),*];
                checks.into_iter().filter_map(Result::err).collect()
            }
        }
    };
}

macro_rules! count {
    () => { 0 };
    ($head:ident $($tail:ident)*) => { 1 + count!($($tail)*) };
}

handlers!();
handlers!(E1);
handlers!(E1, E2);
handlers!(E1, E2, E3);
