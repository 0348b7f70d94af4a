//! Rows of one table in a working set: as they were read, as verbs changed them, and what the verb at work changed.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// Rows by key.
#[derive(Debug)]
pub(super) struct Table<K, R> {
    slots: HashMap<K, Slot<R>>,
    /// What the verb at work replaced, so that it can be put back.
    undo: Vec<(K, Before<R>)>,
}

#[derive(Debug)]
struct Slot<R> {
    /// `None`: there is no such row, or (of a job that others may have) it cannot be had.
    row: Option<R>,
    change: Change<R>,
}

#[derive(Debug)]
enum Change<R> {
    None,
    /// Since it was read or written last; `None` for a row that is not in the database.
    From(Option<R>),
}

/// A row and whether it was changed, before the verb at work came.
#[derive(Debug)]
pub(super) struct Before<R> {
    pub(super) row: Option<R>,
    changed: bool,
}

impl<K: Clone + Eq + Hash, R: Clone> Table<K, R> {
    pub(super) fn new() -> Table<K, R> {
        Table { slots: HashMap::new(), undo: Vec::new() }
    }

    /// Forgets every row.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.undo.clear();
    }

    pub(super) fn is_loaded<Q: ?Sized + Hash + Eq>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.slots.contains_key(key)
    }

    /// Notes what was read. What is known already is at least as new.
    pub(super) fn load(&mut self, key: K, row: Option<R>) {
        self.slots.entry(key).or_insert(Slot { row, change: Change::None });
    }

    /// `None` when it was not loaded, `Some(None)` when there is none.
    pub(super) fn get<Q: ?Sized + Hash + Eq>(&self, key: &Q) -> Option<Option<&R>>
    where
        K: Borrow<Q>,
    {
        self.slots.get(key).map(|slot| slot.row.as_ref())
    }

    /// Keys that were loaded or put, and their rows.
    pub(super) fn loaded(&self) -> impl Iterator<Item = (&K, Option<&R>)> {
        self.slots.iter().map(|(key, slot)| (key, slot.row.as_ref()))
    }

    /// Changes or adds a row.
    pub(super) fn put(&mut self, key: K, row: R) {
        let slot = self.slots.entry(key.clone()).or_insert(Slot { row: None, change: Change::None });
        let before = slot.row.replace(row);
        let changed = matches!(slot.change, Change::From(_));
        if !changed {
            slot.change = Change::From(before.clone());
        }
        self.undo.push((key, Before { row: before, changed }));
    }

    /// The verb at work is done: what it changed stays.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// Puts back what the verb at work changed, the last change first; `put_back` hears of each: key, row that is undone,
    /// row that is put back.
    pub(super) fn undo(&mut self, mut put_back: impl FnMut(Option<&R>, Option<&R>)) {
        while let Some((key, before)) = self.undo.pop() {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            put_back(slot.row.as_ref(), before.row.as_ref());
            slot.row = before.row;
            if !before.changed {
                slot.change = Change::None;
            }
        }
    }

    /// Rows that were changed: as they are, and as they are in the database (`None` for new ones).
    pub(super) fn changed(&self) -> impl Iterator<Item = (&R, Option<&R>)> {
        self.slots.values().filter_map(|slot| match (&slot.row, &slot.change) {
            (Some(row), Change::From(stored)) => Some((row, stored.as_ref())),
            _ => None,
        })
    }

    /// The database has every row as it is here.
    pub(super) fn written(&mut self) {
        for slot in self.slots.values_mut() {
            slot.change = Change::None;
        }
    }
}
