//! The rules of the queue, each with its letter. With one of them off the worker, the api or the database does what looks
//! simpler.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Reads take tickets, and what was written since stays buried.
    pub(crate) t: bool,
    /// A finish stays buried until it is durable, and is written again where that is in doubt.
    pub(crate) b: bool,
    /// A write holds the shard's row against a takeover.
    pub(crate) k: bool,
    /// Leases are committed durably.
    pub(crate) s: bool,
    /// Nothing is on the wire beyond the fence.
    pub(crate) a: bool,
    /// What cannot be written while the lease is in doubt is kept.
    pub(crate) r: bool,
    /// What was read counts only under the epoch of its read.
    pub(crate) e: bool,
    /// A hand-over drains.
    pub(crate) h: bool,
    /// "Nothing parked" is said only by a read that no park came between.
    pub(crate) p: bool,
    /// Parked rows are looked for.
    pub(crate) d: bool,
    /// Who is first in a line is read from the database.
    pub(crate) f: bool,
    /// Changes are numbered in order, a fill that one overtook is not stored, and nothing is done on an old look.
    pub(crate) c: bool,
    /// What has nowhere to go is ended.
    pub(crate) l: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        t: true,
        b: true,
        k: true,
        s: true,
        a: true,
        r: true,
        e: true,
        h: true,
        p: true,
        d: true,
        f: true,
        c: true,
        l: true,
    };
}
