//! Recognises presented secrets, and remembers which ones it recognised for as long as they are used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::line::{self, Line, Overloaded};
use super::{Stored, argon2id_matches};
use crate::secret::{equal, fingerprint, random_bytes};

/// Checks presented secrets against stored ones; one a process.
pub struct Verifier {
    line: Arc<Line>,
    /// Under this key, made at the start, the memory below holds nothing that is of use to a reader of it alone.
    key: [u8; 32],
    /// When a pair of stored and presented secret that match was last presented, in milliseconds since 1970.
    matched: moka::sync::Cache<Pair, Arc<AtomicI64>>,
    /// What is being found out now, so that who asks the same meanwhile waits for the same answer.
    asked: Mutex<HashMap<Pair, Arc<OnceCell<bool>>>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// HMAC of a stored and a presented secret.
type Pair = [u8; 32];

/// How long a match is remembered after its last use. That two secrets match stays true, and a changed one is another pair,
/// so only how long a copy of it stays recognisable in memory depends on this; one that is in use passes through anyway. A
/// source that is used once in a while costs no slow hash each time: ten thousand that come once a minute would need eight
/// cores for it.
const REMEMBERED: Duration = Duration::from_hours(1);

/// How many matches are remembered: more than live credentials of a large installation, some 20 MiB.
const MAX_REMEMBERED: u64 = 100_000;

/// The hash of a random secret that nobody knows, made once with the parameters of [`super::argon2id`].
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$6YKZEVsmxhmBNYcmFKvQTw$F1DAhRq8QLw5JkgLqTxujjCG8zo/BrPsG5TqxAIIagw";

impl Verifier {
    /// A verifier that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::in_line(line::shared())
    }

    fn in_line(line: Arc<Line>) -> Self {
        let matched = moka::sync::Cache::builder().max_capacity(MAX_REMEMBERED).time_to_idle(REMEMBERED).build();
        Self { line, key: random_bytes(), matched, asked: Mutex::default() }
    }

    /// Whether `presented` is the stored secret. `now_ms` is in milliseconds since 1970; `party` is whose few places in
    /// the line are used: the source's at which it was presented.
    ///
    /// # Errors
    /// Nothing could be found out because too many others wait: answer 503, not 401.
    pub async fn verify(
        &self,
        party: Uuid,
        stored: &Stored,
        presented: &[u8],
        now_ms: i64,
    ) -> Result<bool, Overloaded> {
        if let Some(known) = self.knows(stored, presented, now_ms) {
            return Ok(known);
        }
        let Stored::Argon2id(phc) = stored else { return Ok(false) };
        let pair = self.pair(phc, presented);
        let matches = self.find_out(party, pair, presented, phc).await?;
        if matches {
            self.matched.insert(pair, Arc::new(now_ms.into()));
        }
        Ok(matches)
    }

    /// What can be said without the slow hash: all about a secret that we made, and that a chosen one matched lately. To
    /// be asked of all candidates before any is verified.
    #[must_use]
    pub fn knows(&self, stored: &Stored, presented: &[u8], now_ms: i64) -> Option<bool> {
        let phc = match stored {
            Stored::Sha256(digest) => return Some(equal(digest, &fingerprint(presented))),
            Stored::Argon2id(phc) => phc,
        };
        let used = self.matched.get(&self.pair(phc, presented))?;
        // Of two requests at a time the later one may be here first, and the clock may be set back a little.
        let idle = Duration::from_millis(now_ms.abs_diff(used.load(Ordering::Relaxed)));
        (idle < REMEMBERED).then(|| used.fetch_max(now_ms, Ordering::Relaxed))?;
        Some(true)
    }

    /// Takes as long as [`Verifier::verify`] of a wrong secret: for names that nobody has, so that the time of the
    /// answer does not tell which names exist.
    ///
    /// # Errors
    /// As [`Verifier::verify`], and to be answered the same.
    pub async fn decoy(&self, party: Uuid, presented: &[u8]) -> Result<(), Overloaded> {
        self.find_out(party, self.pair(NOBODYS, presented), presented, NOBODYS).await.map(|_| ())
    }

    /// The slow hash, once for all who ask the same at the same time.
    async fn find_out(&self, party: Uuid, pair: Pair, presented: &[u8], phc: &str) -> Result<bool, Overloaded> {
        let asked = Asked::join(self, pair);
        let hash = || {
            let (phc, presented) = (phc.to_owned(), presented.to_vec());
            self.line.work(party, move || argon2id_matches(&phc, &presented))
        };
        asked.answer.get_or_try_init(hash).await.copied()
    }

    fn pair(&self, stored: &str, presented: &[u8]) -> Pair {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // No PHC string holds a zero byte, so no two pairs are written alike.
        for part in [stored.as_bytes(), b"\0", presented] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

/// One who waits for an answer; the last to leave, however it leaves, takes the question away.
struct Asked<'a> {
    verifier: &'a Verifier,
    pair: Pair,
    answer: Arc<OnceCell<bool>>,
}

impl<'a> Asked<'a> {
    fn join(verifier: &'a Verifier, pair: Pair) -> Self {
        let mut asked = verifier.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = Arc::clone(asked.entry(pair).or_default());
        Self { verifier, pair, answer }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut asked = self.verifier.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // Let go inside the lock, so that of two who leave at once the second sees that it is the last.
        self.answer = Arc::default();
        if asked.get(&self.pair).is_some_and(|answer| Arc::strong_count(answer) == 1) {
            asked.remove(&self.pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::password::argon2id;

    const NOW: i64 = 1_700_000_000_000;
    const PARTY: Uuid = Uuid::nil();

    fn verifier(at_work: usize, max_waiting: usize) -> Verifier {
        Verifier::in_line(Arc::new(Line::new(at_work, max_waiting)))
    }

    async fn chosen(secret: &str) -> Stored {
        Stored::chosen(PARTY, &SecretString::from(secret)).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_stored_secret_is_recognised() {
        let generated = Stored::generated(&SecretString::from("right"));
        for stored in [chosen("right").await, generated] {
            let verifier = Verifier::new();
            for (presented, good) in
                [("right", true), ("wrong", false), ("", false), ("right ", false), ("Right", false)]
            {
                // Twice: the second answer may come from memory.
                for _ in 0..2 {
                    assert_eq!(
                        verifier.verify(PARTY, &stored, presented.as_bytes(), NOW).await,
                        Ok(good),
                        "{presented}"
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn a_match_is_remembered_for_an_hour_after_its_last_use_and_a_mismatch_not_at_all() {
        const HOUR: i64 = 3_600_000;
        let stored = chosen("right").await;
        let mut verifier = verifier(1, 1);
        assert_eq!(verifier.verify(PARTY, &stored, b"right", NOW).await, Ok(true));
        assert_eq!(verifier.verify(PARTY, &stored, b"wrong", NOW).await, Ok(false));
        // From here on nobody is let into the line: what is answered is remembered.
        verifier.line = Arc::new(Line::new(0, 0));
        let used = NOW + HOUR - 1;
        for (presented, now, answer) in [
            ("right", NOW, Ok(true)),
            ("right", NOW - 1, Ok(true)),
            ("right", NOW - HOUR, Err(Overloaded)),
            ("right", used, Ok(true)),
            ("wrong", used, Err(Overloaded)),
            ("right", used + HOUR, Err(Overloaded)),
            ("right", used + HOUR - 1, Ok(true)),
        ] {
            assert_eq!(verifier.verify(PARTY, &stored, presented.as_bytes(), now).await, answer, "{presented} {now}");
        }
        assert_eq!(verifier.verify(PARTY, &chosen("right").await, b"right", used).await, Err(Overloaded));
    }

    #[tokio::test]
    async fn what_is_known_needs_no_hash() {
        let (slow, generated) = (chosen("right").await, Stored::generated(&SecretString::from("right")));
        let verifier = verifier(1, 1);
        assert_eq!(verifier.knows(&generated, b"right", NOW), Some(true));
        assert_eq!(verifier.knows(&generated, b"wrong", NOW), Some(false));
        assert_eq!(verifier.knows(&slow, b"right", NOW), None);
        assert_eq!(verifier.verify(PARTY, &slow, b"right", NOW).await, Ok(true));
        assert_eq!(verifier.knows(&slow, b"right", NOW), Some(true));
        assert_eq!(verifier.knows(&slow, b"wrong", NOW), None);
    }

    #[tokio::test]
    async fn many_who_ask_the_same_at_once_cost_one_hash() {
        let stored = Arc::new(chosen("right").await);
        // With one at work and nobody waiting, a second hash would be turned away.
        let verifier = Arc::new(verifier(1, 0));
        for (presented, answer) in [("right", true), ("wrong", false)] {
            let ask = |_| {
                let (verifier, stored) = (Arc::clone(&verifier), Arc::clone(&stored));
                tokio::spawn(async move { verifier.verify(PARTY, &stored, presented.as_bytes(), NOW).await })
            };
            for asked in (0..50).map(ask).collect::<Vec<_>>() {
                assert_eq!(asked.await.unwrap(), Ok(answer));
            }
            assert!(verifier.asked.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn who_walks_away_leaves_the_question_to_the_others() {
        let stored = chosen("right").await;
        let verifier = verifier(2, 0);
        let mut first = Box::pin(verifier.verify(PARTY, &stored, b"right", NOW));
        tokio::select! {
            biased;
            _ = &mut first => panic!("a hash takes longer than one poll"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        assert!(verifier.asked.lock().unwrap().is_empty());
        assert_eq!(verifier.verify(PARTY, &stored, b"right", NOW).await, Ok(true));
    }

    #[tokio::test]
    async fn a_decoy_is_as_slow_as_a_check_and_as_bounded() {
        let stored = chosen("right").await;
        let phc = |stored: &str| stored.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(phc(NOBODYS), phc(&stored.to_string()));
        assert_eq!(NOBODYS.parse::<Stored>(), Ok(Stored::Argon2id(NOBODYS.to_owned())));
        assert_eq!(argon2id().params().m_cost(), 19 * 1024);
        assert_eq!(Verifier::new().decoy(PARTY, b"anything").await, Ok(()));
        assert_eq!(verifier(0, 0).decoy(PARTY, b"anything").await, Err(Overloaded));
    }
}
