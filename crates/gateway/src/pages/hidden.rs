//! What a job carries, as far as whoever looks may see it.

use longshore_core::FunctionName;

use super::frame::Page;

/// The arguments as JSON; `None` when they cannot be read.
pub(super) fn args(_page: &Page, _function: &FunctionName, args: &[u8]) -> Option<String> {
    super::job::pretty("args", args)
}
