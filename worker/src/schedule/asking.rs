//! What destinations ask for: asked of the configuration once for each line, and again after each change.

use entity::delivery::Trigger;
use entity::pending::Due;
use relay::id::{DestinationId, TenantId};
use relay::order::WHOLE;

use super::class::Class;
use super::line::{Gate, Line};
use super::policy::{Ordering, Policy, Standing};
use super::tickets::Ticket;
use super::{Place, Schedule, Start};

/// A disabled destination is probed so often.
const PROBE_EVERY_MS: i64 = 3_600_000;

/// A question for a destination's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) tenant: TenantId,
    pub(crate) destination: DestinationId,
    number: u64,
}

/// A disabled destination that is asked whether it is well again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub(crate) destination: DestinationId,
    epoch: i64,
    /// Of the read of its oldest row.
    ticket: Ticket,
}

impl Schedule {
    /// The next policy that is to be asked for.
    pub(crate) fn question(&mut self) -> Option<Question> {
        while let Some(destination) = self.unasked.pop_front() {
            if let Some(line) = self.lines.get_mut(&destination) {
                self.asks += 1;
                line.asked = self.asks;
                return Some(Question { tenant: line.tenant, destination, number: self.asks });
            }
        }
        None
    }

    /// A policy was answered; None: it was not, and is asked for again. An answer to an earlier question than the last one
    /// is out of date.
    pub(crate) fn answered(&mut self, question: Question, policy: Option<Policy>) {
        let destination = question.destination;
        let Some(line) = self.lines.get_mut(&destination).filter(|line| line.asked == question.number) else { return };
        let Some(policy) = policy else { return self.unasked.push_back(destination) };
        let before = line.policy.replace(policy);
        let stood = before.map(|before| before.standing);
        let before = before.map(|before| before.order);
        line.pace.set(policy.interval, self.now);
        line.window = line.window.min(policy.most.max(1));
        if before.unwrap_or(Ordering::Any) != policy.order {
            self.reorder(destination, before.is_some());
        }
        match policy.standing {
            Standing::Active => self.open(destination),
            Standing::Held | Standing::Probed { .. } => self.close(destination),
        }
        // One that is due already and was not made yet is not put off by an hour, because somebody changed another setting.
        if stood != Some(policy.standing) {
            self.note_probe(destination, policy.standing);
        }
        self.hunger(destination);
        self.ring_up(destination);
    }

    /// What waits stands in other lines from now on, and so does what is parked, if anything may be.
    fn reorder(&mut self, destination: DestinationId, had_an_order: bool) {
        let Some(line) = self.lines.get_mut(&destination) else { return };
        let may_have_parked = had_an_order || line.may_have_parked();
        let (waiting, epoch) = (line.take_waiting(), line.epoch);
        for due in &waiting {
            self.known.remove(&due.id);
        }
        self.line_up_anew(destination);
        for due in waiting {
            self.enlist(due, epoch);
        }
        if may_have_parked {
            self.seek(destination);
        }
    }

    /// Rows may be parked there: they are looked for as their order wants it.
    pub(super) fn seek(&mut self, destination: DestinationId) {
        let Some(line) = self.lines.get_mut(&destination) else { return };
        match line.ordering() {
            Ordering::Any => line.queues[Class::First].parked.restart(),
            Ordering::Whole => {
                line.queues.iter_mut().for_each(|queue| queue.parked.maybe = false);
                line.scan.maybe = false;
                self.open_lane(destination, WHOLE);
            }
            Ordering::Keyed => {
                line.scan.restart();
                // Once: what was accepted before there was an order has no line.
                line.queues[Class::First].parked.restart();
            }
        }
        self.hunger(destination);
    }

    /// A policy cannot be read: nothing is sent, and it is asked for again in a while.
    pub(crate) fn unreadable(&mut self, question: Question) {
        self.stuck.insert(question.destination);
        self.answered(question, Some(Policy::unknown()));
    }

    fn open(&mut self, destination: DestinationId) {
        if let Some(line) = self.lines.get_mut(&destination)
            && line.gate == Gate::Closed
        {
            line.gate = Gate::Open;
            line.go_carefully();
            self.seek(destination);
        }
    }

    /// The destination's settings or state changed: it is asked anew.
    pub(crate) fn ask_again(&mut self, destination: DestinationId) {
        self.news += 1;
        if self.lines.contains_key(&destination) {
            self.unasked.push_back(destination);
        }
    }

    /// Asks those again that were closed for a fault of ours.
    pub(crate) fn ask_the_stuck(&mut self) {
        std::mem::take(&mut self.stuck).into_iter().for_each(|destination| self.ask_again(destination));
    }

    /// Everything may have changed.
    pub(crate) fn ask_all(&mut self) {
        self.news += 1;
        self.unasked = self.lines.keys().copied().collect();
    }

    /// A disabled destination is probed on the hour, counted from when it was disabled: whoever owns it then.
    fn note_probe(&mut self, destination: DestinationId, standing: Standing) {
        self.probes.retain(|(_, probed)| *probed != destination);
        if let Standing::Probed { since } = standing {
            let passed = (self.present - since).max(0) / PROBE_EVERY_MS;
            self.probes.insert((since + (passed + 1) * PROBE_EVERY_MS, destination));
        }
    }

    /// Disabled destinations whose time has come: the oldest row of each is to be read.
    pub(crate) fn due_probes(&mut self) -> Vec<Probe> {
        let mut due = Vec::new();
        while let Some(&(at, destination)) = self.probes.first()
            && at <= self.present
        {
            self.probes.pop_first();
            let Some(line) = self.lines.get(&destination) else { continue };
            let (shard, epoch, standing) = (line.shard, line.epoch, line.policy.map(|policy| policy.standing));
            if let Some(standing) = standing {
                self.note_probe(destination, standing);
            }
            if !self.draining.contains(&shard) {
                due.push(Probe { destination, epoch, ticket: self.tickets.take() });
            }
        }
        due
    }

    /// The oldest row could not be read.
    pub(crate) fn unread(&mut self, probe: Probe) {
        self.tickets.close(probe.ticket);
        self.probe_soon(probe.destination);
    }

    /// A probe found nothing out: it does not wait for another hour.
    pub(super) fn probe_soon(&mut self, destination: DestinationId) {
        if let Some(&hourly) = self.probes.iter().find(|(_, probed)| *probed == destination) {
            self.probes.remove(&hourly);
            self.probes.insert((self.present, destination));
        }
    }

    /// The oldest row of a disabled destination was read: it finds out whether the destination is well again.
    pub(crate) fn probe(&mut self, probe: Probe, oldest: Option<Due>) -> Option<Start> {
        let now = self.now;
        let start = oldest.filter(|due| self.may_probe(&probe, due)).map(|due| {
            let class = self.lines.get(&probe.destination).map_or(Class::First, |line| line.class_of(&due));
            self.with_line(probe.destination, |line| line.starts(due.id, class, now));
            self.engage(due.id, due.destination_id, due.order_key);
            self.begin(due, class, probe.epoch, true)
        });
        self.tickets.close(probe.ticket);
        start
    }

    /// A probe came to nothing: its row is parked as it was. Whoever looked for parked rows meanwhile did not take it.
    pub(super) fn unproven(&mut self, due: &Due, was_asked: bool) {
        self.let_go(due.id);
        if !was_asked {
            self.probe_soon(due.destination_id);
        }
        if let Some(line) = self.lines.get_mut(&due.destination_id)
            && line.lane_of(due.order_key).is_none()
        {
            let class = line.class_of(due);
            line.queues[class].parked.met_at(due.seq);
            self.hunger(due.destination_id);
        }
        self.ring_up(due.destination_id);
    }

    fn may_probe(&self, probe: &Probe, due: &Due) -> bool {
        let is_free = match self.known.get(&due.id).map(|known| &known.place) {
            None => true,
            Some(Place::Buried { until, redo: None, .. }) => probe.ticket >= *until,
            Some(_) => false,
        };
        let is_held = |line: &Line| {
            line.gate == Gate::Closed && line.epoch == probe.epoch && line.in_flight == 0 && line.pace.allows(self.now)
        };
        is_free
            && due.trigger != Trigger::Test
            && !self.draining.contains(&due.shard)
            && self.lines.get(&probe.destination).is_some_and(is_held)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relay::id::{DeliveryId, Id};

    use super::*;

    fn due() -> Due {
        Due {
            tenant_id: Id::at(1),
            id: DeliveryId::at(1),
            shard: 1,
            due_at: 0,
            seq: 1,
            event_id: Id::at(1),
            subscription_id: None,
            destination_id: Id::at(1),
            order_key: None,
            attempts: 0,
            trigger: Trigger::Event,
            size: 10,
        }
    }

    #[test]
    fn a_probe_that_is_due_is_not_put_off_by_another_setting() {
        for (disabled_since, is_due) in [(0, true), (PROBE_EVERY_MS, false)] {
            let (mut schedule, due) = (Schedule::new(false), due());
            let ticket = schedule.tickets.take();
            schedule.offer(due, 1, ticket);
            let policy = |since| Some(Policy { standing: Standing::Probed { since }, ..Policy::default() });
            let question = schedule.question().unwrap();
            schedule.answered(question, policy(0));
            assert_eq!(schedule.due_probes().len(), 0);
            schedule.at(Duration::from_secs(1), PROBE_EVERY_MS);
            schedule.ask_again(due.destination_id);
            let question = schedule.question().unwrap();
            schedule.answered(question, policy(disabled_since));
            assert_eq!(schedule.due_probes().len(), usize::from(is_due), "disabled at {disabled_since}");
        }
    }
}
