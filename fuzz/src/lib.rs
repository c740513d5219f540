//! What the targets share: requests as texts, and an honest sender to compare with.

pub mod expected;
pub mod scheme;
pub mod sender;
pub mod sent;
pub mod verdict;
