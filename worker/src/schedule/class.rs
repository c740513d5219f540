//! What a delivery is to those that wait with it: some go before others, and none waits for ever.

use std::ops::{Index, IndexMut};

use entity::delivery::Trigger;
use entity::pending::Due;

/// In the order in which they go, when not all can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It was not tried yet.
    First,
    /// It failed before, and may again: where its destination does not answer, it holds its slot for as long as an
    /// attempt may take.
    Retry,
    /// It was asked for once more, with a million others perhaps. Tried again, it is still one of them.
    Replay,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::Retry, Self::Replay];

    /// In a line that keeps an order a replay goes like any other: what stands behind it would wait with it.
    pub(crate) fn of(due: &Due, is_in_order: bool) -> Self {
        match due.trigger {
            Trigger::Replay if !is_in_order => Self::Replay,
            _ if due.attempts > 0 => Self::Retry,
            _ => Self::First,
        }
    }

    /// While better ones wait, every so many-th start is of this class, and so small a part of the slots is kept for it:
    /// it goes last, but it goes.
    pub(crate) fn part(self) -> usize {
        match self {
            Self::First => 1,
            Self::Retry => 4,
            Self::Replay => 16,
        }
    }

    /// Those that go before it.
    pub(crate) fn better(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().take_while(move |class| *class != self)
    }
}

/// One of each class.
#[derive(Debug, Default)]
pub(crate) struct Each<T>([T; 3]);

impl<T> Each<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T> Index<Class> for Each<T> {
    type Output = T;

    fn index(&self, class: Class) -> &T {
        &self.0[class as usize]
    }
}

impl<T> IndexMut<Class> for Each<T> {
    fn index_mut(&mut self, class: Class) -> &mut T {
        &mut self.0[class as usize]
    }
}

/// How many others started since the last one of each class.
#[derive(Debug, Default)]
pub(crate) struct Passed(Each<usize>);

impl Passed {
    pub(crate) fn started(&mut self, class: Class) {
        self.0.iter_mut().for_each(|passed| *passed += 1);
        self.0[class] = 0;
    }

    /// It is the turn of this class, whoever else waits.
    pub(crate) fn is_due(&self, class: Class) -> bool {
        self.0[class] + 1 >= class.part()
    }
}

#[cfg(test)]
mod tests {
    use relay::id::Id;

    use super::*;

    fn due(trigger: Trigger, attempts: i16) -> Due {
        Due {
            tenant_id: Id::at(1),
            id: Id::at(1),
            shard: 0,
            due_at: 0,
            seq: 1,
            event_id: Id::at(1),
            subscription_id: None,
            destination_id: Id::at(1),
            order_key: None,
            attempts,
            trigger,
            size: 1,
        }
    }

    #[test]
    fn a_replay_is_one_unless_others_stand_behind_it() {
        let cases = [
            (Trigger::Event, 0, false, Class::First),
            (Trigger::Event, 1, false, Class::Retry),
            (Trigger::Event, 1, true, Class::Retry),
            (Trigger::Retry, 0, false, Class::First),
            (Trigger::Test, 0, false, Class::First),
            (Trigger::Replay, 0, false, Class::Replay),
            (Trigger::Replay, 1, false, Class::Replay),
            (Trigger::Replay, 0, true, Class::First),
            (Trigger::Replay, 1, true, Class::Retry),
        ];
        for (trigger, attempts, is_in_order, expected) in cases {
            let class = Class::of(&due(trigger, attempts), is_in_order);
            assert_eq!(class, expected, "{trigger:?}, {attempts}, {is_in_order}");
        }
    }

    #[test]
    fn each_class_has_its_turn_among_so_many_starts() {
        let mut passed = Passed::default();
        let mut order = Vec::new();
        for _ in 0..20 {
            let class = [Class::Replay, Class::Retry, Class::First].into_iter().find(|class| passed.is_due(*class));
            order.push(class.unwrap() as usize);
            passed.started(class.unwrap());
        }
        assert_eq!(order, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0]);
    }
}
