//! What the owner asks of the configuration, and the probes of disabled destinations.

use std::sync::Arc;

use entity::DbErr;
use entity::destination::Model;
use entity::pending::{self, Due, Head};
use relay::order::WHOLE;

use super::{Message, Owner, fault};
use crate::schedule::asking::{Probe, Question};
use crate::schedule::policy::{Policy, Standing};

/// Policies that are read from the database at a time.
const QUESTIONS: usize = 16;

impl Owner {
    /// Asks what the destinations of new lines, and those that were changed, want.
    pub(super) fn ask(&mut self) {
        while self.state.asking < QUESTIONS
            && let Some(question) = self.state.schedule.question()
        {
            let configuration = Arc::clone(&self.sender.configuration);
            if let Some(known) = configuration.known_destination(question.tenant, question.destination) {
                self.answer(question, known.as_deref());
                continue;
            }
            self.state.asking += 1;
            let outbox = self.outbox.clone();
            self.spawn(async move {
                let found = configuration.destination(question.tenant, question.destination).await;
                let _ = outbox.send(Message::Answered(question, found));
            });
        }
    }

    pub(super) fn answered(&mut self, question: Question, found: Result<Option<Arc<Model>>, DbErr>) {
        self.state.asking = self.state.asking.saturating_sub(1);
        match found {
            Ok(found) => self.answer(question, found.as_deref()),
            Err(error) => {
                fault(&error, "a destination was not read");
                self.state.schedule.answered(question, None);
                self.breathe();
            }
        }
    }

    fn answer(&mut self, question: Question, found: Option<&Model>) {
        match Policy::of(found) {
            Ok(policy) if self.state.health.is_being_disabled(question.destination) => {
                self.state.schedule.answered(question, Some(Policy { standing: Standing::Held, ..policy }));
            }
            Ok(policy) => self.state.schedule.answered(question, Some(policy)),
            Err(error) => {
                fault(&error, "the settings of a destination cannot be read; its deliveries wait");
                self.state.schedule.unreadable(question);
            }
        }
    }

    /// The oldest delivery of each disabled destination whose time has come finds out whether it is well again.
    pub(super) fn look_for_probes(&mut self) {
        for probe in self.state.schedule.due_probes() {
            let (db, outbox) = (self.db.clone(), self.outbox.clone());
            self.spawn(async move {
                let first = [Head { destination: probe.destination, line: WHOLE }];
                let found = pending::heads(&db, &first).await.map(|found| found.into_iter().map(|(_, due)| due).next());
                let _ = outbox.send(Message::Oldest(probe, found));
            });
        }
    }

    pub(super) fn probe(&mut self, probe: Probe, found: Result<Option<Due>, DbErr>) {
        match found {
            Ok(oldest) => {
                let start = self.state.schedule.probe(probe, oldest);
                self.attempt(start.as_slice());
            }
            Err(error) => {
                fault(&error, "the oldest delivery of a disabled destination was not read");
                self.state.schedule.unread(probe);
                self.breathe();
            }
        }
    }
}
