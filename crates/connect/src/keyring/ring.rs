//! One tenant's part of a keyring: the file of the tenant's key, and under
//! `subjects/` one file for each subject.

use super::cipher::{self, Key, SubjectKeys};
use super::folder::{Folder, Found};
use kernel::port::{Founding, Holding, KeyWanted, Rewrapped};
use kernel::{DataKeyId, Digest, KeyUse, Refusal, Subject, TenantId, json};
use serde::{Deserialize, Serialize};
use serde_json::json as object;
use std::fs::File;
use zeroize::Zeroizing;

const HEADING: &str = "writ.tenant_key.v1";
const ENDING: &str = ".key";
const VERSION: u32 = 1;

/// The keys of one subject as they stand in its file: wrapped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectFile {
    version: u32,
    pub(super) subject: Subject,
    wrapped_by: u32,
    mark: String,
    keys: Vec<Wrapped>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    id: DataKeyId,
    wrapped: String,
}

/// Whether others may use the ring at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Shared,
    Alone,
}

/// A tenant's part of a keyring, held.
pub(super) struct Ring {
    tenant: TenantId,
    folder: Folder,
    subjects: Folder,
    // The lock ends with the file.
    _lock: File,
}

impl Ring {
    /// Opens the tenant's part; makes it when the tenant has none yet.
    pub(super) fn open(
        root: &Folder,
        tenant: TenantId,
        founding: Founding,
        hold: Hold,
    ) -> Result<Self, Refusal> {
        let folder = root.below(&tenant.to_string());
        let subjects = folder.below("subjects");
        for place in [root, &folder, &subjects] {
            if place.found()? == Found::No {
                match founding {
                    Founding::New => place.make()?,
                    Founding::Known => return Err(lost(place.shown())),
                }
            }
        }
        let lock = folder.lock_file()?;
        let locked = match hold {
            Hold::Shared => lock.lock_shared(),
            Hold::Alone => lock.lock(),
        };
        locked.map_err(|e| {
            Refusal::unavailable(format!("`{}` cannot be locked: {e}", folder.shown()))
        })?;
        Ok(Self {
            tenant,
            folder,
            subjects,
            _lock: lock,
        })
    }

    /// The keys to seal with; a subject's first one is made here.
    pub(super) fn keys_to_seal(
        &self,
        founding: Founding,
        wanted: &[KeyWanted],
    ) -> Result<Vec<SubjectKeys>, Refusal> {
        let mut keys = Vec::new();
        for wanted in wanted {
            let file = match (self.subject(&wanted.subject)?, wanted.key) {
                (Some(file), _) => file,
                (None, None) => self.found_subject(founding, &wanted.subject)?,
                (None, Some(key)) => return Err(self.missing(&wanted.subject, key)),
            };
            let newest = file.keys.last().map(|k| k.id);
            let id = wanted.key.or(newest).ok_or_else(|| self.damaged(&file))?;
            keys.push(self.unwrapped(&file, id)?);
        }
        Ok(keys)
    }

    /// The keys to open with.
    pub(super) fn keys_to_open(&self, uses: &[KeyUse]) -> Result<Vec<SubjectKeys>, Refusal> {
        let find = |used: &KeyUse| {
            let file = self.subject(&used.subject)?;
            let file = file.ok_or_else(|| self.missing(&used.subject, used.key))?;
            self.unwrapped(&file, used.key)
        };
        uses.iter().map(find).collect()
    }

    /// What is held, sorted by subject.
    pub(super) fn list(&self) -> Result<Vec<Holding>, Refusal> {
        let mut held = Vec::new();
        for name in self.subjects.names(ENDING)? {
            if let Some(file) = self.read_subject(&name)? {
                held.push(Holding {
                    keys: file.keys.iter().map(|k| k.id).collect(),
                    wrapped_by: file.wrapped_by,
                    subject: file.subject,
                });
            }
        }
        held.sort_by(|a, b| a.subject.cmp(&b.subject));
        Ok(held)
    }

    /// A new key of a subject that has some.
    pub(super) fn rotate(&self, subject: &Subject) -> Result<DataKeyId, Refusal> {
        let mut file = self.subject(subject)?.ok_or_else(|| {
            Refusal::not_found(format!("the keyring holds no key of `{subject}`"))
                .hint("see `writ keyring list`")
        })?;
        let by = self.tenant_key(file.wrapped_by)?;
        let (id, key) = (new_id()?, cipher::random_key()?);
        let wrapped = cipher::wrap(&by, &self.about(&file, id)?, &key)?;
        file.keys.push(Wrapped { id, wrapped });
        self.write_subject(&file)?;
        Ok(id)
    }

    /// A new tenant key that wraps everything. Until the old one is destroyed,
    /// which comes last, both are there and every key can be read.
    pub(super) fn rotate_tenant(&self) -> Result<Rewrapped, Refusal> {
        let known = self.generations()?;
        let newest = match known.as_slice() {
            [] => return Err(lost(&self.folder.shown_file(&tenant_file(1)))),
            [only] => {
                let next = only.saturating_add(1);
                self.write_tenant_key(next)?;
                next
            }
            // A rotation was interrupted: this one ends it.
            [.., newest] => *newest,
        };
        let by = self.tenant_key(newest)?;
        let mut subjects = 0;
        for name in self.subjects.names(ENDING)? {
            let Some(file) = self.read_subject(&name)? else {
                continue;
            };
            if file.wrapped_by != newest {
                self.write_subject(&self.rewrapped(&file, newest, &by)?)?;
            }
            subjects += 1;
        }
        for old in known.into_iter().filter(|g| *g != newest) {
            self.folder.destroy(&tenant_file(old))?;
        }
        Ok(Rewrapped {
            generation: newest,
            subjects,
        })
    }

    /// Destroys a subject's keys.
    pub(super) fn destroy(&self, subject: &Subject) -> Result<Vec<DataKeyId>, Refusal> {
        let name = subject_file(subject)?;
        // What cannot be read any more is destroyed all the same.
        let file = self.read_subject(&name).ok().flatten();
        self.subjects.destroy(&name)?;
        Ok(file
            .map(|file| file.keys.iter().map(|k| k.id).collect())
            .unwrap_or_default())
    }

    fn found_subject(&self, founding: Founding, subject: &Subject) -> Result<SubjectFile, Refusal> {
        let generation = match self.generations()?.last() {
            Some(newest) => *newest,
            None => {
                let first = tenant_file(1);
                let empty = self.subjects.names(ENDING)?.is_empty();
                if founding == Founding::Known || !empty {
                    return Err(lost(&self.folder.shown_file(&first)));
                }
                self.write_tenant_key(1)?;
                1
            }
        };
        let by = self.tenant_key(generation)?;
        let mut file = SubjectFile {
            version: VERSION,
            subject: subject.clone(),
            wrapped_by: generation,
            mark: String::new(),
            keys: Vec::new(),
        };
        let (id, key, mark) = (new_id()?, cipher::random_key()?, cipher::random_key()?);
        file.mark = cipher::wrap(&by, &self.about_mark(&file)?, &mark)?;
        let wrapped = cipher::wrap(&by, &self.about(&file, id)?, &key)?;
        file.keys.push(Wrapped { id, wrapped });
        self.write_subject(&file)?;
        Ok(file)
    }

    fn rewrapped(
        &self,
        file: &SubjectFile,
        generation: u32,
        by: &Key,
    ) -> Result<SubjectFile, Refusal> {
        let old = self.tenant_key(file.wrapped_by)?;
        let mut new = SubjectFile {
            wrapped_by: generation,
            ..file.clone()
        };
        let open = |about: &str, wrapped: &str| {
            cipher::unwrap(&old, about, wrapped).ok_or_else(|| self.damaged(file))
        };
        let mark = open(&self.about_mark(file)?, &file.mark)?;
        new.mark = cipher::wrap(by, &self.about_mark(&new)?, &mark)?;
        new.keys.clear();
        for key in &file.keys {
            let plain = open(&self.about(file, key.id)?, &key.wrapped)?;
            let wrapped = cipher::wrap(by, &self.about(&new, key.id)?, &plain)?;
            new.keys.push(Wrapped {
                id: key.id,
                wrapped,
            });
        }
        Ok(new)
    }

    fn unwrapped(&self, file: &SubjectFile, id: DataKeyId) -> Result<SubjectKeys, Refusal> {
        let held = file.keys.iter().find(|k| k.id == id);
        let held = held.ok_or_else(|| self.missing(&file.subject, id))?;
        let by = self.tenant_key(file.wrapped_by)?;
        let data = cipher::unwrap(&by, &self.about(file, id)?, &held.wrapped);
        let mark = cipher::unwrap(&by, &self.about_mark(file)?, &file.mark);
        let (data, mark) = data.zip(mark).ok_or_else(|| self.damaged(file))?;
        Ok(SubjectKeys {
            used: KeyUse {
                subject: file.subject.clone(),
                key: id,
            },
            data,
            mark,
        })
    }

    /// What a wrapped data key is bound to.
    fn about(&self, file: &SubjectFile, id: DataKeyId) -> Result<String, Refusal> {
        Ok(json::canonical(&object!({
            "data_key": id, "subject": file.subject, "tenant": self.tenant,
            "wrapped_by": file.wrapped_by,
        }))?)
    }

    fn about_mark(&self, file: &SubjectFile) -> Result<String, Refusal> {
        Ok(json::canonical(&object!({
            "mark_key_of": file.subject, "tenant": self.tenant, "wrapped_by": file.wrapped_by,
        }))?)
    }

    fn subject(&self, subject: &Subject) -> Result<Option<SubjectFile>, Refusal> {
        let file = self.read_subject(&subject_file(subject)?)?;
        match file {
            // A file under another's name would give its keys to the wrong one.
            Some(file) if file.subject != *subject => Err(self.damaged(&file)),
            other => Ok(other),
        }
    }

    fn read_subject(&self, name: &str) -> Result<Option<SubjectFile>, Refusal> {
        let Some(bytes) = self.subjects.read(name)? else {
            return Ok(None);
        };
        let fault = || not_a_key(&self.subjects.shown_file(name));
        let file: SubjectFile = serde_json::from_slice(&bytes).map_err(|_| fault())?;
        match file.version == VERSION {
            true => Ok(Some(file)),
            false => Err(fault().hint("it was written by a newer writ; use that one")),
        }
    }

    fn write_subject(&self, file: &SubjectFile) -> Result<(), Refusal> {
        let text = json::canonical(file)?;
        let name = subject_file(&file.subject)?;
        self.subjects.write(&name, text.as_bytes())
    }

    /// The numbers of the tenant keys that are there, rising.
    fn generations(&self) -> Result<Vec<u32>, Refusal> {
        let names = self.folder.names(ENDING)?;
        let number = |name: &String| {
            let number = name.strip_prefix("tenant-")?.strip_suffix(ENDING)?;
            number.parse::<u32>().ok()
        };
        let mut found: Vec<u32> = names.iter().filter_map(number).collect();
        found.sort_unstable();
        Ok(found)
    }

    fn tenant_key(&self, generation: u32) -> Result<Key, Refusal> {
        let name = tenant_file(generation);
        let shown = self.folder.shown_file(&name);
        let bytes = self.folder.read(&name)?.ok_or_else(|| lost(&shown))?;
        let heading = self.heading(generation);
        let rest = bytes.strip_prefix(heading.as_bytes());
        let key = rest.and_then(|rest| rest.strip_suffix(b"\n"));
        key.and_then(cipher::read_key)
            .ok_or_else(|| not_a_key(&shown))
    }

    fn write_tenant_key(&self, generation: u32) -> Result<(), Refusal> {
        let key = cipher::random_key()?;
        let mut text = Zeroizing::new(self.heading(generation).into_bytes());
        text.reserve_exact(64);
        text.extend_from_slice(cipher::write_key(&key).as_bytes());
        text.push(b'\n');
        self.folder.write(&tenant_file(generation), &text)
    }

    fn heading(&self, generation: u32) -> String {
        format!("{HEADING} {} {generation} ", self.tenant)
    }

    fn missing(&self, subject: &Subject, key: DataKeyId) -> Refusal {
        let name = subject_file(subject).unwrap_or_default();
        Refusal::unavailable(format!(
            "the key `{key}` of `{subject}` is not in `{}`",
            self.subjects.shown_file(&name)
        ))
        .hint(
            "put back the keyring from where you keep it; if it was erased, nothing brings it back",
        )
    }

    fn damaged(&self, file: &SubjectFile) -> Refusal {
        let name = subject_file(&file.subject).unwrap_or_default();
        not_a_key(&self.subjects.shown_file(&name))
    }
}

/// The name of a subject's file: subjects may hold what file names may not.
fn subject_file(subject: &Subject) -> Result<String, Refusal> {
    Ok(format!(
        "{}{ENDING}",
        Digest::of_value("writ.subject_key.v1", subject)?
    ))
}

fn tenant_file(generation: u32) -> String {
    format!("tenant-{generation}{ENDING}")
}

fn new_id() -> Result<DataKeyId, Refusal> {
    let mut bytes = [0; 16];
    cipher::fill(&mut bytes)?;
    Ok(DataKeyId(
        uuid::Builder::from_random_bytes(bytes).into_uuid(),
    ))
}

fn lost(shown: &str) -> Refusal {
    Refusal::unavailable(format!("the keyring is not whole: `{shown}` is missing"))
        .hint("put back the keyring from where you keep it, or name its folder with --keyring")
}

fn not_a_key(shown: &str) -> Refusal {
    Refusal::integrity(format!(
        "`{shown}` is damaged, or was wrapped by another tenant key"
    ))
    .hint("put back the keyring from where you keep it")
}
