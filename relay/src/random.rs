//! Randomness in small pieces, many times for each event: asked of the system for several at a time.

use std::cell::RefCell;

/// Bytes asked of the system at a time.
const AT_A_TIME: usize = 1024;

struct Pool {
    bytes: [u8; AT_A_TIME],
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; AT_A_TIME], left: 0 }) };
}

/// Bytes that nobody can guess, for ids, traces and jitter. Secrets that are kept are asked of the system one by one, see
/// [`crate::secret`].
///
/// # Panics
/// The system has no randomness.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    const { assert!(N <= AT_A_TIME) };
    POOL.with_borrow_mut(|pool| {
        if pool.left < N {
            getrandom::fill(&mut pool.bytes).expect("the system has randomness");
            pool.left = AT_A_TIME;
        }
        let from = AT_A_TIME - pool.left;
        let mut taken = [0; N];
        let piece = &mut pool.bytes[from..from + N];
        taken.copy_from_slice(piece);
        piece.fill(0);
        pool.left -= N;
        taken
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_piece_comes_twice_or_empty() {
        let pieces: HashSet<[u8; 10]> = (0..1_000).map(|_| bytes()).collect();
        assert_eq!(pieces.len(), 1_000);
        assert!(!pieces.contains(&[0; 10]));
    }
}
