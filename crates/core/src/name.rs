//! Names of functions and queues.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::{CRON_NAME_BYTES_MAX, FUNCTION_NAME_BYTES_MAX, QUEUE_NAME_BYTES_MAX};

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{field}: {problem}; use 1 to {max} characters of a-z, A-Z, 0-9, '_', '-', '.', ':' or '/', starting with a letter or digit"
)]
pub struct InvalidName {
    /// The field the name was given for.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// The longest allowed name, in bytes.
    pub max: usize,
}

fn check(field: &'static str, text: &str, max: usize, punctuation: &[u8]) -> Result<(), InvalidName> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > max {
        format!("has {} bytes", text.len())
    } else if !text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) {
        format!(
            "\"{}\" does not start with a letter or digit",
            text.escape_debug()
        )
    } else if text
        .bytes()
        .any(|byte| !byte.is_ascii_alphanumeric() && !punctuation.contains(&byte))
    {
        format!("\"{}\" has a character that is not allowed", text.escape_debug())
    } else {
        return Ok(());
    };
    Err(InvalidName { field, problem, max })
}

macro_rules! name_type {
    ($(#[$meta:meta])* $name:ident, $field:literal, $max:expr, $punctuation:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// When it is empty, too long, or has a character that is not allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                check($field, text.as_ref(), $max, $punctuation)?;
                Ok(Self(text.as_ref().into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The name under which a handler is registered, for example `calculate_report`. At most 128 bytes.
    FunctionName, "function_name", FUNCTION_NAME_BYTES_MAX, b"_-.:/"
);
name_type!(
    /// The name of a logical queue, for example `default`. At most 64 bytes; no `:` or `/`, because broker queues
    /// and file names are built from it.
    QueueName, "queue", QUEUE_NAME_BYTES_MAX, b"_-."
);
name_type!(
    /// The name of a cron entry, for example `nightly-report`. At most 64 bytes; no `:` or `/`, because it is part of a
    /// tag and of configuration keys.
    CronName, "name", CRON_NAME_BYTES_MAX, b"_-."
);

impl Default for QueueName {
    /// The queue `default`.
    fn default() -> Self {
        Self("default".into())
    }
}
