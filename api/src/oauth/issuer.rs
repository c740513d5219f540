//! Natural batching, as ingest has it: a token is stored at once when nothing is being stored, and together with others
//! while something is. A token is handed out after the commit.

use std::time::Duration;

use entity::{Database, DbErr, access_token};
use tokio::sync::{mpsc, oneshot};

use super::refusal::Refusal;
use super::tokens::Grant;

/// Tokens in one commit.
const BATCH: usize = 512;
/// The waiting line: what is beyond it hears 503 at once instead of too late.
const LINE: usize = 4_096;
/// After a database went away, before the second and last try.
const BREATH: Duration = Duration::from_millis(100);

/// Cheap to clone; all clones feed the same line.
#[derive(Debug, Clone)]
pub struct Issuer(mpsc::Sender<Waiting>);

#[derive(Debug)]
struct Waiting {
    row: access_token::Model,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

impl Issuer {
    /// Starts the task that stores. It ends when the last clone is gone and the line is empty.
    #[must_use]
    pub fn start(db: &Database) -> Self {
        let (line, waiting) = mpsc::channel(LINE);
        tokio::spawn(run(db.clone(), waiting));
        Self(line)
    }

    /// Returns after the commit.
    pub(super) async fn store(&self, hash: [u8; 32], grant: Grant) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Waiting { row: grant.row(hash), answer }).map_err(|_| Refusal::Busy)?;
        answered.await.unwrap_or(Err(Refusal::Away))
    }
}

async fn run(db: Database, mut line: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while line.recv_many(&mut batch, BATCH).await > 0 {
        // Whoever went away needs no token.
        batch.retain(|waiting| !waiting.answer.is_closed());
        let (rows, answers): (Vec<_>, Vec<_>) = batch.drain(..).map(|waiting| (waiting.row, waiting.answer)).unzip();
        let stored = store(&db, &rows).await.map_err(|error| refusal(&error));
        for answer in answers {
            let _ = answer.send(stored);
        }
    }
}

/// Twice if need be: a connection that was idle may have been lost, and to store twice is to store once.
async fn store(db: &Database, rows: &[access_token::Model]) -> Result<(), DbErr> {
    match access_token::insert(db, rows).await {
        Err(error) if entity::database::is_away(&error) => {
            tokio::time::sleep(BREATH).await;
            access_token::insert(db, rows).await
        }
        stored => stored,
    }
}

fn refusal(error: &DbErr) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "access tokens were not stored");
    Refusal::Away
}
