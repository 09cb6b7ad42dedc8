//! What a handler may ask for after the job.

use std::any::type_name;

use longshore_core::JobError;

use crate::context::JobContext;
use crate::state::StateMap;

/// A value that a handler takes after the job: [`JobContext`], [`crate::State`], or a type of your own.
pub trait FromContext: Sized + Send + 'static {
    /// Takes the value for one attempt.
    ///
    /// # Errors
    /// When it cannot be had; the error is classified like a handler's own.
    fn from_context(ctx: &JobContext) -> Result<Self, JobError>;

    /// Checks, when the worker starts, that the value can be had.
    ///
    /// # Errors
    /// When state is missing.
    #[expect(unused_variables, reason = "the name is for those who implement it")]
    fn verify(state: &StateMap) -> Result<(), MissingState> {
        Ok(())
    }
}

impl FromContext for JobContext {
    fn from_context(ctx: &JobContext) -> Result<Self, JobError> {
        Ok(ctx.clone())
    }
}

/// A handler needs state that the builder was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state of type {type_name} is missing; give it to the builder with .state(…)")]
pub struct MissingState {
    /// The type's name.
    pub type_name: &'static str,
}

impl MissingState {
    /// State of this type is missing.
    pub fn of<T>() -> Self {
        Self {
            type_name: type_name::<T>(),
        }
    }
}
