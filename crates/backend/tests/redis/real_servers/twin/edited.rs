//! A person changes a dead letter's arguments and queues it again.

use longshore_core::JobId;
use longshore_core::port::schedule::EditedLetter;
use longshore_testkit::factory::Factory;

use super::Twins;

impl Twins {
    pub(super) async fn requeue_edited(&mut self, id: JobId, gen_: u32) {
        let mut spec = Factory::spec();
        spec.name = Some("edited".to_owned());
        let factory = Factory::new(std::sync::Arc::new(self.servers.clock()), 1);
        let letter = EditedLetter {
            id,
            gen_,
            envelope: factory.job_of(&spec, id).envelope,
        };
        self.ask("requeue_edited", async |side| {
            let letters = vec![letter.clone()];
            side.ports.schedule.requeue_edited(0, letters).await.unwrap()
        })
        .await;
    }
}
