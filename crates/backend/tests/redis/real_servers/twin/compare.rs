//! Everything that both stores tell of the jobs must be the same.

use longshore_core::stats::StatisticsQuery;

use super::subjects::plain_view;
use super::*;

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
        self.compare_statistics().await;
    }

    /// Redis has the rows that its records must have, and no others: daemons would take a stray one away in silence.
    pub(super) async fn rows_follow_from_records(&self) {
        let port = self.redis.checkup_port();
        let mut from = None;
        loop {
            let look = port.compare_index(0, from, 1_000, false).await.unwrap();
            assert!(look.faults.is_empty(), "{:?}", look.faults);
            let Some(next) = look.next else { return };
            from = Some(next);
        }
    }

    /// What was counted, by the minute and by the hour. Both turn minutes into hours at a time of their own; the sums
    /// are the same.
    async fn compare_statistics(&mut self) {
        for hours in [2, 7 * 24] {
            let query = StatisticsQuery::over(Duration::from_secs(hours * 3_600));
            self.ask("statistics", async |side| {
                side.ports.inspect.statistics(query.clone()).await.unwrap()
            })
            .await;
        }
    }
}
