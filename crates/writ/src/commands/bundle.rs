//! Bundles: a log or a part of it in one file, verified with the public key
//! alone.

use super::{Json, print};
use crate::cli::VerifyBundle;
use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use kernel::names::Name as _;
use ledger::bundle::{self, BundleFault, Contents, NotVerified, Trust};
use ledger::checkpoint::Checkpoint;
use ledger::note::{Algorithm, Note, VerifierKey};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Stands for standard input.
pub(super) const STANDARD: &str = "-";

/// Verifies a bundle.
pub(crate) fn verify(
    output: Json,
    asked: &VerifyBundle,
    keys: &[String],
    file: &Path,
) -> Result<(), Failure> {
    let trust = trust(asked, keys)?;
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes} {msg}") {
        bar.set_style(style);
    }
    bar.set_message("verified");
    let found = bundle::verify(opened(file, &bar)?, &trust, |_| {});
    bar.finish_and_clear();
    match found {
        Ok(contents) => {
            let answer = json!({"verdict": "ok", "contents": contents});
            print(output, &answer, |_| verified(&contents));
            Ok(())
        }
        Err(NotVerified::Fault(fault)) => Err(refused(output, file, &fault)),
        Err(fault @ NotVerified::OutOfReach(_)) => Err(Failure::usage(fault.to_string())
            .hint("give a bundle that begins with entry 1 and reaches as far")),
        Err(fault @ NotVerified::Unreadable(_)) => {
            Err(Failure::failed(format!("`{}`: {fault}", file.display())))
        }
    }
}

fn verified(contents: &Contents) -> String {
    let Contents {
        origin,
        size,
        root,
        first,
        last,
        objects,
    } = contents;
    format!(
        "verified: entries {first} to {last} of `{origin}`, {objects} objects\n\
         signed: {size} entries, root {root}\n"
    )
}

fn refused(output: Json, file: &Path, fault: &BundleFault) -> Failure {
    if output == Json::Yes {
        let answer = json!({
            "verdict": "refused", "fault": fault.fault.name(), "line": fault.line,
            "seq": fault.seq, "what": fault.what,
        });
        print(output, &answer, |_| String::new());
    }
    Failure::integrity(format!("`{}`: {fault}", file.display()))
        .hint("keep the file as it is; docs/ledger-format.md says what each fault means")
}

fn trust(asked: &VerifyBundle, keys: &[String]) -> Result<Trust, Failure> {
    let [key] = keys else {
        return Err(
            Failure::usage("a bundle is verified with one key of its log")
                .hint("give --key NAME+ID+BASE64 once, as whoever runs the log publishes it"),
        );
    };
    let key = parsed(key, Algorithm::Ed25519, "of a log")?;
    let witnesses: Result<Vec<_>, _> = asked
        .witness
        .iter()
        .map(|text| parsed(text, Algorithm::CosignatureV1, "of a witness"))
        .collect();
    let kept = asked
        .kept
        .as_deref()
        .map(|path| kept(path, &key))
        .transpose()?;
    Ok(Trust {
        key,
        witnesses: witnesses?,
        kept,
    })
}

fn parsed(text: &str, algorithm: Algorithm, whose: &str) -> Result<VerifierKey, Failure> {
    let key =
        VerifierKey::parse(text).map_err(|fault| Failure::usage(format!("`{text}`: {fault}")))?;
    if key.algorithm() == algorithm {
        Ok(key)
    } else {
        Err(Failure::usage(format!("`{text}` is not the key {whose}"))
            .hint("--key wants the key of a log, --witness that of a witness"))
    }
}

/// An older checkpoint that someone kept.
fn kept(path: &Path, key: &VerifierKey) -> Result<Checkpoint, Failure> {
    let fault = |what: String| Failure::usage(format!("`{}`: {what}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| fault(e.to_string()))?;
    let note = Note::parse(&bytes).map_err(|e| fault(e.to_string()))?;
    note.verify([key]).map_err(|e| fault(e.to_string()))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| fault(e.to_string()))?;
    if checkpoint.origin == key.name().as_str() {
        Ok(checkpoint)
    } else {
        Err(fault(format!("it is of the log `{}`", checkpoint.origin)))
    }
}

fn opened(file: &Path, bar: &ProgressBar) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new(STANDARD) {
        return Ok(Box::new(bar.wrap_read(std::io::stdin().lock())));
    }
    let open = File::open(file).and_then(|open| Ok((open.metadata()?.len(), open)));
    let (bytes, open) =
        open.map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", file.display())))?;
    bar.set_length(bytes);
    Ok(Box::new(BufReader::with_capacity(
        1 << 16,
        bar.wrap_read(open),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ledger-format")
    }

    /// What the command line says of every bundle among the vectors.
    #[test]
    fn every_vector_gets_its_verdict_and_a_bad_one_names_its_place() {
        let index = std::fs::read(vectors().join("bundles.json")).unwrap();
        let cases: Vec<Value> = serde_json::from_slice(&index).unwrap();
        let directory = tempfile::tempdir().unwrap();
        for case in &cases {
            let text = |name: &str| case[name].as_str().map(str::to_owned);
            let witnesses = case["witnesses"].as_array().cloned().unwrap_or_default();
            let kept = text("kept").map(|note| {
                let path = directory.path().join("kept");
                std::fs::write(&path, note).unwrap();
                path
            });
            let asked = VerifyBundle {
                bundle: None,
                witness: witnesses
                    .iter()
                    .filter_map(|w| w.as_str().map(str::to_owned))
                    .collect(),
                kept,
            };
            let file = vectors().join("bundles").join(text("file").unwrap());
            let keys: Vec<String> = text("key").into_iter().collect();
            let found = verify(Json::No, &asked, &keys, &file);
            let Some(line) = case["line"].as_u64() else {
                assert!(found.is_ok(), "{case}: {found:?}");
                continue;
            };
            let said = format!("{:?}", found.unwrap_err());
            assert!(said.contains("exit: Integrity"), "{case}: {said}");
            assert!(said.contains(&format!("line {line}")), "{case}: {said}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_said_before_the_bundle_is_read() {
        let index = std::fs::read(vectors().join("bundles.json")).unwrap();
        let cases: Vec<Value> = serde_json::from_slice(&index).unwrap();
        let key = cases[0]["key"].as_str().unwrap();
        let rows: [(&[&str], &[&str], &str); 5] = [
            (&[], &[], "exit: Usage"),
            (&["x"], &[], "exit: Usage"),
            (&[key, key], &[], "exit: Usage"),
            (&[key], &[key], "exit: Usage"),
            (&[key], &[], "exit: Failed"),
        ];
        let texts = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        for (keys, witness, exit) in rows {
            let asked = VerifyBundle {
                bundle: None,
                witness: texts(witness),
                kept: None,
            };
            let nowhere = Path::new("nowhere");
            let said = format!("{:?}", verify(Json::No, &asked, &texts(keys), nowhere));
            assert!(said.contains(exit), "{said}");
        }
    }
}
