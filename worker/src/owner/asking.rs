//! What the owner asks of the configuration, and the probes of disabled destinations.

use std::sync::Arc;

use entity::DbErr;
use entity::destination::Model;
use entity::pending::{self, Due, Head};
use relay::order::WHOLE;

use super::{Message, Owner, fault};
use crate::schedule::asking::{Probe, Question};
use crate::schedule::policy::{Policy, Standing};

/// Reads of policies at a time, and policies in one of them.
const READS: usize = 4;
const QUESTIONS: usize = 64;

impl Owner {
    /// Asks what the destinations of new lines, and those that were changed, want.
    pub(super) fn ask(&mut self) {
        while self.state.asking < READS {
            let questions = self.questions();
            if questions.is_empty() {
                return;
            }
            self.state.asking += 1;
            let (configuration, outbox) = (Arc::clone(&self.sender.configuration), self.outbox.clone());
            self.spawn(async move {
                let whose: Vec<_> = questions.iter().map(|asked| (asked.tenant, asked.destination)).collect();
                let found = configuration.destinations(&whose).await;
                let _ = outbox.send(Message::Answered(questions, found));
            });
        }
    }

    /// Those that only the database can answer, so many of them; the others are answered at once.
    fn questions(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        while questions.len() < QUESTIONS
            && let Some(question) = self.state.schedule.question()
        {
            match self.sender.configuration.known_destination(question.tenant, question.destination) {
                Some(known) => self.answer(question, known.as_deref()),
                None => questions.push(question),
            }
        }
        questions
    }

    pub(super) fn answered(&mut self, questions: Vec<Question>, found: Result<Vec<Option<Arc<Model>>>, DbErr>) {
        self.state.asking = self.state.asking.saturating_sub(1);
        match found {
            Ok(found) => {
                for (question, found) in questions.into_iter().zip(found) {
                    self.answer(question, found.as_deref());
                }
            }
            Err(error) => {
                fault(&error, "destinations were not read");
                questions.into_iter().for_each(|question| self.state.schedule.answered(question, None));
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
