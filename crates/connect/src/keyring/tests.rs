//! The keyring over real files: what opens, what does not and why, what a
//! crash leaves, and that what was destroyed is gone.

use super::LocalKeyring;
use kernel::port::{Founding, KeyWanted, Keyring as _, Plain};
use kernel::{Code, DataKeyId, Refusal, Sealed, Subject, TenantId};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const SECRET: &str = "quokka@canary.example";

struct Place {
    folder: tempfile::TempDir,
    ring: LocalKeyring,
    tenant: TenantId,
}

fn subject(id: &str) -> Subject {
    Subject::new("person", id).unwrap()
}

fn wanted(ids: &[&str]) -> Vec<KeyWanted> {
    let wanted = |id: &&str| KeyWanted {
        subject: subject(id),
        key: None,
    };
    ids.iter().map(wanted).collect()
}

fn plain(place: &str, text: &str) -> Plain {
    Plain {
        place: place.into(),
        bytes: text.as_bytes().to_vec(),
    }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            ring: LocalKeyring::new(&folder.path().join("keyring")),
            folder,
            tenant: TenantId(uuid::Uuid::from_u128(7)),
        }
    }
    fn root(&self) -> PathBuf {
        self.folder.path().join("keyring")
    }
    fn tenant_folder(&self) -> PathBuf {
        self.root().join(self.tenant.to_string())
    }
    async fn try_seal(&self, founding: Founding, ids: &[&str]) -> Result<Sealed, Refusal> {
        let sealed = self
            .ring
            .seal(
                self.tenant,
                founding,
                wanted(ids),
                vec![plain("value/email", SECRET)],
            )
            .await?;
        Ok(sealed.into_iter().next().unwrap())
    }
    async fn seal(&self, ids: &[&str]) -> Sealed {
        self.try_seal(Founding::New, ids).await.unwrap()
    }
    async fn open(&self, sealed: &Sealed) -> Result<String, Refusal> {
        let opened = self.ring.open(self.tenant, sealed.clone()).await?;
        Ok(String::from_utf8(opened).unwrap())
    }
    /// The only file of a subject, where only one subject has any.
    fn subject_file(&self) -> PathBuf {
        let folder = self.tenant_folder().join("subjects");
        let mut files = std::fs::read_dir(folder).unwrap();
        let only = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        only
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

fn put(files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, bytes) in files {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test]
async fn sealing_again_gives_the_same_value_and_another_text_or_place_another() {
    let place = Place::new();
    let first = place.seal(&["1"]).await;
    assert_eq!(place.open(&first).await.unwrap(), SECRET);
    assert_eq!(place.seal(&["1"]).await, first);
    let many = vec![
        plain("value/email", "other"),
        plain("value/name", SECRET),
        plain("value/email", SECRET),
    ];
    let all = place
        .ring
        .seal(place.tenant, Founding::Known, wanted(&["1"]), many);
    let all = all.await.unwrap();
    let nonces: std::collections::BTreeSet<_> = all.iter().map(|s| &s.nonce).collect();
    assert_eq!((nonces.len(), &all[2]), (3, &first));
    let other = place.seal(&["2"]).await;
    assert_ne!(other.nonce, first.nonce, "another subject has other keys");
    for (path, bytes) in files(&place.root()) {
        assert!(!contains(&bytes, SECRET.as_bytes()), "{}", path.display());
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|w| w == text)
}

#[tokio::test]
async fn what_was_changed_or_moved_does_not_open() {
    let place = Place::new();
    let good = place.seal(&["1"]).await;
    let other = place.seal(&["2"]).await;
    let change = |what: &dyn Fn(&mut Sealed)| {
        let mut changed = good.clone();
        what(&mut changed);
        changed
    };
    let flipped = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(bytes).unwrap()
    };
    let mut rows = vec![
        change(&|s| s.place = "value/name".into()),
        change(&|s| s.keys = other.keys.clone()),
        change(&|s| s.nonce = other.nonce.clone()),
        change(&|s| s.ciphertext = other.ciphertext.clone()),
        change(&|s| s.ciphertext.clear()),
        change(&|s| s.ciphertext = "?".into()),
        change(&|s| s.nonce = "zz".into()),
        change(&|s| s.keys.push(other.keys[0].clone())),
    ];
    // Every character but the last, whose low bits Base64 does not use.
    for at in 0..good.ciphertext.trim_end_matches('=').len() - 1 {
        rows.push(change(&|s| s.ciphertext = flipped(&good.ciphertext, at)));
    }
    for at in 0..good.nonce.len() {
        rows.push(change(&|s| s.nonce = flipped(&good.nonce, at)));
    }
    for row in rows {
        let refusal = place.open(&row).await.unwrap_err();
        assert_eq!(refusal.code, Code::Integrity, "{row:?}: {refusal}");
    }
    // Another tenant that has keys for a subject of the same name.
    let foreign = Place {
        folder: place.folder,
        ring: place.ring,
        tenant: TenantId(uuid::Uuid::from_u128(8)),
    };
    foreign.seal(&["1"]).await;
    let refusal = foreign.open(&good).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable, "{refusal}");
}

#[tokio::test]
async fn a_value_of_several_subjects_needs_the_keys_of_all() {
    let place = Place::new();
    let both = place.seal(&["2", "1", "2"]).await;
    assert_eq!(both.keys.len(), 2);
    assert_eq!(place.open(&both).await.unwrap(), SECRET);
    place
        .ring
        .destroy(place.tenant, subject("2"))
        .await
        .unwrap();
    let refusal = place.open(&both).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    assert!(refusal.message.contains("`person/2`"), "{refusal}");
}

#[tokio::test]
async fn a_keyring_that_is_open_to_others_is_refused() {
    let place = Place::new();
    let sealed = place.seal(&["1"]).await;
    let tenant = place.tenant_folder();
    for (path, private, open, named) in [
        (place.root(), 0o700, 0o750, "`keyring`"),
        (tenant.clone(), 0o700, 0o701, "ten_"),
        (tenant.join("subjects"), 0o700, 0o770, "subjects"),
        (tenant.join("tenant-1.key"), 0o600, 0o640, "tenant-1.key"),
        (place.subject_file(), 0o600, 0o604, "subjects/"),
    ] {
        let set = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(open);
        for refusal in [
            place.open(&sealed).await.unwrap_err(),
            place.try_seal(Founding::Known, &["1"]).await.unwrap_err(),
        ] {
            assert_eq!(refusal.code, Code::Unavailable);
            let text = refusal.to_string();
            assert!(text.contains(named) && text.contains("chmod"), "{text}");
        }
        set(private);
        assert_eq!(place.open(&sealed).await.unwrap(), SECRET);
    }
}

#[tokio::test]
async fn what_is_missing_is_named_and_never_made_anew() {
    let place = Place::new();
    let sealed = place.seal(&["1"]).await;
    let whole = files(&place.root());
    let key = place.tenant_folder().join("tenant-1.key");
    std::fs::remove_file(&key).unwrap();
    for founding in [Founding::Known, Founding::New] {
        let refusal = place.try_seal(founding, &["2"]).await.unwrap_err();
        assert!(refusal.message.contains("tenant-1.key"), "{refusal}");
    }
    let refusal = place.open(&sealed).await.unwrap_err();
    assert!(refusal.message.contains("tenant-1.key"), "{refusal}");
    std::fs::remove_dir_all(place.root()).unwrap();
    for refusal in [
        place.open(&sealed).await.unwrap_err(),
        place.try_seal(Founding::Known, &["1"]).await.unwrap_err(),
        place
            .ring
            .destroy(place.tenant, subject("1"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refusal.code, Code::Unavailable);
        assert!(refusal.message.contains("`keyring`"), "{refusal}");
        assert!(refusal.hint.unwrap().contains("put back"));
    }
    // A key that the ledger knows is not replaced by another.
    place.seal(&["2"]).await;
    let mut known = wanted(&["1"]);
    known[0].key = Some(sealed.keys[0].key);
    let refused = place
        .ring
        .seal(place.tenant, Founding::Known, known, Vec::new());
    assert_eq!(refused.await.unwrap_err().code, Code::Unavailable);
    std::fs::remove_dir_all(place.tenant_folder().join("subjects")).unwrap();
    std::fs::create_dir(place.tenant_folder().join("subjects")).unwrap();
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(place.tenant_folder().join("subjects"), private).unwrap();
    put(&whole);
    assert_eq!(place.open(&sealed).await.unwrap(), SECRET);
}

#[tokio::test]
async fn a_wrong_or_damaged_key_opens_nothing() {
    let place = Place::new();
    let sealed = place.seal(&["1"]).await;
    let good = files(&place.root());
    let elsewhere = Place::new();
    elsewhere.seal(&["1"]).await;
    let foreign = files(&elsewhere.root());
    let (tenant, subjects) = (
        place.tenant_folder().join("tenant-1.key"),
        place.subject_file(),
    );
    let of = |path: &Path| {
        let below = path.strip_prefix(place.root()).unwrap();
        foreign[&elsewhere.root().join(below)].clone()
    };
    let flip = |path: &Path, at: usize| {
        let mut bytes = good[path].clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut rows = vec![
        (tenant.clone(), of(&tenant)),
        (subjects.clone(), of(&subjects)),
        (subjects.clone(), vec![0; good[&subjects].len()]),
        (subjects.clone(), Vec::new()),
        (tenant.clone(), b"hello\n".to_vec()),
    ];
    for at in (0..good[&subjects].len()).step_by(7) {
        rows.push((subjects.clone(), flip(&subjects, at)));
    }
    for (path, bytes) in rows {
        put(&BTreeMap::from([(path.clone(), bytes)]));
        let opened = place.open(&sealed).await;
        let refusal = opened.expect_err(&path.display().to_string());
        assert!(
            [Code::Integrity, Code::Unavailable].contains(&refusal.code),
            "{refusal}"
        );
        put(&good);
    }
    assert_eq!(place.open(&sealed).await.unwrap(), SECRET);
}

#[tokio::test]
async fn a_new_data_key_seals_what_is_new_and_the_old_one_opens_what_is_old() {
    let place = Place::new();
    let old = place.seal(&["1"]).await;
    let key = place.ring.rotate(place.tenant, subject("1")).await.unwrap();
    let new = place.seal(&["1"]).await;
    assert_eq!(new.keys[0].key, key);
    assert_ne!(new.ciphertext, old.ciphertext);
    assert_eq!(new.mark().unwrap(), old.mark().unwrap(), "the same fact");
    for sealed in [&old, &new] {
        assert_eq!(place.open(sealed).await.unwrap(), SECRET);
    }
    let missing = place.ring.rotate(place.tenant, subject("2")).await;
    assert_eq!(missing.unwrap_err().code, Code::NotFound);
}

/// Every state in which a crash may leave a rotation is read, and ended by the
/// next one: the new tenant key is there or not, some subjects are wrapped by
/// it, the old key is there or not, and files are left half written.
#[tokio::test]
async fn a_rotation_of_the_tenant_key_survives_a_crash_at_every_step() {
    let place = Place::new();
    let names = ["1", "2", "3"];
    let mut sealed = Vec::new();
    for name in names {
        sealed.push(place.seal(&[name]).await);
    }
    let before = files(&place.root());
    let rotated = place.ring.rotate_tenant(place.tenant).await.unwrap();
    assert_eq!((rotated.generation, rotated.subjects), (2, 3));
    let after = files(&place.root());
    let tenant = |n: u32| place.tenant_folder().join(format!("tenant-{n}.key"));
    assert!(!after.contains_key(&tenant(1)), "the old key is destroyed");
    let subjects: Vec<&PathBuf> = before
        .keys()
        .filter(|p| p.parent().is_some_and(|p| p.ends_with("subjects")))
        .collect();
    assert_eq!(subjects.len(), 3);
    for done in 0..=subjects.len() {
        let mut state = before.clone();
        state.insert(tenant(2), after[&tenant(2)].clone());
        for path in &subjects[..done] {
            state.insert((*path).clone(), after[*path].clone());
        }
        let half = format!("{}.new", subjects[done.min(2)].display());
        state.insert(half.into(), b"{\"version\":".to_vec());
        for path in files(&place.root()).keys() {
            std::fs::remove_file(path).unwrap();
        }
        put(&state);
        for value in &sealed {
            assert_eq!(place.open(value).await.unwrap(), SECRET, "after {done}");
        }
        let again = place.ring.rotate_tenant(place.tenant).await.unwrap();
        assert_eq!((again.generation, again.subjects), (2, 3));
        assert!(!tenant(1).exists());
        for value in &sealed {
            assert_eq!(place.open(value).await.unwrap(), SECRET, "after {done}");
        }
    }
}

#[tokio::test]
async fn what_was_destroyed_is_in_no_file_and_can_be_destroyed_again() {
    let place = Place::new();
    let sealed = place.seal(&["1"]).await;
    let old = std::fs::read(place.subject_file()).unwrap();
    let wrapped: Vec<String> = kernel::json::parse(&old)
        .map(|v| vec![v["mark"].clone(), v["keys"][0]["wrapped"].clone()])
        .unwrap()
        .into_iter()
        .map(|v| v.as_str().unwrap().to_owned())
        .collect();
    // Held open, as by whoever reads the disk and not the folder.
    let held = std::fs::File::open(place.subject_file()).unwrap();
    let leftover = format!("{}.new", place.subject_file().display());
    std::fs::write(&leftover, &old).unwrap();
    let destroyed = place
        .ring
        .destroy(place.tenant, subject("1"))
        .await
        .unwrap();
    assert_eq!(destroyed, vec![sealed.keys[0].key]);
    for (path, bytes) in files(&place.root()) {
        for text in &wrapped {
            assert!(!contains(&bytes, text.as_bytes()), "{}", path.display());
        }
    }
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut &held, &mut rest).unwrap();
    assert_eq!(rest, vec![0; old.len()], "overwritten, not only unlinked");
    let again = place.ring.destroy(place.tenant, subject("1")).await;
    assert_eq!(again.unwrap(), Vec::<DataKeyId>::new());
    // A crash in the middle of overwriting leaves what cannot be read.
    place.seal(&["1"]).await;
    std::fs::write(place.subject_file(), vec![0; old.len()]).unwrap();
    let again = place.ring.destroy(place.tenant, subject("1")).await;
    assert_eq!(again.unwrap(), Vec::<DataKeyId>::new());
    let refusal = place.open(&sealed).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
}

#[tokio::test]
async fn first_uses_at_the_same_time_make_one_key() {
    let place = Place::new();
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let (ring, tenant) = (place.ring.clone(), place.tenant);
        tasks.push(tokio::spawn(async move {
            let one = vec![plain("value/email", SECRET)];
            ring.seal(tenant, Founding::New, wanted(&["1"]), one).await
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap().unwrap());
    }
    assert_eq!(all.len(), 16);
    assert!(all.iter().all(|sealed| *sealed == all[0]));
    let held = place.ring.list(place.tenant).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].keys.len(), held[0].wrapped_by), (1, 1));
}
