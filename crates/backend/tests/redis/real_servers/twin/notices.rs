//! What people are to be told must be the same on both sides, too.

use std::time::Duration;

use super::Twins;

impl Twins {
    pub(super) async fn compare_notices(&mut self) {
        self.ask("notices", async |side| {
            let notices = side.ports.notify.notices(0, 1_000).await.unwrap();
            (notices.rows, notices.dropped)
        })
        .await;
    }

    /// Takes some, and wants further ones for a while.
    pub(super) async fn take_notices(&mut self) {
        let up_to = u64::try_from(self.dice.below(10)).unwrap();
        self.ask("notices_taken", async |side| {
            let epoch = side.ports.notify.notices(0, 1).await.unwrap().epoch;
            side.ports.notify.notices_taken(0, epoch, up_to).await.unwrap();
            let wanted = Duration::from_secs(100_000);
            side.ports.notify.want_notices(0, wanted).await.unwrap();
        })
        .await;
    }
}
