//! Ways to name a parent.

use longshore_core::JobId;
use longshore_core::spec::{Dependency, EdgePolicy};

use crate::handle::JobHandle;

/// A parent of a job: an id or a handle, alone or with a policy for the case that it does not complete.
///
/// ```
/// # use longshore::{EdgePolicy, JobId, OnFailed, Parent};
/// # fn of(fetch: JobId) -> [Parent; 2] {
/// let policy = EdgePolicy { on_failed: OnFailed::Run, ..EdgePolicy::default() };
/// [fetch.into(), (fetch, policy).into()]
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent(pub(crate) Dependency);

impl From<JobId> for Parent {
    fn from(id: JobId) -> Self {
        Self(id.into())
    }
}

impl From<&JobId> for Parent {
    fn from(id: &JobId) -> Self {
        (*id).into()
    }
}

impl From<Dependency> for Parent {
    fn from(dependency: Dependency) -> Self {
        Self(dependency)
    }
}

impl From<(JobId, EdgePolicy)> for Parent {
    fn from((id, policy): (JobId, EdgePolicy)) -> Self {
        Self(Dependency { id, policy })
    }
}

impl<T> From<&JobHandle<T>> for Parent {
    fn from(handle: &JobHandle<T>) -> Self {
        handle.id().into()
    }
}

impl<T> From<JobHandle<T>> for Parent {
    fn from(handle: JobHandle<T>) -> Self {
        handle.id().into()
    }
}

impl<T> From<(&JobHandle<T>, EdgePolicy)> for Parent {
    fn from((handle, policy): (&JobHandle<T>, EdgePolicy)) -> Self {
        (handle.id(), policy).into()
    }
}
