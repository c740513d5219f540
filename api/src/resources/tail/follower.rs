//! Follows a tenant's tables for one reader. It reads on only when the reader has taken what there was, so a slow one costs
//! no memory: it falls behind, and what is too far behind is skipped and said to be.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use entity::tail::{self, Followed};
use poem::web::sse;
use poem_openapi::types::ToJSON;
use relay::id::{DeliveryId, EventId, RejectionId};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::cursor::{Cursor, Told};
use super::places::Place;
use super::wanted::Wanted;
use super::watched::{EACH, Watched};
use super::window::{OVERLAP_MS, Window};
use super::{Gap, TailSearch};
use crate::auth::{Access, Scope};
use crate::error::Error;
use crate::server::Hold;
use crate::wire::NewsKind;

mod reading;

/// How often there is a look for news.
const EVERY: Duration = Duration::from_millis(500);
/// A look, or a reading of what was found, that takes longer is begun anew.
const STEP_WITHIN: Duration = Duration::from_secs(5);
/// What is older is not told any more.
const BEHIND_MS: i64 = 5 * 60_000;
/// After so long without news it is said where the stream is, so that who comes again does not begin at the last news.
const SAID_AFTER: Duration = Duration::from_secs(30);
/// A tail begins a moment back: the clocks of two processes are not quite the same.
const MOMENT_MS: i64 = 250;
/// Among so many deliveries it is looked for those that ended while nobody listened.
const ENDED_AMONG: usize = 5_000;
/// The longest that a tail lasts.
const LONGEST_S: u16 = 3_600;

pub(super) struct Follower {
    access: Access,
    wanted: Wanted,
    events: Window,
    finished: Window,
    rejections: Window,
    watched: Watched,
    /// Not all unfinished deliveries are watched.
    is_partial: bool,
    /// What there is news of, in the order in which it is told.
    found: VecDeque<Found>,
    told: Told,
    /// All that was made before this time was told.
    settled: i64,
    /// Marks of what was told before the stream broke off.
    told_before: HashSet<u32>,
    /// What is not told, and is not said yet.
    gaps: Vec<Gap>,
    next_look: Instant,
    /// By the boot-time clock, unless there is news before.
    says_where_at: Duration,
    /// By the boot-time clock.
    ends_at: Duration,
    hold: Hold,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Found {
    Event(EventId),
    /// With the attempts that were heard of already.
    Delivery(DeliveryId, i16),
    Rejection(RejectionId),
}

/// Only its end is news.
const HEARD_ALL: i16 = i16::MAX;

impl Follower {
    /// Begins now, or where another stream broke off.
    pub(super) async fn open(
        access: Access,
        search: &TailSearch,
        cursor: Option<Cursor>,
        place: Place,
    ) -> Result<Self, Error> {
        let clock = &access.app().clock;
        let (now, ends_in) = (clock.now(), search.duration_s.unwrap_or(LONGEST_S));
        let is_resumed = cursor.is_some();
        let cursor = cursor.unwrap_or(Cursor { at: now - MOMENT_MS, told: HashSet::new() });
        let at = cursor.at.clamp(now - BEHIND_MS + OVERLAP_MS, now);
        let mut follower = Self {
            wanted: Wanted::of(search),
            events: Window::new(Followed::Events, at),
            finished: Window::new(Followed::Finished, at),
            rejections: Window::new(Followed::Rejections, at),
            watched: Watched::default(),
            is_partial: false,
            found: VecDeque::new(),
            told: Told::before(&cursor, now),
            settled: at,
            told_before: cursor.told,
            gaps: (cursor.at < at).then(|| Gap::of("that was too long ago", cursor.at, at)).into_iter().collect(),
            next_look: Instant::now(),
            says_where_at: clock.boot(),
            ends_at: clock.boot() + Duration::from_secs(ends_in.into()),
            hold: access.caller.facts.lifeline.hold(),
            place,
            access,
        };
        let kinds = [NewsKind::Event, NewsKind::Delivery, NewsKind::Rejection];
        if !kinds.into_iter().any(|kind| follower.wanted.has(kind)) {
            return Err(Error::query("kinds", "names nothing that has what else is asked for"));
        }
        let _turn = follower.place.first_turn().await?;
        // From here on it is known what is not finished; what ends in between is found twice, and told once.
        follower.look().await?;
        if is_resumed && follower.wanted.has(NewsKind::Delivery) {
            let ended = tail::ended(&follower.access.app().db, follower.access.id(), (at, at), ENDED_AMONG).await?;
            let found = std::mem::take(&mut follower.found);
            follower.found.extend(ended.into_iter().map(|id| Found::Delivery(id, HEARD_ALL)));
            follower.found.extend(found);
        }
        Ok(follower)
    }

    /// The next news, in the form of a stream. None: it is over.
    pub(super) async fn next(mut self) -> Option<(Vec<sse::Event>, Self)> {
        let mut is_away = false;
        loop {
            if self.found.is_empty() || is_away {
                tokio::select! {
                    () = self.hold.lifeline().stopped() => return None,
                    () = tokio::time::sleep_until(self.next_look) => {}
                }
            }
            let _turn = self.turn().await?;
            self.hold.renew();
            if self.is_over() {
                return None;
            }
            match tokio::time::timeout(STEP_WITHIN, self.step()).await {
                // Its time ended meanwhile: whoever takes it up again is told.
                Ok(Ok(_)) if self.is_over() => return None,
                Ok(Ok(news)) if !news.is_empty() => return Some((news, self)),
                Ok(Ok(_)) => {
                    is_away = false;
                    if let Some(id) = self.id_without_news() {
                        return Some((vec![id], self));
                    }
                }
                // It is not known who may hear what, or what there is: nothing is told, and nothing left out.
                Ok(Err(Error::Unavailable(_))) | Err(_) => {
                    is_away = true;
                    self.next_look = Instant::now() + EVERY;
                }
                Ok(Err(error)) => {
                    self.complain(&error);
                    return None;
                }
            }
        }
    }

    /// Waits for a turn to look. None: it is over meanwhile.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let mut turn = std::pin::pin!(self.place.turn());
        loop {
            tokio::select! {
                () = self.hold.lifeline().stopped() => return None,
                turn = &mut turn => return turn,
                () = tokio::time::sleep(STEP_WITHIN) => self.hold.renew(),
            }
            if self.is_over() {
                return None;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.access.app().clock.boot() >= self.ends_at
    }

    /// Where this can be taken up again, said now and then while there is no news: a message without data is none.
    fn id_without_news(&mut self) -> Option<sse::Event> {
        let now = self.access.app().clock.boot();
        (now >= self.says_where_at).then(|| {
            self.says_where_at = now + SAID_AFTER;
            sse::Event::message("").id(self.told.cursor(self.settled).to_string())
        })
    }

    /// Looks for news, or reads some that were found. Who may not hear it any more is an error.
    async fn step(&mut self) -> Result<Vec<sse::Event>, Error> {
        self.access = self.access.again(Scope::Read).await?;
        if self.found.is_empty() {
            self.look().await?;
        }
        if !self.gaps.is_empty() {
            return Ok(self.gaps.drain(..).map(|gap| message("gap", &gap)).collect());
        }
        let mut events = Vec::new();
        for (event, at, mark) in self.read().await? {
            if !self.told_before.contains(&mark) {
                self.told.note(at, mark);
                events.push(event);
            }
        }
        if self.found.is_empty() {
            self.settled = self.floor();
            self.told_before.clear();
        }
        if let Some(last) = events.pop() {
            events.push(last.id(self.told.cursor(self.settled).to_string()));
            self.says_where_at = self.access.app().clock.boot() + SAID_AFTER;
        }
        Ok(events)
    }

    /// Finds what there is news of. All is read before any of it is remembered, so that a fault leaves nothing out.
    async fn look(&mut self) -> Result<(), Error> {
        let (db, tenant, now) = (self.access.app().db.clone(), self.access.id(), self.access.app().clock.now());
        self.catch_up(now);
        let (mut unfinished, mut finished) = (Vec::new(), Vec::new());
        // Deliveries before events, so that nothing is told of a delivery before its event.
        if self.wanted.has(NewsKind::Delivery) {
            unfinished = tail::unfinished(&db, tenant, EACH).await?;
            finished = self.finished.read(&db, tenant, now).await?;
        }
        let (mut events, mut rejections) = (Vec::new(), Vec::new());
        if self.wanted.has(NewsKind::Event) {
            events = self.events.read(&db, tenant, now).await?;
        }
        if self.wanted.has(NewsKind::Rejection) {
            rejections = self.rejections.read(&db, tenant, now).await?;
        }
        let pairs = [(&self.finished, &finished), (&self.events, &events), (&self.rejections, &rejections)];
        let is_all = pairs.iter().all(|(window, read)| window.is_all(read));
        self.next_look = Instant::now() + if is_all { EVERY } else { Duration::ZERO };
        self.mind(unfinished.len());
        let mut deliveries = self.watched.compare(&unfinished, self.finished.floor());
        deliveries.extend(self.finished.news(&finished, now).into_iter().map(|id| (id.into(), HEARD_ALL)));
        let events = self.events.news(&events, now).into_iter().map(|id| Found::Event(id.into()));
        let deliveries = deliveries.into_iter().map(|(id, attempts)| Found::Delivery(id, attempts));
        let rejections = self.rejections.news(&rejections, now).into_iter().map(|id| Found::Rejection(id.into()));
        self.found.extend(events.chain(deliveries).chain(rejections));
        Ok(())
    }

    /// Everything that was made before this time was found.
    fn floor(&self) -> i64 {
        let floors = [&self.events, &self.finished, &self.rejections].map(Window::floor);
        floors.into_iter().min().unwrap_or(self.settled)
    }

    /// Skips what is too far behind.
    fn catch_up(&mut self, now: i64) {
        let floor = self.floor();
        if floor < now - BEHIND_MS {
            let until = now - OVERLAP_MS;
            for window in [&mut self.events, &mut self.finished, &mut self.rejections] {
                window.skip_to(until);
            }
            self.gaps.push(Gap::of("nobody read for too long", floor, until));
        }
    }

    /// Says it once if not all that is unfinished is watched.
    fn mind(&mut self, unfinished: usize) {
        let is_partial = unfinished >= 2 * EACH;
        if is_partial && !self.is_partial {
            let reason = format!(
                "{} deliveries or more are unfinished: only the oldest and the newest {EACH} of them are watched",
                2 * EACH
            );
            self.gaps.push(Gap { reason, after: None, before: None });
        }
        self.is_partial = is_partial;
    }

    fn complain(&self, error: &Error) {
        if let Error::Fault(cause) = error {
            let request_id = &self.access.caller.facts.request_id;
            tracing::error!(request_id, error = &**cause as &dyn std::error::Error, "a tail broke off");
        }
    }
}

fn message(kind: &str, body: &impl ToJSON) -> sse::Event {
    sse::Event::message(body.to_json_string()).event_type(kind)
}
