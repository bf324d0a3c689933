//! What generations of a configuration share.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::Lock;

/// Values that outlive the generation that made them, found again by a key: a new generation that
/// describes the same thing takes the running one over. Held weakly: a value ends with the last
/// generation that uses it.
#[derive(Debug, Default)]
pub struct Store {
    values: Lock<HashMap<String, Weak<dyn Any + Send + Sync>>>,
}

impl Store {
    /// The value of `key` if it is alive and of this type, else what `make` makes.
    ///
    /// # Errors
    /// What `make` fails with.
    pub fn get_or_make<T, E>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E>
    where
        T: Send + Sync + 'static,
    {
        let mut values = self.values.lock();
        let alive = values.get(key).and_then(Weak::upgrade).and_then(|any| any.downcast().ok());
        if let Some(alive) = alive {
            return Ok(alive);
        }
        let made = make()?;
        let any: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(&made);
        values.retain(|_, value| value.strong_count() > 0);
        values.insert(key.to_owned(), Arc::downgrade(&any));
        Ok(made)
    }
}
