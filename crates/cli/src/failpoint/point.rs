//! Which point is armed, and what passes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_core::port::{Ports, Reply};
use longshore_scheduler::Notifications;
use longshore_service::exit::ExitCode;

use super::attempt::AttemptPoints;
use super::enqueue::EnqueuePoints;
use super::publish::{ChannelPoints, PublishPoints};
use super::schedule::SchedulePoints;
use crate::failure::Failure;

/// `NAME`, or `NAME:N` for the Nth pass.
const VARIABLE: &str = "FAILPOINT";

/// A place in the life of a job, by the process that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// Producer, before jobs are recorded.
    BeforeRecord,
    /// Producer, after they are and before anything else.
    AfterRecord,
    /// Producer, before children are registered with their parents.
    BeforeRegistration,
    /// Producer or scheduler, after the broker confirmed and before the store is told.
    BeforeMark,
    /// Scheduler, with rows of the outbox in its hand.
    AfterLease,
    /// Scheduler, with due jobs in its hand that are queued by now.
    AfterPromotion,
    /// Worker, before it claims what was delivered.
    BeforeClaim,
    /// Worker, with claims that were granted and whose handlers have not begun.
    AfterClaim,
    /// Worker, after the end of an attempt was accepted and before its message is acknowledged.
    AfterFinish,
    /// Scheduler, with children in its hand that are to be told.
    BeforeTelling,
    /// Scheduler, after they were told and before that is struck off.
    AfterTelling,
    /// Scheduler, with dead letters in its hand that the archive does not have.
    BeforeCopy,
    /// Scheduler, after the archive has them and before the store is told.
    AfterCopy,
    /// Scheduler, after a cron entry was moved and its job recorded.
    AfterTick,
    /// Scheduler, after a letter was accepted and before it is marked so.
    AfterLetter,
}

impl Point {
    const NAMES: [(&str, Self); 15] = [
        ("before-record", Self::BeforeRecord),
        ("after-record", Self::AfterRecord),
        ("before-registration", Self::BeforeRegistration),
        ("before-mark", Self::BeforeMark),
        ("after-lease", Self::AfterLease),
        ("after-promotion", Self::AfterPromotion),
        ("before-claim", Self::BeforeClaim),
        ("after-claim", Self::AfterClaim),
        ("after-finish", Self::AfterFinish),
        ("before-telling", Self::BeforeTelling),
        ("after-telling", Self::AfterTelling),
        ("before-copy", Self::BeforeCopy),
        ("after-copy", Self::AfterCopy),
        ("after-tick", Self::AfterTick),
        ("after-letter", Self::AfterLetter),
    ];
}

/// The point at which this process ends.
#[derive(Debug)]
pub(super) struct Armed {
    point: Point,
    /// Passes until then; 0 once it has come.
    left: AtomicU32,
}

impl Armed {
    /// What the environment asks for.
    ///
    /// # Errors
    /// When it names no point.
    pub(super) fn from_env() -> Result<Option<Arc<Self>>, Failure> {
        let text = std::env::var(VARIABLE).ok();
        text.map(|text| Self::parse(&text).map(Arc::new)).transpose()
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let (name, passes) = text.split_once(':').unwrap_or((text, "1"));
        let point = Point::NAMES.iter().find(|(known, _)| *known == name);
        let passes = passes.parse().ok().filter(|passes| *passes > 0);
        if let (Some((_, point)), Some(passes)) = (point, passes) {
            return Ok(Self {
                point: *point,
                left: AtomicU32::new(passes),
            });
        }
        let names: Vec<_> = Point::NAMES.iter().map(|(name, _)| *name).collect();
        Err(Failure::new(
            ExitCode::Config,
            format!(
                "{VARIABLE}: \"{text}\" is not NAME or NAME:PASSES with a name of {}",
                names.join(", ")
            ),
        ))
    }

    /// The process is at `point`. Does not return when that is the one, and the pass too.
    pub(super) fn pass(&self, point: Point) {
        if point == self.point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }

    /// Makes a call and is at `point` once it has succeeded, if its answer is one that matters.
    pub(super) fn after<'a, T: Send + 'a>(
        &'a self,
        point: Point,
        call: Reply<'a, T>,
        matters: impl FnOnce(&T) -> bool + Send + 'a,
    ) -> Reply<'a, T> {
        Box::pin(async move {
            let answer = call.await?;
            if matters(&answer) {
                self.pass(point);
            }
            Ok(answer)
        })
    }

    pub(super) fn ports(self: &Arc<Self>, ports: Ports) -> Ports {
        Ports {
            enqueue: Arc::new(EnqueuePoints {
                inner: ports.enqueue,
                armed: Arc::clone(self),
            }),
            attempt: Arc::new(AttemptPoints {
                inner: ports.attempt,
                armed: Arc::clone(self),
            }),
            schedule: Arc::new(SchedulePoints {
                inner: ports.schedule,
                armed: Arc::clone(self),
            }),
            publish: Arc::new(PublishPoints {
                inner: ports.publish,
                armed: Arc::clone(self),
            }),
            ..ports
        }
    }

    pub(super) fn notifications(self: &Arc<Self>, notifications: Notifications) -> Notifications {
        let channels = notifications.channels.into_iter();
        let guarded = channels.map(|inner| {
            let armed = Arc::clone(self);
            Arc::new(ChannelPoints { inner, armed }) as _
        });
        Notifications {
            channels: guarded.collect(),
            ..notifications
        }
    }
}

/// Calls that no point is at.
macro_rules! forward {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $reply:ty;)*) => {
        $(fn $name(&self $(, $arg: $kind)*) -> $reply {
            self.inner.$name($($arg),*)
        })*
    };
}
pub(super) use forward;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_passed_until_its_turn_and_an_unknown_one_is_refused() {
        let armed = Armed::parse("after-finish:2").unwrap();
        armed.pass(Point::AfterFinish);
        armed.pass(Point::BeforeClaim);
        assert_eq!(armed.left.load(Ordering::SeqCst), 1);
        for wrong in ["after-lunch", "after-finish:0", "after-finish:x"] {
            assert!(
                Armed::parse(wrong)
                    .unwrap_err()
                    .message
                    .contains("before-claim, after-claim")
            );
        }
    }
}
