//! Parallel work on many objects.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::StoreError;
use crate::threads;

/// Calls `work` on each item, with as many threads as there are processors; the first error ends it.
pub fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<(), StoreError> + Sync) -> Result<(), StoreError> {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Ok(()));
    let turn = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::Relaxed);
                let mut outcome = outcome.lock().unwrap_or_else(|e| e.into_inner());
                if outcome.is_ok() {
                    *outcome = Err(error);
                }
            }
        }
    };
    threads::side_by_side(threads::processors().min(items.len()), &turn);
    outcome.into_inner().unwrap_or_else(|e| e.into_inner())
}
