//! A publisher in memory, and how often it is asked.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;

/// Publishes what it is told, and counts.
#[derive(Default)]
pub(in crate::verification) struct Publisher {
    documents: Mutex<HashMap<String, Fetched>>,
    asked: Mutex<Vec<String>>,
    /// Whoever holds it keeps every answer back.
    pub(in crate::verification) gate: tokio::sync::RwLock<()>,
}

impl Publisher {
    pub(in crate::verification) fn publish(&self, url: &str, body: impl Into<Vec<u8>>) {
        self.publish_for(url, body, "");
    }

    pub(in crate::verification) fn withdraw(&self, url: &str) {
        self.documents.lock().unwrap().remove(url);
    }

    pub(in crate::verification) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn publish_for(&self, url: &str, body: impl Into<Vec<u8>>, cache_control: &str) {
        let fetched = Fetched { body: body.into().into(), cache_control: cache_control.to_owned() };
        self.documents.lock().unwrap().insert(url.to_owned(), fetched);
    }
}

impl Fetch for Publisher {
    fn fetch<'a>(&'a self, url: &'a str, _: &'static str) -> Fetching<'a> {
        self.asked.lock().unwrap().push(url.to_owned());
        Box::pin(async move {
            let _open = self.gate.read().await;
            self.documents.lock().unwrap().get(url).cloned().ok_or(FetchError::Status(404))
        })
    }
}

/// A document that is a word.
#[derive(Debug, PartialEq, Eq)]
struct Word(String);

impl Published for Word {
    const ACCEPT: &'static str = "text/plain";

    fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        (!text.contains(' ')).then(|| Self(text.to_owned()))
    }
}

const URL: &str = "https://publisher.example.com/word";

fn publisher() -> (Arc<Publisher>, Clock, Cache<Word>) {
    let (publisher, clock) = (Arc::new(Publisher::default()), Clock::start());
    let cache = Cache::new(Arc::clone(&publisher) as Arc<dyn Fetch>, clock.clone());
    (publisher, clock, cache)
}

async fn word(cache: &Cache<Word>, url: &str) -> Option<String> {
    cache.get(url, Party::Ours).await.map(|word| word.0.clone())
}

fn seconds(clock: &Clock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
}

#[tokio::test]
async fn a_document_is_kept_for_ten_minutes_or_as_its_publisher_says() {
    for (cache_control, fresh) in [("", 600), ("max-age=3600", 3600), ("max-age=0", 60), ("max-age=999999", 86400)] {
        let (publisher, clock, cache) = publisher();
        publisher.publish_for(URL, "a", cache_control);
        assert_eq!(word(&cache, URL).await.as_deref(), Some("a"));
        publisher.publish(URL, "b");
        seconds(&clock, fresh - 1);
        assert_eq!(word(&cache, URL).await.as_deref(), Some("a"), "{cache_control}");
        assert_eq!(publisher.asked(), 1, "{cache_control}");
        seconds(&clock, 1);
        assert_eq!(word(&cache, URL).await.as_deref(), Some("b"), "{cache_control}");
        assert_eq!(publisher.asked(), 2, "{cache_control}");
    }
}

#[tokio::test]
async fn urls_are_kept_apart() {
    let (publisher, _, cache) = publisher();
    publisher.publish(URL, "a");
    publisher.publish("https://other.example.com/", "b");
    assert_eq!(word(&cache, URL).await.as_deref(), Some("a"));
    assert_eq!(word(&cache, "https://other.example.com/").await.as_deref(), Some("b"));
}

#[tokio::test]
async fn everyone_waits_for_the_same_fetch() {
    let (publisher, _, cache) = publisher();
    publisher.publish(URL, "a");
    let closed = publisher.gate.write().await;
    let (a, b, c, ()) = tokio::join!(word(&cache, URL), word(&cache, URL), word(&cache, URL), async { drop(closed) });
    assert_eq!([a, b, c], [(); 3].map(|()| Some("a".to_owned())));
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn a_failed_fetch_is_everyones_too() {
    let (publisher, _, cache) = publisher();
    let closed = publisher.gate.write().await;
    let (a, b, ()) = tokio::join!(word(&cache, URL), word(&cache, URL), async { drop(closed) });
    assert_eq!((a, b, publisher.asked()), (None, None, 1));
}

#[tokio::test]
async fn while_one_fetches_anew_the_others_go_on_with_what_there_is() {
    let (publisher, clock, cache) = publisher();
    publisher.publish(URL, "a");
    word(&cache, URL).await;
    seconds(&clock, 600);
    publisher.publish(URL, "b");
    let closed = publisher.gate.write().await;
    let (one, another) = tokio::join!(word(&cache, URL), async {
        let another = tokio::select! {
            biased;
            word = word(&cache, URL) => word,
            () = std::future::ready(()) => None,
        };
        drop(closed);
        another
    });
    assert_eq!((one.as_deref(), another.as_deref()), (Some("b"), Some("a")));
}

#[tokio::test]
async fn after_a_failure_the_next_try_waits_longer_and_longer() {
    for broken in [None, Some("not a word")] {
        let (publisher, clock, cache) = publisher();
        if let Some(broken) = broken {
            publisher.publish(URL, broken);
        }
        for (tries, wait) in [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60)] {
            assert_eq!(word(&cache, URL).await, None);
            seconds(&clock, wait - 1);
            assert_eq!(word(&cache, URL).await, None);
            assert_eq!(publisher.asked(), tries, "{broken:?}");
            seconds(&clock, 1);
        }
        publisher.publish(URL, "a");
        assert_eq!(word(&cache, URL).await.as_deref(), Some("a"));
        // All is forgiven.
        publisher.withdraw(URL);
        seconds(&clock, 600);
        word(&cache, URL).await;
        seconds(&clock, 10);
        word(&cache, URL).await;
        assert_eq!(publisher.asked(), 8, "{broken:?}");
    }
}

#[tokio::test]
async fn what_is_stale_is_used_for_a_day_while_nothing_newer_can_be_had() {
    let (publisher, clock, cache) = publisher();
    publisher.publish(URL, "a");
    word(&cache, URL).await;
    publisher.publish(URL, "not a word");
    seconds(&clock, 600);
    assert_eq!(word(&cache, URL).await.as_deref(), Some("a"));
    seconds(&clock, 86400 - 1);
    assert_eq!(word(&cache, URL).await.as_deref(), Some("a"));
    seconds(&clock, 1);
    assert_eq!(word(&cache, URL).await, None);
    assert_eq!(publisher.asked(), 3);
}

#[tokio::test]
async fn something_newer_is_looked_for_once_a_minute() {
    let (publisher, clock, cache) = publisher();
    publisher.publish(URL, "a");
    let first = cache.get(URL, Party::Ours).await.unwrap();
    publisher.publish(URL, "b");
    for _ in 0..100 {
        assert_eq!(cache.newer(URL, &first).await, None);
    }
    seconds(&clock, 59);
    assert_eq!(cache.newer(URL, &first).await, None);
    assert_eq!(publisher.asked(), 1);
    seconds(&clock, 1);
    let second = cache.newer(URL, &first).await.unwrap();
    assert_eq!((second.0.as_str(), publisher.asked()), ("b", 2));
    // Who still has the first gets the second, without another fetch.
    assert_eq!(cache.newer(URL, &first).await, Some(Arc::clone(&second)));
    assert_eq!(cache.newer(URL, &second).await, None);
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test]
async fn something_newer_is_not_looked_for_more_often_while_that_fails() {
    let (publisher, clock, cache) = publisher();
    publisher.publish(URL, "a");
    let first = cache.get(URL, Party::Ours).await.unwrap();
    publisher.withdraw(URL);
    for minute in 1..5 {
        seconds(&clock, 60);
        for _ in 0..10 {
            assert_eq!(cache.newer(URL, &first).await, None);
            assert_eq!(word(&cache, URL).await.as_deref(), Some("a"));
        }
        assert_eq!(publisher.asked(), 1 + minute);
    }
}

#[tokio::test]
async fn who_hangs_up_halfway_does_not_have_it_fetched_again() {
    let (publisher, clock, cache) = publisher();
    publisher.publish(URL, "a");
    let closed = publisher.gate.write().await;
    for _ in 0..10 {
        tokio::select! {
            biased;
            _ = cache.get(URL, Party::Ours) => {}
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(publisher.asked(), 1);
    drop(closed);
    seconds(&clock, 10);
    assert_eq!(word(&cache, URL).await.as_deref(), Some("a"));
}

#[tokio::test]
async fn strangers_cause_so_many_failures_a_minute_and_no_more() {
    let (publisher, clock, cache) = publisher();
    let get = async |url: &str, party| cache.get(url, party).await.map(|word| word.0.clone());
    let made_up = |number: u32| format!("https://publisher.example.com/{number}");
    publisher.publish(URL, "a");
    seconds(&clock, 120);
    assert_eq!(get(URL, Party::Strangers(1)).await.as_deref(), Some("a"));
    for number in 0..20 {
        assert_eq!(get(&made_up(number), Party::Strangers(1)).await, None);
    }
    assert_eq!(publisher.asked(), 1 + 5);
    // Others have their own five, and what tenants choose is not counted.
    publisher.publish("https://other.example.com/", "b");
    assert_eq!(get("https://other.example.com/", Party::Strangers(1)).await, None);
    assert_eq!(get("https://other.example.com/", Party::Strangers(2)).await.as_deref(), Some("b"));
    for number in 20..40 {
        assert_eq!(get(&made_up(number), Party::Ours).await, None);
    }
    assert_eq!(publisher.asked(), 1 + 5 + 1 + 20);
    seconds(&clock, 60);
    assert_eq!(get(&made_up(40), Party::Strangers(1)).await, None);
    assert_eq!(publisher.asked(), 1 + 5 + 1 + 20 + 1);
}

#[tokio::test]
async fn all_strangers_together_cause_so_many_failures_a_minute() {
    let (publisher, clock, cache) = publisher();
    publisher.publish(URL, "a");
    assert!(cache.get(URL, Party::Strangers(0)).await.is_some());
    seconds(&clock, 660);
    for number in 0..1000_u128 {
        let made_up = format!("https://publisher.example.com/{number}");
        assert!(cache.get(&made_up, Party::Strangers(number)).await.is_none());
    }
    assert_eq!(publisher.asked(), 1 + 600);
    // What was had before is fetched again all the same.
    publisher.publish(URL, "b");
    assert_eq!(cache.get(URL, Party::Strangers(0)).await.map(|word| word.0.clone()).as_deref(), Some("b"));
}

impl Remote {
    /// Where nothing is published but these documents, by URL, and only this authority (DER) vouches for PayPal.
    pub(crate) fn publishing<'a>(documents: impl IntoIterator<Item = (&'a str, Vec<u8>)>, root: Option<&[u8]>) -> Self {
        let publisher = Publisher::default();
        for (url, document) in documents {
            publisher.publish(url, document);
        }
        let paypal = root.map_or_else(crate::verification::paypal::tests::no_paypal, |root| {
            Trust::new("https://api.sandbox.paypal.com", &root.to_vec().into()).unwrap()
        });
        Self::with(Arc::new(publisher), Clock::start(), paypal)
    }
}
