//! Ways in which the protocol could be weaker. Each is put around the real transitions, never into them.

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Nothing: the protocol as it is.
    None,
    /// A finish is accepted whoever owns the job.
    NonceOfFinish,
    /// A job that becomes Queued gets no row in the outbox.
    Outbox,
    /// A delivery, beat or finish that finds no record lets the job go.
    Rebuild,
    /// A delivery of an older dispatch counts as the newest.
    GenOfClaim,
    /// A confirm of an older dispatch counts for the newest.
    GenOfMark,
    /// A delivery takes a job from an owner whose lease is alive.
    BusyCheck,
    /// A Blocked job gets no row that makes its edges be verified.
    EdgesRow,
    /// A fence counts claims and knows no time.
    TimeOfFence,
    /// A parent that ends leaves no row that makes its children be told, and they are not verified again.
    TellChildren,
}
