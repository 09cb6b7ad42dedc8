//! What a panic leaves for people.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;

use longshore_core::outcome::ErrorInfo;

/// The error type under which a panic is recorded.
pub const PANIC: &str = "panic";

struct Caught {
    said: String,
    location: String,
    backtrace: String,
}

thread_local! {
    static LAST: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

/// Installs a panic hook that keeps the place and backtrace of a handler's panic for the job's error, then calls the
/// hook that was there. Without it a panic's message is kept, but not its place. Call it once, early in `main`.
pub fn install_panic_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let caught = Caught {
            said: message(panic.payload()),
            location: panic.location().map(ToString::to_string).unwrap_or_default(),
            backtrace: Backtrace::force_capture().to_string(),
        };
        // A thread that is being torn down has no slot any more; its panic is nobody's job.
        drop(LAST.try_with(|last| last.replace(Some(caught))));
        before(panic);
    }));
}

/// The record of a panic that was just caught on this thread.
pub(crate) fn describe(payload: &(dyn Any + Send)) -> ErrorInfo {
    let said = message(payload);
    // The thread's last panic may be another one, that of a task which a runtime caught: a panic that is resumed calls no
    // hook.
    match LAST.with(RefCell::take).filter(|caught| caught.said == said) {
        Some(caught) => ErrorInfo {
            traceback: Some(caught.backtrace),
            ..ErrorInfo::new(PANIC, format!("{said} at {}", caught.location))
        },
        None => ErrorInfo::new(PANIC, said),
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_is_resumed_has_not_the_place_of_another() {
        install_panic_hook();
        let caught = std::panic::catch_unwind(|| panic!("a task's"));
        assert!(caught.is_err());
        let resumed = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new("a job's")));
        let info = describe(&*resumed.unwrap_err());
        assert_eq!((info.message.as_str(), info.traceback), ("a job's", None));
        let own = std::panic::catch_unwind(|| panic!("its own"));
        let info = describe(&*own.unwrap_err());
        assert!(
            info.message.contains("panic.rs") && info.traceback.is_some(),
            "{}",
            info.message
        );
    }
}
