//! The contract between producers and workers: a type that is a job.

use serde::{Serialize, de::DeserializeOwned};

/// A type whose values are arguments of a job. Producers and workers share it; it needs nothing but this crate.
///
/// ```
/// use longshore_core::Job;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct CalculateReport {
///     user_id: String,
/// }
///
/// impl Job for CalculateReport {
///     const FUNCTION_NAME: &'static str = "calculate_report";
///     type Output = u64;
/// }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The name under which the handler is registered.
    const FUNCTION_NAME: &'static str;
    /// The logical queue, unless the enqueue says otherwise.
    const QUEUE: &'static str = "default";
    /// What the handler returns.
    type Output: Serialize + DeserializeOwned + Send + 'static;
}
