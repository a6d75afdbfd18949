//! Where this node keeps data, from the command line to what a pack's register
//! is asked about.

use crate::cli::{ArchiveAt, Checkpoints, NodeStores, Place};
use crate::failure::Failure;
use gate::residency::{LOCAL, Store, StoreRole};
use std::net::IpAddr;

/// The stores of a node that is started like this.
///
/// # Errors
/// When an address has no host that can be told.
pub(crate) fn of_node(
    place: &Place,
    cache: Option<&str>,
    checkpoints: &Checkpoints,
    archive: &ArchiveAt,
) -> Result<Vec<Store>, Failure> {
    let mut stores = vec![at(StoreRole::Keyring, LOCAL)];
    match &place.database {
        None => stores.push(at(StoreRole::Ledger, LOCAL)),
        Some(url) => {
            let hosts = store::postgres::hosts(url)?;
            stores.extend(hosts.iter().map(|host| at(StoreRole::Ledger, host)));
        }
    }
    if let Some(url) = cache {
        stores.push(at(StoreRole::SessionCache, &host(url, "the cache")?));
    }
    for witness in &checkpoints.witnesses {
        let url = witness
            .split_once('=')
            .map_or(witness.as_str(), |(url, _)| url);
        stores.push(at(StoreRole::Witness, &host(url, "a witness")?));
    }
    match &archive.archive {
        None => {}
        Some(named) if named.starts_with("s3://") => {
            let endpoint = host(&archive.archive_endpoint, "the archive")?;
            stores.push(at(StoreRole::Archive, &endpoint));
        }
        Some(_) => stores.push(at(StoreRole::Archive, LOCAL)),
    }
    stores.sort();
    stores.dedup();
    Ok(stores)
}

impl NodeStores {
    /// The stores of a node that is started with these.
    ///
    /// # Errors
    /// When an address has no host that can be told.
    pub(crate) fn stores(&self) -> Result<Vec<Store>, Failure> {
        let cache = self.cache.as_deref();
        of_node(&self.place, cache, &self.checkpoints, &self.archive)
    }
}

fn at(role: StoreRole, host: &str) -> Store {
    let name = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let is_near = name == "localhost"
        || name.starts_with('/')
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    Store {
        role,
        at: match is_near {
            true => LOCAL.to_owned(),
            false => name,
        },
    }
}

/// The host of a URL, which is not repeated: it may hold a password.
fn host(url: &str, of: &str) -> Result<String, Failure> {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.and_then(|url| url.host_str().map(str::to_owned));
    host.ok_or_else(|| Failure::usage(format!("the address of {of} names no host")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_is_told_and_what_is_near_is_local() {
        let place = |database: Option<&str>| Place {
            data: "x".into(),
            keyring: None,
            database: database.map(str::to_owned),
        };
        let check =
            |database, cache, witness: &str, archive: &str, expected: &[(StoreRole, &str)]| {
                let checkpoints = Checkpoints {
                    witnesses: match witness {
                        "" => Vec::new(),
                        url => vec![format!("{url}=name+id+key")],
                    },
                    ..Checkpoints::default()
                };
                let mut at = ArchiveAt::none();
                if !archive.is_empty() {
                    at.archive = Some(archive.to_owned());
                    at.archive_endpoint = "https://S3.eu.example".to_owned();
                }
                let found = of_node(&place(database), cache, &checkpoints, &at).unwrap();
                let found: Vec<_> = found.iter().map(|s| (s.role, s.at.as_str())).collect();
                assert_eq!(found, expected);
            };
        use StoreRole::{Archive, Keyring, Ledger, SessionCache, Witness};
        let near = [(Ledger, "local"), (Keyring, "local")];
        check(None, None, "", "", &near);
        let url = "postgresql://u:p@127.0.0.1/w";
        check(Some(url), None, "", "", &near);
        let far = [
            (Ledger, "a.example"),
            (Ledger, "b.example"),
            (Archive, "s3.eu.example"),
            (Keyring, "local"),
            (SessionCache, "cache.example"),
            (Witness, "w.example"),
        ];
        let url = "postgresql://u:p@A.example,b.example/w?sslmode=disable";
        let cache = Some("rediss://:secret@cache.example:6380/1");
        check(
            Some(url),
            cache,
            "https://w.example:7421",
            "s3://bucket/x",
            &far,
        );
        let folder = [(Ledger, "local"), (Archive, "local"), (Keyring, "local")];
        check(None, None, "", "folder", &folder);
        let wrong = of_node(
            &place(None),
            Some("no address"),
            &Checkpoints::default(),
            &ArchiveAt::none(),
        );
        assert!(wrong.is_err());
    }
}
