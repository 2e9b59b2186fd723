//! A list of what belongs to each checker of a module, in pieces that copies of it share.
//!
//! A module may have thousands of checkers, and each run of one of them changes one entry of a list that others hold
//! a copy of: a picture, or what is remembered. To replace an entry copies the piece that it is in, and the
//! references to the others.

use std::fmt;
use std::iter::FlatMap;
use std::slice;
use std::sync::Arc;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::id::CheckerName;

/// So many entries are in one piece, at first.
const PIECE: usize = 64;

/// What belongs to a checker.
pub trait Named {
    /// The name of the checker.
    fn name(&self) -> &CheckerName;
}

/// A list, ordered by name where it is changed.
#[derive(Clone)]
pub struct Pieces<T>(Vec<Arc<Vec<T>>>);

impl<T> Pieces<T> {
    /// One after the other.
    pub fn iter<'p>(&'p self) -> Iter<'p, T> {
        let entries: fn(&'p Arc<Vec<T>>) -> slice::Iter<'p, T> = |piece| piece.iter();
        self.0.iter().flat_map(entries)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Named> Pieces<T> {
    /// The entry of this checker.
    pub fn get(&self, name: &CheckerName) -> Option<&T> {
        let (piece, at) = self.place(name).ok()?;
        self.0.get(piece)?.get(at)
    }

    /// The piece and the place in it where the entry is, or where it belongs.
    fn place(&self, name: &CheckerName) -> Result<(usize, usize), (usize, usize)> {
        let begins_before = |piece: &Arc<Vec<T>>| piece.first().is_some_and(|first| first.name() <= name);
        let piece = self.0.partition_point(begins_before).saturating_sub(1);
        let Some(entries) = self.0.get(piece) else { return Err((piece, 0)) };
        let found = entries.binary_search_by(|entry| entry.name().cmp(name));
        found.map(|at| (piece, at)).map_err(|at| (piece, at))
    }
}

impl<T: Named + Clone> Pieces<T> {
    /// Replaces the entry of the checker, or adds it.
    pub fn put(&mut self, entry: T) {
        let (piece, at, is_new) = match self.place(entry.name()) {
            Ok((piece, at)) => (piece, at, false),
            Err((piece, at)) => (piece, at, true),
        };
        let Some(entries) = self.0.get_mut(piece).map(Arc::make_mut) else {
            self.0.push(Arc::new(vec![entry]));
            return;
        };
        if is_new {
            entries.insert(at, entry);
        } else if let Some(place) = entries.get_mut(at) {
            *place = entry;
        }
        if entries.len() >= 2 * PIECE {
            let second = entries.split_off(PIECE);
            self.0.insert(piece + 1, Arc::new(second));
        }
    }

    /// Removes the entry of the checker, if there is one.
    pub fn remove(&mut self, name: &CheckerName) {
        let Ok((piece, at)) = self.place(name) else { return };
        let Some(entries) = self.0.get_mut(piece).map(Arc::make_mut) else { return };
        entries.remove(at);
        if entries.is_empty() {
            self.0.remove(piece);
        }
    }
}

/// The entries of [`Pieces`].
pub type Iter<'p, T> =
    FlatMap<slice::Iter<'p, Arc<Vec<T>>>, slice::Iter<'p, T>, fn(&'p Arc<Vec<T>>) -> slice::Iter<'p, T>>;

impl<'p, T> IntoIterator for &'p Pieces<T> {
    type Item = &'p T;
    type IntoIter = Iter<'p, T>;
    fn into_iter(self) -> Iter<'p, T> {
        self.iter()
    }
}

impl<T: Clone> IntoIterator for Pieces<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> std::vec::IntoIter<T> {
        self.iter().cloned().collect::<Vec<T>>().into_iter()
    }
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<T> for Pieces<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut entries = entries.into_iter().peekable();
        let mut pieces = Vec::new();
        while entries.peek().is_some() {
            pieces.push(Arc::new(entries.by_ref().take(PIECE).collect()));
        }
        Self(pieces)
    }
}

impl<T> From<Vec<T>> for Pieces<T> {
    fn from(entries: Vec<T>) -> Self {
        entries.into_iter().collect()
    }
}

impl<T: PartialEq> PartialEq for Pieces<T> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<Vec<T>>, &Arc<Vec<T>>)| Arc::ptr_eq(one, other) || one == other;
        let alike = self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same);
        alike || (self.len() == other.len() && self.iter().eq(other.iter()))
    }
}

impl<T: Eq> Eq for Pieces<T> {}

impl<T: fmt::Debug> fmt::Debug for Pieces<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Serialize> Serialize for Pieces<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pieces<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

/// A map by the names of checkers, kept as [`Pieces`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerChecker<V>(Pieces<Entry<V>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<V>(CheckerName, V);

impl<V> Named for Entry<V> {
    fn name(&self) -> &CheckerName {
        &self.0
    }
}

impl<V> PerChecker<V> {
    /// What is known of this checker.
    pub fn get(&self, name: &CheckerName) -> Option<&V> {
        self.0.get(name).map(|Entry(_, value)| value)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&CheckerName, &V)> {
        self.0.iter().map(|Entry(name, value)| (name, value))
    }
}

impl<V: Clone> PerChecker<V> {
    /// From now on this is known of the checker; `None`: nothing.
    pub fn set(&mut self, name: &CheckerName, value: Option<V>) {
        match value {
            Some(value) => self.0.put(Entry(name.clone(), value)),
            None => self.0.remove(name),
        }
    }
}

impl<V> Default for PerChecker<V> {
    fn default() -> Self {
        Self(Pieces::default())
    }
}

impl<V: Serialize> Serialize for PerChecker<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for PerChecker<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By name, whatever the order in the text is.
        let map = std::collections::BTreeMap::<CheckerName, V>::deserialize(deserializer)?;
        Ok(Self(map.into_iter().map(|(name, value)| Entry(name, value)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    thread_local!(static COPIED: Cell<usize> = const { Cell::new(0) });

    /// Counts its copies.
    #[derive(Debug, PartialEq, Eq)]
    struct Counted(CheckerName, u32);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            COPIED.set(COPIED.get() + 1);
            Self(self.0.clone(), self.1)
        }
    }

    impl Named for Counted {
        fn name(&self) -> &CheckerName {
            &self.0
        }
    }

    fn name(number: u32) -> CheckerName {
        format!("c{number:05}").parse().unwrap()
    }

    #[test]
    fn to_replace_an_entry_of_a_copy_copies_few_others() {
        let mut list: Pieces<Counted> = (0..10_000).map(|number| Counted(name(number), 0)).collect();
        let mut copies = Vec::new();
        COPIED.set(0);
        for number in 0..10_000 {
            copies.push(list.clone());
            list.put(Counted(name(number), 1));
        }
        assert!(COPIED.get() <= 10_000 * 2 * PIECE, "{} copies", COPIED.get());
        assert!(copies[0].iter().all(|entry| entry.1 == 0) && list.iter().all(|entry| entry.1 == 1));
        assert_eq!(copies[5_000].iter().filter(|entry| entry.1 == 1).count(), 5_000);
    }

    proptest! {
        #[test]
        fn it_is_a_map_by_name(changes in prop::collection::vec((0_u32..400, prop::option::of(0_u32..3)), 0..600)) {
            let (mut map, mut list) = (BTreeMap::new(), PerChecker::default());
            for (number, value) in changes {
                let before = list.clone();
                let same = map.get(&name(number)).copied() == value;
                match value {
                    Some(value) => map.insert(name(number), value),
                    None => map.remove(&name(number)),
                };
                list.set(&name(number), value);
                prop_assert_eq!(before == list, same);
                prop_assert_eq!(list.get(&name(number)), map.get(&name(number)));
            }
            prop_assert!(list.iter().eq(map.iter()));
            prop_assert_eq!(list.0.len(), map.len());
            let text = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(serde_json::to_string(&list).unwrap(), text.clone());
            prop_assert_eq!(serde_json::from_str::<PerChecker<u32>>(&text).unwrap(), list);
        }
    }
}
