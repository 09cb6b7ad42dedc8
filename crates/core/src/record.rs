//! What the store remembers of a job, and of a shard.
