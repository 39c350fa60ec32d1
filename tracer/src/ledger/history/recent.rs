//! What was reported last of sessions: a ledger of years is read, and a bound of it kept. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::record::SessionId;

/// Bytes of the longest id of a session: a foreign line may hold anything.
const LONGEST_ID: usize = 256;

/// How much is kept at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) sessions: usize,
    pub(super) bytes: usize,
}

/// One thing for each session; past the bound the oldest goes.
#[derive(Debug)]
pub(super) struct Recent<T> {
    bound: Bound,
    bytes: usize,
    taken: u64,
    of: HashMap<SessionId, (u64, T)>,
    by_age: BTreeMap<u64, SessionId>,
    forgotten: u64,
}

/// What a thing takes besides itself.
pub(super) trait Weight {
    fn bytes(&self) -> usize;
}

impl Weight for String {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Weight for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl<T: Weight> Recent<T> {
    pub(super) fn within(bound: Bound) -> Self {
        let (of, by_age) = (HashMap::new(), BTreeMap::new());
        Self { bound, bytes: 0, taken: 0, of, by_age, forgotten: 0 }
    }

    /// Takes in what is known of a session now, as the newest.
    pub(super) fn insert(&mut self, session: SessionId, value: T) {
        if session.as_str().len() > LONGEST_ID {
            return;
        }
        self.remove(&session);
        self.taken += 1;
        self.bytes += value.bytes();
        self.by_age.insert(self.taken, session.clone());
        self.of.insert(session, (self.taken, value));
        while self.of.len() > self.bound.sessions || self.bytes > self.bound.bytes {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            if let Some((_, value)) = self.of.remove(&oldest) {
                self.bytes -= value.bytes();
                self.forgotten += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, session: &SessionId) {
        if let Some((age, value)) = self.of.remove(session) {
            self.by_age.remove(&age);
            self.bytes -= value.bytes();
        }
    }

    /// Changes what is known of a session, as the newest.
    pub(super) fn change(&mut self, session: &SessionId, change: impl FnOnce(&mut T))
    where
        T: Default,
    {
        let mut value = T::default();
        if let Some((age, known)) = self.of.remove(session) {
            self.by_age.remove(&age);
            self.bytes -= known.bytes();
            value = known;
        }
        change(&mut value);
        self.insert(session.clone(), value);
    }

    pub(super) fn get(&self, session: &SessionId) -> Option<&T> {
        self.of.get(session).map(|(_, value)| value)
    }

    pub(super) fn contains(&self, session: &SessionId) -> bool {
        self.of.contains_key(session)
    }

    /// The sessions, oldest first.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.by_age.values()
    }

    /// Everything, oldest first; nothing is left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (SessionId, T)> {
        let mut of = std::mem::take(&mut self.of);
        self.bytes = 0;
        std::mem::take(&mut self.by_age).into_values().filter_map(move |session| {
            let (_, value) = of.remove(&session)?;
            Some((session, value))
        })
    }

    pub(super) fn clear(&mut self) {
        self.drain().for_each(drop);
    }

    /// How many had to go for newer ones.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PodUid;

    fn session(n: usize) -> SessionId {
        SessionId::of_declaration(&PodUid::new("78089609-0000"), &format!("dbg-{n}"))
    }

    fn recent(sessions: usize, bytes: usize) -> Recent<String> {
        Recent::within(Bound { sessions, bytes })
    }

    #[test]
    fn the_oldest_goes() {
        let mut recent = recent(3, 1000);
        (0..5).for_each(|n| recent.insert(session(n), n.to_string()));
        recent.insert(session(2), "again".into());
        recent.insert(session(6), "new".into());
        assert_eq!(recent.forgotten(), 3);
        let kept: Vec<_> = recent.drain().map(|(_, value)| value).collect();
        assert_eq!(kept, ["4", "again", "new"]);
    }

    #[test]
    fn bytes_are_bound_as_well() {
        let mut recent = recent(100, 10);
        (0..5).for_each(|n| recent.insert(session(n), "12345".into()));
        assert_eq!(recent.sessions().collect::<Vec<_>>(), [&session(3), &session(4)]);
        recent.insert(session(7), "x".repeat(11));
        assert_eq!(recent.sessions().count(), 0);
        let long = SessionId::of_declaration(&PodUid::new("u"), &"x".repeat(LONGEST_ID));
        recent.insert(long, String::new());
        assert_eq!(recent.sessions().count(), 0);
    }

    #[test]
    fn a_removed_or_changed_entry_is_not_counted_twice() {
        let mut recent = recent(2, 10);
        recent.insert(session(1), "12345".into());
        recent.change(&session(1), |text| text.push('6'));
        recent.change(&session(2), |text| text.push('1'));
        assert_eq!((recent.get(&session(1)).map(String::as_str), recent.bytes), (Some("123456"), 7));
        recent.remove(&session(1));
        assert_eq!((recent.bytes, recent.contains(&session(1)), recent.forgotten()), (1, false, 0));
    }
}
