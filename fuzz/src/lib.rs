//! What the targets share: requests as texts, and an honest sender and a slow filter to compare with.

pub mod expected;
pub mod filtered;
pub mod scheme;
pub mod sender;
pub mod sent;
pub mod verdict;
