//! What may be handed to writ by anybody, and what must hold of it whatever it
//! is: one target for each parser. A target panics when a rule is broken; a
//! parser that refuses breaks none.
//!
//! The same targets run in two ways: in every test run over the corpus and over
//! changes of it that a seed makes, and by `cargo xtask fuzz` led by coverage
//! for as long as one likes.

pub mod definitions;
pub mod language;
pub mod mutate;
pub mod seeds;
pub mod signed;
pub mod text;
pub mod web;

/// A parser, and what must hold of it.
pub struct Target {
    /// What it is called, and its folder under `corpus`.
    pub name: &'static str,
    /// Hands it these bytes; says whether it took them.
    pub run: fn(&[u8]) -> bool,
    /// What to begin with, besides the folder.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What its texts are made of.
    pub words: &'static [&'static str],
    /// How many changed inputs a test run hands it.
    pub rounds: u32,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "json",
        run: text::json,
        seeds: seeds::json,
        words: &[
            "{\"",
            "\":",
            "[",
            "]",
            "1e308",
            "-0",
            "\\ud83d",
            "\\u0000",
            "null",
            "9007199254740993",
        ],
        rounds: 20_000,
    },
    Target {
        name: "money",
        run: text::money,
        seeds: seeds::money,
        words: &[
            "EUR",
            "USD",
            ".",
            ",",
            "-",
            "0.000001",
            "1e6",
            "79228162514264337593543950335",
        ],
        rounds: 20_000,
    },
    Target {
        name: "names",
        run: text::names,
        seeds: seeds::names,
        words: &[
            "ten_",
            "dir_",
            ":",
            "service:",
            "T",
            "Z",
            "P1D",
            "+00:00",
            "Europe/Berlin",
            "tool:",
            "agent:",
        ],
        rounds: 20_000,
    },
    Target {
        name: "directive",
        run: definitions::directive,
        seeds: seeds::directive,
        words: &[
            "\"steps\":[",
            "\"budget\":\"",
            "\"timebox\":\"",
            "\"scope\":{",
            "EUR",
            "\"grounding\"",
            "\"input\":{",
        ],
        rounds: 10_000,
    },
    Target {
        name: "definition",
        run: definitions::one,
        seeds: seeds::definition,
        words: &[
            "- ", ": ", "\n  ", "&a ", "*a", "!!", "|\n", "{{", "}}", "when: ", "<<: ", "? ",
        ],
        rounds: 3_000,
    },
    Target {
        name: "pack",
        run: definitions::pack,
        seeds: seeds::definition,
        words: &[
            "- ", ": ", "\n  ", "&a ", "*a", "!!", "{{", "}}", "when: ", "name: ",
        ],
        rounds: 60,
    },
    Target {
        name: "cel",
        run: language::cel,
        seeds: seeds::cel,
        words: &[
            "&&",
            "||",
            "has(",
            "size(",
            ".exists(x, ",
            "matches(",
            "in",
            "? 1 : 2",
            "event.",
            "'",
            "u",
            "-9223372036854775808",
        ],
        rounds: 10_000,
    },
    Target {
        name: "cedar",
        run: language::cedar,
        seeds: seeds::cedar,
        words: &[
            "permit (",
            "forbid (",
            "when {",
            "unless {",
            "principal",
            "action == Action::\"",
            "resource",
            "context.",
            " has ",
            " like ",
            "decimal(\"",
            "@id(\"",
        ],
        rounds: 1_500,
    },
    Target {
        name: "webhook",
        run: web::webhook,
        seeds: seeds::webhook,
        words: &[
            "\"alerts\":[",
            "\"labels\":{",
            "\"status\":\"firing\"",
            "\"startsAt\":\"",
            "\"fingerprint\":\"",
            "\"truncatedAlerts\":",
            "0001-01-01T00:00:00Z",
        ],
        rounds: 5_000,
    },
    Target {
        name: "query",
        run: web::query,
        seeds: seeds::query,
        words: &[
            "limit=",
            "cursor=",
            "order=desc",
            "&",
            "%00",
            "%F0%9F",
            "+",
            "status=",
            "as_of=",
        ],
        rounds: 20_000,
    },
    Target {
        name: "bundle",
        run: signed::bundle,
        seeds: seeds::bundle,
        words: &[
            "{\"entry\":",
            "{\"checkpoint\":",
            "\n",
            "\"seq\":",
            "\"prev_hash\":\"",
            "\"object\":",
        ],
        rounds: 2_000,
    },
    Target {
        name: "checkpoint",
        run: signed::checkpoint,
        seeds: seeds::checkpoint,
        words: &[
            "\n\n",
            "\u{2014} ",
            "old 0\n",
            "index 0\n",
            "c2sp.org/tlog-proof@v1\n",
            "+",
            "=",
            "18446744073709551615",
        ],
        rounds: 20_000,
    },
    Target {
        name: "segment",
        run: signed::segment,
        seeds: seeds::segment,
        words: &[
            "{\"content\":",
            "\"first\":1",
            "\"last\":",
            "\"objects\":",
            "\n",
        ],
        rounds: 500,
    },
    Target {
        name: "signature",
        run: signed::signature,
        seeds: seeds::signature,
        words: &[
            "ed25519:",
            "passkey_es256:",
            "https://",
            "\"type\":\"webauthn.get\"",
            "\"challenge\":\"",
            "\"origin\":\"",
            "AAAA",
            "\n",
        ],
        rounds: 5_000,
    },
];

/// The target with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
