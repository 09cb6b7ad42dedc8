//! Every record, counter and listing must be the same on both sides.

use longshore_core::view::Detail;

use super::Twins;
use super::subjects::plain_view;

impl Twins {
    pub(super) async fn compare_records(&mut self) {
        let ids: Vec<_> = self.jobs.iter().map(|job| job.id).collect();
        self.ask("records", async |side| {
            let views = side
                .ports
                .inspect
                .jobs(0, ids.clone(), Detail::Full)
                .await
                .unwrap();
            views
                .into_iter()
                .map(|view| view.map(plain_view))
                .collect::<Vec<_>>()
        })
        .await;
        self.ask("statuses", async |side| {
            side.ports.enqueue.statuses(0, ids.clone()).await.unwrap()
        })
        .await;
        self.ask("counters", async |side| {
            let mut queues = side.ports.inspect.queues().await.unwrap();
            for view in queues.values_mut() {
                view.counts.retain(|_, count| *count > 0);
            }
            queues.retain(|_, view| view.paused || !view.counts.is_empty());
            queues
        })
        .await;
        self.compare_notices().await;
        self.ask("listing", async |side| {
            let page = side
                .ports
                .inspect
                .list(longshore_core::view::JobFilter::default(), None, 100)
                .await
                .unwrap();
            page.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
        })
        .await;
    }
}
