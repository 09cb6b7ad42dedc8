//! What starts a scheduler or a worker that is missing: on servers each is a process of its own, on an embedded store all
//! are in the one that owns the folder.

use longshore_core::QueueName;
use longshore_service::config::Endpoints;

/// Where the parts of the fleet run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    OnServers,
    Embedded,
}

impl Start {
    pub(super) const fn of(endpoints: &Endpoints) -> Self {
        match endpoints {
            Endpoints::Servers { .. } => Self::OnServers,
            Endpoints::Embedded(_) => Self::Embedded,
        }
    }

    pub(super) const fn scheduler(self) -> &'static str {
        match self {
            Self::OnServers => "start one: `longshore scheduler`; any number may run",
            Self::Embedded => {
                "start `longshore dev` on the folder: it has one; a program with a worker of its own needs one in it"
            }
        }
    }

    pub(super) const fn see_to_the_scheduler(self) -> &'static str {
        match self {
            Self::OnServers => "see that a scheduler runs and reaches both servers",
            Self::Embedded => "see that a scheduler runs (`longshore dev` has one)",
        }
    }

    pub(super) const fn worker(self) -> &'static str {
        match self {
            Self::OnServers => "start one: `longshore worker`, or your own worker binary",
            Self::Embedded => "start `longshore dev` on the folder, or your own program with a worker in it",
        }
    }

    pub(super) fn consumer(self, queue: &QueueName) -> String {
        match self {
            Self::OnServers => format!("start a worker on it (`longshore worker --queue {queue}`)"),
            Self::Embedded => {
                "let the worker on the folder consume it (`worker.queues` for `longshore dev`)".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_store_is_never_told_to_start_a_process_that_it_refuses() {
        let queue = QueueName::default();
        let told = |start: Start| {
            [
                start.scheduler().to_owned(),
                start.see_to_the_scheduler().to_owned(),
                start.worker().to_owned(),
                start.consumer(&queue),
            ]
        };
        for advice in told(Start::of(&Endpoints::Embedded(".longshore".into()))) {
            assert!(advice.contains("longshore dev"), "{advice}");
            for process in ["`longshore worker", "`longshore scheduler", "both servers"] {
                assert!(!advice.contains(process), "{advice}");
            }
        }
        assert!(
            told(Start::OnServers)
                .concat()
                .contains("longshore worker --queue default")
        );
    }
}
