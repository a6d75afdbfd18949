//! Notes and keys against the vectors of the specifications and of Go's note
//! package, and everything that must be refused.

use super::*;

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SECRET: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    VerifierKey::parse(text).unwrap()
}

#[test]
fn keys_have_the_text_form_of_other_implementations() {
    for text in [
        PETER,
        ENOCH,
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ] {
        assert_eq!(key(text).to_string(), text);
    }
    let secret = SigningKey::parse(PETER_SECRET).unwrap();
    assert_eq!(secret.to_secret_text(), PETER_SECRET);
    assert_eq!(secret.verifier(), &key(PETER));
    let shown = format!("{secret:?}");
    assert!(!shown.contains("YEKFALV"), "{shown}");
}

#[test]
fn texts_that_are_no_key_are_refused() {
    let bad = [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        PETER_SECRET,
    ];
    for text in bad {
        assert!(VerifierKey::parse(text).is_err(), "{text}");
    }
    assert!(SigningKey::parse(PETER).is_err());
    // The point of order one verifies any text.
    let mut one = [0; 32];
    one[0] = 1;
    let name = KeyName::new("x").unwrap();
    assert!(VerifierKey::new(name, Algorithm::Ed25519, one).is_err());
}

#[test]
fn a_note_is_signed_as_others_sign_it() {
    let secret = SigningKey::parse(PETER_SECRET).unwrap();
    let mut note = Note::new(TEXT).unwrap();
    note.add(secret.sign(TEXT, 0));
    note.add(secret.sign(TEXT, 0));
    assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}"));
}

#[test]
fn the_vectors_of_the_specifications_verify() {
    let vectors = [
        (
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".to_owned(),
        ),
        (PETER, format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}")),
        (ENOCH, format!("{TEXT}\n{PETER_LINE}{PETER_LINE}{ENOCH_LINE}{ENOCH_LINE}")),
    ];
    for (vkey, text) in vectors {
        let note = Note::parse(text.as_bytes()).unwrap();
        assert_eq!(note.to_string(), text);
        let trusted = key(vkey);
        assert_eq!(note.verify([&trusted]).unwrap(), [&trusted], "{text}");
    }
    let both = [key(PETER), key(ENOCH)];
    let note = Note::parse(format!("{TEXT}\n{ENOCH_LINE}{PETER_LINE}").as_bytes()).unwrap();
    assert_eq!(note.verify(&both).unwrap(), [&both[1], &both[0]]);
}

#[test]
fn a_note_that_was_changed_or_is_signed_by_others_is_not_trusted() {
    let peter = key(PETER);
    let changed = format!("x{TEXT}\n{PETER_LINE}");
    let note = Note::parse(changed.as_bytes()).unwrap();
    assert_eq!(
        note.verify([&peter]),
        Err(NoteFault::Forged("PeterNeumann".into()))
    );
    let other = Note::parse(format!("{TEXT}\n{ENOCH_LINE}").as_bytes()).unwrap();
    let Err(NoteFault::Unsigned(by)) = other.verify([&peter]) else {
        panic!("a stranger's signature was trusted");
    };
    assert_eq!(by, "`EnochRoot+af0cfe78`");
    // Same name, other id; a good signature does not make up for a bad one.
    let mut both = Note::parse(format!("{TEXT}\n{ENOCH_LINE}").as_bytes()).unwrap();
    both.add(Signature {
        name: peter.name().clone(),
        id: peter.id(),
        bytes: vec![0; 64],
    });
    assert!(matches!(
        both.verify([&key(ENOCH), &peter]),
        Err(NoteFault::Forged(_))
    ));
}

#[test]
fn what_is_not_a_note_to_the_letter_is_refused() {
    let line = PETER_LINE;
    let bad = [
        String::new(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}{line}"),
        format!("{TEXT}\n{}", line.trim_end()),
        format!("{TEXT}\n{line}\n"),
        format!("{TEXT}\n{line}not a line\n"),
        format!("{TEXT}\n{}", line.replace('\u{2014}', "-")),
        format!("{TEXT}\n{}", line.replace("Neumann ", "Neumann  ")),
        format!("{TEXT}\n{}", line.replace("PeterNeumann", "Peter+Neumann")),
        format!(
            "{TEXT}\n{}",
            line.replace("PeterNeumann", "Peter\u{a0}Neumann")
        ),
        format!("{TEXT}\n{}", line.replace("AM=", "AM")),
        format!("{TEXT}\n\u{2014} PeterNeumann x08gow==\n"),
        format!("{TEXT}\n{}", line.replace('\n', "\r\n")),
        format!("tab\there\n\n{line}"),
        format!("{TEXT}\n{}", line.repeat(SIGNATURES_MAX + 1)),
        format!("{}\n\n{line}", "x".repeat(NOTE_BYTES_MAX)),
    ];
    for text in bad {
        let short: String = text.chars().take(200).collect();
        assert!(Note::parse(text.as_bytes()).is_err(), "{short}");
    }
    assert!(Note::parse(b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n").is_err());
    let many = format!("{TEXT}\n{}", line.repeat(SIGNATURES_MAX));
    assert!(Note::parse(many.as_bytes()).is_ok());
    assert!(Note::new("no line feed").is_err());
}

#[test]
fn a_cosignature_covers_the_text_and_its_instant() {
    let name = KeyName::new("witness.example.com/w1").unwrap();
    let cosigner = SigningKey::new(name.clone(), Algorithm::CosignatureV1, &[7; 32]).unwrap();
    let again = SigningKey::parse(&cosigner.to_secret_text()).unwrap();
    assert_eq!(again.verifier(), cosigner.verifier());
    let text =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let signature = cosigner.sign(text, 1_679_315_147);
    assert_eq!(signature.bytes.len(), 72);
    assert_eq!(signature.cosigned_at_seconds(), Some(1_679_315_147));
    // The same seed as a log's key, over the message that the specification spells out.
    let plain = SigningKey::new(name, Algorithm::Ed25519, &[7; 32]).unwrap();
    let message = format!("cosignature/v1\ntime 1679315147\n{text}");
    assert_eq!(plain.sign(&message, 0).bytes, signature.bytes[8..]);
    assert_ne!(plain.verifier().id(), cosigner.verifier().id());
    let verifier = cosigner.verifier();
    assert!(verifier.verifies(text, &signature.bytes));
    assert!(!verifier.verifies(&format!("{text}\n"), &signature.bytes));
    for at in [0, 7, 8, 71] {
        let mut bad = signature.bytes.clone();
        bad[at] ^= 1;
        assert!(!verifier.verifies(text, &bad), "{at}");
    }
    assert!(!verifier.verifies(text, &signature.bytes[..71]));
    assert!(!verifier.verifies(text, &signature.bytes[8..]));
}
