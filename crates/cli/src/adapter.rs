//! The two stock adapters: any program, any HTTP endpoint is a handler. Only for functions that the configuration names.

pub(crate) mod command;
pub(crate) mod http;
