//! Names as attributes, so many of them and no more.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::Value;

/// Names that one attribute tells apart.
pub(super) const NAMES_MAX: usize = 200;
/// What stands for every other name.
pub(super) const OTHER: &str = "_other";

/// The names of one attribute. The first ones are told apart; a name that comes when there are enough is
/// [`OTHER`] for good.
#[derive(Debug, Default)]
pub(super) struct Bounded(Mutex<HashSet<Arc<str>>>);

impl Bounded {
    /// The name as an attribute's value.
    pub(super) fn value(&self, name: &str) -> Value {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(name) {
            return Value::String(Arc::clone(name).into());
        }
        if known.len() >= NAMES_MAX {
            return Value::String(OTHER.into());
        }
        let name: Arc<str> = name.into();
        known.insert(Arc::clone(&name));
        Value::String(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_one() {
        let names = Bounded::default();
        for number in 0..NAMES_MAX {
            assert_eq!(names.value(&format!("n{number}")).as_str(), format!("n{number}"));
        }
        assert_eq!(names.value("one more").as_str(), OTHER);
        assert_eq!(names.value("n0").as_str(), "n0");
    }
}
