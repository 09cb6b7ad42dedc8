//! What handlers share: one value a type, given to the builder, taken by handlers as [`State`].

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;

use longshore_core::JobError;

use crate::context::JobContext;
use crate::extract::{FromContext, MissingState};

/// The values that handlers share, one a type.
#[derive(Default)]
pub struct StateMap {
    values: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl StateMap {
    /// Puts a value in; answers whether it took the place of another of the same type.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> bool {
        self.values.insert(TypeId::of::<T>(), Box::new(value)).is_some()
    }

    /// The value of this type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.values.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl std::fmt::Debug for StateMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateMap")
            .field("types", &self.values.len())
            .finish()
    }
}

/// Takes a clone of the shared value of type `T`. A worker whose handlers need a type that the builder was not given
/// does not start.
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromContext for State<T> {
    fn from_context(ctx: &JobContext) -> Result<Self, JobError> {
        ctx.state()
            .get::<T>()
            .cloned()
            .map(Self)
            .ok_or_else(|| JobError::permanent(MissingState::of::<T>()))
    }

    fn verify(state: &StateMap) -> Result<(), MissingState> {
        match state.get::<T>() {
            Some(_) => Ok(()),
            None => Err(MissingState {
                type_name: type_name::<T>(),
            }),
        }
    }
}
