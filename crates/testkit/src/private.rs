//! Private files in memory.

use kernel::Refusal;
use kernel::port::PrivateFiles;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Files by name. They outlive the process that wrote them.
#[derive(Default)]
pub struct MemoryFiles(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryFiles {
    /// No files yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().expect("no panic before")
    }

    /// Another folder with the same files.
    #[must_use]
    pub fn copied(&self) -> Arc<Self> {
        Arc::new(Self(Mutex::new(self.read_all())))
    }
    /// Every file with what it holds.
    #[must_use]
    pub fn read_all(&self) -> BTreeMap<String, Vec<u8>> {
        self.files().clone()
    }
    /// The names of the files, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.files().keys().cloned().collect()
    }

    /// Loses the files whose names end like this.
    pub fn lose(&self, suffix: &str) {
        self.files().retain(|name, _| !name.ends_with(suffix));
    }
}

impl PrivateFiles for MemoryFiles {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(self.files().get(name).cloned())
    }
    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        match self.files().insert(name.to_owned(), bytes.to_vec()) {
            None => Ok(()),
            Some(_) => Err(Refusal::unavailable(format!("`{name}` is there already"))),
        }
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        self.files().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}
