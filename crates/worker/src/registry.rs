//! Which functions this worker runs.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use longshore_core::{FunctionName, value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::context::JobContext;
use crate::execute::{self, EndGuard};
use crate::extract::MissingState;
use crate::handler::{BlockingHandler, Handler};
use crate::state::StateMap;

/// A handler whose types are forgotten.
pub(crate) trait Function: Send + Sync {
    /// Starts one attempt on `runtime`.
    fn start(&self, runtime: &Handle, ctx: JobContext, end: EndGuard) -> AbortHandle;
    /// What its extractors miss.
    fn verify(&self, state: &StateMap) -> Vec<MissingState>;
}

/// How arguments are read from MessagePack.
type Decode<In> = fn(&[u8]) -> Result<In, value::Error>;

pub(crate) fn typed<In: DeserializeOwned>(args: &[u8]) -> Result<In, value::Error> {
    value::decode("args", args)
}

pub(crate) fn untyped(args: &[u8]) -> Result<serde_json::Value, value::Error> {
    value::to_json("args", args)
}

struct Async<H, In, Out, Args> {
    handler: H,
    decode: Decode<In>,
    types: PhantomData<fn() -> (Out, Args)>,
}

impl<H, In, Out, Args> Function for Async<H, In, Out, Args>
where
    H: Handler<In, Out, Args>,
    In: Send + 'static,
    Out: Serialize + Send + 'static,
    Args: 'static,
{
    fn start(&self, runtime: &Handle, ctx: JobContext, end: EndGuard) -> AbortHandle {
        let (handler, decode) = (self.handler.clone(), self.decode);
        execute::start(runtime, ctx.inner().span.clone(), end, move || async move {
            let job = execute::decode(decode(&ctx.envelope().args))?;
            let output = handler.call(job, &ctx).await?;
            execute::encode(&output)
        })
    }

    fn verify(&self, state: &StateMap) -> Vec<MissingState> {
        H::verify(state)
    }
}

struct Blocking<H, In, Out, Args> {
    handler: H,
    decode: Decode<In>,
    types: PhantomData<fn() -> (Out, Args)>,
}

impl<H, In, Out, Args> Function for Blocking<H, In, Out, Args>
where
    H: BlockingHandler<In, Out, Args>,
    In: Send + 'static,
    Out: Serialize + Send + 'static,
    Args: 'static,
{
    fn start(&self, runtime: &Handle, ctx: JobContext, end: EndGuard) -> AbortHandle {
        let (handler, decode) = (self.handler.clone(), self.decode);
        execute::start_blocking(runtime, ctx.inner().span.clone(), end, move || {
            let job = execute::decode(decode(&ctx.envelope().args))?;
            execute::encode(&handler.call(job, &ctx)?)
        })
    }

    fn verify(&self, state: &StateMap) -> Vec<MissingState> {
        H::verify(state)
    }
}

pub(crate) fn asynchronous<H, In, Out, Args>(handler: H, decode: Decode<In>) -> Arc<dyn Function>
where
    H: Handler<In, Out, Args>,
    In: Send + 'static,
    Out: Serialize + Send + 'static,
    Args: 'static,
{
    Arc::new(Async {
        handler,
        decode,
        types: PhantomData,
    })
}

pub(crate) fn blocking<H, In, Out, Args>(handler: H, decode: Decode<In>) -> Arc<dyn Function>
where
    H: BlockingHandler<In, Out, Args>,
    In: Send + 'static,
    Out: Serialize + Send + 'static,
    Args: 'static,
{
    Arc::new(Blocking {
        handler,
        decode,
        types: PhantomData,
    })
}

/// The functions of one worker, by name.
#[derive(Default)]
pub(crate) struct Registry {
    functions: HashMap<FunctionName, Arc<dyn Function>>,
}

impl Registry {
    /// Takes a function in.
    pub(crate) fn insert(&mut self, name: &str, function: Arc<dyn Function>) -> Result<(), String> {
        let name = FunctionName::new(name).map_err(|error| format!("\"{name}\": {error}"))?;
        match self.functions.insert(name.clone(), function) {
            None => Ok(()),
            Some(_) => Err(format!(
                "function {name} is registered twice; register one handler a function"
            )),
        }
    }

    pub(crate) fn get(&self, name: &FunctionName) -> Option<&Arc<dyn Function>> {
        self.functions.get(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The names, sorted.
    pub(crate) fn names(&self) -> Vec<FunctionName> {
        let mut names: Vec<_> = self.functions.keys().cloned().collect();
        names.sort();
        names
    }

    /// What the handlers miss, one line a function and type.
    pub(crate) fn verify(&self, state: &StateMap) -> Vec<String> {
        let mut problems: Vec<_> = self
            .functions
            .iter()
            .flat_map(|(name, function)| {
                function
                    .verify(state)
                    .into_iter()
                    .map(move |missing| format!("function {name}: {missing}"))
            })
            .collect();
        problems.sort();
        problems
    }
}
