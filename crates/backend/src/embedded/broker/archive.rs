//! The archive of dead letters: on the disk, numbered in the order of their coming.

use longshore_core::port;
use longshore_core::port::broker::{Published, Source};
use longshore_core::port::schedule::DeadLetter;
use longshore_core::priority::Priority;

use super::super::disk::{Disk, corrupt, refused};
use super::super::stored::{self, StoredLetter};
use super::Broker;
use super::queue::{Entry, Item};

impl Broker {
    /// Finds the letters that are there.
    pub(in super::super) fn load_archive(&self, disk: &Disk) -> Result<(), port::Error> {
        let mut inner = self.inner.lock();
        for row in disk.archive.iter() {
            let key = row.key().map_err(|error| refused(&error))?;
            let number = key.as_ref().try_into().map(u64::from_be_bytes);
            let number = number.map_err(|_| corrupt("the number of a dead letter"))?;
            inner.last_letter = inner.last_letter.max(number);
            let entry = Entry {
                item: Item::Letter(number),
                redelivered: false,
            };
            inner.queues.archive.push(Priority::Normal, entry);
        }
        Ok(())
    }

    /// Letters that nobody holds.
    pub(in super::super) fn archived(&self) -> u64 {
        self.inner.lock().queues.archive.ready(Priority::Normal)
    }

    /// Writes letters to the archive, all or none.
    pub(in super::super) fn archive(&self, letters: Vec<DeadLetter>) -> Vec<Published> {
        let count = letters.len();
        match self.write_letters(letters) {
            Ok(()) => vec![Published::Confirmed; count],
            Err(error) => vec![Published::Refused(error.to_string()); count],
        }
    }

    fn write_letters(&self, letters: Vec<DeadLetter>) -> Result<(), port::Error> {
        let disk = self.disk().ok_or(port::Error::Closed)?;
        let count = letters.len() as u64;
        let first = {
            let mut inner = self.inner.lock();
            inner.last_letter += count;
            inner.last_letter - count + 1
        };
        // Not under the lock, which every message passes.
        let mut batch = disk.batch();
        for (number, letter) in (first..).zip(letters) {
            batch.letter(number, &StoredLetter(letter));
        }
        batch.commit()?;
        let mut inner = self.inner.lock();
        for number in first..first + count {
            let entry = Entry {
                item: Item::Letter(number),
                redelivered: false,
            };
            inner.queues.archive.push(Priority::Normal, entry);
        }
        inner.deal(&Source::Archive);
        Ok(())
    }

    /// A letter was acknowledged. Should the disk not take it, the letter comes again when the folder is opened.
    pub(super) fn forget_letter(&self, number: u64) {
        let Some(disk) = self.disk() else { return };
        let mut batch = disk.batch();
        batch.forget_letter(number);
        if let Err(error) = batch.commit() {
            tracing::warn!(%error, "an acknowledged dead letter stays in the archive");
        }
    }
}

impl Disk {
    /// A letter of the archive, unless it was acknowledged.
    pub(super) fn letter(&self, number: u64) -> Result<Option<DeadLetter>, port::Error> {
        let value = self
            .archive
            .get(number.to_be_bytes())
            .map_err(|error| refused(&error))?;
        let Some(value) = value else { return Ok(None) };
        stored::decode::<StoredLetter>("dead letter", &value)
            .map(|StoredLetter(letter)| Some(letter))
            .map_err(|error| port::Error::Corrupt(error.to_string()))
    }
}
